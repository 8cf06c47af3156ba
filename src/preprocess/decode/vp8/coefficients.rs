//! The coefficients of a picture, and whether they, and the results of libwebp's transform, fit the
//! 16 bits that libwebp has for them.

use super::bits::Bits;
use super::tables::{MODES, Probabilities, TOKENS};
use super::{Frame, Steps};

/// The largest sum of a block's coefficients with which the transform surely stays in 16 bits: it
/// multiplies each by up to 1.71 (1.307 across and again down). No encoder comes near it: residues
/// of 255 make less than 12 000, and rounding to the widest steps adds less than 6 000.
const MOST: u32 = 19_000;

/// Kinds of blocks; each has its own token probabilities (section 13.3).
const LUMA_BEHIND_SECOND: usize = 0;
const SECOND: usize = 1;
const CHROMA: usize = 2;
const LUMA: usize = 3;

const SEGMENTS: [i8; 6] = [2, 4, 0, -1, -2, -3];
/// Modes of a macroblock's luma, numbered by the sub-block mode that its neighbours see; and one
/// more, in which each sub-block has its own mode.
const BY_SUB_BLOCK: usize = 10;
const LUMA_MODES: [i8; 8] = [-(BY_SUB_BLOCK as i8), 2, 4, 6, 0, -2, -3, -1];
const LUMA_PROBABILITIES: [u8; 4] = [145, 156, 163, 128];
const SUB_MODES: [i8; 18] = [0, 2, -1, 4, -2, 6, 8, 12, -3, 10, -5, -6, -4, 14, -7, 16, -8, -9];
const CHROMA_MODES: [i8; 6] = [0, 2, -1, 4, -2, -3];
const CHROMA_PROBABILITIES: [u8; 3] = [142, 114, 183];

/// Values from 11 on (section 13.2): the first value of each range, and the probabilities of the
/// bits that are added to it.
const RANGES: [(u32, &[u8]); 4] = [
    (11, &[173, 148, 140]),
    (19, &[176, 155, 140, 135]),
    (35, &[180, 157, 141, 134, 130]),
    (67, &[254, 254, 243, 230, 196, 177, 153, 140, 133, 130, 129]),
];
/// The band of each coefficient.
const BANDS: [usize; 16] = [0, 1, 2, 3, 6, 4, 5, 6, 6, 6, 6, 6, 6, 6, 6, 7];

/// What a macroblock's right and lower neighbours need to know about it.
#[derive(Clone, Default)]
struct Edge {
    /// Modes of the sub-blocks on this edge.
    modes: [usize; 4],
    /// Whether the second block has coefficients; and the same for the luma and chroma blocks on
    /// this edge.
    second: bool,
    luma: [bool; 4],
    chroma: [[bool; 2]; 2],
}

impl Frame<'_> {
    /// Whether libwebp's arithmetic has room for all coefficients. If the bits end too early, the
    /// decoder decides.
    pub(in super::super) fn coefficients_fit(mut self) -> bool {
        let mut above = vec![Edge::default(); self.columns];
        let count = self.partitions.len();
        for row in 0..self.rows {
            let mut left = Edge::default();
            for above in &mut above {
                let bits = &mut self.partitions[row % count];
                if self.modes.is_beyond() || bits.is_beyond() {
                    return true;
                }
                let modes = &mut self.modes;
                let segment = self.segment.map_or(0, |map| modes.tree(&SEGMENTS, &map));
                let skipped = self.skips.is_some_and(|probability| modes.bit(probability));
                let has_second = read_modes(modes, above, &mut left);
                if skipped {
                    for edge in [above, &mut left] {
                        let second = edge.second && !has_second;
                        *edge = Edge { modes: edge.modes, second, ..Edge::default() };
                    }
                    continue;
                }
                let mut blocks = Blocks { bits, probabilities: &self.probabilities };
                if !blocks.fit(&self.steps[segment], has_second, above, &mut left) {
                    return false;
                }
            }
        }
        true
    }
}

/// Reads the modes of a macroblock. Returns whether it has a second block, of first coefficients.
fn read_modes(bits: &mut Bits<'_>, above: &mut Edge, left: &mut Edge) -> bool {
    let mode = bits.tree(&LUMA_MODES, &LUMA_PROBABILITIES);
    if mode == BY_SUB_BLOCK {
        for left in &mut left.modes {
            for above in &mut above.modes {
                let at = (*above * 10 + *left) * 9;
                let mode = bits.tree(&SUB_MODES, &MODES[at..at + 9]);
                (*above, *left) = (mode, mode);
            }
        }
    } else {
        above.modes = [mode; 4];
        left.modes = [mode; 4];
    }
    bits.tree(&CHROMA_MODES, &CHROMA_PROBABILITIES);
    mode != BY_SUB_BLOCK
}

/// The blocks of a macroblock.
struct Blocks<'b, 'a> {
    bits: &'b mut Bits<'a>,
    probabilities: &'b Probabilities,
}

impl Blocks<'_, '_> {
    fn fit(&mut self, steps: &Steps, has_second: bool, above: &mut Edge, left: &mut Edge) -> bool {
        let (mut kind, mut first) = (LUMA, 0);
        if has_second {
            let (sum, largest) =
                self.read(SECOND, steps.second, &mut above.second, &mut left.second);
            if largest > i16::MAX as u32 {
                return false;
            }
            // A block gets at most an eighth of the sum, rounded.
            (kind, first) = (LUMA_BEHIND_SECOND, sum / 8 + 1);
        }
        for left in &mut left.luma {
            for above in &mut above.luma {
                if first + self.read(kind, steps.luma, above, left).0 > MOST {
                    return false;
                }
            }
        }
        for (above, left) in above.chroma.iter_mut().zip(&mut left.chroma) {
            for left in left {
                for above in &mut *above {
                    if self.read(CHROMA, steps.chroma, above, left).0 > MOST {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Reads a block. Returns the sum of its coefficients and the largest of them, without signs.
    fn read(
        &mut self,
        kind: usize,
        [dc, ac]: [u16; 2],
        above: &mut bool,
        left: &mut bool,
    ) -> (u32, u32) {
        let bands = &self.probabilities[kind];
        let begin = usize::from(kind == LUMA_BEHIND_SECOND);
        let (mut sum, mut largest) = (0, 0);
        let mut context = usize::from(*above) + usize::from(*left);
        let mut at = begin;
        // The block may end before each value, but not after a zero.
        'values: while at < 16 && self.bits.bit(bands[BANDS[at]][context][0]) {
            while !self.bits.bit(bands[BANDS[at]][context][1]) {
                (at, context) = (at + 1, 0);
                if at == 16 {
                    break 'values;
                }
            }
            let value = value(self.bits, &bands[BANDS[at]][context]);
            // Its sign.
            self.bits.flag();
            context = if value == 1 { 1 } else { 2 };
            let value = value * u32::from(if at == 0 { dc } else { ac });
            sum += value;
            largest = largest.max(value);
            at += 1;
        }
        let has_any = at > begin;
        (*above, *left) = (has_any, has_any);
        (sum, largest)
    }
}

/// Reads a nonzero value, without its sign.
#[inline]
fn value(bits: &mut Bits<'_>, probabilities: &[u8; TOKENS]) -> u32 {
    let mut bit = |probability| u32::from(bits.bit(probability));
    let [_, _, one, small, two, three, medium, low, high, lower, higher] = *probabilities;
    if bit(one) == 0 {
        1
    } else if bit(small) == 0 {
        if bit(two) == 0 { 2 } else { 3 + bit(three) }
    } else if bit(medium) == 0 {
        if bit(low) == 0 { 5 + bit(159) } else { 7 + 2 * bit(165) + bit(145) }
    } else {
        let range = if bit(high) == 0 { bit(lower) } else { 2 + bit(higher) };
        let (first, more) = RANGES[range as usize];
        first + more.iter().fold(0, |sum, probability| sum << 1 | bit(*probability))
    }
}
