//! What follows a tile while it is still in the first-level cache: activation, residual, pooling;
//! and the gate of a squeeze-excitation before a projection reads.

use super::super::simd::math::Act;
use super::super::simd::{LANES, Simd};

/// `c = act(c) + residual` over rows of vectors, in place; `pool` collects the sums over rows.
#[derive(Debug)]
pub(in super::super) struct Post {
    /// The first value.
    pub(in super::super) c: *mut f32,
    /// Floats from a row to the next.
    pub(in super::super) row: usize,
    /// Floats from 16 columns to the next 16.
    pub(in super::super) vec: usize,
    /// Rows.
    pub(in super::super) rows: usize,
    /// Vectors of 16 columns.
    pub(in super::super) vecs: usize,
    /// What is added after the activation, laid out like `c`; or null.
    pub(in super::super) residual: *const f32,
    /// Where each column's sum over the rows is added, 16 floats a vector; or null.
    pub(in super::super) pool: *mut f32,
}

/// Applies `p` with activation `A`.
///
/// # Safety
///
/// [`Simd`]'s; `p`'s pointers are null where they may be, or stay within live memory, and nobody
/// else touches `c` and `pool`.
#[inline(always)]
pub(super) unsafe fn post<S: Simd, A: Act>(p: &Post) {
    // SAFETY: the caller's contract covers every address formed here.
    unsafe {
        for v in 0..p.vecs {
            let mut sum = S::splat(0.0);
            for r in 0..p.rows {
                let at = r * p.row + v * p.vec;
                let mut y = A::apply::<S>(S::load(p.c.add(at)));
                if !p.residual.is_null() {
                    y = S::add(y, S::load(p.residual.add(at)));
                }
                sum = S::add(sum, y);
                S::store(p.c.add(at), y);
            }
            if !p.pool.is_null() {
                let pool = p.pool.add(v * LANES);
                S::store(pool, S::add(S::load(pool), sum));
            }
        }
    }
}

/// `to = from * gate` over rows of vectors.
#[derive(Debug)]
pub(in super::super) struct Scale {
    /// The first input.
    pub(in super::super) from: *const f32,
    /// The first output.
    pub(in super::super) to: *mut f32,
    /// Floats from a row to the next, of both.
    pub(in super::super) row: usize,
    /// Rows.
    pub(in super::super) rows: usize,
    /// One value a column.
    pub(in super::super) gate: *const f32,
}

/// Applies `s` to whole rows.
///
/// # Safety
///
/// [`Simd`]'s; pointers stay within live memory, `row` is a multiple of 16, and nobody else touches
/// the output.
#[inline(always)]
pub(super) unsafe fn scale<S: Simd>(s: &Scale) {
    // SAFETY: the caller's contract covers every address formed here.
    unsafe {
        for r in 0..s.rows {
            for v in 0..s.row / LANES {
                let at = r * s.row + v * LANES;
                let y = S::mul(S::load(s.from.add(at)), S::load(s.gate.add(v * LANES)));
                S::store(s.to.add(at), y);
            }
        }
    }
}

/// The means over rows of vectors.
#[derive(Debug)]
pub(in super::super) struct Mean {
    /// The first value.
    pub(in super::super) from: *const f32,
    /// Floats from a row to the next.
    pub(in super::super) row: usize,
    /// Rows; not 0.
    pub(in super::super) rows: usize,
    /// Vectors of 16 columns.
    pub(in super::super) vecs: usize,
    /// The first column's mean; the others follow.
    pub(in super::super) to: *mut f32,
}

/// Computes `m`.
///
/// # Safety
///
/// [`Simd`]'s; pointers stay within live memory, and nobody else touches the output.
#[inline(always)]
pub(super) unsafe fn mean<S: Simd>(m: &Mean) {
    // SAFETY: the caller's contract covers every address formed here.
    unsafe {
        let count = S::splat(m.rows as f32);
        for v in 0..m.vecs {
            let mut sum = S::splat(0.0);
            for r in 0..m.rows {
                sum = S::add(sum, S::load(m.from.add(r * m.row + v * LANES)));
            }
            S::store(m.to.add(v * LANES), S::div(sum, count));
        }
    }
}
