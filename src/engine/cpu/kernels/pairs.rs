//! Rows of floats to rows of bfloat16 pairs, and the kernels that multiply them.

use super::super::simd::{LANES, Pairs};
use super::tile::Tile;

/// Kernels for products of bfloat16 pairs. A pair takes the place of a float, so tiles and packed
/// weights have the same layout as with floats.
#[derive(Debug)]
pub(in super::super) struct PairKernelTable {
    /// The set's name in `docs/cpu-engine.md`.
    pub(super) name: &'static str,
    /// Like [`KernelTable::tiles`](super::KernelTable::tiles), over pairs.
    pub(in super::super) tiles: &'static [&'static [unsafe fn(&Tile<'_>)]],
    pub(in super::super) narrow: unsafe fn(&Narrow),
    /// Whether a dense 3x3 convolution with pairs is faster than Winograd's with floats.
    pub(in super::super) dense: bool,
}

/// `to = from * gate`, rounded to bfloat16.
#[derive(Debug)]
pub(in super::super) struct Narrow {
    /// The first float; a row consists of whole vectors.
    pub(in super::super) from: *const f32,
    /// Floats in a row; rows follow each other.
    pub(in super::super) row: usize,
    /// Rows.
    pub(in super::super) rows: usize,
    /// One factor per column; or null.
    pub(in super::super) gate: *const f32,
    /// The first pair; a row is half as long.
    pub(in super::super) to: *mut f32,
}

/// Converts `n`.
///
/// # Safety
///
/// [`Simd`](super::super::simd::Simd)'s; pointers stay within live memory, `row` is a multiple of 16,
/// and nobody else touches the output.
#[inline(always)]
pub(super) unsafe fn narrow<S: Pairs>(n: &Narrow) {
    // SAFETY: the caller's contract covers every address formed here.
    unsafe {
        for r in 0..n.rows {
            for c in (0..n.row).step_by(LANES) {
                let mut v = S::load(n.from.add(r * n.row + c));
                if !n.gate.is_null() {
                    v = S::mul(v, S::load(n.gate.add(c)));
                }
                S::store_pairs(n.to.add((r * n.row + c) / 2), v);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ptr::null;

    use half::bf16;

    use super::super::super::Isa;
    use super::super::super::matrix::{Matrix, Rows};
    use super::super::super::memory::{AlignedBuf, padded};
    use super::super::super::twins::random;
    use super::super::{Epilogue, KernelTable};
    use super::*;
    use crate::arch::Activation;

    fn rounded(value: f32) -> f64 {
        bf16::from_f32(value).to_f64()
    }

    /// Products of every shape of tile, gated or not, against double precision on rounded values.
    #[test]
    fn products_of_pairs_are_right() {
        let machine = Isa::available().filter_map(|isa| {
            Some((isa.name(), KernelTable::of(isa).unwrap(), KernelTable::pairs(isa)?))
        });
        let portable = KernelTable::of(Isa::Portable).unwrap();
        let emulated = ("emulated amx", portable, PairKernelTable::emulated_amx());
        let mut tried = Vec::new();
        for (isa, kernels, pairs) in machine.chain([emulated]) {
            tried.push(isa);
            for (m, n, k, segments) in [
                (1, 1, 2, 1),
                (7, 16, 18, 1),
                (8, 48, 32, 1),
                (13, 112, 138, 3),
                (29, 97, 240, 5),
                (16, 40, 288, 9),
            ] {
                let (a, b, bias) = (random("a", m * padded(k)), random("b", n * k), random("c", n));
                let gate = random("gate", padded(k));
                let run = k / 2 / segments;
                let starts: Vec<usize> = (0..segments).map(|s| s * run).collect();
                let weight = |n: usize, i: usize| b.as_slice()[n * k + i];
                let matrix = Matrix::of_pairs(pairs, (n, k), weight, &bias.as_slice()[..n]);
                assert_eq!((matrix.inputs(), matrix.words(k)), (k, k / 2));
                for gated in [false, true] {
                    let mut narrowed = AlignedBuf::zeros(m * padded(k) / 2);
                    let mut c = AlignedBuf::zeros(m * padded(n));
                    // SAFETY: all have room for the rows.
                    unsafe {
                        (pairs.narrow)(&Narrow {
                            from: a.as_ptr(),
                            row: padded(k),
                            rows: m,
                            gate: if gated { gate.as_ptr() } else { null() },
                            to: narrowed.as_mut_ptr(),
                        });
                        let out = Epilogue::new(c.as_mut_ptr(), padded(n));
                        let rows = Rows {
                            segments: &starts,
                            ..Rows::new(
                                (narrowed.as_ptr(), padded(k) / 2, m),
                                run,
                                Epilogue { act: Some(Activation::Relu), ..out },
                            )
                        };
                        for &panel in &matrix.panels {
                            matrix.multiply(kernels, panel, &rows);
                        }
                    }
                    for (i, &ours) in c.as_slice().iter().enumerate() {
                        let (row, column) = (i / padded(n), i % padded(n));
                        if column >= n {
                            continue;
                        }
                        let mut exact = f64::from(bias.as_slice()[column]);
                        for j in 0..k {
                            let factor = if gated { gate.as_slice()[j] } else { 1.0 };
                            let x = rounded(a.as_slice()[row * padded(k) + j] * factor);
                            exact += x * rounded(weight(column, j));
                        }
                        let exact = exact.max(0.0);
                        let bound = 2e-6 * (1.0 + exact.abs());
                        let miss = (f64::from(ours) - exact).abs();
                        assert!(
                            miss <= bound,
                            "{isa} {m}x{n}x{k}/{segments} [{i}]: {ours} for {exact}"
                        );
                    }
                }
            }
        }
        assert!(tried.ends_with(&["portable", "emulated amx"]), "{tried:?}");
    }
}
