//! One output row of a depthwise convolution, for 16 channels.

use super::super::simd::{LANES, Simd};

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
    /// The first output.
    pub(in super::super) out: *mut f32,
    /// Floats from an output pixel to the next.
    pub(in super::super) out_pixel: usize,
    /// Outputs in the row.
    pub(in super::super) width: usize,
}

/// Computes a row for a `K` by `K` kernel and stride `T`.
///
/// # Safety
///
/// [`Simd`]'s; each input row holds `(width - 1) * T + K` pixels, the output `width` pixels that
/// nobody else touches, and `width` is not 0.
#[inline(always)]
pub(super) unsafe fn row<S: Simd, const K: usize, const T: usize>(d: &DepthwiseRow) {
    let w = d.width;
    // SAFETY: the caller's contract; each arm needs at least as many outputs as a group has.
    unsafe {
        if S::DW >= 7 && w.is_multiple_of(7) && !w.is_multiple_of(8) {
            groups::<S, K, T, 7>(d);
        } else if S::DW >= 8 && w >= 8 {
            groups::<S, K, T, 8>(d);
        } else if S::DW >= 4 && w >= 4 {
            groups::<S, K, T, 4>(d);
        } else if w >= 2 {
            groups::<S, K, T, 2>(d);
        } else {
            groups::<S, K, T, 1>(d);
        }
    }
}

/// Outputs in groups of `P`; the last group is moved back to end with the row, and computes some
/// outputs a second time, with the same result.
#[inline(always)]
unsafe fn groups<S: Simd, const K: usize, const T: usize, const P: usize>(d: &DepthwiseRow) {
    let mut x = 0;
    while x < d.width {
        // SAFETY: the group lies within the row.
        unsafe { group::<S, K, T, P>(d, x.min(d.width - P)) };
        x += P;
    }
}

#[inline(always)]
unsafe fn group<S: Simd, const K: usize, const T: usize, const P: usize>(
    d: &DepthwiseRow,
    x: usize,
) {
    // SAFETY: the caller's contract covers every address formed here.
    unsafe {
        let mut acc = [S::load(d.bias); P];
        for (ky, row) in d.rows.iter().enumerate().take(K) {
            let row = row.add(x * T * LANES);
            let weights = d.weights.add(ky * K * LANES);
            for kx in 0..K {
                let w = S::load(weights.add(kx * LANES));
                for (p, acc) in acc.iter_mut().enumerate() {
                    *acc = S::fma(S::load(row.add((p * T + kx) * LANES)), w, *acc);
                }
            }
        }
        for (p, acc) in acc.into_iter().enumerate() {
            S::store(d.out.add((x + p) * d.out_pixel), acc);
        }
    }
}
