//! One output row of a depthwise convolution.

use super::super::simd::{LANES, Simd};
use super::epilogue::{Epilogue, finish};

/// Largest side of a depthwise kernel.
pub(in super::super) const MAX_SIDE: usize = 11;

/// A row of `width` outputs for some vectors of channels, from `K` padded input rows whose pixels
/// are 16 floats apart.
#[derive(Debug)]
pub(in super::super) struct DepthwiseRow<'a> {
    /// The first vector's input rows under the kernel's rows, starting with the left padding.
    pub(in super::super) rows: &'a [*const f32],
    /// Floats from a vector's input rows to the next one's.
    pub(in super::super) plane: usize,
    /// Vectors of channels.
    pub(in super::super) vecs: usize,
    /// `[vector][K * K][16]`.
    pub(in super::super) weights: *const f32,
    /// `[vector][16]`.
    pub(in super::super) bias: *const f32,
    /// Outputs in the row; not 0.
    pub(in super::super) width: usize,
    /// Where the outputs go, one row each.
    pub(in super::super) out: Epilogue,
}

/// Computes a row for a `K` by `K` kernel and stride `T`.
///
/// # Safety
///
/// [`Simd`]'s; there are `K` rows, and each holds `(width - 1) * T + K` pixels for every vector; the
/// output has room for `width` pixels that nobody else touches.
#[inline(always)]
pub(super) unsafe fn row<S: Simd, const K: usize, const T: usize>(d: &DepthwiseRow<'_>) {
    // As even as possible: 6 + 6 rather than 8 + 4.
    let groups = d.width.div_ceil(S::DW);
    let (least, more) = (d.width / groups, d.width % groups);
    for v in 0..d.vecs {
        for lane in (0..LANES).step_by(S::FLOATS) {
            let mut x = 0;
            for g in 0..groups {
                let outputs = least + usize::from(g < more);
                // SAFETY: the group lies within the row. No code is generated for groups that the
                // instruction set's registers cannot hold.
                unsafe {
                    match outputs {
                        8 if S::DW >= 8 => group::<S, K, T, 8>(d, x, v, lane),
                        7 if S::DW >= 7 => group::<S, K, T, 7>(d, x, v, lane),
                        6 if S::DW >= 6 => group::<S, K, T, 6>(d, x, v, lane),
                        5 if S::DW >= 5 => group::<S, K, T, 5>(d, x, v, lane),
                        4 if S::DW >= 4 => group::<S, K, T, 4>(d, x, v, lane),
                        3 if S::DW >= 3 => group::<S, K, T, 3>(d, x, v, lane),
                        2 => group::<S, K, T, 2>(d, x, v, lane),
                        _ => group::<S, K, T, 1>(d, x, v, lane),
                    }
                }
                x += outputs;
            }
        }
    }
}

/// `P` outputs of the row, from output `x` on, for the channels of vector `v` from `lane` on.
#[inline(always)]
unsafe fn group<S: Simd, const K: usize, const T: usize, const P: usize>(
    d: &DepthwiseRow<'_>,
    x: usize,
    v: usize,
    lane: usize,
) {
    // SAFETY: the caller's contract covers every address formed here.
    unsafe {
        let mut acc = [[S::load(d.bias.add(v * LANES + lane))]; P];
        for ky in 0..K {
            let row = d.rows.get_unchecked(ky).add(v * d.plane + x * T * LANES + lane);
            let weights = d.weights.add((v * K + ky) * K * LANES + lane);
            let mut taps = [S::splat(0.0); K];
            for (kx, tap) in taps.iter_mut().enumerate() {
                *tap = S::load(weights.add(kx * LANES));
            }
            // Input by input, so that each is in a register once and briefly: tap by tap, the
            // compiler would keep all inputs, most of them on the stack. It is written out because
            // the compiler does not unroll a loop of this size.
            macro_rules! inputs {
                ($($i:literal)*) => {
                    $(if $i < (P - 1) * T + K {
                        let input = S::load(row.add($i * LANES));
                        for (p, acc) in acc.iter_mut().enumerate() {
                            if p * T <= $i && $i < p * T + K {
                                acc[0] = S::fma(input, taps[$i - p * T], acc[0]);
                            }
                        }
                    })*
                };
            }
            const { assert!((P - 1) * T + K <= 25) };
            inputs!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24);
        }
        finish::<S, P, 1>(acc, &d.out.at_column(x, v * LANES + lane));
    }
}
