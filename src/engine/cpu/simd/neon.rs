//! NEON.

use std::arch::aarch64::*;

use super::{EIGHTHS, EXP2_SIXTEENTH, POWERS, Simd};

#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Neon;

// SAFETY of every block: NEON is part of aarch64; the trait's caller guarantees pointers valid for
// 4 floats, and loads and stores need no alignment beyond f32's.
impl Simd for Neon {
    type V = float32x4_t;
    const FLOATS: usize = 4;
    const DW: usize = 16;

    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        // SAFETY: see the impl.
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> float32x4_t {
        // SAFETY: see the impl.
        unsafe { vld1q_f32(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: float32x4_t) {
        // SAFETY: see the impl.
        unsafe { vst1q_f32(p, v) }
    }
    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see the impl.
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see the impl.
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see the impl.
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: see the impl.
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    unsafe fn fnma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: see the impl.
        unsafe { vfmsq_f32(c, a, b) }
    }
    // FMIN and FMAX return NaN if either operand is NaN.
    #[inline(always)]
    unsafe fn min(bound: float32x4_t, v: float32x4_t) -> float32x4_t {
        // SAFETY: see the impl.
        unsafe { vminq_f32(bound, v) }
    }
    #[inline(always)]
    unsafe fn max(bound: float32x4_t, v: float32x4_t) -> float32x4_t {
        // SAFETY: see the impl.
        unsafe { vmaxq_f32(bound, v) }
    }
    #[inline(always)]
    unsafe fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see the impl.
        unsafe { vdivq_f32(a, b) }
    }
    const MAGIC: f32 = EIGHTHS;
    const EXP2: &'static [f32] = EXP2_SIXTEENTH;
    #[inline(always)]
    unsafe fn power(z: float32x4_t) -> float32x4_t {
        // SAFETY: see the impl; the table is 32 bytes.
        unsafe {
            let table = vld1q_u8_x2(POWERS.as_ptr().cast());
            let bits = vreinterpretq_u32_f32(z);
            let eighth = vandq_u32(bits, vdupq_n_u32(7));
            // The four bytes of an entry follow each other.
            let bytes = vmlaq_n_u32(vdupq_n_u32(0x0302_0100), eighth, 0x0404_0404);
            let entry = vqtbl2q_u8(table, vreinterpretq_u8_u32(bytes));
            let sum = vaddq_u32(vshlq_n_u32::<20>(bits), vreinterpretq_u32_u8(entry));
            vreinterpretq_f32_u32(sum)
        }
    }
    // Prefetching is not stable on this target.
    #[inline(always)]
    unsafe fn prefetch(_: *const f32) {}
}
