//! 12-bit JPEG with one component: from coefficients of any size to samples, in libjpeg's
//! arithmetic (`jidctint.c`).

use libjpeg_turbo_rs::common::tables::ZIGZAG_ORDER;
use libjpeg_turbo_rs::{JpegError, read_coefficients};

/// What a coefficient of each frequency adds to each of eight samples, times 2^13.
const COSINES: [[i64; 8]; 8] = [
    [8192, 8192, 8192, 8192, 8192, 8192, 8192, 8192],
    [11363, 9633, 6437, 2260, -2260, -6437, -9633, -11363],
    [10703, 4433, -4433, -10703, -10703, -4433, 4433, 10703],
    [9633, -2259, -11362, -6436, 6436, 11362, 2259, -9633],
    [8192, -8192, -8192, 8192, 8192, -8192, -8192, 8192],
    [6437, -11362, 2261, 9633, -9633, -2261, 11362, -6437],
    [4433, -10704, 10704, -4433, -4433, 10704, -10704, 4433],
    [2260, -6436, 9633, -11363, 11363, -9633, 6436, -2260],
];

/// Writes samples into rows, two samples in three bytes.
pub(super) fn decode<'o>(
    stream: &[u8],
    width: usize,
    mut rows: impl Iterator<Item = &'o mut [u8]>,
) -> Result<(), JpegError> {
    let coefficients = read_coefficients(stream)?;
    let [component] = &coefficients.components[..] else {
        return Err(JpegError::Unsupported("several components of 12 bits".to_owned()));
    };
    let table = &coefficients.quant_tables[usize::from(component.quant_table_index)];
    for blocks in component.blocks.chunks_exact(component.blocks_x) {
        let blocks: Vec<_> = blocks.iter().map(|block| samples(block, table)).collect();
        for (y, row) in rows.by_ref().take(8).enumerate() {
            let line = blocks.iter().flat_map(|block| &block[8 * y..8 * y + 8]);
            let line: Vec<u32> = line.copied().take(width).collect();
            for (bytes, [left, right]) in
                row.as_chunks_mut::<3>().0.iter_mut().zip(line.as_chunks().0)
            {
                bytes.copy_from_slice(&(left << 12 | right).to_be_bytes()[1..]);
            }
        }
    }
    Ok(())
}

/// The samples of a block, row by row, from coefficients in zigzag order.
fn samples(block: &[i16; 64], table: &[u16; 64]) -> [u32; 64] {
    let mut values = [0; 64];
    for (place, coefficient) in ZIGZAG_ORDER.iter().zip(block) {
        values[*place] = i64::from(*coefficient) * i64::from(table[*place]);
    }
    let columns = transform(&values, 12).map(|value| i64::from(value as i32));
    // libjpeg takes 14 bits of a sample and clamps them.
    transform(&columns, 17).map(|value| ((value << 50 >> 50) + 2048).clamp(0, 4095) as u32)
}

/// Transforms each column into a row.
fn transform(values: &[i64; 64], shift: u32) -> [i64; 64] {
    std::array::from_fn(|at| {
        let (column, sample) = (at / 8, at % 8);
        let sum: i64 = (0..8).map(|k| COSINES[k][sample] * values[8 * k + column]).sum();
        (sum + (1 << (shift - 1))) >> shift
    })
}
