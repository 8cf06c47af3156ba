//! NEON: a vector is four registers.

use std::arch::aarch64::*;

use super::{EIGHTHS, EXP2_SIXTEENTH, POWERS, Simd};

#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Neon;

type V = [float32x4_t; 4];

// SAFETY of every block: NEON is part of aarch64; the trait's caller guarantees pointers valid for
// 16 floats, and loads and stores need no alignment beyond f32's.
impl Simd for Neon {
    type V = V;
    const DW: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f32) -> V {
        // SAFETY: see the impl.
        unsafe { [vdupq_n_f32(x); 4] }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> V {
        // SAFETY: see the impl.
        unsafe { std::array::from_fn(|i| vld1q_f32(p.add(4 * i))) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: V) {
        for (i, v) in v.into_iter().enumerate() {
            // SAFETY: see the impl.
            unsafe { vst1q_f32(p.add(4 * i), v) };
        }
    }
    #[inline(always)]
    unsafe fn add(a: V, b: V) -> V {
        // SAFETY: see the impl.
        unsafe { std::array::from_fn(|i| vaddq_f32(a[i], b[i])) }
    }
    #[inline(always)]
    unsafe fn sub(a: V, b: V) -> V {
        // SAFETY: see the impl.
        unsafe { std::array::from_fn(|i| vsubq_f32(a[i], b[i])) }
    }
    #[inline(always)]
    unsafe fn mul(a: V, b: V) -> V {
        // SAFETY: see the impl.
        unsafe { std::array::from_fn(|i| vmulq_f32(a[i], b[i])) }
    }
    #[inline(always)]
    unsafe fn fma(a: V, b: V, c: V) -> V {
        // SAFETY: see the impl.
        unsafe { std::array::from_fn(|i| vfmaq_f32(c[i], a[i], b[i])) }
    }
    #[inline(always)]
    unsafe fn fnma(a: V, b: V, c: V) -> V {
        // SAFETY: see the impl.
        unsafe { std::array::from_fn(|i| vfmsq_f32(c[i], a[i], b[i])) }
    }
    // FMIN and FMAX answer NaN where either operand is NaN.
    #[inline(always)]
    unsafe fn min(bound: V, v: V) -> V {
        // SAFETY: see the impl.
        unsafe { std::array::from_fn(|i| vminq_f32(bound[i], v[i])) }
    }
    #[inline(always)]
    unsafe fn max(bound: V, v: V) -> V {
        // SAFETY: see the impl.
        unsafe { std::array::from_fn(|i| vmaxq_f32(bound[i], v[i])) }
    }
    #[inline(always)]
    unsafe fn div(a: V, b: V) -> V {
        // SAFETY: see the impl.
        unsafe { std::array::from_fn(|i| vdivq_f32(a[i], b[i])) }
    }
    const MAGIC: f32 = EIGHTHS;
    const EXP2: &'static [f32] = EXP2_SIXTEENTH;
    #[inline(always)]
    unsafe fn power(z: V) -> V {
        // SAFETY: see the impl; the table is 32 bytes.
        unsafe {
            let table = vld1q_u8_x2(POWERS.as_ptr().cast());
            std::array::from_fn(|i| {
                let bits = vreinterpretq_u32_f32(z[i]);
                let eighth = vandq_u32(bits, vdupq_n_u32(7));
                // The four bytes of an entry follow each other.
                let bytes = vmlaq_n_u32(vdupq_n_u32(0x0302_0100), eighth, 0x0404_0404);
                let entry = vqtbl2q_u8(table, vreinterpretq_u8_u32(bytes));
                let sum = vaddq_u32(vshlq_n_u32::<20>(bits), vreinterpretq_u32_u8(entry));
                vreinterpretq_f32_u32(sum)
            })
        }
    }
    // Prefetching is not stable on this target.
    #[inline(always)]
    unsafe fn prefetch(_: *const f32) {}
}
