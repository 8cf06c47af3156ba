//! The arithmetic decoder of RFC 6386, section 7.3; zeros follow the bytes.

const EVEN: u8 = 128;
/// After this many missing bytes, every decoder has given up: none goes on beyond the first.
const GIVEN_UP: u32 = 8;

#[derive(Clone)]
pub(super) struct Bits<'a> {
    /// The bytes that are not in `value` yet.
    bytes: &'a [u8],
    missing: u32,
    value: u64,
    range: u32,
    /// How many bits of `value` come after those that the range is compared with.
    behind: i32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, missing: 0, value: 0, range: 255, behind: -8 }
    }

    /// Whether reading went further beyond the end than any decoder goes.
    pub(super) fn is_beyond(&self) -> bool {
        self.missing > GIVEN_UP
    }

    fn fill(&mut self) {
        if let Some((word, rest)) = self.bytes.split_first_chunk() {
            self.bytes = rest;
            self.value = self.value << 32 | u64::from(u32::from_be_bytes(*word));
            self.behind += 32;
            return;
        }
        let byte = self.bytes.split_off_first().copied();
        self.missing += u32::from(byte.is_none());
        self.value = self.value << 8 | u64::from(byte.unwrap_or(0));
        self.behind += 8;
    }

    /// A bit that is zero with a probability of `probability / 256`.
    #[inline]
    pub(super) fn bit(&mut self, probability: u8) -> bool {
        if self.behind < 0 {
            self.fill();
        }
        let split = 1 + (((self.range - 1) * u32::from(probability)) >> 8);
        let bound = u64::from(split) << self.behind;
        let is_set = self.value >= bound;
        if is_set {
            self.range -= split;
            self.value -= bound;
        } else {
            self.range = split;
        }
        let shift = self.range.leading_zeros() - 24;
        self.range <<= shift;
        self.behind -= shift as i32;
        is_set
    }

    pub(super) fn flag(&mut self) -> bool {
        self.bit(EVEN)
    }

    pub(super) fn number(&mut self, bits: u32) -> usize {
        (0..bits).fold(0, |number, _| number << 1 | usize::from(self.flag()))
    }

    /// A number followed by its sign, if a flag says that there is one.
    pub(super) fn signed(&mut self, bits: u32) -> i32 {
        if !self.flag() {
            return 0;
        }
        let number = self.number(bits) as i32;
        if self.flag() { -number } else { number }
    }

    /// Walks a tree (section 8.1): positive numbers are its nodes, others are the negatives of its
    /// leaves.
    pub(super) fn tree(&mut self, tree: &[i8], probabilities: &[u8]) -> usize {
        let mut node = 0;
        loop {
            let next = tree[node + usize::from(self.bit(probabilities[node / 2]))];
            match usize::try_from(next) {
                Ok(inner) if inner > 0 => node = inner,
                _ => return usize::from(next.unsigned_abs()),
            }
        }
    }
}
