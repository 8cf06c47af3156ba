//! Global context: a gate for each channel, from a weighted mean of all pixels.

use std::slice::{from_raw_parts, from_raw_parts_mut};

use super::super::layer::GlobalContext;
use super::super::plan::{Region, Step};
use super::super::simd::LANES;
use super::{Pass, Task};
use crate::arch::Activation;

/// Added to the variance.
const EPS: f32 = 1e-6;

impl Pass<'_> {
    /// # Safety
    ///
    /// [`Pass::run`]'s; `scratch` is this thread's.
    pub(super) unsafe fn global_context(
        &self,
        layer: &GlobalContext,
        step: &Step,
        task: Task,
        scratch: *mut f32,
    ) {
        let pixels = step.h.input * step.w.input;
        let chs = step.pixel.0;
        // SAFETY: the plan gave the scratch room for a vector a pixel, the context and the squeezed
        // channels; the regions hold whole maps and every image's gates.
        unsafe {
            let map = self.src(step, task.image);
            self.rows(&layer.attn, (map, chs, pixels), (scratch, LANES));
            let weights = from_raw_parts_mut(scratch, pixels * LANES);
            let most = weights.iter().step_by(LANES).fold(f32::NEG_INFINITY, |a, &b| a.max(b));
            let mut sum = 0.0;
            for weight in weights.iter_mut().step_by(LANES) {
                *weight = (*weight - most).exp();
                sum += *weight;
            }
            let context = from_raw_parts_mut(scratch.add(pixels * LANES), chs);
            context.fill(0.0);
            let map = from_raw_parts(map, pixels * chs);
            for (pixel, weight) in map.chunks_exact(chs).zip(weights.iter().step_by(LANES)) {
                let weight = weight / sum;
                context.iter_mut().zip(pixel).for_each(|(mean, value)| *mean += weight * value);
            }
            let squeezed_len = layer.scale.len();
            let squeezed = context.as_mut_ptr().add(chs);
            self.rows(&layer.reduce, (context.as_ptr(), 0, 1), (squeezed, 0));
            let squeezed = from_raw_parts_mut(squeezed, squeezed_len);
            let n = layer.reduce.n;
            let mean = squeezed[..n].iter().sum::<f32>() / n as f32;
            let variance = squeezed[..n].iter().map(|v| (v - mean) * (v - mean)).sum::<f32>();
            let factor = (variance / n as f32 + EPS).sqrt().recip();
            let scale = from_raw_parts(layer.scale.as_ptr(), n);
            let shift = from_raw_parts(layer.shift.as_ptr(), n);
            for (value, (scale, shift)) in squeezed.iter_mut().zip(scale.iter().zip(shift)) {
                *value = (*value - mean) * factor * scale + shift;
            }
            self.activate(layer.act, squeezed);
            let gate = self.region(Region::Gate).add(task.image * step.pixel.1);
            self.rows(&layer.expand, (squeezed.as_ptr(), 0, 1), (gate, 0));
            self.activate(Activation::Sigmoid, from_raw_parts_mut(gate, step.pixel.1));
        }
    }
}
