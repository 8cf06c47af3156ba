//! AVX2 with FMA.

use std::arch::x86_64::*;

use super::{EIGHTHS, EXP2_SIXTEENTH, POWERS, Simd};

#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Avx2;

// SAFETY of every block: the trait's caller guarantees AVX2 and FMA, and pointers valid for 8
// floats; loads and stores are the unaligned ones.
impl Simd for Avx2 {
    type V = __m256;
    const FLOATS: usize = 8;
    const DW: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        // SAFETY: see the impl.
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m256 {
        // SAFETY: see the impl.
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m256) {
        // SAFETY: see the impl.
        unsafe { _mm256_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        // SAFETY: see the impl.
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m256, b: __m256) -> __m256 {
        // SAFETY: see the impl.
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        // SAFETY: see the impl.
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: see the impl.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn fnma(a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: see the impl.
        unsafe { _mm256_fnmadd_ps(a, b, c) }
    }
    // The instruction returns its second operand if either is NaN.
    #[inline(always)]
    unsafe fn min(bound: __m256, v: __m256) -> __m256 {
        // SAFETY: see the impl.
        unsafe { _mm256_min_ps(bound, v) }
    }
    #[inline(always)]
    unsafe fn max(bound: __m256, v: __m256) -> __m256 {
        // SAFETY: see the impl.
        unsafe { _mm256_max_ps(bound, v) }
    }
    #[inline(always)]
    unsafe fn div(a: __m256, b: __m256) -> __m256 {
        // SAFETY: see the impl.
        unsafe { _mm256_div_ps(a, b) }
    }
    const MAGIC: f32 = EIGHTHS;
    const EXP2: &'static [f32] = EXP2_SIXTEENTH;
    #[inline(always)]
    unsafe fn power(z: __m256) -> __m256 {
        // SAFETY: see the impl; the table is one register.
        unsafe {
            let bits = _mm256_castps_si256(z);
            let table = _mm256_loadu_si256(POWERS.as_ptr().cast());
            // The index is the lowest three bits.
            let entry = _mm256_permutevar8x32_epi32(table, bits);
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_slli_epi32::<20>(bits), entry))
        }
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        // SAFETY: any address may be asked for.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) };
    }
}
