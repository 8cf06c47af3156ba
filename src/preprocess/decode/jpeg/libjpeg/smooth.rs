//! Guesses coefficients that no scan has given, from the surrounding blocks (`jdcoefct.c`).

use super::{Coefficients, Plane};

/// How many coefficients are considered: the first ten in zigzag order.
pub(super) const GUESSED: usize = 10;

type Kernel = [[i64; 5]; 5];

/// How each of the coefficients 1 to 9 follows from the surrounding DC values, if none of them is
/// known.
const NONE_KNOWN: [Kernel; 9] = [
    [
        [-1, -1, 0, 1, 1],
        [-3, 13, 0, -13, 3],
        [-3, 38, 0, -38, 3],
        [-3, 13, 0, -13, 3],
        [-1, -1, 0, 1, 1],
    ],
    [[-1, -3, -3, -3, -1], [-1, 13, 38, 13, -1], [0; 5], [1, -13, -38, -13, 1], [1, 3, 3, 3, 1]],
    [[0, 0, 1, 0, 0], [0, 2, 7, 2, 0], [0, -5, -14, -5, 0], [0, 2, 7, 2, 0], [0, 0, 1, 0, 0]],
    [[-1, 0, 0, 0, 1], [0, 9, 0, -9, 0], [0; 5], [0, -9, 0, 9, 0], [1, 0, 0, 0, -1]],
    [[0; 5], [0, 2, -5, 2, 0], [1, 7, -14, 7, 1], [0, 2, -5, 2, 0], [0; 5]],
    [[0; 5], [0, 1, 0, -1, 0], [0, 2, 0, -2, 0], [0, 1, 0, -1, 0], [0; 5]],
    [[0; 5], [0, 1, -3, 1, 0], [0; 5], [0, -1, 3, -1, 0], [0; 5]],
    [[0; 5], [0, 1, 0, -1, 0], [0, -3, 0, 3, 0], [0, 1, 0, -1, 0], [0; 5]],
    [[0; 5], [0, 1, 2, 1, 0], [0; 5], [0, -1, -2, -1, 0], [0; 5]],
];
/// The same for the first five, if some are known.
const SOME_KNOWN: [Kernel; 5] = [
    [[0; 5], [0; 5], [-7, 50, 0, -50, 7], [0; 5], [0; 5]],
    [[0, 0, -7, 0, 0], [0, 0, 50, 0, 0], [0; 5], [0, 0, -50, 0, 0], [0, 0, 7, 0, 0]],
    [[0, 0, -1, 0, 0], [0, 0, 13, 0, 0], [0, 0, -24, 0, 0], [0, 0, 13, 0, 0], [0, 0, -1, 0, 0]],
    [[0, -1, 0, 1, 0], [-1, 10, 0, -10, 1], [0; 5], [1, -10, 0, 10, -1], [0, 1, 0, -1, 0]],
    [[0; 5], [0; 5], [-1, 13, -24, 13, -1], [0; 5], [0; 5]],
];
/// The DC value itself, if none of the other coefficients is known.
const LEVEL: Kernel = [
    [-2, -6, -8, -6, -2],
    [-6, 6, 42, 6, -6],
    [-8, 42, 152, 42, -8],
    [-6, 6, 42, 6, -6],
    [-2, -6, -8, -6, -2],
];

/// How many low bits of each coefficient are still missing; -1 if nothing is known of it.
pub(super) type Known = [i8; 64];

/// Guesses what is missing after the last scan of a progressive image.
pub(super) fn smooth(image: &mut Coefficients) {
    let possible = image.planes.iter().all(|plane| {
        let table = plane.quantization.as_ref();
        let usable = table.is_some_and(|table| table[..GUESSED].iter().all(|step| *step > 0));
        usable && plane.known[0] >= 0
    });
    let incomplete = |plane: &Plane| plane.known[1..GUESSED].iter().any(|missing| *missing != 0);
    if !possible || !image.planes.iter().any(incomplete) {
        return;
    }
    let (rows, last_good) = (image.unit_rows, image.last_good_row);
    let first_scan = image.scans == 1;
    for plane in &mut image.planes {
        let before = if first_scan { [-1; 64] } else { plane.known_before };
        let levels: Vec<i16> = plane.blocks.iter().map(|block| block[0]).collect();
        let level = |row: usize, column: usize| i64::from(levels[row * plane.stride + column]);
        let last_column = plane.columns - 1;
        for unit_row in 0..rows {
            let known = if unit_row > last_good { before } else { plane.known };
            let count = match plane.rows % plane.down {
                rest if unit_row + 1 == rows && rest > 0 => rest,
                _ => plane.down,
            };
            for inner in 0..count {
                let row = unit_row * plane.down + inner;
                // libjpeg takes the row count of this part for that of every part of the image.
                let (index, all) = (unit_row * count + inner, count * rows);
                let above = row - usize::from(index > 0);
                let far_above = if index > 1 { row - 2 } else { above };
                let below = row + usize::from(index + 1 < all);
                let far_below = if index + 2 < all { row + 2 } else { below };
                let around = [far_above, above, row, below, far_below];
                for column in 0..plane.columns {
                    let mut window = [[0; 5]; 5];
                    for (values, row) in window.iter_mut().zip(around) {
                        for (offset, value) in values.iter_mut().enumerate() {
                            let column = (column + offset).saturating_sub(2).min(last_column);
                            *value = level(row, column);
                        }
                    }
                    let block = &mut plane.blocks[row * plane.stride + column];
                    if let Some(table) = &plane.quantization {
                        guess(block, &known, table, &window);
                    }
                }
            }
        }
    }
}

fn guess(block: &mut [i16; 64], known: &Known, table: &[u16; 64], window: &Kernel) {
    let none_known = known[1..GUESSED].iter().all(|missing| *missing == -1);
    let kernels = if none_known { NONE_KNOWN.as_slice() } else { &SOME_KNOWN };
    let estimate = |kernel: &Kernel, step: u16| {
        let products = kernel.iter().flatten().zip(window.iter().flatten());
        let sum = products.map(|(weight, value)| weight * value).sum::<i64>() * i64::from(table[0]);
        let step = i64::from(step);
        (((step << 7) + sum.abs()) / (step << 8), sum < 0)
    };
    let signed = |(size, negative): (i64, bool)| (if negative { -size } else { size }) as i16;
    for (index, kernel) in (1..).zip(kernels) {
        let missing = known[index];
        if missing == 0 || block[index] != 0 {
            continue;
        }
        let (mut size, negative) = estimate(kernel, table[index]);
        if missing > 0 {
            size = size.min((1 << missing) - 1);
        }
        block[index] = signed((size, negative));
    }
    if none_known {
        block[0] = signed(estimate(&LEVEL, table[0]));
    }
}
