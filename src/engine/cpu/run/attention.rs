//! Attention of several heads' queries to one key and one value per position.

use std::slice::from_raw_parts;

use super::super::kernels::{Epilogue, Softmax};
use super::super::layer::Attention;
use super::super::matrix::{Matrix, Rows};
use super::super::memory::padded;
use super::super::plan::{Region, Step};
use super::{Pass, Task};

impl Pass<'_> {
    /// One head's queries at some positions.
    ///
    /// # Safety
    ///
    /// [`Pass::run`]'s; `scratch` is this thread's.
    pub(super) unsafe fn attention(
        &self,
        layer: &Attention,
        (step, by_key, by_value): (&Step, &Matrix, &Matrix),
        task: Task,
        scratch: *mut f32,
    ) {
        let (dim, keys, chs) = (layer.dim, by_key.n, step.pixel.0);
        let first = task.chunk * step.rows;
        let count = step.rows.min(step.h.output * step.w.output - first);
        let scores_row = padded(keys);
        // SAFETY: the plan gave the scratch room for the packed key and value and the scores, and the
        // regions room for whole maps.
        unsafe {
            let map = |region| {
                let floats = keys * dim;
                from_raw_parts(self.region(region).add(task.image * floats), floats)
            };
            let (key, value) = (map(Region::Key), map(Region::Value));
            let (packed_key, packed_value) = (scratch, scratch.add(by_key.floats()));
            by_key.pack_to(packed_key, |position, c| key[position * dim + c]);
            by_value.pack_to(packed_value, |c, position| value[position * dim + c]);
            let scores = packed_value.add(by_value.floats());
            let rows = Rows::new(
                (self.src(step, task.image).add(first * chs + task.block * dim), chs, count),
                dim,
                Epilogue::new(scores, scores_row),
            );
            for &panel in &by_key.panels {
                by_key.multiply_by(packed_key, self.kernels, panel, &rows);
            }
            let softmax = Softmax { values: scores, row: scores_row, len: keys, rows: count };
            (self.kernels.softmax)(&softmax);
            let rows = Rows {
                a: scores,
                a_row: scores_row,
                run: keys,
                out: Epilogue::new(
                    self.dst(step, task.image).add(first * chs + task.block * dim),
                    chs,
                ),
                ..rows
            };
            for &panel in &by_value.panels {
                by_value.multiply_by(packed_value, self.kernels, panel, &rows);
            }
        }
    }
}
