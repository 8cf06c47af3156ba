//! Vectors of floats, one implementation per instruction set.
//!
//! Every kernel is written once over [`Simd`]; channels are padded to multiples of [`LANES`], so no
//! kernel has a tail. Most kernels take vectors of that many floats, in as many registers as
//! needed; kernels that keep more values than there are registers take narrower ones.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx512;
pub(super) mod math;
#[cfg(target_arch = "aarch64")]
pub(super) mod neon;
pub(super) mod portable;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) mod wide_vec;

use std::marker::PhantomData;

/// The multiple that channel counts are padded to, and the floats of a whole vector.
pub(crate) const LANES: usize = 16;

/// Sums with it are whole eighths: 1.5 * 2^20. It is [`Simd::MAGIC`] for the sets that look up
/// powers of two in [`POWERS`].
const EIGHTHS: f32 = 1_572_864.0;
/// The bits of `2^(j / 8)` minus `j << 20`. Added to the bits of `t + EIGHTHS`, shifted left by 20,
/// they give the power of two whose exponent is `t` in eighths.
const POWERS: [u32; 8] = [
    0x3F80_0000,
    0x3F7B_95C2,
    0x3F78_37F0,
    0x3F75_FED7,
    0x3F75_04F3,
    0x3F75_672A,
    0x3F77_44FD,
    0x3F7A_C0C7,
];
/// The interpolation of `2^-r` on ±1/16 at Chebyshev points, within 4e-8: [`Simd::EXP2`] for the
/// same sets.
const EXP2_SIXTEENTH: &[f32] = &[-0.055509318, 0.24026407, -std::f32::consts::LN_2, 1.0];

/// Arithmetic on vectors.
///
/// # Safety
///
/// Every method needs the instruction set that the type stands for, and is meant to be inlined into
/// a function with that `target_feature`. Pointers must be valid for [`FLOATS`](Self::FLOATS) floats.
pub(super) trait Simd: Copy + 'static {
    /// The floats.
    type V: Copy;
    /// How many: [`LANES`], or a power of two below.
    const FLOATS: usize;
    /// The most outputs that a depthwise kernel holds in registers.
    const DW: usize;

    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(p: *const f32) -> Self::V;
    unsafe fn store(p: *mut f32, v: Self::V);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once where the hardware does so.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c - a * b`, rounded once where the hardware does so.
    unsafe fn fnma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The smaller of a bound and a value; a NaN value stays NaN.
    unsafe fn min(bound: Self::V, v: Self::V) -> Self::V;
    /// The larger of a bound and a value; a NaN value stays NaN.
    unsafe fn max(bound: Self::V, v: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// Added to an exponent of at most ±126 and subtracted again, it rounds to the steps of the
    /// exponent that [`power`](Self::power) knows.
    const MAGIC: f32;
    /// Coefficients, the highest first, of a polynomial for `2^-r`, where `r` is at most half a step.
    const EXP2: &'static [f32];
    /// `2^(z - MAGIC)` for a sum with [`MAGIC`](Self::MAGIC); any value for NaN.
    unsafe fn power(z: Self::V) -> Self::V;
    /// Prefetches the cache line of `p`, which need not be a valid address.
    unsafe fn prefetch(p: *const f32);
}

/// Arithmetic on bfloat16: a vector's 32-bit words are pairs, the lower half first.
///
/// # Safety
///
/// [`Simd`]'s.
pub(super) trait Pairs: Simd {
    /// `c + a.0 * b.0 + a.1 * b.1` in float32; the order and the number of roundings are
    /// unspecified, and denormal numbers may count as zero.
    unsafe fn dot(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Rounds 16 floats, halves to even, and stores them as 8 words.
    unsafe fn store_pairs(p: *mut f32, v: Self::V);
}

/// How a tile multiplies and adds.
///
/// # Safety
///
/// [`Simd`]'s.
pub(super) trait Dot {
    /// The vectors.
    type S: Simd;
    unsafe fn dot(
        a: <Self::S as Simd>::V,
        b: <Self::S as Simd>::V,
        c: <Self::S as Simd>::V,
    ) -> <Self::S as Simd>::V;
}

/// Float by float.
pub(super) struct ByFloat<S>(PhantomData<S>);

impl<S: Simd> Dot for ByFloat<S> {
    type S = S;
    #[inline(always)]
    unsafe fn dot(a: S::V, b: S::V, c: S::V) -> S::V {
        // SAFETY: the caller guarantees S's instruction set.
        unsafe { S::fma(a, b, c) }
    }
}

/// Pair by pair.
pub(super) struct ByPair<S>(PhantomData<S>);

impl<S: Pairs> Dot for ByPair<S> {
    type S = S;
    #[inline(always)]
    unsafe fn dot(a: S::V, b: S::V, c: S::V) -> S::V {
        // SAFETY: the caller guarantees S's instruction set.
        unsafe { <S as Pairs>::dot(a, b, c) }
    }
}
