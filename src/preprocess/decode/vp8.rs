//! The partitions of a lossy WebP picture (RFC 6386), whose lengths its decoder believes: it makes
//! room for up to 16 MiB before it sees that they are not there.

/// The frame's tag, its start code and its sides.
const HEADER: usize = 10;
const EVEN: u8 = 128;

/// Whether the picture is complete in itself, as its tag says. Its decoder would read another's header in
/// another way.
pub(super) fn is_key_frame(picture: &[u8]) -> bool {
    picture.first().is_some_and(|tag| tag & 1 == 0)
}

/// Whether all partitions lie in the picture, the last of which goes to its end.
pub(super) fn is_whole(picture: &[u8]) -> bool {
    let whole = || {
        let tag = number(picture, 0)?;
        let (first, rest) = picture.get(HEADER..)?.split_at_checked(tag >> 5)?;
        let sizes = Bits::new(first).partitions() - 1;
        let (sizes, rest) = rest.split_at_checked(3 * sizes)?;
        let sizes = sizes.as_chunks::<3>().0.iter().map(|size| number(size, 0).unwrap_or(0));
        (sizes.sum::<usize>() <= rest.len()).then_some(())
    };
    whole().is_some()
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let &[low, middle, high] = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes([low, middle, high, 0]) as usize)
}

/// The arithmetic decoder of the RFC's section 7.3; zeros follow the bytes.
struct Bits<'a> {
    bytes: std::slice::Iter<'a, u8>,
    value: u32,
    range: u32,
    shifted: u32,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let mut bits = Self { bytes: bytes.iter(), value: 0, range: 255, shifted: 0 };
        bits.value = bits.next() << 8 | bits.next();
        bits
    }

    fn next(&mut self) -> u32 {
        self.bytes.next().copied().unwrap_or(0).into()
    }

    fn flag(&mut self) -> bool {
        let split = 1 + (((self.range - 1) * u32::from(EVEN)) >> 8);
        let is_set = self.value >= split << 8;
        if is_set {
            self.range -= split;
            self.value -= split << 8;
        } else {
            self.range = split;
        }
        while self.range < 128 {
            self.value <<= 1;
            self.range <<= 1;
            self.shifted += 1;
            if self.shifted == 8 {
                self.shifted = 0;
                self.value |= self.next();
            }
        }
        is_set
    }

    fn number(&mut self, bits: u32) -> usize {
        (0..bits).fold(0, |number, _| number << 1 | usize::from(self.flag()))
    }

    /// Numbers that may be there, each with a sign where it is `signed`.
    fn pass_over(&mut self, count: u32, bits: u32, signed: bool) {
        for _ in 0..count {
            if self.flag() {
                self.number(bits + u32::from(signed));
            }
        }
    }

    /// How many partitions the frame's header has, beside the first, which this is (section 9.2 to 9.5).
    fn partitions(mut self) -> usize {
        // Kind of colours, and whether they need clamping.
        self.number(2);
        if self.flag() {
            let (maps, features) = (self.flag(), self.flag());
            if features {
                self.flag();
                self.pass_over(4, 7, true);
                self.pass_over(4, 6, true);
            }
            if maps {
                self.pass_over(3, 8, false);
            }
        }
        // The loop filter's kind, level and sharpness.
        self.number(10);
        if self.flag() && self.flag() {
            self.pass_over(8, 6, true);
        }
        1 << self.number(2)
    }
}
