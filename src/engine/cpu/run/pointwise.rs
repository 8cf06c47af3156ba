//! Pointwise convolutions, squeeze-excitation, and heads after a pooled map.

use std::ptr::null_mut;

use super::super::kernels::{ApplyEpilogue, Epilogue, Mean};
use super::super::layer::{Dense, Pointwise, SqueezeExcite};
use super::super::matrix::{Matrix, Panel, Rows};
use super::super::plan::{Region, Step};
use super::super::simd::LANES;
use super::{Pass, Task};
use crate::arch::Activation;

impl Pass<'_> {
    /// # Safety
    ///
    /// [`Pass::run`]'s; `scratch` is this thread's.
    pub(super) unsafe fn pointwise(
        &self,
        layer: &Pointwise,
        (step, gates_weights): (&Step, bool),
        task: Task,
        scratch: *mut f32,
    ) {
        let pixels = step.h.output * step.w.output;
        let first = task.chunk * step.rows;
        let count = step.rows.min(pixels - first);
        let (k, n) = step.pixel;
        // SAFETY: the plan gave the scratch room for a chunk of gated inputs, and the regions room
        // for whole maps.
        unsafe {
            let from = self.src(step, task.image).add(first * k);
            let gate = match layer.gate {
                true => Some(self.region(Region::Gate).add(task.image * k).cast_const()),
                false => None,
            };
            let gated = gate.filter(|_| !gates_weights);
            let (a, a_row) = self.operand(&layer.matrix, (from, k, count), gated, scratch);
            let residual = self.residual(step, task.image, layer.residual);
            let means = self.region(Region::Means).add(task.image * n);
            let out = Epilogue {
                act: layer.act,
                residual: if layer.residual { residual.add(first * n) } else { residual },
                pool: if layer.mean { means } else { null_mut() },
                ..Epilogue::new(self.dst(step, task.image).add(first * n), n)
            };
            let rows = Rows::new((a, a_row, count), layer.matrix.k, out);
            for &panel in share(&layer.matrix, step.blocks, task.block) {
                let columns = panel.vec * LANES..(panel.vec + panel.vecs) * LANES;
                if layer.mean {
                    means.add(columns.start).write_bytes(0, columns.len());
                }
                match (layer.mixed, gate) {
                    (Some(at), _) => {
                        let weights = self.mixed(task.image, at);
                        layer.matrix.multiply_by(weights, self.kernels, panel, &rows);
                    }
                    (None, Some(gate)) if gates_weights => {
                        layer.matrix.gate_to(scratch, panel, gate);
                        layer.matrix.multiply_by(scratch, self.kernels, panel, &rows);
                    }
                    (None, _) => layer.matrix.multiply(self.kernels, panel, &rows),
                }
                if layer.mean {
                    for c in columns {
                        *means.add(c) /= pixels as f32;
                    }
                }
            }
        }
    }

    /// # Safety
    ///
    /// [`Pass::run`]'s; `scratch` is this thread's.
    pub(super) unsafe fn squeeze_excite(
        &self,
        layer: &SqueezeExcite,
        (step, parts): (&Step, usize),
        task: Task,
        scratch: *mut f32,
    ) {
        let (squeezed_chs, chs) = step.pixel;
        let pixels = (step.h.input * step.w.input) as f32;
        // SAFETY: the plan gave the scratch room for the squeezed channels, and the regions room for
        // every image's parts and gates.
        unsafe {
            let squeezed = std::slice::from_raw_parts_mut(scratch, squeezed_chs);
            squeezed.fill(0.0);
            let sums = self.region(Region::Pool).add(task.image * parts * squeezed_chs);
            let sums = std::slice::from_raw_parts(sums, parts * squeezed_chs);
            for part in sums.chunks_exact(squeezed_chs) {
                squeezed.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
            }
            let biases = std::slice::from_raw_parts(layer.bias.as_ptr(), squeezed_chs);
            squeezed.iter_mut().zip(biases).for_each(|(sum, bias)| *sum = *sum / pixels + bias);
            self.activate(layer.act, squeezed);
            let gate = self.region(Region::Gate).add(task.image * chs);
            let out = Epilogue { act: Some(layer.gate), ..Epilogue::new(gate, 0) };
            let rows = Rows::new((scratch, 0, 1), layer.expand.k, out);
            for &panel in share(&layer.expand, step.blocks, task.block) {
                layer.expand.multiply(self.kernels, panel, &rows);
            }
        }
    }

    /// Applies `act` to whole vectors.
    pub(super) fn activate(&self, act: Activation, values: &mut [f32]) {
        let out = Epilogue { act: Some(act), ..Epilogue::new(values.as_mut_ptr(), values.len()) };
        let apply = ApplyEpilogue { out, rows: 1, vecs: values.len() / LANES };
        // SAFETY: the slice holds the vectors.
        unsafe { (self.kernels.apply_epilogue)(&apply) }
    }

    /// # Safety
    ///
    /// [`Pass::run`]'s.
    pub(super) unsafe fn mean(&self, step: &Step, task: Task) {
        let (pixel, chs) = step.pixel;
        let pixels = step.h.input * step.w.input;
        let vecs = chs / LANES;
        let first = vecs * task.block / step.blocks;
        let vecs = vecs * (task.block + 1) / step.blocks - first;
        // SAFETY: the regions hold whole maps and every image's means.
        unsafe {
            let from = self.src(step, task.image).add(first * LANES);
            let to = self.region(step.dst).add(task.image * chs + first * LANES);
            (self.kernels.mean)(&Mean { from, row: pixel, rows: pixels, vecs, to });
        }
    }

    /// # Safety
    ///
    /// [`Pass::run`]'s.
    pub(super) unsafe fn dense(&self, layer: &Dense, step: &Step, task: Task, scratch: *mut f32) {
        let (k, n) = step.pixel;
        // SAFETY: the regions hold the vectors of every image, and the scratch has room for them.
        unsafe {
            let from = self.region(step.src).cast_const();
            let (a, a_row) = self.operand(&layer.matrix, (from, k, self.images), None, scratch);
            let out = Epilogue { act: layer.act, ..Epilogue::new(self.region(step.dst), n) };
            let rows = Rows::new((a, a_row, self.images), layer.matrix.k, out);
            for &panel in share(&layer.matrix, step.blocks, task.block) {
                layer.matrix.multiply(self.kernels, panel, &rows);
            }
        }
    }
}

/// The panels of one of `blocks` tasks.
pub(super) fn share(matrix: &Matrix, blocks: usize, block: usize) -> &[Panel] {
    let panels = matrix.panels.len();
    &matrix.panels[panels * block / blocks..panels * (block + 1) / blocks]
}
