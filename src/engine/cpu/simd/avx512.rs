//! AVX-512F.

use std::arch::x86_64::*;

use super::Simd;

#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Avx512;

// SAFETY of every block: the trait's caller guarantees AVX-512F and pointers valid for 16 floats;
// loads and stores are the unaligned ones.
impl Simd for Avx512 {
    type V = __m512;
    const DW: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        // SAFETY: see the impl.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m512 {
        // SAFETY: see the impl.
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m512) {
        // SAFETY: see the impl.
        unsafe { _mm512_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        // SAFETY: see the impl.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        // SAFETY: see the impl.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        // SAFETY: see the impl.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: see the impl.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    // The instruction answers its second operand where either is NaN.
    #[inline(always)]
    unsafe fn min(bound: __m512, v: __m512) -> __m512 {
        // SAFETY: see the impl.
        unsafe { _mm512_min_ps(bound, v) }
    }
    #[inline(always)]
    unsafe fn max(bound: __m512, v: __m512) -> __m512 {
        // SAFETY: see the impl.
        unsafe { _mm512_max_ps(bound, v) }
    }
    // 14 bits and one step of Newton's: a third of the division's time.
    #[inline(always)]
    unsafe fn recip(v: __m512) -> __m512 {
        // SAFETY: see the impl.
        unsafe {
            let r = _mm512_rcp14_ps(v);
            let e = _mm512_fnmadd_ps(v, r, _mm512_set1_ps(1.0));
            _mm512_fmadd_ps(r, e, r)
        }
    }
    #[inline(always)]
    unsafe fn round(v: __m512) -> __m512 {
        // SAFETY: see the impl.
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(v) }
    }
    #[inline(always)]
    unsafe fn scale_pow2(v: __m512, n: __m512) -> __m512 {
        // SAFETY: see the impl.
        unsafe { _mm512_scalef_ps(v, n) }
    }
}
