//! Runs one task of one step.

mod attention;
mod context;
mod convolution;
mod depthwise;
mod input;
mod mix;
mod norm;
mod pointwise;
mod winograd;

use std::ptr::null;

use super::kernels::{Epilogue, KernelTable, Narrow, Scale};
use super::layer::Layer;
use super::matrix::{Matrix, Rows};
use super::memory::padded;
use super::pack::Packed;
use super::plan::{Kind, Plan, Region, Step};
pub(super) use input::Input;

/// What all tasks of a pass share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass<'a> {
    pub(super) packed: &'a Packed,
    pub(super) plan: &'a Plan,
    pub(super) kernels: &'static KernelTable,
    /// The plan's regions, then a scratch for each thread.
    pub(super) arena: *mut f32,
    /// Images of the plan's size.
    pub(super) input: Input<'a>,
    /// The first image's number in the group.
    pub(super) first: usize,
    /// How many images; at most those of the phase.
    pub(super) images: usize,
}

// SAFETY: the tasks of a step write to disjoint parts of the arena, and read what earlier steps
// wrote; a step begins when all tasks before it are done.
unsafe impl Sync for Pass<'_> {}

/// Which part of a step a task is.
#[derive(Debug, Clone, Copy)]
struct Task {
    image: usize,
    chunk: usize,
    block: usize,
}

impl Pass<'_> {
    /// Tasks of step `step`.
    pub(super) fn tasks(&self, step: usize) -> usize {
        self.plan.steps[step].tasks(self.images)
    }

    /// Runs task `task` of step `step` on thread `thread`.
    ///
    /// # Safety
    ///
    /// The arena has the plan's regions and a scratch for every thread, and the input has `images`
    /// images; each task runs once, after all tasks of earlier steps; no two threads share a
    /// number.
    pub(super) unsafe fn run(&self, thread: usize, step: usize, task: usize) {
        let step = &self.plan.steps[step];
        let task = Task {
            block: task % step.blocks,
            chunk: task / step.blocks % step.chunks,
            image: task / (step.blocks * step.chunks),
        };
        // SAFETY: the arena holds the scratches behind the regions; the rest is the caller's
        // contract, which the steps rely on.
        unsafe {
            let scratch = self.arena.add(self.plan.floats + thread * self.plan.scratch);
            match (&self.packed.layers[step.layer], &step.kind) {
                (Layer::Convolution(layer), Kind::Windows(windows)) => {
                    self.convolution(layer, (step, windows), task, scratch);
                }
                (Layer::Depthwise(layer), _) => self.depthwise(layer, step, task, scratch),
                (Layer::Moments(_), _) => self.moments(step, task),
                (Layer::Norm(layer), _) => self.norm(layer, step, task, scratch),
                (Layer::SqueezeExcite(layer), &Kind::Parts(parts)) => {
                    self.squeeze_excite(layer, (step, parts), task, scratch);
                }
                (Layer::GlobalContext(layer), _) => self.global_context(layer, step, task, scratch),
                (Layer::ExpertMix(layer), _) => self.mix(layer, step, task, scratch),
                (Layer::Attention(layer), Kind::Attention { by_key, by_value }) => {
                    self.attention(layer, (step, by_key, by_value), task, scratch);
                }
                (Layer::Pointwise(layer), &Kind::Pointwise { gates_weights }) => {
                    self.pointwise(layer, (step, gates_weights), task, scratch);
                }
                (Layer::Mean(_), _) => self.mean(step, task),
                (Layer::Dense(layer), _) => self.dense(layer, step, task, scratch),
                (layer, kind) => unreachable!("a step of {layer} with {kind:?}"),
            }
        }
    }

    /// The start of a region.
    unsafe fn region(&self, region: Region) -> *mut f32 {
        // SAFETY: offsets lie within the arena; `Images` is never asked for.
        unsafe { self.arena.add(self.plan.offsets[region as usize]) }
    }

    /// The start of one image's map of `floats` floats.
    ///
    /// # Safety
    ///
    /// The region holds such a map of every image.
    pub(super) unsafe fn map(&self, region: Region, image: usize, floats: usize) -> *mut f32 {
        // The first phase writes its images here a few at a time, for the next phase to read.
        let image = if region == Region::Joined { self.first + image } else { image };
        // SAFETY: the caller's contract.
        unsafe { self.region(region).add(image * floats) }
    }

    /// The start of one image's input map of a step.
    unsafe fn src(&self, step: &Step, image: usize) -> *const f32 {
        let floats = step.h.input * step.w.input * step.pixel.0;
        // SAFETY: the plan made the region as large.
        unsafe { self.map(step.src, image, floats) }
    }

    /// The start of one image's output of a step.
    unsafe fn dst(&self, step: &Step, image: usize) -> *mut f32 {
        let floats = step.h.output * step.w.output * step.pixel.1;
        // SAFETY: the plan made the region as large.
        unsafe { self.map(step.dst, image, floats) }
    }

    /// The block's input, shaped like the step's output, if it is added; or null.
    unsafe fn residual(&self, step: &Step, image: usize, added: bool) -> *const f32 {
        if !added {
            return null();
        }
        let floats = step.h.output * step.w.output * step.pixel.1;
        // SAFETY: a residual has its output's shape, and the region holds it for every image.
        unsafe { self.map(step.residual, image, floats) }
    }

    /// An image's own weights, from `at` on.
    unsafe fn mixed(&self, image: usize, at: usize) -> *mut f32 {
        // SAFETY: the region holds every image's.
        unsafe { self.region(Region::Mixed).add(image * self.plan.mixed + at) }
    }

    /// `rows` rows of `row` floats as `matrix` takes them, times a gate if there is one. They stay
    /// where they are or are written to `scratch`; also returns the words in a row.
    unsafe fn operand(
        &self,
        matrix: &Matrix,
        (from, row, rows): (*const f32, usize, usize),
        gate: Option<*const f32>,
        scratch: *mut f32,
    ) -> (*const f32, usize) {
        // SAFETY: the caller's rows, gate and scratch have the floats that are asked for.
        unsafe {
            match (matrix.pairs, gate) {
                (None, None) => return (from, row),
                (None, Some(gate)) => {
                    (self.kernels.scale)(&Scale { from, to: scratch, row, rows, gate });
                }
                (Some(pairs), gate) => {
                    let gate = gate.unwrap_or(null());
                    (pairs.narrow)(&Narrow { from, row, rows, gate, to: scratch });
                }
            }
        }
        (scratch, matrix.words(row))
    }

    /// Multiplies rows by all columns of `matrix`. Given are where the first row is, floats to the
    /// next and how many; and where the first result goes and floats to the next.
    unsafe fn rows(
        &self,
        matrix: &Matrix,
        (a, a_row, count): (*const f32, usize, usize),
        (c, c_row): (*mut f32, usize),
    ) {
        let rows = Rows::new((a, a_row, count), matrix.k, Epilogue::new(c, c_row));
        for &panel in &matrix.panels {
            // SAFETY: the caller's rows have the matrix' padded lengths.
            unsafe { matrix.multiply(self.kernels, panel, &rows) };
        }
    }

    /// Squeezes a task's sums of the channels from `first` on.
    unsafe fn squeeze(
        &self,
        reduce: &Matrix,
        step: &Step,
        task: Task,
        (first, sums): (usize, &[f32]),
    ) {
        let part = (task.image * step.chunks + task.chunk) * step.blocks + task.block;
        // SAFETY: the region holds all parts of every image.
        unsafe {
            let to = self.region(Region::Pool).add(part * padded(reduce.n));
            let rows = Rows {
                first,
                ..Rows::new(
                    (sums.as_ptr(), 0, 1),
                    sums.len().min(reduce.k - first),
                    Epilogue::new(to, 0),
                )
            };
            for &panel in &reduce.panels {
                reduce.multiply(self.kernels, panel, &rows);
            }
        }
    }
}
