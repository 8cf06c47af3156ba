//! Two vectors as one.

use std::marker::PhantomData;

use super::Simd;

/// A vector of twice as many floats.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct WideVec<S>(PhantomData<S>);

// SAFETY of every block: the caller guarantees S's instruction set, and pointers valid for both.
impl<S: Simd> Simd for WideVec<S> {
    type V = [S::V; 2];
    const FLOATS: usize = 2 * S::FLOATS;
    const DW: usize = S::DW / 2;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        // SAFETY: see the impl.
        unsafe { [S::splat(x); 2] }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::V {
        // SAFETY: see the impl.
        unsafe { [S::load(p), S::load(p.add(S::FLOATS))] }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::V) {
        // SAFETY: see the impl.
        unsafe {
            S::store(p, v[0]);
            S::store(p.add(S::FLOATS), v[1]);
        }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see the impl.
        unsafe { [S::add(a[0], b[0]), S::add(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see the impl.
        unsafe { [S::sub(a[0], b[0]), S::sub(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see the impl.
        unsafe { [S::mul(a[0], b[0]), S::mul(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: see the impl.
        unsafe { [S::fma(a[0], b[0], c[0]), S::fma(a[1], b[1], c[1])] }
    }
    #[inline(always)]
    unsafe fn fnma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: see the impl.
        unsafe { [S::fnma(a[0], b[0], c[0]), S::fnma(a[1], b[1], c[1])] }
    }
    #[inline(always)]
    unsafe fn min(bound: Self::V, v: Self::V) -> Self::V {
        // SAFETY: see the impl.
        unsafe { [S::min(bound[0], v[0]), S::min(bound[1], v[1])] }
    }
    #[inline(always)]
    unsafe fn max(bound: Self::V, v: Self::V) -> Self::V {
        // SAFETY: see the impl.
        unsafe { [S::max(bound[0], v[0]), S::max(bound[1], v[1])] }
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see the impl.
        unsafe { [S::div(a[0], b[0]), S::div(a[1], b[1])] }
    }
    const MAGIC: f32 = S::MAGIC;
    const EXP2: &'static [f32] = S::EXP2;
    #[inline(always)]
    unsafe fn power(z: Self::V) -> Self::V {
        // SAFETY: see the impl.
        unsafe { [S::power(z[0]), S::power(z[1])] }
    }
    // A whole vector is as long as a cache line.
    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        // SAFETY: see the impl.
        unsafe { S::prefetch(p) };
    }
}
