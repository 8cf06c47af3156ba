//! 3x3 convolutions of stride 1 by Winograd's method, from a padded copy of a few rows.

use super::super::kernels::{Epilogue, InputTransform, OUTPUTS, OutputTransform, POINTS};
use super::super::layer::Winograd;
use super::super::matrix::Rows;
use super::super::plan::Step;
use super::super::simd::LANES;
use super::Pass;

/// What the computation of a chunk of rows needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    /// Rows of outputs.
    pub(super) rows: usize,
    /// The padded input rows.
    pub(super) from: *const f32,
    /// Channels of the input.
    pub(super) chs: usize,
    /// Where the outputs go: one row per output, in the order of the map's rows.
    pub(super) out: Epilogue,
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
        let plane = Winograd::stride(tiles * pixel);
        // SAFETY: the plan gave the scratch room for all points of the planned chunk, and the
        // padded rows cover every window.
        unsafe {
            for y in 0..down {
                (self.kernels.input_transform)(&InputTransform {
                    from: chunk.from.add(OUTPUTS * y * row),
                    row,
                    pixel,
                    tiles: across,
                    to: chunk.scratch.add(y * across * pixel),
                    plane,
                });
            }
            let products = chunk.scratch.add(POINTS * plane);
            let k = chunk.chs;
            for &panel in &layer.points.panels {
                let width = panel.vecs * LANES;
                let product = Winograd::stride(tiles * width);
                for point in 0..POINTS {
                    let c = products.add(point * product);
                    let rows = Rows {
                        first: point * k,
                        ..Rows::new(
                            (chunk.scratch.add(point * plane), pixel, tiles),
                            k,
                            Epilogue::new(c.wrapping_sub(panel.vec * LANES), width),
                        )
                    };
                    layer.points.multiply(self.kernels, panel, &rows);
                }
                for y in 0..down {
                    (self.kernels.output_transform)(&OutputTransform {
                        from: products.add(y * across * width),
                        plane: product,
                        vecs: panel.vecs,
                        bias: layer.bias.as_ptr().add(panel.vec * LANES),
                        width: step.w.output,
                        height: (chunk.rows - OUTPUTS * y).min(OUTPUTS),
                        out: chunk.out.at(OUTPUTS * y * step.w.output, panel.vec),
                    });
                }
            }
        }
    }
}
