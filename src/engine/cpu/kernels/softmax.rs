//! Attention's softmax.

use super::super::simd::{LANES, Simd, math};

/// `exp(x) / sum of exp(x)` over each of some rows, in place.
#[derive(Debug)]
pub(in super::super) struct Softmax {
    /// The first value.
    pub(in super::super) values: *mut f32,
    /// Floats from a row to the next: whole vectors. What follows a row's values in its last vector
    /// is overwritten with meaningless values.
    pub(in super::super) row: usize,
    /// Values in a row; not 0.
    pub(in super::super) len: usize,
    /// Rows.
    pub(in super::super) rows: usize,
}

/// Computes `s`.
///
/// # Safety
///
/// [`Simd`]'s; the rows stay within live memory, and nobody else touches them.
#[inline(always)]
pub(super) unsafe fn softmax<S: Simd>(s: &Softmax) {
    let vecs = s.len.div_ceil(LANES);
    // SAFETY: the caller's contract covers every address formed here.
    unsafe {
        for r in 0..s.rows {
            let row = s.values.add(r * s.row);
            for rest in s.len..vecs * LANES {
                *row.add(rest) = f32::NEG_INFINITY;
            }
            let mut lanes = [0.0; LANES];
            let mut most = S::load(row);
            for v in 1..vecs {
                most = S::max(most, S::load(row.add(v * LANES)));
            }
            S::store(lanes.as_mut_ptr(), most);
            let most = S::splat(lanes.into_iter().fold(f32::NEG_INFINITY, f32::max));
            let mut sum = S::splat(0.0);
            for v in 0..vecs {
                let e = math::exp::<S>(S::sub(S::load(row.add(v * LANES)), most));
                sum = S::add(sum, e);
                S::store(row.add(v * LANES), e);
            }
            S::store(lanes.as_mut_ptr(), sum);
            let sum = S::splat(lanes.into_iter().sum());
            for v in 0..vecs {
                S::store(row.add(v * LANES), S::div(S::load(row.add(v * LANES)), sum));
            }
        }
    }
}
