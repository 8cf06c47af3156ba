//! One output row of a depthwise convolution, for 16 channels.

use super::super::simd::{LANES, Simd};
use super::post::{Out, finish};

/// Largest side of a depthwise kernel.
pub(in super::super) const MAX_SIDE: usize = 11;

/// A row of `width` outputs from `K` padded input rows, whose pixels are 16 floats apart.
#[derive(Debug)]
pub(in super::super) struct DepthwiseRow {
    /// The input rows under the kernel's rows, from the leftmost padding.
    pub(in super::super) rows: [*const f32; MAX_SIDE],
    /// `[K * K][16]`.
    pub(in super::super) weights: *const f32,
    /// 16 values.
    pub(in super::super) bias: *const f32,
    /// Outputs in the row.
    pub(in super::super) width: usize,
    /// Where they go: a row for each, of one vector.
    pub(in super::super) out: Out,
}

/// Computes a row for a `K` by `K` kernel and stride `T`.
///
/// # Safety
///
/// [`Simd`]'s; each input row holds `(width - 1) * T + K` pixels, the output `width` pixels that
/// nobody else touches, and `width` is not 0.
#[inline(always)]
pub(super) unsafe fn row<S: Simd, const K: usize, const T: usize>(d: &DepthwiseRow) {
    let groups = d.width.div_ceil(S::DW);
    let mut x = 0;
    for g in 0..groups {
        // As even as they come: 6 + 6 rather than 8 + 4.
        let outputs = (d.width - x).div_ceil(groups - g);
        // SAFETY: the group lies within the row. What a set never has in its registers is no code.
        unsafe {
            match outputs {
                8 if S::DW >= 8 => group::<S, K, T, 8>(d, x),
                7 if S::DW >= 7 => group::<S, K, T, 7>(d, x),
                6 if S::DW >= 6 => group::<S, K, T, 6>(d, x),
                5 if S::DW >= 5 => group::<S, K, T, 5>(d, x),
                4 if S::DW >= 4 => group::<S, K, T, 4>(d, x),
                3 if S::DW >= 3 => group::<S, K, T, 3>(d, x),
                2 => group::<S, K, T, 2>(d, x),
                _ => group::<S, K, T, 1>(d, x),
            }
        }
        x += outputs;
    }
}

/// `P` outputs of the row, from output `x` on.
#[inline(always)]
unsafe fn group<S: Simd, const K: usize, const T: usize, const P: usize>(
    d: &DepthwiseRow,
    x: usize,
) {
    // SAFETY: the caller's contract covers every address formed here.
    unsafe {
        let mut acc = [[S::load(d.bias)]; P];
        for (ky, row) in d.rows.iter().enumerate().take(K) {
            let row = row.add(x * T * LANES);
            let weights = d.weights.add(ky * K * LANES);
            for kx in 0..K {
                let w = S::load(weights.add(kx * LANES));
                for (p, acc) in acc.iter_mut().enumerate() {
                    acc[0] = S::fma(S::load(row.add((p * T + kx) * LANES)), w, acc[0]);
                }
            }
        }
        finish::<S, P, 1>(acc, &d.out.at(x, 0));
    }
}
