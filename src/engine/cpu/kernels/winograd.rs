//! The transforms of Winograd's F(2x2, 3x3): a 3x3 convolution of stride 1 becomes, for every 2x2
//! outputs, 16 products instead of 36 (<https://arxiv.org/abs/1509.09308>).

use super::super::simd::{LANES, Simd};

/// Values of a transformed tile.
pub(in super::super) const POINTS: usize = 16;

/// 4x4 windows, 2 pixels apart, to [`POINTS`] planes.
#[derive(Debug)]
pub(in super::super) struct ToPoints {
    /// The first window's first pixel.
    pub(in super::super) from: *const f32,
    /// Floats from a row of pixels to the next.
    pub(in super::super) row: usize,
    /// Floats of a pixel, of both sides: whole vectors.
    pub(in super::super) pixel: usize,
    /// Windows.
    pub(in super::super) tiles: usize,
    /// The first window's first point; those of the next window follow.
    pub(in super::super) to: *mut f32,
    /// Floats from a point's plane to the next.
    pub(in super::super) plane: usize,
}

/// # Safety
///
/// [`Simd`]'s; the windows and planes stay within live memory, and nobody else touches the planes.
#[inline(always)]
pub(super) unsafe fn to_points<S: Simd>(t: &ToPoints) {
    // SAFETY: the caller's contract covers every address formed here.
    unsafe {
        for tile in 0..t.tiles {
            for c in (0..t.pixel).step_by(LANES) {
                let from = t.from.add(2 * tile * t.pixel + c);
                let at = |y: usize, x: usize| S::load(from.add(y * t.row + x * t.pixel));
                let transform = |[d0, d1, d2, d3]: [S::V; 4]| {
                    [S::sub(d0, d2), S::add(d1, d2), S::sub(d2, d1), S::sub(d1, d3)]
                };
                let column = |x| transform([at(0, x), at(1, x), at(2, x), at(3, x)]);
                let columns = [column(0), column(1), column(2), column(3)];
                let to = t.to.add(tile * t.pixel + c);
                for y in 0..4 {
                    let row = transform(columns.map(|column| column[y]));
                    for (x, value) in row.into_iter().enumerate() {
                        S::store(to.add((4 * y + x) * t.plane), value);
                    }
                }
            }
        }
    }
}

/// [`POINTS`] planes of products to 2x2 outputs, with their bias.
#[derive(Debug)]
pub(in super::super) struct FromPoints {
    /// The first tile's first point; those of the next tile follow.
    pub(in super::super) from: *const f32,
    /// Floats from a point's plane to the next.
    pub(in super::super) plane: usize,
    /// Vectors of a tile's point.
    pub(in super::super) vecs: usize,
    /// One value a column.
    pub(in super::super) bias: *const f32,
    /// The first output.
    pub(in super::super) to: *mut f32,
    /// Floats from an output row to the next.
    pub(in super::super) row: usize,
    /// Floats from an output pixel to the next.
    pub(in super::super) pixel: usize,
    /// Outputs in a row; the last tile may reach one beyond.
    pub(in super::super) width: usize,
    /// Rows to write, 1 or 2.
    pub(in super::super) height: usize,
}

/// # Safety
///
/// [`Simd`]'s; planes and outputs stay within live memory, and nobody else touches the outputs.
#[inline(always)]
pub(super) unsafe fn from_points<S: Simd>(t: &FromPoints) {
    // SAFETY: the caller's contract covers every address formed here.
    unsafe {
        for tile in 0..t.width.div_ceil(2) {
            for v in 0..t.vecs {
                let from = t.from.add((tile * t.vecs + v) * LANES);
                let at = |y: usize, x: usize| S::load(from.add((4 * y + x) * t.plane));
                let transform = |[m0, m1, m2, m3]: [S::V; 4]| {
                    [S::add(S::add(m0, m1), m2), S::sub(S::sub(m1, m2), m3)]
                };
                let column = |x| transform([at(0, x), at(1, x), at(2, x), at(3, x)]);
                let columns = [column(0), column(1), column(2), column(3)];
                let bias = S::load(t.bias.add(v * LANES));
                let to = t.to.add(2 * tile * t.pixel + v * LANES);
                for y in 0..t.height {
                    let [first, second] = transform(columns.map(|column| column[y]));
                    let to = to.add(y * t.row);
                    S::store(to, S::add(first, bias));
                    if 2 * tile + 1 < t.width {
                        S::store(to.add(t.pixel), S::add(second, bias));
                    }
                }
            }
        }
    }
}

/// A 3x3 kernel at the [`POINTS`] points.
pub(in super::super) fn kernel_at_points(g: [f64; 9]) -> [f64; POINTS] {
    let transform = |[a, b, c]: [f64; 3]| [a, (a + b + c) / 2.0, (a - b + c) / 2.0, c];
    let columns: [[f64; 4]; 3] = std::array::from_fn(|x| transform([g[x], g[3 + x], g[6 + x]]));
    let mut points = [0.0; POINTS];
    for (y, row) in points.chunks_exact_mut(4).enumerate() {
        row.copy_from_slice(&transform([columns[0][y], columns[1][y], columns[2][y]]));
    }
    points
}
