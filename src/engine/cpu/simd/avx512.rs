//! AVX-512F.

use std::arch::x86_64::*;
use std::mem::transmute;

use super::{Pairs, Simd};

/// The bits of `2^(j / 32)` minus `j << 18`. Added to the bits of a sum with 1.5 * 2^18, shifted
/// left by 18, they give the power of two whose exponent is in 32nds.
const POWERS: [u32; 32] = [
    0x3F80_0000,
    0x3F7E_CD87,
    0x3F7D_AAC3,
    0x3F7C_980F,
    0x3F7B_95C2,
    0x3F7A_A43A,
    0x3F79_C3D3,
    0x3F78_F4F0,
    0x3F78_37F0,
    0x3F77_8D3A,
    0x3F76_F532,
    0x3F76_7043,
    0x3F75_FED7,
    0x3F75_A15B,
    0x3F75_583F,
    0x3F75_23F6,
    0x3F75_04F3,
    0x3F74_FBAF,
    0x3F75_08A4,
    0x3F75_2C4D,
    0x3F75_672A,
    0x3F75_B9BE,
    0x3F76_248C,
    0x3F76_A81E,
    0x3F77_44FD,
    0x3F77_FBB8,
    0x3F78_CCDF,
    0x3F79_B907,
    0x3F7A_C0C7,
    0x3F7B_E4BA,
    0x3F7D_257D,
    0x3F7E_83B3,
];

#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Avx512;

// SAFETY of every block: the trait's caller guarantees AVX-512F and pointers valid for 16 floats;
// loads and stores are the unaligned ones.
impl Simd for Avx512 {
    type V = __m512;
    const FLOATS: usize = 16;
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
    // The instruction returns its second operand if either is NaN.
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
    const MAGIC: f32 = 393_216.0;
    const EXP2: &'static [f32] = &[0.2402283, -0.6931573, 1.0];
    #[inline(always)]
    unsafe fn power(z: __m512) -> __m512 {
        // SAFETY: see the impl; the table is two registers.
        unsafe {
            let bits = _mm512_castps_si512(z);
            let table = |half: usize| _mm512_loadu_si512(POWERS[16 * half..].as_ptr().cast());
            // The index is the lowest five bits.
            let entry = _mm512_permutex2var_epi32(table(0), bits, table(1));
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_slli_epi32::<18>(bits), entry))
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
        unsafe {
            let pairs = |v| transmute::<__m512, __m512bh>(v);
            _mm512_dpbf16_ps(c, pairs(a), pairs(b))
        }
    }
    #[inline(always)]
    unsafe fn store_pairs(p: *mut f32, v: __m512) {
        // SAFETY: see the impl; the types are 256 bits each.
        unsafe {
            let pairs = transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(v));
            _mm256_storeu_si256(p.cast(), pairs);
        }
    }
}
