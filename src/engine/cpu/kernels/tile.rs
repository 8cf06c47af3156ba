//! A tile of a matrix product: the inner loop of every convolution except depthwise ones.

use super::super::simd::{Dot, LANES, Simd};
use super::epilogue::{Epilogue, finish};

/// `bias[n] + sum over k of a[m][k] * b[k][n]` for the rows `m` and columns `n` of one tile.
///
/// `k` runs through segments of equal length, contiguous in `a`: one for a pointwise convolution,
/// one for each kernel position of a dense one. If `a` and `b` are bfloat16 pairs, everything here
/// counts in pairs.
#[derive(Debug)]
pub(in super::super) struct Tile<'a> {
    /// The first row of the input.
    pub(in super::super) a: *const f32,
    /// Floats from an input row to the next.
    pub(in super::super) a_row: usize,
    /// Where each segment starts, in floats from a row's start.
    pub(in super::super) segments: &'a [usize],
    /// Length of a segment.
    pub(in super::super) run: usize,
    /// The packed panel: `[segments * run][columns]`.
    pub(in super::super) b: *const f32,
    /// One value per column.
    pub(in super::super) bias: *const f32,
    /// Weights that will be read soon: each `k` prefetches a cache line of them. Need not be a
    /// valid address.
    pub(in super::super) ahead: *const f32,
    pub(in super::super) out: Epilogue,
}

/// Vectors of weights that the product with a single row prefetches: 4.5 KiB.
const AHEAD: usize = 72;

/// Computes `MR` rows of `NR` vectors of columns.
///
/// # Safety
///
/// [`Simd`]'s; `t`'s pointers and strides stay within live memory for `MR` rows and `NR` vectors, and
/// nobody else touches the output.
#[inline(always)]
pub(super) unsafe fn tile<D: Dot, const MR: usize, const NR: usize>(t: &Tile<'_>) {
    // SAFETY: the caller's contract covers every address formed here.
    unsafe {
        let mut acc = [[D::S::splat(0.0); NR]; MR];
        for n in 0..NR {
            let bias = D::S::load(t.bias.add(n * LANES));
            for (m, row) in acc.iter_mut().enumerate() {
                row[n] = bias;
                // Large maps are not in the caches, and the hardware does not predict where they
                // are written.
                D::S::prefetch(t.out.c.add(m * t.out.row + n * t.out.vec));
            }
        }
        let (mut b, mut ahead) = (t.b, t.ahead);
        for &segment in t.segments {
            let a = t.a.add(segment);
            for k in 0..t.run {
                let mut bs = [D::S::splat(0.0); NR];
                for (n, v) in bs.iter_mut().enumerate() {
                    *v = D::S::load(b.add(n * LANES));
                }
                for (m, row) in acc.iter_mut().enumerate() {
                    let x = D::S::splat(*a.add(m * t.a_row + k));
                    for n in 0..NR {
                        row[n] = D::dot(x, bs[n], row[n]);
                    }
                }
                b = b.add(NR * LANES);
                if MR == 1 {
                    // Each weight is used once, so nothing else hides the latency of memory.
                    for n in 0..NR {
                        D::S::prefetch(b.wrapping_add((AHEAD + n) * LANES));
                    }
                } else {
                    D::S::prefetch(ahead);
                    ahead = ahead.wrapping_add(LANES);
                }
            }
        }
        finish::<D::S, MR, NR>(acc, &t.out);
    }
}
