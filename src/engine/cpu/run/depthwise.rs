//! Depthwise convolutions, after an expansion or not, row by row through a ring of padded rows.

use std::ops::Range;
use std::ptr::{null, null_mut};

use super::super::kernels::{DepthwiseRow, Epilogue, MAX_SIDE};
use super::super::layer::{Depthwise, Source, Stem};
use super::super::matrix::{Matrix, Rows};
use super::super::plan::{Kind, Step, Windows};
use super::super::side::Side;
use super::super::simd::LANES;
use super::{Pass, Task};

impl Pass<'_> {
    /// # Safety
    ///
    /// [`Pass::run`]'s; `scratch` is this thread's.
    pub(super) unsafe fn depthwise(
        &self,
        layer: &Depthwise,
        step: &Step,
        task: Task,
        scratch: *mut f32,
    ) {
        let (side, stride) = (layer.conv.kernel_size, layer.conv.stride);
        let (vec, vecs) = layer.block(task.block);
        let first = task.chunk * step.rows;
        let last = (first + step.rows).min(step.h.output);
        // Each vector of channels has its own row of pixels, 16 floats apart.
        let plane = step.w.padded * LANES;
        let ring_row = vecs * plane;
        // SAFETY: the plan gave the scratch room for the ring and a row of zeros, and the regions
        // room for whole maps; the ring's slots hold the last `side` rows.
        unsafe {
            // Pixels are written before they are read; the rest is padding.
            let inside = step.w.before * LANES;
            let pixels = step.w.input * LANES;
            scratch.write_bytes(0, inside);
            for row in 0..side * vecs {
                scratch.add(row * plane + inside + pixels).write_bytes(0, plane - pixels);
            }
            let zeros = scratch.add(side * ring_row);
            zeros.write_bytes(0, ring_row);
            let weights = match layer.mixed {
                Some(at) => self.mixed(task.image, at),
                None => layer.weights.as_ptr(),
            };
            let sums = scratch.add((side + 1) * ring_row);
            sums.write_bytes(0, vecs * LANES);
            let out = Epilogue {
                act: layer.act,
                // The first sum belongs to `vec`.
                pool: match layer.reduce {
                    Some(_) => sums.wrapping_sub(vec * LANES),
                    None => null_mut(),
                },
                ..Epilogue::new(self.dst(step, task.image), step.pixel.1)
            };
            let end =
                |y: usize| (y * stride + side).saturating_sub(step.h.before).min(step.h.input);
            let inputs = (first * stride).saturating_sub(step.h.before)..end(last - 1);
            let mut ready = inputs.start;
            for y in first..last {
                while ready < end(y) {
                    let row = scratch.add(ready % side * ring_row + inside);
                    let rest = sums.add(vecs * LANES);
                    self.input_row(layer, step, task, (ready, &inputs), (row, rest));
                    ready += 1;
                }
                let mut rows = [zeros.cast_const(); MAX_SIDE];
                for (ky, row) in rows.iter_mut().enumerate().take(side) {
                    let y = (y * stride + ky).checked_sub(step.h.before);
                    if let Some(y) = y.filter(|&y| y < step.h.input) {
                        *row = scratch.add(y % side * ring_row);
                    }
                }
                let mut v = 0;
                for same in layer.kernels[vec..vec + vecs].chunk_by(|a, b| a.side == b.side) {
                    let own = same[0];
                    // A smaller kernel lies in the middle of the largest.
                    let inset = (side - own.side) / 2;
                    let mut own_rows = [null(); MAX_SIDE];
                    for (own, row) in own_rows.iter_mut().zip(&rows[inset..inset + own.side]) {
                        *own = row.add(v * plane + inset * LANES);
                    }
                    (own.row)(&DepthwiseRow {
                        rows: &own_rows[..own.side],
                        plane,
                        vecs: same.len(),
                        weights: weights.add(own.at),
                        bias: layer.bias.as_ptr().add((vec + v) * LANES),
                        width: step.w.output,
                        out: out.at(y * step.w.output, vec + v),
                    });
                    v += same.len();
                }
            }
            if let Some(reduce) = &layer.reduce {
                let sums = std::slice::from_raw_parts(sums, vecs * LANES);
                self.squeeze(reduce, step, task, (vec * LANES, sums));
            }
        }
    }

    /// Row `y` of `inputs`, which the task requests in order: copied, expanded, or computed by the
    /// stem.
    unsafe fn input_row(
        &self,
        layer: &Depthwise,
        step: &Step,
        task: Task,
        (y, inputs): (usize, &Range<usize>),
        (to, scratch): (*mut f32, *mut f32),
    ) {
        let plane = step.w.padded * LANES;
        let (vec, vecs) = layer.block(task.block);
        let width = step.w.input;
        // Column 0 of a matrix lies `vec` vectors before this block's first column.
        let planes = |to: *mut f32, plane, act| {
            let out = Epilogue::new(to.wrapping_sub(vec * plane), LANES);
            Epilogue { act, vec: plane, ..out }
        };
        // SAFETY: the input's region holds the whole map, the scratch has room for what is expanded at
        // once and its inputs, and `to` for its planes.
        unsafe {
            match (&layer.source, &step.kind) {
                (Source::Map, _) => {
                    let pixel = step.pixel.0;
                    let from = self.src(step, task.image).add(y * width * pixel);
                    for v in 0..vecs {
                        for x in 0..width {
                            let from = from.add(x * pixel + (vec + v) * LANES);
                            to.add(v * plane + x * LANES).copy_from_nonoverlapping(from, LANES);
                        }
                    }
                }
                (Source::Expand(matrix, mixed), Kind::Expanded { at_once: 1 }) => {
                    let rows = (y..y + 1, inputs.start);
                    let out = planes(to, plane, layer.act);
                    self.expand((matrix, *mixed), step, task, rows, (out, scratch));
                }
                (Source::Expand(matrix, mixed), &Kind::Expanded { at_once }) => {
                    // Several rows at once, then each copied to its place between padding.
                    let staged = at_once * width * LANES;
                    let row = (y - inputs.start) % at_once;
                    if row == 0 {
                        let rows = (y..inputs.end.min(y + at_once), inputs.start);
                        let out = planes(scratch, staged, layer.act);
                        let rest = scratch.add(vecs * staged);
                        self.expand((matrix, *mixed), step, task, rows, (out, rest));
                    }
                    for v in 0..vecs {
                        let from = scratch.add(v * staged + row * width * LANES);
                        to.add(v * plane).copy_from_nonoverlapping(from, width * LANES);
                    }
                }
                (Source::Stem(stem), Kind::Stem { sides, windows }) => {
                    let before = (y - inputs.start) * width;
                    let out = planes(to, plane, stem.act);
                    self.stem_row(stem, (*sides, windows), task, (y, before), (out, scratch));
                }
                (source, kind) => unreachable!("rows of {source:?} with {kind:?}"),
            }
        }
    }

    /// Expands `rows` with the matrix, or with the image's own weights; the task began with row
    /// `first`.
    unsafe fn expand(
        &self,
        (matrix, mixed): (&Matrix, Option<usize>),
        step: &Step,
        task: Task,
        (rows, first): (Range<usize>, usize),
        (out, scratch): (Epilogue, *mut f32),
    ) {
        let (width, pixel) = (step.w.input, step.pixel.0);
        let before = (rows.start - first) * width;
        // SAFETY: as in `input_row`.
        unsafe {
            let from = self.src(step, task.image).add(rows.start * width * pixel);
            let count = rows.len() * width;
            let (a, a_row) = self.operand(matrix, (from, pixel, count), None, scratch);
            let rows = Rows { before, ..Rows::new((a, a_row, count), matrix.k, out) };
            let panel = matrix.panels[task.block];
            match mixed {
                Some(at) => {
                    let weights = self.mixed(task.image, at);
                    matrix.multiply_by(weights, self.kernels, panel, &rows);
                }
                None => matrix.multiply(self.kernels, panel, &rows),
            }
        }
    }

    /// Like [`input_row`](Self::input_row): the padded image rows under it, multiplied by the
    /// stem's weights.
    unsafe fn stem_row(
        &self,
        stem: &Stem,
        ((h, w), windows): ((Side, Side), &Windows),
        task: Task,
        (y, before): (usize, usize),
        (out, scratch): (Epilogue, *mut f32),
    ) {
        let (side, stride) = (stem.conv.kernel_size, stem.conv.stride);
        // SAFETY: the images' planes have `h` by `w` pixels; the scratch has room for a window's padded
        // rows of every plane, `out` for a row of outputs.
        unsafe {
            for c in 0..stem.conv.in_chs {
                for ky in 0..side {
                    let y = (y * stride + ky).checked_sub(h.before).filter(|&y| y < h.input);
                    let to = scratch.add((c * side + ky) * w.padded);
                    self.input.row((task.image, c, stem.conv.in_chs), (h, w), y, to);
                }
            }
            let rows = (scratch.cast_const(), stride, w.output);
            let rows =
                Rows { segments: &windows.segments, before, ..Rows::new(rows, windows.run, out) };
            stem.matrix.multiply(self.kernels, stem.matrix.panels[task.block], &rows);
        }
    }
}
