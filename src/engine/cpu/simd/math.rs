//! Exponential and sigmoid on vectors, and the activations built from them.

use super::Simd;
#[cfg(doc)]
use crate::arch::Activation;

/// Beyond this power of two `exp2` is constant, so that neither it nor its reciprocal leaves the
/// normal floats.
const BOUND: f32 = 125.0;

/// `2^(x * scale)`, with the exponent clamped to ±125, to a relative error of
/// `(2 + |x * scale|) * 6e-8`, as a product of two factors; for NaN the second is NaN.
///
/// # Safety
///
/// [`Simd`]'s.
#[inline(always)]
unsafe fn exp2<S: Simd>(x: S::V, scale: f32) -> (S::V, S::V) {
    // SAFETY: the caller guarantees S's instruction set.
    unsafe {
        let bound = BOUND / scale.abs();
        let x = S::min(S::splat(bound), S::max(S::splat(-bound), x));
        let (scale, magic) = (S::splat(scale), S::splat(S::MAGIC));
        let z = S::fma(x, scale, magic);
        // By how much the steps are too large.
        let r = S::fnma(x, scale, S::sub(z, magic));
        let mut p = S::splat(S::EXP2[0]);
        for &c in &S::EXP2[1..] {
            p = S::fma(p, r, S::splat(c));
        }
        (S::power(z), p)
    }
}

/// `exp(x)` for `x` clamped to ±86, to a relative error of `(2 + |x|) * 1e-7`; NaN stays NaN.
///
/// # Safety
///
/// [`Simd`]'s.
#[inline(always)]
pub(in super::super) unsafe fn exp<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller guarantees S's instruction set.
    unsafe {
        let (power, p) = exp2::<S>(x, std::f32::consts::LOG2_E);
        S::mul(power, p)
    }
}

/// `1 + exp(-x)`, to a relative error of `(5 + |x|) * 1e-7`, for `x` from -86.6 up, below which it
/// stays at 4.3e37; NaN stays NaN. The sigmoid is its reciprocal.
///
/// # Safety
///
/// [`Simd`]'s.
#[inline(always)]
unsafe fn one_and_exp_neg<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller guarantees S's instruction set.
    unsafe {
        let (power, p) = exp2::<S>(x, -std::f32::consts::LOG2_E);
        S::fma(power, p, S::splat(1.0))
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
                #[allow(unused_unsafe)] // The identity has nothing to call.
                // SAFETY: the caller guarantees S's instruction set.
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
    Sigmoid, |x, S| S::div(S::splat(1.0), one_and_exp_neg::<S>(x)));
act!(
    /// [`Activation::Silu`].
    Silu, |x, S| S::div(x, one_and_exp_neg::<S>(x)));
act!(
    /// [`Activation::HardSigmoid`].
    HardSigmoid, |x, S| S::mul(Relu6::apply::<S>(S::add(x, S::splat(3.0))), S::splat(1.0 / 6.0)));
act!(
    /// [`Activation::HardSwish`].
    HardSwish, |x, S| S::mul(x, HardSigmoid::apply::<S>(x)));
act!(
/// [`Activation::Mish`]: with `e = exp(x)`, `tanh(ln(1 + e))` is `(e² + 2e) / (e² + 2e + 2)`, which
/// is 1 to the last bit from 20 up.
Mish, |x, S| {
    let e = exp::<S>(S::min(S::splat(20.0), x));
    let n = S::mul(e, S::add(e, S::splat(2.0)));
    S::div(S::mul(x, n), S::add(n, S::splat(2.0)))
});

act!(
/// [`Activation::Gelu`], the exact one, within `2e-7 * (1 + |x|)`: `max(x, 0)` minus `|x| / 2`
/// times `erfc(|x| / sqrt(2))`, which is formula 7.1.26 of Abramowitz and Stegun, and zero from 20
/// up.
Gelu, |x, S| {
    let size = S::min(S::splat(20.0), S::max(S::sub(S::splat(0.0), x), x));
    let z = S::mul(size, S::splat(std::f32::consts::FRAC_1_SQRT_2));
    let t = S::div(S::splat(1.0), S::fma(z, S::splat(ERFC_P), S::splat(1.0)));
    let mut p = S::splat(ERFC[0]);
    for &c in &ERFC[1..] {
        p = S::fma(p, t, S::splat(c));
    }
    let (power, e) = exp2::<S>(S::mul(z, z), -std::f32::consts::LOG2_E);
    let erfc = S::mul(S::mul(p, t), S::mul(power, e));
    S::fma(S::mul(size, S::splat(-0.5)), erfc, S::max(S::splat(0.0), x))
});

/// `erfc(z)` is `exp(-z²)` times a polynomial of `t = 1 / (1 + ERFC_P z)` without a constant term,
/// within 1.5e-7.
const ERFC_P: f32 = 0.3275911;
const ERFC: [f32; 5] = [1.0614054, -1.453152, 1.4214138, -0.28449674, 0.2548296];
