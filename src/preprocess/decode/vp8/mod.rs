//! Checks a lossy WebP picture (RFC 6386) before its decoder runs. The decoder trusts the lengths
//! of partitions, and allocates up to 16 MiB before it finds that they are missing. Its
//! coefficients are also wider than libwebp's.

mod bits;
mod coefficients;
mod tables;

use self::bits::Bits;
use self::tables::{AC_STEPS, DC_STEPS, DEFAULTS, Probabilities, UPDATES};

/// The frame's tag, its start code and its sides.
const HEADER: usize = 10;

/// Whether the picture is complete in itself, by its tag. The header of any other picture differs.
pub(super) fn is_key_frame(picture: &[u8]) -> bool {
    picture.first().is_some_and(|tag| tag & 1 == 0)
}

/// What the coefficients of a segment are multiplied by: the first of a block, and the others.
#[derive(Clone, Copy)]
struct Steps {
    luma: [u16; 2],
    /// For the first coefficients of a macroblock's luma.
    second: [u16; 2],
    chroma: [u16; 2],
}

/// The header of a key frame, and its partitions.
pub(super) struct Frame<'a> {
    /// Macroblocks across and down.
    columns: usize,
    rows: usize,
    /// The first partition, from the first macroblock on.
    modes: Bits<'a>,
    /// Probabilities of a macroblock's segment, if there are several.
    segment: Option<[u8; 3]>,
    steps: [Steps; 4],
    /// The probability that a macroblock has coefficients, if some may have none.
    skips: Option<u8>,
    probabilities: Box<Probabilities>,
    /// The other partitions, which rows of macroblocks use in turn.
    partitions: Vec<Bits<'a>>,
}

impl<'a> Frame<'a> {
    /// Reads a header; `None` if a partition is not inside the picture. The last partition goes to
    /// the end.
    pub(super) fn read(picture: &'a [u8]) -> Option<Self> {
        let (head, body) = picture.split_at_checked(HEADER)?;
        let [columns, rows] = [6, 8].map(|at| {
            let side = u16::from_le_bytes([head[at], head[at + 1]]) & 0x3fff;
            usize::from(side).div_ceil(16)
        });
        let (first, rest) = body.split_at_checked(number(head, 0)? >> 5)?;
        let mut bits = Bits::new(first);
        // Kind of colours, and whether they need clamping.
        bits.number(2);
        let segments = bits.flag().then(|| Segments::read(&mut bits));
        // The loop filter's kind, level and sharpness, and changes of its level.
        bits.number(10);
        if bits.flag() && bits.flag() {
            (0..8).for_each(|_| _ = bits.signed(6));
        }
        let partitions = partitions(rest, 1 << bits.number(2))?;
        let steps = read_steps(&mut bits, segments.as_ref());
        // Whether the probabilities stay valid for later frames.
        bits.flag();
        let mut probabilities = Box::new(Probabilities::default());
        let all = probabilities.as_flattened_mut().as_flattened_mut().as_flattened_mut();
        for (probability, (default, update)) in
            all.iter_mut().zip(DEFAULTS.into_iter().zip(UPDATES))
        {
            *probability = if bits.bit(update) { bits.number(8) as u8 } else { default };
        }
        let skips = bits.flag().then(|| bits.number(8) as u8);
        let segment = segments.and_then(|segments| segments.map);
        Some(Self { columns, rows, modes: bits, segment, steps, skips, probabilities, partitions })
    }
}

/// The segments' own values (section 9.3).
struct Segments {
    absolute: bool,
    steps: [i32; 4],
    map: Option<[u8; 3]>,
}

impl Segments {
    fn read(bits: &mut Bits<'_>) -> Self {
        let (has_map, has_values) = (bits.flag(), bits.flag());
        let (mut absolute, mut steps) = (true, [0; 4]);
        if has_values {
            absolute = bits.flag();
            steps = [(); 4].map(|()| bits.signed(7));
            // For the loop filter.
            (0..4).for_each(|_| _ = bits.signed(6));
        }
        let mut probability = |()| if bits.flag() { bits.number(8) as u8 } else { 255 };
        let map = has_map.then(|| [(); 3].map(&mut probability));
        Self { absolute, steps, map }
    }
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let &[low, middle, high] = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes([low, middle, high, 0]) as usize)
}

/// The partitions after the first, which follow the sizes of all but the last (section 9.5).
fn partitions(bytes: &[u8], count: usize) -> Option<Vec<Bits<'_>>> {
    let (sizes, mut rest) = bytes.split_at_checked(3 * (count - 1))?;
    let mut partitions = Vec::new();
    for at in 0..count - 1 {
        let (partition, behind) = rest.split_at_checked(number(sizes, 3 * at)?)?;
        partitions.push(Bits::new(partition));
        rest = behind;
    }
    partitions.push(Bits::new(rest));
    Some(partitions)
}

/// The steps of each segment (section 9.6).
fn read_steps(bits: &mut Bits<'_>, segments: Option<&Segments>) -> [Steps; 4] {
    let base = bits.number(7) as i32;
    let [luma_dc, second_dc, second_ac, chroma_dc, chroma_ac] = [(); 5].map(|()| bits.signed(4));
    [0, 1, 2, 3].map(|segment| {
        let index = match segments {
            Some(Segments { absolute: true, steps, .. }) => steps[segment],
            Some(Segments { steps, .. }) => base + steps[segment],
            None => base,
        };
        let step = |table: &[u16; 128], change: i32| table[(index + change).clamp(0, 127) as usize];
        Steps {
            luma: [step(&DC_STEPS, luma_dc), step(&AC_STEPS, 0)],
            second: [
                2 * step(&DC_STEPS, second_dc),
                (u32::from(step(&AC_STEPS, second_ac)) * 155 / 100).max(8) as u16,
            ],
            chroma: [step(&DC_STEPS, chroma_dc).min(132), step(&AC_STEPS, chroma_ac)],
        }
    })
}
