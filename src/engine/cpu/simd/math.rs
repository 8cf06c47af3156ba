//! Exponential and sigmoid on vectors, and the activations made of them.

use super::Simd;
use crate::arch::Activation;

/// Beyond this `exp` is constant, so that neither it nor its reciprocal leaves the normal floats.
pub(in super::super) const EXP_BOUND: f32 = 87.0;

/// `exp(x)` for `x` clamped to ±[`EXP_BOUND`], within 2e-7 of its value; NaN stays NaN.
///
/// The polynomial is that of Cephes' `expf` on ±ln(2)/2.
///
/// # Safety
///
/// [`Simd`]'s.
#[inline(always)]
pub(in super::super) unsafe fn exp<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller guarantees S's instruction set.
    unsafe {
        let x = S::min(S::splat(EXP_BOUND), S::max(S::splat(-EXP_BOUND), x));
        let magic = S::splat(12_582_912.0);
        let shifted = S::fma(x, S::splat(std::f32::consts::LOG2_E), magic);
        let n = S::sub(shifted, magic);
        let r = S::fma(n, S::splat(-0.693_359_4), x);
        let r = S::fma(n, S::splat(2.121_944_4e-4), r);
        let mut p = S::splat(1.987_569_1e-4);
        for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
            p = S::fma(p, r, S::splat(c));
        }
        let p = S::add(S::fma(p, S::mul(r, r), r), S::splat(1.0));
        S::scale_pow2(p, shifted)
    }
}

/// `1 / (1 + exp(-x))` within 4e-7 of its value down to `x = -87`, below which it stays at
/// `exp(-87)`, 1.6e-38; NaN stays NaN.
///
/// # Safety
///
/// [`Simd`]'s.
#[inline(always)]
pub(in super::super) unsafe fn sigmoid<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller guarantees S's instruction set.
    unsafe {
        let e = exp::<S>(S::sub(S::splat(0.0), x));
        S::recip(S::add(e, S::splat(1.0)))
    }
}

/// An activation that the kernels compute, as a constant that monomorphises them.
pub(in super::super) trait Act {
    /// # Safety
    ///
    /// [`Simd`]'s.
    unsafe fn apply<S: Simd>(x: S::V) -> S::V;
}

macro_rules! act {
    ($(#[$doc:meta])* $name:ident, |$x:ident, $S:ident| $body:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(in super::super) struct $name;
        impl Act for $name {
            #[inline(always)]
            unsafe fn apply<$S: Simd>($x: $S::V) -> $S::V {
                // SAFETY: the caller guarantees S's instruction set.
                #[allow(unused_unsafe)] // The identity has nothing to call.
                unsafe {
                    $body
                }
            }
        }
    };
}

act!(
    /// The value itself.
    Identity, |x, S| x);
act!(
    /// [`Activation::Relu`].
    Relu, |x, S| S::max(S::splat(0.0), x));
act!(
    /// [`Activation::Relu6`].
    Relu6, |x, S| S::min(S::splat(6.0), S::max(S::splat(0.0), x)));
act!(
    /// [`Activation::Sigmoid`].
    Sigmoid, |x, S| sigmoid::<S>(x));
act!(
    /// [`Activation::Silu`].
    Silu, |x, S| S::mul(x, sigmoid::<S>(x)));
act!(
    /// [`Activation::HardSigmoid`].
    HardSigmoid, |x, S| S::mul(Relu6::apply::<S>(S::add(x, S::splat(3.0))), S::splat(1.0 / 6.0)));
act!(
    /// [`Activation::HardSwish`].
    HardSwish, |x, S| S::mul(x, HardSigmoid::apply::<S>(x)));
act!(
/// [`Activation::Mish`]: with `e = exp(x)`, `tanh(ln(1 + e))` is `(e² + 2e) / (e² + 2e + 2)`,
/// which is 1 to the last bit from 20 on.
Mish, |x, S| {
    let e = exp::<S>(S::min(S::splat(20.0), x));
    let n = S::mul(e, S::add(e, S::splat(2.0)));
    S::mul(S::mul(x, n), S::recip(S::add(n, S::splat(2.0))))
});

/// Whether the kernels compute `act`.
pub(in super::super) fn is_supported(act: Activation) -> bool {
    !matches!(act, Activation::Gelu)
}
