//! Which input pixels a new pixel reads along one axis, and with what weights.
//!
//! The arithmetic is Pillow's (`src/libImaging/Resample.c`, `precompute_coeffs` and
//! `normalize_coeffs_8bpc`): weights in f64, then whole numbers of 2^-22. The order of every
//! operation matters, because the last bit does. torch's arithmetic for bytes
//! (`aten/src/ATen/native/cpu/UpSampleKernel.cpp`, `_compute_index_ranges_int16_weights`) is the
//! same except for the number of bits: the most with which the axis's largest weight fits 16 bits,
//! sign included.

use std::f64::consts::PI;
use std::ops::Range;

use super::{Interpolation, Pipeline};

/// Pillow's fractional bits of a weight: 32, minus 8 for the pixel and 2 for filters that
/// overshoot.
pub(super) const PRECISION_BITS: u32 = 22;
/// The first weight that does not fit torch's 16 bits.
const TORCH_LIMIT: f64 = 32_768.0;

/// A convolution filter: its support and its value at a distance.
#[derive(Clone, Copy)]
pub(super) struct Filter {
    support: f64,
    value: fn(f64) -> f64,
}

impl Filter {
    /// The filter of an interpolation; `None` if the interpolation is not a convolution.
    pub(super) fn of(interpolation: Interpolation) -> Option<Self> {
        match interpolation {
            Interpolation::Nearest | Interpolation::BilinearNoAntialias => None,
            Interpolation::Bilinear => Some(Self { support: 1.0, value: triangle }),
            Interpolation::Bicubic => Some(Self { support: 2.0, value: cubic }),
            Interpolation::Lanczos => Some(Self { support: 3.0, value: lanczos }),
        }
    }
}

fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

/// Keys' cubic convolution with a = -0.5.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn lanczos(x: f64) -> f64 {
    if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * PI;
    x.sin() / x
}

/// One direction of a resize.
#[derive(Clone, Copy)]
pub(super) struct Axis {
    input: usize,
    scale: f64,
    filter_scale: f64,
    filter: Filter,
    /// How many fractional bits a weight is rounded to; the bits below are zero.
    bits: u32,
}

impl Axis {
    pub(super) fn new(input: usize, output: u64, filter: Filter, pipeline: Pipeline) -> Self {
        let scale = input as f64 / output as f64;
        let bits = PRECISION_BITS;
        let mut axis = Self { input, scale, filter_scale: scale.max(1.0), filter, bits };
        if pipeline == Pipeline::Transformers {
            axis.bits = axis.torch_bits(output);
        }
        axis
    }

    /// torch's fractional bits of a weight.
    fn torch_bits(&self, outputs: u64) -> u32 {
        let mut exact = Vec::new();
        let mut largest = 0f64;
        for output in 0..outputs {
            self.exact(output, &mut exact);
            largest = exact.iter().fold(largest, |largest, weight| largest.max(*weight));
        }
        let fits = |bits: &u32| 0.5 + largest * f64::from(1u32 << (bits + 1)) < TORCH_LIMIT;
        (0..PRECISION_BITS).find(|bits| !fits(bits)).unwrap_or(PRECISION_BITS)
    }

    fn center(&self, output: u64) -> f64 {
        (output as f64 + 0.5) * self.scale
    }

    /// The input pixels that one output pixel is made of; never empty.
    pub(super) fn bounds(&self, output: u64) -> Range<usize> {
        let center = self.center(output);
        let support = self.filter.support * self.filter_scale;
        // `as` truncates towards zero and turns negative numbers into zero, as Pillow does.
        let first = (center - support + 0.5) as usize;
        let last = (center + support + 0.5) as usize;
        let last = last.clamp(1, self.input);
        first.min(last - 1)..last
    }

    /// The input pixels that a range of output pixels is made of.
    pub(super) fn span(&self, outputs: &Range<u64>) -> Range<usize> {
        self.bounds(outputs.start).start..self.bounds(outputs.end - 1).end
    }

    /// Replaces `weights` with those of one output pixel, one for each pixel of
    /// [`bounds`](Self::bounds), in units of 2^-[`PRECISION_BITS`].
    pub(super) fn weights(&self, output: u64, weights: &mut Vec<i32>, exact: &mut Vec<f64>) {
        self.exact(output, exact);
        weights.clear();
        weights.extend(exact.iter().map(|weight| {
            let fixed = weight * f64::from(1u32 << self.bits);
            let rounded = (fixed + if *weight < 0.0 { -0.5 } else { 0.5 }) as i32;
            rounded << (PRECISION_BITS - self.bits)
        }));
    }

    /// Replaces `exact` with one output pixel's weights before rounding.
    fn exact(&self, output: u64, exact: &mut Vec<f64>) {
        let center = self.center(output);
        let inverse = 1.0 / self.filter_scale;
        exact.clear();
        exact.extend(
            self.bounds(output)
                .map(|input| (self.filter.value)((input as f64 - center + 0.5) * inverse)),
        );
        let sum: f64 = exact.iter().fold(0.0, |sum, weight| sum + weight);
        if sum != 0.0 {
            exact.iter_mut().for_each(|weight| *weight /= sum);
        }
    }
}
