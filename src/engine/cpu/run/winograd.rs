//! 3x3 convolutions of stride 1 by Winograd's method, from a padded copy of a few rows.

use super::super::kernels::{FromPoints, OUTPUTS, POINTS, Post, ToPoints};
use super::super::layer::Winograd;
use super::super::matrix::Rows;
use super::super::plan::Step;
use super::super::simd::LANES;
use super::Pass;

/// What a chunk of rows needs to know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    /// Rows of outputs.
    pub(super) rows: usize,
    /// The padded input rows.
    pub(super) from: *const f32,
    /// The first output, and floats of an output pixel.
    pub(super) to: *mut f32,
    pub(super) pixel: usize,
    /// What is added, laid out like the outputs; or null.
    pub(super) residual: *const f32,
    /// Sums of the outputs; or null.
    pub(super) pool: *mut f32,
    pub(super) post: Option<unsafe fn(&Post)>,
    /// Room for the points of the inputs, then of a panel's outputs.
    pub(super) scratch: *mut f32,
}

impl Pass<'_> {
    /// # Safety
    ///
    /// [`Pass::run`]'s; `chunk`'s pointers are to this thread's scratch and this task's outputs.
    pub(super) unsafe fn winograd(&self, layer: &Winograd, step: &Step, chunk: Chunk) {
        let (across, down) = (step.w.output.div_ceil(OUTPUTS), chunk.rows.div_ceil(OUTPUTS));
        let tiles = across * down;
        let pixel = step.pixel.0;
        let row = step.w.padded * pixel;
        let plane = tiles * pixel;
        // SAFETY: the plan gave the scratch room for all points of the planned chunk, and the
        // padded rows cover every window.
        unsafe {
            for y in 0..down {
                (self.kernels.to_points)(&ToPoints {
                    from: chunk.from.add(OUTPUTS * y * row),
                    row,
                    pixel,
                    tiles: across,
                    to: chunk.scratch.add(y * across * pixel),
                    plane,
                });
            }
            let products = chunk.scratch.add(POINTS * plane);
            let k = step.run;
            for &panel in &layer.points.panels {
                let width = panel.vecs * LANES;
                for point in 0..POINTS {
                    let c = products.add(point * tiles * width);
                    let rows = Rows {
                        first: point * k,
                        ..Rows::new(
                            (chunk.scratch.add(point * plane), pixel, tiles),
                            k,
                            (c.wrapping_sub(panel.vec * LANES), width),
                        )
                    };
                    layer.points.multiply(self.kernels, panel, &rows);
                }
                let column = panel.vec * LANES;
                for y in 0..down {
                    (self.kernels.from_points)(&FromPoints {
                        from: products.add(y * across * width),
                        plane: tiles * width,
                        vecs: panel.vecs,
                        bias: layer.bias.as_ptr().add(column),
                        to: chunk.to.add(OUTPUTS * y * step.w.output * chunk.pixel + column),
                        row: step.w.output * chunk.pixel,
                        pixel: chunk.pixel,
                        width: step.w.output,
                        height: (chunk.rows - OUTPUTS * y).min(OUTPUTS),
                    });
                }
                let Some(post) = chunk.post else { continue };
                post(&Post {
                    c: chunk.to.add(column),
                    row: chunk.pixel,
                    vec: LANES,
                    rows: chunk.rows * step.w.output,
                    vecs: panel.vecs,
                    residual: offset(chunk.residual, column),
                    pool: offset(chunk.pool, column).cast_mut(),
                });
            }
        }
    }
}

/// `pointer + floats`, or null.
unsafe fn offset(pointer: *const f32, floats: usize) -> *const f32 {
    // SAFETY: the caller's, where there is anything.
    if pointer.is_null() { pointer } else { unsafe { pointer.add(floats) } }
}
