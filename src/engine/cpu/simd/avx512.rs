//! AVX-512F.

use std::arch::x86_64::*;

use super::{EIGHTHS, POWERS, Pairs, Simd};

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
    #[inline(always)]
    unsafe fn fnma(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: see the impl.
        unsafe { _mm512_fnmadd_ps(a, b, c) }
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
    #[inline(always)]
    unsafe fn div(a: __m512, b: __m512) -> __m512 {
        // SAFETY: see the impl.
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn split_pow2(t: __m512) -> (__m512, __m512) {
        // SAFETY: see the impl; the table is half a register.
        unsafe {
            let magic = _mm512_set1_ps(EIGHTHS);
            let table = _mm512_broadcast_i64x4(_mm256_loadu_si256(POWERS.as_ptr().cast()));
            let z = _mm512_add_ps(t, magic);
            let bits = _mm512_castps_si512(z);
            // The index is the lowest four bits; the table repeats.
            let entry = _mm512_permutexvar_epi32(bits, table);
            let power = _mm512_add_epi32(_mm512_slli_epi32::<20>(bits), entry);
            (_mm512_castsi512_ps(power), _mm512_sub_ps(t, _mm512_sub_ps(z, magic)))
        }
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        // SAFETY: any address may be asked for.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) };
    }
}

// SAFETY of every block: the trait's caller guarantees AVX512-BF16 too, and a pointer valid for 8
// words.
impl Pairs for Avx512 {
    #[inline(always)]
    unsafe fn dot(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: see the impl; the types are 512 bits each.
        unsafe { _mm512_dpbf16_ps(c, std::mem::transmute(a), std::mem::transmute(b)) }
    }
    #[inline(always)]
    unsafe fn store_pairs(p: *mut f32, v: __m512) {
        // SAFETY: see the impl; the types are 256 bits each.
        unsafe { _mm256_storeu_si256(p.cast(), std::mem::transmute(_mm512_cvtneps_pbh(v))) }
    }
}
