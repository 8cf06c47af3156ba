//! A machine for Python's pickles that builds data and runs nothing.
//!
//! A pickle is a program for a stack machine; its instructions are those of CPython's
//! `Lib/pickletools.py`. Python's machine calls whatever the program names. This one knows the few
//! names that tensors need (`torch.rs`); any other name makes an object without behaviour, which
//! keeps the name, its arguments and its state. Containers live in a list and are referred to by
//! number, so that neither depth nor sharing costs memory or needs recursion.

use std::collections::HashMap;

use super::TorchError;
use super::objects::{Objects, Value};
use crate::weights::tensor_table::MAX_NAME;

/// The longest pickle, in bytes. Those of this family have up to 400 KB.
pub(super) const MAX_PICKLE: usize = 16 << 20;
/// The most instructions: a tensor takes about 40, and an optimizer keeps three times a network's
/// tensors.
const MAX_INSTRUCTIONS: usize = 1 << 22;
const MAX_STACK: usize = 1 << 17;
/// The most containers open at once.
const MAX_DEPTH: usize = 64;
const MAX_MEMO: usize = 1 << 20;
/// The longest line with a number or text.
const MAX_LINE: usize = 1 << 16;

/// Runs one pickle from the beginning of `bytes`; returns its value, its objects and its length.
pub(super) fn run(bytes: &[u8]) -> Result<(Value<'_>, Objects<'_>, usize), TorchError> {
    let mut machine = Machine { bytes, ..Machine::default() };
    for _ in 0..MAX_INSTRUCTIONS {
        machine.start = machine.at;
        if machine.at > MAX_PICKLE {
            return Err(TorchError::Limit { what: "bytes", limit: MAX_PICKLE });
        }
        let opcode = machine.number1()?;
        if opcode == b'.' {
            let value = machine.pop()?;
            return Ok((value, machine.objects, machine.at));
        }
        machine.step(opcode)?;
    }
    Err(TorchError::Limit { what: "instructions", limit: MAX_INSTRUCTIONS })
}

#[derive(Default)]
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the current instruction starts.
    start: usize,
    stack: Vec<Value<'a>>,
    /// Heights of the stack at which containers were opened.
    marks: Vec<usize>,
    memo: HashMap<usize, Value<'a>>,
    objects: Objects<'a>,
}

impl<'a> Machine<'a> {
    fn step(&mut self, opcode: u8) -> Result<(), TorchError> {
        match opcode {
            0x80 => self.number1().map(drop),
            0x95 => self.take(8).map(drop),
            b'(' => {
                if self.marks.len() == MAX_DEPTH {
                    return Err(TorchError::Limit { what: "nested containers", limit: MAX_DEPTH });
                }
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => self.pop().map(drop),
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()))
            }
            b'K' => {
                let value = self.number1()?;
                self.push(Value::Int(value.into()))
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()))
            }
            0x8a => {
                let length = self.number1()?;
                let value = long(self.take(length.into())?);
                self.push(value)
            }
            0x8b => {
                let length = self.number4()?;
                let value = long(self.take(length)?);
                self.push(value)
            }
            b'I' | b'L' => {
                let line = self.line(MAX_LINE)?;
                // In the oldest protocols booleans are numbers with a leading zero.
                let value = match line {
                    "00" => Value::Bool(false),
                    "01" => Value::Bool(true),
                    _ => line.trim_end_matches('L').parse().map_or(Value::Other, Value::Int),
                };
                self.push(value)
            }
            b'F' => {
                let value = self.line(MAX_LINE)?.parse().map_or(Value::Other, Value::Float);
                self.push(value)
            }
            b'G' => {
                let value = f64::from_be_bytes(self.array()?);
                self.push(Value::Float(value))
            }
            b'V' | b'S' => {
                // Texts with escaped characters are not names of tensors.
                let line = self.line(MAX_LINE)?;
                let text = if opcode == b'S' { unquoted(line) } else { Some(line) };
                let text = text.filter(|text| !text.contains('\\'));
                self.push(text.map_or(Value::Other, Value::Text))
            }
            b'X' | b'T' => {
                let length = self.number4()?;
                self.text(length)
            }
            0x8c | b'U' => {
                let length = self.number1()?;
                self.text(length.into())
            }
            0x8d => {
                let length = self.number8()?;
                self.text(length)
            }
            b'B' => {
                let length = self.number4()?;
                self.skip(length)
            }
            b'C' => {
                let length = self.number1()?;
                self.skip(length.into())
            }
            0x8e | 0x96 => {
                let length = self.number8()?;
                self.skip(length)
            }
            b')' | b']' | 0x8f => self.sequence(Vec::new()),
            b't' | b'l' | 0x91 => {
                let items = self.since_mark()?;
                self.sequence(items)
            }
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84);
                let from = self.height_below(count)?;
                let items = self.stack.split_off(from);
                self.sequence(items)
            }
            b'}' => self.dict(Vec::new()),
            b'd' => {
                let pairs = self.pairs()?;
                self.dict(pairs)
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.extend_dict(vec![(key, value)])
            }
            b'u' => {
                let pairs = self.pairs()?;
                self.extend_dict(pairs)
            }
            b'a' => {
                let item = self.pop()?;
                self.extend_list(vec![item])
            }
            b'e' | 0x90 => {
                let items = self.since_mark()?;
                self.extend_list(items)
            }
            b'q' => {
                let index = self.number1()?;
                self.remember(index.into())
            }
            b'r' => {
                let index = self.number4()?;
                self.remember(index)
            }
            b'p' => {
                let index = self.index()?;
                self.remember(index)
            }
            0x94 => self.remember(self.memo.len()),
            b'h' => {
                let index = self.number1()?;
                self.recall(index.into())
            }
            b'j' => {
                let index = self.number4()?;
                self.recall(index)
            }
            b'g' => {
                let index = self.index()?;
                self.recall(index)
            }
            b'2' => {
                self.height_below(1)?;
                let value = self.stack.last().copied().unwrap_or(Value::None);
                self.push(value)
            }
            b'1' => self.since_mark().map(drop),
            b'c' => {
                let (module, name) = (self.line(MAX_NAME)?, self.line(MAX_NAME)?);
                let named = self.objects.named(module, name);
                self.push(named)
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(module), Value::Text(name)) = (module, name) else {
                    return Err(self.malformed("a global's name is not text"));
                };
                let named = self.objects.named(module, name);
                self.push(named)
            }
            // Names given by agreed numbers: no file of weights has them.
            0x82..=0x84 => {
                self.take(1 << (opcode - 0x82))?;
                let named = self.objects.named("copyreg", "extension");
                self.push(named)
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.objects.storage(id).map_err(|what| self.malformed(what))?;
                self.push(storage)
            }
            b'R' | 0x81 => {
                let (arguments, callee) = (self.pop()?, self.pop()?);
                self.call(callee, arguments)
            }
            0x92 => {
                let (_, arguments, callee) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(callee, arguments)
            }
            b'o' => {
                let mut items = self.since_mark()?.into_iter();
                let callee = items
                    .next()
                    .ok_or_else(|| self.malformed("it calls something without a name"))?;
                self.call_with(callee, items.collect())
            }
            b'i' => {
                let (module, name) = (self.line(MAX_NAME)?, self.line(MAX_NAME)?);
                let callee = self.objects.named(module, name);
                let items = self.since_mark()?;
                self.call_with(callee, items)
            }
            b'b' => {
                let state = self.pop()?;
                // The state of known objects is not needed: versions of PyTorch's modules and the
                // like.
                if let Some(&Value::Foreign(object)) = self.stack.last() {
                    self.objects.foreign[object].state = state;
                }
                Ok(())
            }
            opcode => Err(TorchError::Opcode { opcode, at: self.start }),
        }
    }

    fn malformed(&self, what: &'static str) -> TorchError {
        TorchError::Malformed { at: self.start, what }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], TorchError> {
        let taken = self
            .at
            .checked_add(count)
            .and_then(|end| self.bytes.get(self.at..end))
            .ok_or(TorchError::CutOff { what: "its pickle has no end" })?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TorchError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn number1(&mut self) -> Result<u8, TorchError> {
        self.array().map(|[byte]| byte)
    }

    fn number4(&mut self) -> Result<usize, TorchError> {
        let number = u32::from_le_bytes(self.array()?);
        usize::try_from(number).map_err(|_| self.malformed("a length is beyond all files"))
    }

    fn number8(&mut self) -> Result<usize, TorchError> {
        let number = u64::from_le_bytes(self.array()?);
        usize::try_from(number).map_err(|_| self.malformed("a length is beyond all files"))
    }

    /// A position in the memo, in decimal digits.
    fn index(&mut self) -> Result<usize, TorchError> {
        self.line(MAX_NAME)?.parse().map_err(|_| self.malformed("a position is not a number"))
    }

    fn text(&mut self, length: usize) -> Result<(), TorchError> {
        let text = str::from_utf8(self.take(length)?);
        self.push(text.map_or(Value::Other, Value::Text))
    }

    /// Skips bytes that belong to no tensor.
    fn skip(&mut self, length: usize) -> Result<(), TorchError> {
        self.take(length)?;
        self.push(Value::Other)
    }

    /// A line of at most `longest` bytes, without its end.
    fn line(&mut self, longest: usize) -> Result<&'a str, TorchError> {
        let rest = &self.bytes[self.at..];
        let length = rest
            .iter()
            .take(longest)
            .position(|&byte| byte == b'\n')
            .ok_or_else(|| self.malformed("a line has no end"))?;
        let line = str::from_utf8(self.take(length)?);
        self.at += 1;
        line.map_err(|_| self.malformed("a line is not text"))
    }

    fn call(&mut self, callee: Value<'a>, arguments: Value<'a>) -> Result<(), TorchError> {
        let made = self.objects.make(callee, arguments);
        let made = made.map_err(|what| self.malformed(what))?;
        self.push(made)
    }

    fn call_with(&mut self, callee: Value<'a>, items: Vec<Value<'a>>) -> Result<(), TorchError> {
        self.objects.sequences.push(items);
        self.call(callee, Value::Sequence(self.objects.sequences.len() - 1))
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), TorchError> {
        if self.stack.len() == MAX_STACK {
            return Err(TorchError::Limit { what: "values at a time", limit: MAX_STACK });
        }
        self.stack.push(value);
        Ok(())
    }

    /// The height of the stack without its last `count` values; there must be no mark among them.
    fn height_below(&self, count: usize) -> Result<usize, TorchError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack
            .len()
            .checked_sub(count)
            .filter(|&height| height >= floor)
            .ok_or_else(|| self.malformed("it takes more values than there are"))
    }

    fn pop(&mut self) -> Result<Value<'a>, TorchError> {
        self.height_below(1)?;
        self.stack.pop().ok_or_else(|| self.malformed("it takes more values than there are"))
    }

    fn since_mark(&mut self) -> Result<Vec<Value<'a>>, TorchError> {
        let mark = self.marks.pop().ok_or_else(|| self.malformed("no container is open"))?;
        Ok(self.stack.split_off(mark))
    }

    fn pairs(&mut self) -> Result<Vec<(Value<'a>, Value<'a>)>, TorchError> {
        let items = self.since_mark()?;
        match items.as_chunks::<2>() {
            (pairs, []) => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
            _ => Err(self.malformed("a key has no value")),
        }
    }

    fn sequence(&mut self, items: Vec<Value<'a>>) -> Result<(), TorchError> {
        self.objects.sequences.push(items);
        self.push(Value::Sequence(self.objects.sequences.len() - 1))
    }

    fn dict(&mut self, pairs: Vec<(Value<'a>, Value<'a>)>) -> Result<(), TorchError> {
        let dict = self.objects.dict(pairs);
        self.push(dict)
    }

    fn extend_dict(&mut self, pairs: Vec<(Value<'a>, Value<'a>)>) -> Result<(), TorchError> {
        match self.stack.last() {
            Some(Value::Dict(dict)) => {
                self.objects.dicts[*dict].extend(pairs);
                Ok(())
            }
            Some(Value::Foreign(object)) => {
                self.objects.foreign[*object].items.extend(pairs);
                Ok(())
            }
            _ => Err(self.malformed("there is no dict to put a value into")),
        }
    }

    fn extend_list(&mut self, items: Vec<Value<'a>>) -> Result<(), TorchError> {
        match self.stack.last() {
            Some(Value::Sequence(list)) => {
                self.objects.sequences[*list].extend(items);
                Ok(())
            }
            // A kind of list or set whose items are not needed.
            Some(Value::Foreign(_)) => Ok(()),
            _ => Err(self.malformed("there is no list to put a value into")),
        }
    }

    fn remember(&mut self, index: usize) -> Result<(), TorchError> {
        if index >= MAX_MEMO {
            return Err(TorchError::Limit { what: "remembered values", limit: MAX_MEMO });
        }
        let value = self.stack.last().copied();
        let value = value.ok_or_else(|| self.malformed("there is no value to remember"))?;
        self.memo.insert(index, value);
        Ok(())
    }

    fn recall(&mut self, index: usize) -> Result<(), TorchError> {
        let value = self.memo.get(&index).copied();
        let value = value.ok_or_else(|| self.malformed("it recalls a value it never had"))?;
        self.push(value)
    }
}

/// A text without the quotes around it.
fn unquoted(line: &str) -> Option<&str> {
    ['\'', '"'].iter().find_map(|&quote| line.strip_prefix(quote)?.strip_suffix(quote))
}

/// A whole number in two's complement, least significant byte first.
fn long(bytes: &[u8]) -> Value<'static> {
    if bytes.len() > 8 {
        return Value::Other;
    }
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut word = if negative { [0xff; 8] } else { [0; 8] };
    word[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(word))
}
