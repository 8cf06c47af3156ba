//! What follows a product while its results are in registers: activation, residual, pooling. Also a
//! squeeze-excitation's gate, applied before a projection reads.

use std::ptr::{null, null_mut};

use super::super::simd::math::{self, Act};
use super::super::simd::{LANES, Simd};
use crate::arch::Activation;

/// Where the rows of a result go, and what is done to them on the way: `c = act(result) + residual`.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Epilogue {
    /// The first value.
    pub(in super::super) c: *mut f32,
    /// Floats from a row to the next.
    pub(in super::super) row: usize,
    /// Floats from 16 columns to the next 16.
    pub(in super::super) vec: usize,
    pub(in super::super) act: Option<Activation>,
    /// What is added after the activation, laid out like `c`; or null.
    pub(in super::super) residual: *const f32,
    /// Where each column's sum over the rows is added, 16 floats per vector; or null.
    pub(in super::super) pool: *mut f32,
}

impl Epilogue {
    /// Unchanged results: where the first goes, and floats to the next row.
    pub(in super::super) fn new(c: *mut f32, row: usize) -> Self {
        Self { c, row, vec: LANES, act: None, residual: null(), pool: null_mut() }
    }

    /// Unchanged results in the same place.
    pub(in super::super) fn raw(&self) -> Self {
        Self { act: None, residual: null(), pool: null_mut(), ..*self }
    }

    /// The results from row `row` and vector `vec` on.
    pub(in super::super) fn at(&self, row: usize, vec: usize) -> Self {
        self.at_column(row, vec * LANES)
    }

    /// The results from row `row` and column `column` on.
    pub(super) fn at_column(&self, row: usize, column: usize) -> Self {
        let at = row * self.row + column / LANES * self.vec + column % LANES;
        // Null stays null.
        let offset = |p: *const f32, by| if p.is_null() { p } else { p.wrapping_add(by) };
        Self {
            c: self.c.wrapping_add(at),
            residual: offset(self.residual, at),
            pool: offset(self.pool, column).cast_mut(),
            ..*self
        }
    }
}

/// `$body`, in which the type `$A` is the activation `$act`.
macro_rules! by_act {
    ($act:expr, $A:ident => $body:expr) => {
        by_act!(@match $act, $A => $body,
            Relu Relu6 Silu HardSwish HardSigmoid Sigmoid Mish Gelu)
    };
    (@match $act:expr, $A:ident => $body:expr, $($name:ident)*) => {
        match $act {
            None => {
                type $A = math::Identity;
                $body
            }
            $(Some(Activation::$name) => {
                type $A = math::$name;
                $body
            })*
        }
    };
}
pub(super) use by_act;

/// Stores `MR` rows of `NR` vectors as `out` says.
///
/// # Safety
///
/// [`Simd`]'s; `out`'s pointers stay within live memory, or are null where that is allowed; and
/// nobody else touches what is written.
#[inline(always)]
pub(super) unsafe fn finish<S: Simd, const MR: usize, const NR: usize>(
    results: [[S::V; NR]; MR],
    out: &Epilogue,
) {
    // SAFETY: the caller's contract covers every address formed here.
    unsafe {
        let mut results = by_act!(out.act, A => apply::<S, A, MR, NR>(results));
        if !out.residual.is_null() {
            for (m, row) in results.iter_mut().enumerate() {
                for (n, y) in row.iter_mut().enumerate() {
                    *y = S::add(*y, S::load(out.residual.add(m * out.row + n * out.vec)));
                }
            }
        }
        for (m, row) in results.iter().enumerate() {
            for (n, &y) in row.iter().enumerate() {
                S::store(out.c.add(m * out.row + n * out.vec), y);
            }
        }
        if !out.pool.is_null() {
            for n in 0..NR {
                let mut sum = S::load(out.pool.add(n * LANES));
                for row in &results {
                    sum = S::add(sum, row[n]);
                }
                S::store(out.pool.add(n * LANES), sum);
            }
        }
    }
}

/// The most rows for which [`apply`] is written out: the compiler would not unroll a loop of this
/// size and would keep the results on the stack.
const MOST_ROWS: usize = 8;

#[inline(always)]
unsafe fn apply<S: Simd, A: Act, const MR: usize, const NR: usize>(
    mut results: [[S::V; NR]; MR],
) -> [[S::V; NR]; MR] {
    const { assert!(MR <= MOST_ROWS) };
    macro_rules! rows {
        ($($m:literal)*) => {
            $(if $m < MR {
                for y in &mut results[$m] {
                    // SAFETY: the caller guarantees S's instruction set.
                    *y = unsafe { A::apply::<S>(*y) };
                }
            })*
        };
    }
    rows!(0 1 2 3 4 5 6 7);
    results
}

/// Results that are already in memory, left there by a tile without registers for activations.
#[derive(Debug)]
pub(in super::super) struct ApplyEpilogue {
    /// What is done to them, in place.
    pub(in super::super) out: Epilogue,
    /// Rows.
    pub(in super::super) rows: usize,
    /// Vectors of 16 columns.
    pub(in super::super) vecs: usize,
}

/// Applies the [`Epilogue`] of `p` to all of it.
///
/// # Safety
///
/// [`finish`]'s.
#[inline(always)]
pub(super) unsafe fn apply_epilogue<S: Simd>(p: &ApplyEpilogue) {
    // SAFETY: the caller's contract.
    unsafe { by_act!(p.out.act, A => columns::<S, A>(p)) }
}

#[inline(always)]
unsafe fn columns<S: Simd, A: Act>(p: &ApplyEpilogue) {
    // SAFETY: the caller's contract covers every address formed here.
    unsafe {
        for column in (0..p.vecs * LANES).step_by(S::FLOATS) {
            let out = p.out.at_column(0, column);
            let mut sum = S::splat(0.0);
            for r in 0..p.rows {
                let c = out.c.add(r * out.row);
                let mut y = A::apply::<S>(S::load(c));
                if !out.residual.is_null() {
                    y = S::add(y, S::load(out.residual.add(r * out.row)));
                }
                S::store(c, y);
                sum = S::add(sum, y);
            }
            if !out.pool.is_null() {
                S::store(out.pool, S::add(S::load(out.pool), sum));
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
    /// One value per column.
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
