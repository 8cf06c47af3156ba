//! The transforms of Winograd's F(4x4, 3x3): a 3x3 convolution of stride 1 takes 36 products
//! instead of 144 for every 4x4 outputs (<https://arxiv.org/abs/1509.09308>).

use super::super::simd::math::{self, Act};
use super::super::simd::{LANES, Simd};
use super::epilogue::{Epilogue, by_act};
use crate::arch::Activation;

/// Outputs of a window along a side.
pub(in super::super) const OUTPUTS: usize = 4;
/// Inputs of a window along a side.
const INPUTS: usize = 6;
/// Values of a transformed window.
pub(in super::super) const POINTS: usize = INPUTS * INPUTS;

/// 6x6 windows, 4 pixels apart, to [`POINTS`] planes.
#[derive(Debug)]
pub(in super::super) struct InputTransform {
    /// The first window's first pixel.
    pub(in super::super) from: *const f32,
    /// Floats from a row of pixels to the next.
    pub(in super::super) row: usize,
    /// Floats of a pixel, in the input and the output: whole vectors.
    pub(in super::super) pixel: usize,
    /// Windows.
    pub(in super::super) tiles: usize,
    /// The first window's first point; those of the next window follow.
    pub(in super::super) to: *mut f32,
    /// Floats from a point's plane to the next.
    pub(in super::super) plane: usize,
}

/// A window's transform along one side.
#[inline(always)]
unsafe fn inputs<S: Simd>(d: [S::V; INPUTS]) -> [S::V; INPUTS] {
    // SAFETY: the caller guarantees S's instruction set.
    unsafe {
        let (two, four, five) = (S::splat(2.0), S::splat(4.0), S::splat(5.0));
        let even = S::fnma(four, d[2], d[4]);
        let odd = S::fnma(four, d[1], d[3]);
        let (sum, difference) = (S::sub(d[4], d[2]), S::sub(d[3], d[1]));
        [
            S::fma(four, d[0], S::fnma(five, d[2], d[4])),
            S::add(even, odd),
            S::sub(even, odd),
            S::fma(two, difference, sum),
            S::fnma(two, difference, sum),
            S::fma(four, d[1], S::fnma(five, d[3], d[5])),
        ]
    }
}

/// # Safety
///
/// [`Simd`]'s; the windows and planes stay within live memory, and nobody else touches the planes.
#[allow(clippy::needless_range_loop, reason = "`y` is a row across columns")]
#[inline(always)]
pub(super) unsafe fn input_transform<S: Simd>(t: &InputTransform) {
    // SAFETY: the caller's contract covers every address formed here.
    unsafe {
        for tile in 0..t.tiles {
            for c in (0..t.pixel).step_by(S::FLOATS) {
                let from = t.from.add(OUTPUTS * tile * t.pixel + c);
                let mut columns = [[S::splat(0.0); INPUTS]; INPUTS];
                for (x, column) in columns.iter_mut().enumerate() {
                    let from = from.add(x * t.pixel);
                    let at = |y: usize| S::load(from.add(y * t.row));
                    *column = inputs::<S>([at(0), at(1), at(2), at(3), at(4), at(5)]);
                }
                let to = t.to.add(tile * t.pixel + c);
                for y in 0..INPUTS {
                    let row = inputs::<S>(std::array::from_fn(|x| columns[x][y]));
                    for (x, value) in row.into_iter().enumerate() {
                        S::store(to.add((INPUTS * y + x) * t.plane), value);
                    }
                }
            }
        }
    }
}

/// [`POINTS`] planes of products to 4x4 outputs, with their bias.
#[derive(Debug)]
pub(in super::super) struct OutputTransform {
    /// The first window's first point; those of the next window follow.
    pub(in super::super) from: *const f32,
    /// Floats from a point's plane to the next.
    pub(in super::super) plane: usize,
    /// Vectors of a window's point.
    pub(in super::super) vecs: usize,
    /// One value per column.
    pub(in super::super) bias: *const f32,
    /// Outputs in a row of the map; the last window may reach beyond.
    pub(in super::super) width: usize,
    /// Rows of the map to write, 1 to 4.
    pub(in super::super) height: usize,
    /// Where the outputs go: one row per output, in the order of the map's rows.
    pub(in super::super) out: Epilogue,
}

/// The transform of a window's products along one side.
#[inline(always)]
unsafe fn outputs<S: Simd>(m: [S::V; INPUTS]) -> [S::V; OUTPUTS] {
    // SAFETY: the caller guarantees S's instruction set.
    unsafe {
        let (sum, difference) = (S::add(m[1], m[2]), S::sub(m[1], m[2]));
        let (sum2, difference2) = (S::add(m[3], m[4]), S::sub(m[3], m[4]));
        [
            S::add(m[0], S::add(sum, sum2)),
            S::fma(S::splat(2.0), difference2, difference),
            S::fma(S::splat(4.0), sum2, sum),
            S::add(m[5], S::fma(S::splat(8.0), difference2, difference)),
        ]
    }
}

/// # Safety
///
/// [`Simd`]'s; planes and outputs stay within live memory, and nobody else touches the outputs.
#[inline(always)]
pub(super) unsafe fn output_transform<S: Simd>(t: &OutputTransform) {
    // SAFETY: the caller's contract.
    unsafe { by_act!(t.out.act, A => windows::<S, A>(t)) }
}

#[allow(clippy::needless_range_loop, reason = "`y` is a row across columns")]
#[inline(always)]
unsafe fn windows<S: Simd, A: Act>(t: &OutputTransform) {
    // SAFETY: the caller's contract covers every address formed here.
    unsafe {
        for tile in 0..t.width.div_ceil(OUTPUTS) {
            for c in (0..t.vecs * LANES).step_by(S::FLOATS) {
                let from = t.from.add(tile * t.vecs * LANES + c);
                let mut columns = [[S::splat(0.0); OUTPUTS]; INPUTS];
                for (x, column) in columns.iter_mut().enumerate() {
                    let from = from.add(x * t.plane);
                    let at = |y: usize| S::load(from.add(INPUTS * y * t.plane));
                    *column = outputs::<S>([at(0), at(1), at(2), at(3), at(4), at(5)]);
                }
                let bias = S::load(t.bias.add(c));
                let width = (t.width - OUTPUTS * tile).min(OUTPUTS);
                let mut sum = S::splat(0.0);
                for y in 0..t.height {
                    let row = outputs::<S>(std::array::from_fn(|x| columns[x][y]));
                    for (x, value) in row.into_iter().enumerate().take(width) {
                        let out = t.out.at_column(y * t.width + OUTPUTS * tile + x, c);
                        let mut value = A::apply::<S>(S::add(value, bias));
                        if !out.residual.is_null() {
                            value = S::add(value, S::load(out.residual));
                        }
                        S::store(out.c, value);
                        sum = S::add(sum, value);
                    }
                }
                let pool = t.out.at_column(0, c).pool;
                if !pool.is_null() {
                    S::store(pool, S::add(S::load(pool), sum));
                }
            }
        }
    }
}

/// A 3x3 kernel at the [`POINTS`] points.
pub(in super::super) fn kernel_at_points(g: [f64; 9]) -> [f64; POINTS] {
    let transform = |[a, b, c]: [f64; 3]| {
        [
            a / 4.0,
            -(a + b + c) / 6.0,
            -(a - b + c) / 6.0,
            (a + 2.0 * b + 4.0 * c) / 24.0,
            (a - 2.0 * b + 4.0 * c) / 24.0,
            c,
        ]
    };
    let columns: [[f64; INPUTS]; 3] =
        std::array::from_fn(|x| transform([g[x], g[3 + x], g[6 + x]]));
    let mut points = [0.0; POINTS];
    for (y, row) in points.chunks_exact_mut(INPUTS).enumerate() {
        row.copy_from_slice(&transform([columns[0][y], columns[1][y], columns[2][y]]));
    }
    points
}
