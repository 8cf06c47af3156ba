//! AVX2 with FMA: a vector is two registers.

use std::arch::x86_64::*;

use super::{EIGHTHS, EXP2_SIXTEENTH, POWERS, Simd};

#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Avx2;

type V = [__m256; 2];

// SAFETY of every block: the trait's caller guarantees AVX2 and FMA, and pointers valid for 16
// floats; loads and stores are the unaligned ones.
impl Simd for Avx2 {
    type V = V;
    const DW: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f32) -> V {
        // SAFETY: see the impl.
        unsafe { [_mm256_set1_ps(x); 2] }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> V {
        // SAFETY: see the impl.
        unsafe { [_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))] }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: V) {
        // SAFETY: see the impl.
        unsafe {
            _mm256_storeu_ps(p, v[0]);
            _mm256_storeu_ps(p.add(8), v[1]);
        }
    }
    #[inline(always)]
    unsafe fn add(a: V, b: V) -> V {
        // SAFETY: see the impl.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn sub(a: V, b: V) -> V {
        // SAFETY: see the impl.
        unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn mul(a: V, b: V) -> V {
        // SAFETY: see the impl.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn fma(a: V, b: V, c: V) -> V {
        // SAFETY: see the impl.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }
    #[inline(always)]
    unsafe fn fnma(a: V, b: V, c: V) -> V {
        // SAFETY: see the impl.
        unsafe { [_mm256_fnmadd_ps(a[0], b[0], c[0]), _mm256_fnmadd_ps(a[1], b[1], c[1])] }
    }
    // The instruction answers its second operand where either is NaN.
    #[inline(always)]
    unsafe fn min(bound: V, v: V) -> V {
        // SAFETY: see the impl.
        unsafe { [_mm256_min_ps(bound[0], v[0]), _mm256_min_ps(bound[1], v[1])] }
    }
    #[inline(always)]
    unsafe fn max(bound: V, v: V) -> V {
        // SAFETY: see the impl.
        unsafe { [_mm256_max_ps(bound[0], v[0]), _mm256_max_ps(bound[1], v[1])] }
    }
    #[inline(always)]
    unsafe fn div(a: V, b: V) -> V {
        // SAFETY: see the impl.
        unsafe { [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])] }
    }
    const MAGIC: f32 = EIGHTHS;
    const EXP2: &'static [f32] = EXP2_SIXTEENTH;
    #[inline(always)]
    unsafe fn power(z: V) -> V {
        // SAFETY: see the impl; the table is one register.
        unsafe {
            let table = _mm256_loadu_si256(POWERS.as_ptr().cast());
            let power = |z| {
                let bits = _mm256_castps_si256(z);
                // The index is the lowest three bits.
                let entry = _mm256_permutevar8x32_epi32(table, bits);
                _mm256_castsi256_ps(_mm256_add_epi32(_mm256_slli_epi32::<20>(bits), entry))
            };
            [power(z[0]), power(z[1])]
        }
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        // SAFETY: any address may be asked for.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) };
    }
}
