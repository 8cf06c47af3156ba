//! How much memory the prefix codes of a lossless WebP picture take in its decoder
//! (<https://developers.google.com/speed/webp/docs/webp_lossless_bitstream_specification>): 4 KiB
//! per code, and a picture of any size may have 327,680 codes.

/// The order in which the code lengths of the code for lengths are stored.
const ORDER: [usize; 19] = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const LENGTHS: usize = 256 + 24;
const DISTANCES: usize = 40;
/// How many bits a decoder's table looks up at once, and the bytes of a table entry and of a node
/// beyond the table.
const TABLE_BITS: usize = 10;
const ENTRY: u64 = 4;
const NODE: u64 = 16;

/// Bytes of a picture's codes, as far as the picture can be read.
pub(super) fn codes(stream: &[u8], [width, height]: [u32; 2]) -> u64 {
    let mut bytes = 0;
    // The decoder refuses what cannot be read, at the same place.
    let _ = Bits { bytes: stream, at: 0 }.codes(width, height, &mut bytes);
    bytes
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A prefix code: how many symbols have each length, and the symbols in the order of their codes.
struct Code {
    counts: [u16; 16],
    symbols: Vec<u16>,
}

impl Code {
    fn new(lengths: &[u8]) -> Self {
        let mut counts = [0; 16];
        let mut symbols: Vec<_> =
            (0..lengths.len()).filter(|symbol| lengths[*symbol] > 0).map(|s| s as u16).collect();
        symbols.sort_by_key(|symbol| lengths[usize::from(*symbol)]);
        symbols.iter().for_each(|symbol| counts[usize::from(lengths[usize::from(*symbol)])] += 1);
        Self { counts, symbols }
    }

    /// Bytes that the code takes in a decoder.
    fn size(&self) -> u64 {
        let longest = self.counts.iter().rposition(|count| *count > 0).unwrap_or(0);
        let beyond: u16 = self.counts[TABLE_BITS + 1..].iter().sum();
        (ENTRY << longest.min(TABLE_BITS)) + 2 * NODE * u64::from(beyond)
    }
}

impl Bits<'_> {
    fn number(&mut self, count: usize) -> Option<usize> {
        let mut number = 0;
        for bit in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            number |= usize::from(byte >> (self.at % 8) & 1) << bit;
            self.at += 1;
        }
        Some(number)
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.number(1)? == 1)
    }

    fn symbol(&mut self, code: &Code) -> Option<usize> {
        if let [only] = code.symbols[..] {
            return Some(only.into());
        }
        let (mut value, mut first, mut index) = (0, 0, 0);
        for count in code.counts[1..].iter().map(|count| usize::from(*count)) {
            value |= self.number(1)?;
            if value < first + count {
                return code.symbols.get(index + value - first).map(|symbol| usize::from(*symbol));
            }
            index += count;
            first = (first + count) << 1;
            value <<= 1;
        }
        None
    }

    fn code(&mut self, alphabet: usize) -> Option<Code> {
        let mut lengths = vec![0; alphabet];
        if self.flag()? {
            let two = self.flag()?;
            let bits = if self.flag()? { 8 } else { 1 };
            *lengths.get_mut(self.number(bits)?)? = 1;
            if two {
                *lengths.get_mut(self.number(8)?)? = 1;
            }
            return Some(Code::new(&lengths));
        }
        let mut own = [0; ORDER.len()];
        let count = self.number(4)? + 4;
        for place in ORDER.iter().take(count) {
            own[*place] = self.number(3)? as u8;
        }
        let own = Code::new(&own);
        let most = if self.flag()? {
            let bits = 2 + 2 * self.number(3)?;
            2 + self.number(bits)?
        } else {
            alphabet
        };
        let (mut at, mut last) = (0, 8);
        for _ in 0..most {
            if at == alphabet {
                break;
            }
            let (length, times) = match self.symbol(&own)? {
                16 => (last, 3 + self.number(2)?),
                17 => (0, 3 + self.number(3)?),
                18 => (0, 11 + self.number(7)?),
                length => (length as u8, 1),
            };
            lengths.get_mut(at..at + times)?.fill(length);
            at += times;
            if length > 0 {
                last = length;
            }
        }
        Some(Code::new(&lengths))
    }

    /// A number that is coded as a symbol and some more bits.
    fn extended(&mut self, symbol: usize) -> Option<usize> {
        if symbol < 4 {
            return Some(symbol + 1);
        }
        let bits = (symbol - 2) >> 1;
        Some(((2 + (symbol & 1)) << bits) + self.number(bits)? + 1)
    }

    /// Skips an auxiliary picture. Returns the largest number in red and green; copied pixels do
    /// not change it.
    fn inner(&mut self, width: usize, height: usize) -> Option<usize> {
        let cache = self.cache()?;
        let [green, red, blue, alpha, distance] =
            [LENGTHS + cache, 256, 256, 256, DISTANCES].map(|alphabet| self.code(alphabet));
        let (green, red, blue, alpha, distance) = (green?, red?, blue?, alpha?, distance?);
        let (mut left, mut largest) = (width * height, 0);
        while left > 0 {
            match self.symbol(&green)? {
                literal @ ..256 => {
                    largest = largest.max(self.symbol(&red)? << 8 | literal);
                    self.symbol(&blue)?;
                    self.symbol(&alpha)?;
                    left -= 1;
                }
                length @ 256..LENGTHS => {
                    let length = self.extended(length - 256)?;
                    let far = self.symbol(&distance)?;
                    self.extended(far)?;
                    left = left.checked_sub(length)?;
                }
                _ => left -= 1,
            }
        }
        Some(largest)
    }

    /// Colours in the cache.
    fn cache(&mut self) -> Option<usize> {
        match self.flag()? {
            true => Some(1 << self.number(4).filter(|bits| (1..=11).contains(bits))?),
            false => Some(0),
        }
    }

    fn codes(&mut self, width: u32, height: u32, bytes: &mut u64) -> Option<()> {
        let (mut width, height) = (width as usize, height as usize);
        while self.flag()? {
            match self.number(2)? {
                2 => {}
                3 => {
                    let colours = self.number(8)? + 1;
                    self.inner(colours, 1)?;
                    let shared = match colours {
                        ..=2 => 8,
                        3..=4 => 4,
                        5..=16 => 2,
                        _ => 1,
                    };
                    width = width.div_ceil(shared);
                }
                _ => {
                    let side = 4 << self.number(3)?;
                    self.inner(width.div_ceil(side), height.div_ceil(side))?;
                }
            }
        }
        let cache = self.cache()?;
        let mut groups = 1;
        if self.flag()? {
            let side = 4 << self.number(3)?;
            groups += self.inner(width.div_ceil(side), height.div_ceil(side))?;
        }
        for _ in 0..groups {
            for alphabet in [LENGTHS + cache, 256, 256, 256, DISTANCES] {
                *bytes += self.code(alphabet)?.size();
            }
        }
        Some(())
    }
}
