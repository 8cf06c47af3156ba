//! One output row of a depthwise convolution.

use super::super::simd::{LANES, Simd};
use super::post::{Out, finish};

/// Largest side of a depthwise kernel.
pub(in super::super) const MAX_SIDE: usize = 11;

/// A row of `width` outputs from `K` padded input rows, whose pixels are 16 floats apart, for some
/// vectors of channels.
#[derive(Debug)]
pub(in super::super) struct DepthwiseRow<'a> {
    /// The first vector's input rows under the kernel's rows, from the leftmost padding.
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
    /// Where they go: a row for each.
    pub(in super::super) out: Out,
}

/// Computes a row for a `K` by `K` kernel and stride `T`.
///
/// # Safety
///
/// [`Simd`]'s; there are `K` rows, and each holds `(width - 1) * T + K` pixels for every vector; the
/// output has room for `width` pixels that nobody else touches.
#[inline(always)]
pub(super) unsafe fn row<S: Simd, const K: usize, const T: usize>(d: &DepthwiseRow<'_>) {
    // As even as they come: 6 + 6 rather than 8 + 4.
    let groups = d.width.div_ceil(S::DW);
    let (least, more) = (d.width / groups, d.width % groups);
    for v in 0..d.vecs {
        let mut x = 0;
        for g in 0..groups {
            let outputs = least + usize::from(g < more);
            // SAFETY: the group lies within the row. What a set never has in its registers is no code.
            unsafe {
                match outputs {
                    8 if S::DW >= 8 => group::<S, K, T, 8>(d, x, v),
                    7 if S::DW >= 7 => group::<S, K, T, 7>(d, x, v),
                    6 if S::DW >= 6 => group::<S, K, T, 6>(d, x, v),
                    5 if S::DW >= 5 => group::<S, K, T, 5>(d, x, v),
                    4 if S::DW >= 4 => group::<S, K, T, 4>(d, x, v),
                    3 if S::DW >= 3 => group::<S, K, T, 3>(d, x, v),
                    2 => group::<S, K, T, 2>(d, x, v),
                    _ => group::<S, K, T, 1>(d, x, v),
                }
            }
            x += outputs;
        }
    }
}

/// `P` outputs of the row, from output `x` on, of vector `v`.
#[inline(always)]
unsafe fn group<S: Simd, const K: usize, const T: usize, const P: usize>(
    d: &DepthwiseRow<'_>,
    x: usize,
    v: usize,
) {
    // SAFETY: the caller's contract covers every address formed here.
    unsafe {
        let mut acc = [[S::load(d.bias.add(v * LANES))]; P];
        for ky in 0..K {
            let row = d.rows.get_unchecked(ky).add(v * d.plane + x * T * LANES);
            let weights = d.weights.add((v * K + ky) * K * LANES);
            for kx in 0..K {
                let w = S::load(weights.add(kx * LANES));
                for (p, acc) in acc.iter_mut().enumerate() {
                    acc[0] = S::fma(S::load(row.add((p * T + kx) * LANES)), w, acc[0]);
                }
            }
        }
        finish::<S, P, 1>(acc, &d.out.at(x, v));
    }
}
