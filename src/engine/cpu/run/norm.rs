//! Norms that take statistics of the map itself.

use std::ops::Range;
use std::ptr::{null, null_mut};
use std::slice::{from_raw_parts, from_raw_parts_mut};

use super::super::kernels::{Epilogue, LayerNorm, Moments, Normalize};
use super::super::layer::Norm;
use super::super::plan::{Region, Step};
use super::super::simd::LANES;
use super::{Pass, Task};
use crate::engine::fuse::Statistics;

impl Pass<'_> {
    /// # Safety
    ///
    /// [`Pass::run`]'s.
    pub(super) unsafe fn moments(&self, step: &Step, task: Task) {
        let chs = step.pixel.0;
        let (pixels, columns) = (pixels(step, task.chunk), columns(step, task.block));
        let part = task.image * step.chunks + task.chunk;
        // SAFETY: the regions hold whole maps and every part's moments.
        unsafe {
            let from = self.src(step, task.image).add(pixels.start * chs + columns.start);
            let means = self.region(Region::Moments).add(part * 2 * chs + columns.start);
            let (rows, vecs) = (pixels.len(), columns.len() / LANES);
            let squares = means.add(chs);
            (self.kernels.moments)(&Moments { from, row: chs, rows, vecs, means, squares });
        }
    }

    /// # Safety
    ///
    /// [`Pass::run`]'s; `scratch` is this thread's.
    pub(super) unsafe fn norm(&self, layer: &Norm, step: &Step, task: Task, scratch: *mut f32) {
        let chs = step.pixel.0;
        let (pixels, columns) = (pixels(step, task.chunk), columns(step, task.block));
        let at = pixels.start * chs + columns.start;
        // SAFETY: the plan gave the scratch room for five values a channel, and the regions room for
        // whole maps and every part's moments; nobody else touches the task's part of the map.
        unsafe {
            let sums = from_raw_parts_mut(scratch, columns.len());
            sums.fill(0.0);
            let residual = self.residual(step, task.image, layer.residual);
            let out = Epilogue {
                act: layer.act,
                residual: if layer.residual { residual.add(at) } else { residual },
                pool: if layer.reduce.is_some() { sums.as_mut_ptr() } else { null_mut() },
                ..Epilogue::new(self.dst(step, task.image).add(at), chs)
            };
            let from = self.src(step, task.image).add(at);
            let of_columns = |values: *const f32| values.add(columns.start);
            let (rows, shift) = (pixels.len(), of_columns(layer.shift.as_ptr()));
            match layer.statistics {
                Statistics::Positions => {
                    let (chs, eps, scale) = (layer.chs, layer.eps as f32, layer.scale.as_ptr());
                    let norm = LayerNorm { from, rows, chs, eps, scale, shift, out };
                    (self.kernels.layer_norm)(&norm);
                }
                Statistics::Groups(size) => {
                    let parts = step.chunks * 2 * chs;
                    let moments = self.region(Region::Moments).add(task.image * parts);
                    let moments = from_raw_parts(moments, parts);
                    let vector = |i: usize| from_raw_parts_mut(scratch.add(i * chs), chs);
                    let (means, squares) = (vector(1), vector(2));
                    let groups = columns.start / size..columns.end.min(layer.chs).div_ceil(size);
                    let own = groups.start * size..groups.end * size;
                    join(step, moments, own, (means, squares));
                    let (mean, scale) = (vector(3), vector(4));
                    of_groups(layer, (groups, size), (means, squares), (mean, scale));
                    let norm = Normalize {
                        from,
                        rows,
                        vecs: columns.len() / LANES,
                        gate: layer.gate.as_ref().map_or(null(), |v| of_columns(v.as_ptr())),
                        mean: of_columns(mean.as_ptr()),
                        scale: of_columns(scale.as_ptr()),
                        shift,
                        out,
                    };
                    (self.kernels.normalize)(&norm);
                }
            }
            if let Some(reduce) = &layer.reduce {
                self.squeeze(reduce, step, task, (columns.start, sums));
            }
        }
    }
}

/// The pixels of a chunk's tasks.
fn pixels(step: &Step, chunk: usize) -> Range<usize> {
    let first = chunk * step.rows;
    first..(first + step.rows).min(step.h.input * step.w.input)
}

/// The columns of a block's tasks.
fn columns(step: &Step, block: usize) -> Range<usize> {
    let vecs = step.pixel.0 / LANES;
    vecs * block / step.blocks * LANES..vecs * (block + 1) / step.blocks * LANES
}

/// Joins the `moments` of an image's chunks: for each channel in `own` the mean over all pixels,
/// and the mean squared deviation from it.
fn join(
    step: &Step,
    moments: &[f32],
    own: Range<usize>,
    (means, squares): (&mut [f32], &mut [f32]),
) {
    let chs = step.pixel.0;
    let (means, squares) = (&mut means[own.clone()], &mut squares[own.clone()]);
    let all = (step.h.input * step.w.input) as f32;
    let chunks = || {
        moments.chunks_exact(2 * chs).enumerate().map(|(chunk, moments)| {
            let pixels = pixels(step, chunk).len() as f32;
            (pixels, &moments[own.clone()], &moments[chs..][own.clone()])
        })
    };
    means.fill(0.0);
    for (pixels, chunk, _) in chunks() {
        means.iter_mut().zip(chunk).for_each(|(mean, own)| *mean += pixels / all * own);
    }
    squares.fill(0.0);
    for (pixels, chunk, within) in chunks() {
        let means = means.iter().zip(chunk);
        for ((square, within), (mean, own)) in squares.iter_mut().zip(within).zip(means) {
            let between = own - mean;
            *square += (within + pixels * between * between) / all;
        }
    }
}

/// From the channels' moments: the mean of each channel's group, and the channel's scale over the
/// group's standard deviation. Channels after the groups are padding.
fn of_groups(
    layer: &Norm,
    (groups, size): (Range<usize>, usize),
    (means, squares): (&[f32], &[f32]),
    (mean_of, scale_of): (&mut [f32], &mut [f32]),
) {
    let average = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / size as f64;
    let end = groups.end * size;
    for group in groups {
        let own = group * size..(group + 1) * size;
        let means = || means[own.clone()].iter().map(|&mean| f64::from(mean));
        let mean = average(&mut means());
        let within = average(&mut squares[own.clone()].iter().map(|&square| f64::from(square)));
        let between = average(&mut means().map(|own| (own - mean) * (own - mean)));
        let factor = (within + between + layer.eps).sqrt().recip();
        mean_of[own.clone()].fill(mean as f32);
        let scales = layer.scale.as_slice()[own.clone()].iter();
        for (to, &scale) in scale_of[own].iter_mut().zip(scales) {
            *to = (factor * f64::from(scale)) as f32;
        }
    }
    mean_of[end..].fill(0.0);
    scale_of[end..].fill(0.0);
}
