//! A machine for Python's pickles that builds data and runs nothing.
//!
//! A pickle is a program for a stack machine; its instructions are those of CPython's
//! `Lib/pickletools.py`. Python's machine calls whatever the program names. This one knows the
//! few names that tensors need (`torch.rs`) and refuses the rest. Containers live in a list and
//! are referred to by number, so that neither depth nor sharing costs memory or needs recursion.

use std::collections::HashMap;

use super::TorchError;
use super::torch::{self, Global, Storage, View};

/// The longest pickle. Those of this family have up to 400 KB.
pub(super) const MAX_PICKLE: usize = 16 << 20;
const MAX_INSTRUCTIONS: usize = 1 << 20;
/// Pairs copied from lists into dicts: a list can be named often.
pub(super) const MAX_COPIED: usize = 1 << 18;
const MAX_STACK: usize = 1 << 17;
/// Containers that are open at a time.
const MAX_DEPTH: usize = 64;
const MAX_MEMO: usize = 1 << 20;

/// A value: small, and copied freely.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Text(&'a str),
    /// What no tensor consists of: a float, bytes, a long number.
    Other,
    Sequence(usize),
    Dict(usize),
    Global(Global),
    Storage(usize),
    Tensor(usize),
}

/// All that a pickle built.
#[derive(Debug, Default)]
pub(super) struct Objects<'a> {
    pub(super) sequences: Vec<Vec<Value<'a>>>,
    pub(super) dicts: Vec<Vec<(Value<'a>, Value<'a>)>>,
    pub(super) storages: Vec<Storage<'a>>,
    pub(super) tensors: Vec<View>,
    /// Pairs copied so far.
    pub(super) copied: usize,
}

/// Runs one pickle from the beginning of `bytes`: its value, its objects and its length.
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
            b'G' => {
                self.take(8)?;
                self.push(Value::Other)
            }
            b'X' | b'T' => {
                let length = self.number4()?;
                self.text(length)
            }
            0x8c | b'U' => {
                let length = self.number1()?;
                self.text(length.into())
            }
            b'B' => {
                let length = self.number4()?;
                self.take(length)?;
                self.push(Value::Other)
            }
            b'C' => {
                let length = self.number1()?;
                self.take(length.into())?;
                self.push(Value::Other)
            }
            b')' => self.sequence(Vec::new()),
            b']' => self.sequence(Vec::new()),
            b't' | b'l' => {
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
            b'e' => {
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
            0x94 => self.remember(self.memo.len()),
            b'h' => {
                let index = self.number1()?;
                self.recall(index.into())
            }
            b'j' => {
                let index = self.number4()?;
                self.recall(index)
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(torch::global(module, name)?))
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(module), Value::Text(name)) = (module, name) else {
                    return Err(self.malformed("a global's name is no text"));
                };
                self.push(Value::Global(torch::global(module, name)?))
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.objects.storage(id).map_err(|what| self.malformed(what))?;
                self.push(storage)
            }
            b'R' | 0x81 => {
                let (arguments, callee) = (self.pop()?, self.pop()?);
                let made = self.objects.make(callee, arguments);
                let made = made.map_err(|what| self.malformed(what))?;
                self.push(made)
            }
            // An ordered dict's attributes: versions of PyTorch's modules, not needed.
            b'b' => match (self.pop()?, self.stack.last()) {
                (_, Some(Value::Dict(_))) => Ok(()),
                _ => Err(self.malformed("only a dict can have attributes")),
            },
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

    fn text(&mut self, length: usize) -> Result<(), TorchError> {
        let text = str::from_utf8(self.take(length)?);
        let text = text.map_err(|_| self.malformed("a text is not UTF-8"))?;
        self.push(Value::Text(text))
    }

    fn line(&mut self) -> Result<&'a str, TorchError> {
        const LONGEST: usize = 256;
        let rest = &self.bytes[self.at..];
        let length = rest
            .iter()
            .take(LONGEST)
            .position(|&byte| byte == b'\n')
            .ok_or_else(|| self.malformed("a global's name has no end"))?;
        let line = str::from_utf8(self.take(length)?);
        self.at += 1;
        line.map_err(|_| self.malformed("a global's name is no text"))
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), TorchError> {
        if self.stack.len() == MAX_STACK {
            return Err(TorchError::Limit { what: "values at a time", limit: MAX_STACK });
        }
        self.stack.push(value);
        Ok(())
    }

    /// The height of the stack without its last `count` values, which a mark must not lie between.
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
            _ => Err(self.malformed("there is no dict to put a value into")),
        }
    }

    fn extend_list(&mut self, items: Vec<Value<'a>>) -> Result<(), TorchError> {
        match self.stack.last() {
            Some(Value::Sequence(list)) => {
                self.objects.sequences[*list].extend(items);
                Ok(())
            }
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

/// A whole number in two's complement, least byte first.
fn long(bytes: &[u8]) -> Value<'static> {
    if bytes.len() > 8 {
        return Value::Other;
    }
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut word = if negative { [0xff; 8] } else { [0; 8] };
    word[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(word))
}
