//! Dense convolutions, as matrix products whose rows are windows of a padded copy of a few rows.

use std::ptr::{null, null_mut};

use super::super::kernels::{Epilogue, OUTPUTS};
use super::super::layer::{ConvWeights, Convolution, Slot};
use super::super::matrix::Rows;
use super::super::memory::padded;
use super::super::plan::{Step, Windows};
use super::super::side::Side;
use super::super::simd::LANES;
use super::winograd::Chunk;
use super::{Pass, Task};

impl Pass<'_> {
    /// # Safety
    ///
    /// [`Pass::run`]'s; `scratch` is this thread's.
    pub(super) unsafe fn convolution(
        &self,
        layer: &Convolution,
        (step, windows): (&Step, &Windows),
        task: Task,
        scratch: *mut f32,
    ) {
        let stride = layer.conv.stride;
        let first = task.chunk * step.rows;
        let rows = step.rows.min(step.h.output - first);
        // The layout is that of the planned chunk, which the last one may not fill.
        let winograd = matches!(layer.kernel, ConvWeights::Winograd(_));
        let rows_of = |rows: usize| match winograd {
            true => rows.next_multiple_of(OUTPUTS) + 2,
            false => (rows - 1) * stride + layer.conv.kernel_size,
        };
        let rows_in = rows_of(step.rows);
        let pixel = step.pixel.0;
        let planes = if layer.src == Slot::Images { layer.conv.in_chs } else { 1 };
        let plane = rows_in * step.w.padded * pixel;
        // SAFETY: the plan gave the scratch room for the padded rows of all planes and the outputs
        // of a projected chunk, and the regions room for whole maps.
        unsafe {
            for p in 0..planes {
                for r in 0..rows_of(rows) {
                    let to = scratch.add(p * plane + r * step.w.padded * pixel);
                    let y = (first * stride + r).checked_sub(step.h.before);
                    let y = y.filter(|&y| y < step.h.input);
                    if layer.src == Slot::Images {
                        self.input.row((task.image, p, planes), (step.h, step.w), y, to);
                    } else {
                        let row = |y| self.src(step, task.image).add(y * step.w.input * pixel);
                        pad_row(step.w, pixel, to, y.map(row));
                    }
                }
            }
            let n = step.pixel.1;
            let row_of = |y: usize| (first + y) * step.w.output * n;
            let residual = self.residual(step, task.image, layer.residual);
            let fused = layer.project.is_some();
            let mid = scratch.add(padded(planes * plane));
            let mid_row = padded(layer.conv.out_chs);
            let outputs = if fused { step.rows * step.w.output * mid_row } else { 0 };
            // The sums, then the points of Winograd's method.
            let (pool, rest) = match &layer.reduce {
                Some(_) => (mid.add(outputs), mid.add(outputs + n)),
                None => (null_mut(), mid.add(outputs)),
            };
            if layer.reduce.is_some() {
                pool.write_bytes(0, n);
            }
            let (to, pixel_out) =
                if fused { (mid, mid_row) } else { (self.dst(step, task.image).add(row_of(0)), n) };
            let out = Epilogue {
                act: layer.act,
                residual: if layer.residual && !fused { residual.add(row_of(0)) } else { null() },
                pool,
                ..Epilogue::new(to, pixel_out)
            };
            match &layer.kernel {
                ConvWeights::Winograd(kernel) => {
                    let chunk = Chunk { rows, from: scratch, chs: windows.run, out, scratch: rest };
                    self.winograd(kernel, step, chunk);
                }
                ConvWeights::Direct(groups) => {
                    let columns = layer.conv.out_chs / groups.len();
                    let pixels = planes * rows_in * step.w.padded;
                    let (a, pixel) = self.operand(&groups[0], (scratch, pixel, pixels), None, rest);
                    for (g, matrix) in groups.iter().enumerate() {
                        for &panel in &matrix.panels {
                            for y in 0..rows {
                                let row = stride * y * step.w.padded * pixel;
                                // A group's first column is column 0 of its matrix.
                                let out = out.at(y * step.w.output, g * columns / LANES);
                                let rows = Rows {
                                    segments: &windows.segments,
                                    before: y * step.w.output,
                                    ..Rows::new(
                                        (
                                            a.add(row + g * windows.run),
                                            stride * pixel,
                                            step.w.output,
                                        ),
                                        windows.run,
                                        out,
                                    )
                                };
                                matrix.multiply(self.kernels, panel, &rows);
                            }
                        }
                    }
                }
            }
            if let Some(reduce) = &layer.reduce {
                self.squeeze(reduce, step, task, (0, std::slice::from_raw_parts(pool, n)));
            }
            let Some(project) = &layer.project else { return };
            let pixels = rows * step.w.output;
            let (a, a_row) = self.operand(project, (mid, mid_row, pixels), None, rest);
            let out = Epilogue {
                residual: if layer.residual { residual.add(row_of(0)) } else { residual },
                ..Epilogue::new(self.dst(step, task.image).add(row_of(0)), n)
            };
            let rows = Rows::new((a, a_row, pixels), project.k, out);
            for &panel in &project.panels {
                project.multiply(self.kernels, panel, &rows);
            }
        }
    }
}

/// Copies a row of pixels, of `pixel` floats each, between its padding zeros; without a row, writes
/// only zeros.
///
/// # Safety
///
/// `to` has room for the padded row, which nobody else touches; `from` holds the input's.
pub(super) unsafe fn pad_row(w: Side, pixel: usize, to: *mut f32, from: Option<*const f32>) {
    // SAFETY: the caller's contract.
    unsafe {
        let Some(from) = from else {
            to.write_bytes(0, w.padded * pixel);
            return;
        };
        let after = w.padded - w.before - w.input;
        to.write_bytes(0, w.before * pixel);
        let inside = to.add(w.before * pixel);
        inside.copy_from_nonoverlapping(from, w.input * pixel);
        inside.add(w.input * pixel).write_bytes(0, after * pixel);
    }
}
