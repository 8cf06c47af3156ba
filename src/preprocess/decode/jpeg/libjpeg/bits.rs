//! Huffman codes and the bits that they consist of, as libjpeg reads them (`jdhuff.c`): after a
//! marker, it reads zeros.

use super::source::Source;
use super::{Fault, broken};

const LOOK_AHEAD: u32 = 8;
/// How many bits the buffer is filled to, if the bytes allow it.
const FULL: u32 = 57;

/// A Huffman table.
#[derive(Clone)]
pub(super) struct Codes {
    /// Length and symbol of the code that begins with these 8 bits; length 9 if the code is longer.
    short: [(u8, u8); 256],
    /// The last code of each length, and what turns a code into the index of its symbol.
    last: [i32; 18],
    offset: [i32; 18],
    symbols: [u8; 256],
}

impl Codes {
    /// Makes a table from the number of codes of each length, and the symbols in the order of their
    /// codes.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8; 256], of_dc: bool) -> Result<Self, Fault> {
        let wrong = broken("an invalid Huffman table");
        let mut short = [(9, 0); 256];
        let mut last = [-1; 18];
        let mut offset = [0; 18];
        let (mut code, mut index) = (0i32, 0usize);
        for length in 1..=16 {
            let count = usize::from(counts[length - 1]);
            if index + count > 256 {
                return Err(wrong);
            }
            if count > 0 {
                offset[length] = index as i32 - code;
                for symbol in &symbols[index..index + count] {
                    if length <= LOOK_AHEAD as usize {
                        let free = LOOK_AHEAD as usize - length;
                        let first = (code as usize) << free;
                        let Some(entries) = short.get_mut(first..first + (1 << free)) else {
                            return Err(wrong);
                        };
                        entries.fill((length as u8, *symbol));
                    }
                    code += 1;
                }
                index += count;
                last[length] = code - 1;
            }
            // No code consists of ones only.
            if index > 0 && code >= 1 << length {
                return Err(wrong);
            }
            code <<= 1;
        }
        // Ends every search.
        last[17] = 0xfffff;
        if of_dc && symbols[..index].iter().any(|symbol| *symbol > 15) {
            return Err(wrong);
        }
        Ok(Self { short, last, offset, symbols: *symbols })
    }

    /// The most bits that a symbol announces for a value.
    pub(super) fn most_bits(&self) -> u8 {
        self.symbols.iter().map(|symbol| symbol & 15).max().unwrap_or(0)
    }

    fn symbol(&self, code: i32, length: usize) -> u8 {
        if length > 16 {
            // Not a code; zero does the least harm.
            return 0;
        }
        self.symbols[(code + self.offset[length]) as usize & 0xff]
    }
}

/// The signed number that `size` bits stand for (figure F.12).
pub(super) fn extend(bits: i32, size: u8) -> i32 {
    if size > 0 && bits < 1 << (size - 1) { bits - (1 << size) + 1 } else { bits }
}

/// The bits of a scan.
#[derive(Clone)]
pub(super) struct Bits<'a> {
    pub(super) source: Source<'a>,
    buffer: u64,
    left: u32,
    /// Whether a marker cut the bits short; the rest of the interval then stays as it is.
    pub(super) short: bool,
    /// Whether reading stops at the end of what Pillow has handed over so far. The unit is then
    /// read again.
    pub(super) waits: bool,
    /// Whether libjpeg met a marker on its fast path, which handles only bytes without markers.
    met: bool,
}

impl<'a> Bits<'a> {
    pub(super) fn new(source: Source<'a>, waits: bool) -> Self {
        Self { source, buffer: 0, left: 0, short: false, waits, met: false }
    }

    /// Discards the rest of an interval and begins the next.
    pub(super) fn restart(&mut self) -> Result<(), Fault> {
        self.left = 0;
        self.source.restart()?;
        if self.source.marker == 0 {
            self.short = false;
        }
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        if self.waits { self.source.ready_byte() } else { self.source.byte() }
    }

    fn fill(&mut self, needed: u32) -> Result<(), Fault> {
        while self.source.marker == 0 && self.left < FULL {
            let mut byte = self.byte()?;
            if byte == 0xff {
                while byte == 0xff {
                    byte = self.byte()?;
                }
                if byte != 0 {
                    self.source.marker = byte;
                    break;
                }
                byte = 0xff;
            }
            self.buffer = self.buffer << 8 | u64::from(byte);
            self.left += 8;
        }
        if needed > self.left {
            self.short = true;
            self.buffer <<= FULL - self.left;
            self.left = FULL;
        }
        Ok(())
    }

    fn peek(&self, count: u32) -> i32 {
        (self.buffer >> (self.left - count) & ((1 << count) - 1)) as i32
    }

    fn take(&mut self, count: u32) -> i32 {
        let bits = self.peek(count);
        self.left -= count;
        bits
    }

    pub(super) fn bits(&mut self, count: u8) -> Result<i32, Fault> {
        if count == 0 {
            return Ok(0);
        }
        if self.left < count.into() {
            self.fill(count.into())?;
        }
        Ok(self.take(count.into()))
    }

    pub(super) fn code(&mut self, codes: &Codes) -> Result<u8, Fault> {
        if self.left < LOOK_AHEAD {
            self.fill(0)?;
        }
        let mut length = 1;
        if self.left >= LOOK_AHEAD {
            let (size, symbol) = codes.short[self.peek(LOOK_AHEAD) as usize];
            if size <= LOOK_AHEAD as u8 {
                self.left -= u32::from(size);
                return Ok(symbol);
            }
            length = usize::from(size);
        }
        let mut code = self.bits(length as u8)?;
        while code > codes.last[length] {
            code = code << 1 | self.bits(1)?;
            length += 1;
        }
        Ok(codes.symbol(code, length))
    }

    /// Whether libjpeg takes its fast path for a unit with this number of blocks.
    pub(super) fn is_fast(&self, blocks: usize) -> bool {
        self.source.marker == 0 && self.source.ready() >= 512 * blocks
    }

    /// Whether the fast path met a marker, where only the slow path goes on.
    pub(super) fn met_marker(&self) -> bool {
        self.met
    }

    fn fill_fast(&mut self) {
        if self.left > 16 {
            return;
        }
        for _ in 0..6 {
            let (byte, next) =
                (self.source.peek(self.source.at), self.source.peek(self.source.at + 1));
            self.buffer = self.buffer << 8 | u64::from(byte);
            self.left += 8;
            self.source.at += 1;
            if byte == 0xff {
                if next == 0 {
                    self.source.at += 1;
                } else {
                    self.met = true;
                    self.source.at -= 1;
                    self.buffer &= !0xff;
                }
            }
        }
    }

    pub(super) fn bits_fast(&mut self, count: u8) -> i32 {
        self.fill_fast();
        self.take(count.into())
    }

    pub(super) fn code_fast(&mut self, codes: &Codes) -> u8 {
        self.fill_fast();
        let (size, symbol) = codes.short[self.peek(LOOK_AHEAD) as usize];
        if size <= LOOK_AHEAD as u8 {
            self.left -= u32::from(size);
            return symbol;
        }
        let mut length = usize::from(size);
        let mut code = self.take(length as u32);
        while code > codes.last[length] {
            code = code << 1 | self.take(1);
            length += 1;
        }
        codes.symbol(code, length)
    }
}
