//! ThunderScan: rows of 4-bit greys as runs and differences.

use super::Chunk;
use crate::preprocess::decode::tiff::{corrupt, truncated, unsupported};
use crate::preprocess::error::DecodeError;

/// Steps by the two bits of a code; the third code skips.
const SMALL_STEPS: [i8; 4] = [0, 1, 0, -1];
const SMALL_SKIP: usize = 2;
/// Steps by the three bits of a code; the fifth code skips.
const LARGE_STEPS: [i8; 8] = [0, 1, 2, 3, 0, -3, -2, -1];
const LARGE_SKIP: usize = 4;

pub(super) fn decode(data: &[u8], chunk: &Chunk, out: &mut [u8]) -> Result<(), DecodeError> {
    if chunk.depth != 4 || chunk.samples != 1 || chunk.tiled {
        return Err(unsupported(&"ThunderScan that is not strips of 4-bit samples"));
    }
    let mut codes = data.iter().copied();
    for row in out.chunks_exact_mut(chunk.row_bytes) {
        let mut pixels = Vec::with_capacity(chunk.width);
        let mut last = 0u8;
        while pixels.len() < chunk.width {
            let code = codes.next().ok_or_else(truncated)?;
            let mut step = |by: i8| {
                last = last.wrapping_add_signed(by) & 15;
                // Here libtiff ignores what is beyond the row, but not after a run.
                if pixels.len() < chunk.width {
                    pixels.push(last);
                }
            };
            match code >> 6 {
                0 => pixels.resize(pixels.len() + usize::from(code), last),
                1 => [code >> 4, code >> 2, code]
                    .map(|code| usize::from(code & 3))
                    .into_iter()
                    .filter(|code| *code != SMALL_SKIP)
                    .for_each(|code| step(SMALL_STEPS[code])),
                2 => [code >> 3, code]
                    .map(|code| usize::from(code & 7))
                    .into_iter()
                    .filter(|code| *code != LARGE_SKIP)
                    .for_each(|code| step(LARGE_STEPS[code])),
                _ => {
                    last = code & 15;
                    pixels.push(last);
                }
            }
        }
        if pixels.len() > chunk.width {
            return Err(corrupt(&"a ThunderScan row is too long"));
        }
        for (byte, pair) in row.iter_mut().zip(pixels.chunks(2)) {
            *byte = (pair[0] << 4) | pair.get(1).copied().unwrap_or_default();
        }
    }
    Ok(())
}
