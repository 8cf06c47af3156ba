//! The twin of every instruction set: plain Rust, against which the others are tested.

use super::{EIGHTHS, EXP2_SIXTEENTH, LANES, POWERS, Pairs, Simd};

#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Portable;

#[inline(always)]
fn zip(a: [f32; LANES], b: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

impl Simd for Portable {
    type V = [f32; LANES];
    const FLOATS: usize = LANES;
    const DW: usize = 2;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::V {
        // SAFETY: the caller's pointer is valid for LANES floats; f32 arrays need f32's alignment.
        unsafe { p.cast::<Self::V>().read() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::V) {
        // SAFETY: as in `load`.
        unsafe { p.cast::<Self::V>().write(v) }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a * b)
    }
    // `f32::mul_add` is a library call if the target has no such instruction.
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn fnma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(|i| c[i] - a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn min(bound: Self::V, v: Self::V) -> Self::V {
        zip(bound, v, |b, v| if b < v { b } else { v })
    }
    #[inline(always)]
    unsafe fn max(bound: Self::V, v: Self::V) -> Self::V {
        zip(bound, v, |b, v| if b > v { b } else { v })
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a / b)
    }
    const MAGIC: f32 = EIGHTHS;
    const EXP2: &'static [f32] = EXP2_SIXTEENTH;
    #[inline(always)]
    unsafe fn power(z: Self::V) -> Self::V {
        z.map(|z| {
            let bits = z.to_bits();
            f32::from_bits((bits << 20).wrapping_add(POWERS[bits as usize % 8]))
        })
    }
    #[inline(always)]
    unsafe fn prefetch(_: *const f32) {}
}

impl Pairs for Portable {
    #[inline(always)]
    unsafe fn dot(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        let low = |v: f32| f32::from_bits(v.to_bits() << 16);
        let high = |v: f32| f32::from_bits(v.to_bits() & 0xFFFF_0000);
        std::array::from_fn(|i| c[i] + low(a[i]) * low(b[i]) + high(a[i]) * high(b[i]))
    }
    #[inline(always)]
    unsafe fn store_pairs(p: *mut f32, v: Self::V) {
        for (i, pair) in v.chunks_exact(2).enumerate() {
            // SAFETY: the caller's pointer is valid for LANES / 2 words.
            unsafe { p.add(i).write(pair_of(pair[0], pair[1])) };
        }
    }
}

/// Two floats as one word of bfloat16.
pub(in super::super) fn pair_of(low: f32, high: f32) -> f32 {
    let bits = |v| u32::from(half::bf16::from_f32(v).to_bits());
    f32::from_bits(bits(low) | bits(high) << 16)
}
