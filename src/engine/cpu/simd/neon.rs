//! NEON: a vector is four registers.

use std::arch::aarch64::*;

use super::Simd;

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
    unsafe fn recip(v: V) -> V {
        // SAFETY: see the impl.
        unsafe { std::array::from_fn(|i| vdivq_f32(vdupq_n_f32(1.0), v[i])) }
    }
    #[inline(always)]
    unsafe fn round(v: V) -> V {
        // SAFETY: see the impl.
        unsafe { std::array::from_fn(|i| vrndnq_f32(v[i])) }
    }
    #[inline(always)]
    unsafe fn scale_pow2(v: V, n: V) -> V {
        // SAFETY: see the impl.
        unsafe {
            std::array::from_fn(|i| {
                let bits = vshlq_n_s32::<23>(vcvtq_s32_f32(n[i]));
                let scale = vaddq_s32(bits, vdupq_n_s32(0x3F80_0000));
                vmulq_f32(v[i], vreinterpretq_f32_s32(scale))
            })
        }
    }
}
