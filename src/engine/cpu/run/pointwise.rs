//! Pointwise convolutions, squeeze-excitation and the classifier.

use std::ptr::{null, null_mut};

use super::super::kernels::{Post, Scale};
use super::super::layer::{Pointwise, PooledHead, SqueezeExcite};
use super::super::matrix::{Matrix, Panel, Rows};
use super::super::memory::padded;
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
        step: &Step,
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
            let mut a = self.src(step, task.image).add(first * k);
            if layer.gate {
                let gate = self.region(Region::Gate).add(task.image * k);
                (self.kernels.scale)(&Scale { from: a, to: scratch, row: k, rows: count, gate });
                a = scratch;
            }
            let residual = self.residual(step, task.image, layer.residual);
            let means = self.region(Region::Means).add(task.image * n);
            let rows = Rows {
                count,
                a,
                a_row: k,
                segments: &step.segments,
                run: step.run,
                c: self.dst(step, task.image).add(first * n),
                c_row: n,
                c_vec: LANES,
                residual: if layer.residual { residual.add(first * n) } else { residual },
                pool: if layer.mean { means } else { null_mut() },
                before: 0,
                post: if layer.mean {
                    self.kernels.post(layer.act)
                } else {
                    self.post(layer.act, layer.residual)
                },
            };
            for &panel in share(&layer.matrix, step.blocks, task.block) {
                let columns = panel.vec * LANES..(panel.vec + panel.vecs) * LANES;
                if layer.mean {
                    means.add(columns.start).write_bytes(0, columns.len());
                }
                layer.matrix.multiply(self.kernels, panel, &rows);
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
        step: &Step,
        task: Task,
        scratch: *mut f32,
    ) {
        let chs = padded(layer.reduce.k);
        let pixels = (step.h.input * step.w.input) as f32;
        // SAFETY: the plan gave the scratch room for the means and the squeezed channels, and the
        // regions room for every image's sums and gates.
        unsafe {
            let sums = self.pool(step, task.image, 0, chs);
            for c in 0..chs {
                let mut sum = 0.0;
                for chunk in 0..step.pool_chunks {
                    sum += *sums.add(chunk * chs + c);
                }
                *scratch.add(c) = sum / pixels;
            }
            let squeezed = scratch.add(chs);
            let gate = self.region(Region::Gate).add(task.image * chs);
            self.vector(&layer.reduce, &layer.reduce.panels, scratch, squeezed, layer.act);
            self.vector(&layer.expand, &layer.expand.panels, squeezed, gate, layer.gate);
        }
    }

    /// # Safety
    ///
    /// [`Pass::run`]'s; `scratch` is this thread's.
    pub(super) unsafe fn pooled_head(
        &self,
        layer: &PooledHead,
        step: &Step,
        task: Task,
        scratch: *mut f32,
    ) {
        let (k, n) = step.pixel;
        let pixels = step.h.input * step.w.input;
        // SAFETY: the plan gave the scratch room for the means, and the regions room for whole maps
        // and every image's features.
        unsafe {
            let map = std::slice::from_raw_parts(self.src(step, task.image), pixels * k);
            let means = std::slice::from_raw_parts_mut(scratch, k);
            means.fill(0.0);
            for pixel in map.chunks_exact(k) {
                means.iter_mut().zip(pixel).for_each(|(mean, &value)| *mean += value);
            }
            means.iter_mut().for_each(|mean| *mean /= pixels as f32);
            let to = self.region(Region::Means).add(task.image * n);
            let panels = share(&layer.matrix, step.blocks, task.block);
            self.vector(&layer.matrix, panels, scratch, to, layer.act);
        }
    }

    /// `to = act(matrix * from)` for one row and the columns of `panels`.
    unsafe fn vector(
        &self,
        matrix: &Matrix,
        panels: &[Panel],
        from: *const f32,
        to: *mut f32,
        act: Activation,
    ) {
        let rows = Rows {
            count: 1,
            a: from,
            a_row: 0,
            segments: &[0],
            run: matrix.k,
            c: to,
            c_row: 0,
            c_vec: LANES,
            residual: null(),
            pool: null_mut(),
            before: 0,
            post: self.post(Some(act), false),
        };
        for &panel in panels {
            // SAFETY: the caller's vectors have the matrix' padded lengths.
            unsafe { matrix.multiply(self.kernels, panel, &rows) };
        }
    }

    /// # Safety
    ///
    /// [`Pass::run`]'s.
    pub(super) unsafe fn classifier(&self, matrix: &Matrix, step: &Step, task: Task) {
        let (k, n) = step.pixel;
        // SAFETY: the regions hold the means and logits of every image.
        let rows = unsafe {
            Rows {
                count: self.images,
                a: self.region(Region::Means),
                a_row: k,
                segments: &step.segments,
                run: step.run,
                c: self.region(Region::Logits),
                c_row: n,
                c_vec: LANES,
                residual: null(),
                pool: null_mut(),
                before: 0,
                post: None::<unsafe fn(&Post)>,
            }
        };
        for &panel in share(matrix, step.blocks, task.block) {
            // SAFETY: as above.
            unsafe { matrix.multiply(self.kernels, panel, &rows) };
        }
    }
}

/// The panels of one of `blocks` tasks.
fn share(matrix: &Matrix, blocks: usize, block: usize) -> &[Panel] {
    let panels = matrix.panels.len();
    &matrix.panels[panels * block / blocks..panels * (block + 1) / blocks]
}
