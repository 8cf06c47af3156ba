//! Vectors of 16 floats, one implementation an instruction set.
//!
//! Every kernel is written once over [`Simd`]; channels are padded to multiples of [`LANES`], so no
//! kernel has a tail.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx512;
pub(super) mod math;
#[cfg(target_arch = "aarch64")]
pub(super) mod neon;
pub(super) mod portable;

/// Floats of a vector, and the multiple that channel counts are padded to.
pub(crate) const LANES: usize = 16;

/// Arithmetic on vectors of [`LANES`] floats.
///
/// # Safety
///
/// Every method needs the instruction set that the type stands for, and is meant to be inlined into
/// a function with that `target_feature`. Pointers must be valid for [`LANES`] floats.
pub(super) trait Simd: Copy + 'static {
    /// 16 floats.
    type V: Copy;
    /// Outputs that a depthwise kernel holds in registers.
    const DW: usize;

    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(p: *const f32) -> Self::V;
    unsafe fn store(p: *mut f32, v: Self::V);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once where the hardware does so.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The smaller of a bound and a value; a NaN value stays NaN.
    unsafe fn min(bound: Self::V, v: Self::V) -> Self::V;
    /// The larger of a bound and a value; a NaN value stays NaN.
    unsafe fn max(bound: Self::V, v: Self::V) -> Self::V;
    /// `1 / v` within 2 units in the last place, for normal `v` below 2^126.
    unsafe fn recip(v: Self::V) -> Self::V;
    /// The nearest whole number, halves to even, for `v` within ±2^22.
    unsafe fn round(v: Self::V) -> Self::V;
    /// `v * 2^n` for whole `n` in -126..=127.
    unsafe fn scale_pow2(v: Self::V, n: Self::V) -> Self::V;
}
