//! An image's own weights, mixed from those of several experts.

use std::slice::from_raw_parts_mut;

use super::super::layer::ExpertMix;
use super::super::memory::padded;
use super::super::plan::{Region, Step};
use super::super::simd::LANES;
use super::{Pass, Task};
use crate::arch::Activation;

impl Pass<'_> {
    /// # Safety
    ///
    /// [`Pass::run`]'s; `scratch` is this thread's.
    pub(super) unsafe fn mix(&self, layer: &ExpertMix, step: &Step, task: Task, scratch: *mut f32) {
        let chs = step.pixel.0;
        let lines = layer.experts.first().map_or(0, |expert| expert.len() / LANES);
        let first = lines * task.block / step.blocks * LANES;
        let len = lines * (task.block + 1) / step.blocks * LANES - first;
        // SAFETY: the regions hold every image's means and weights, the scratch a share an expert.
        unsafe {
            let means = self.region(Region::Pool).add(task.image * chs);
            self.rows(&layer.routing, (means, 0, 1), (scratch, 0));
            let shares = from_raw_parts_mut(scratch, padded(layer.routing.n));
            self.activate(Activation::Sigmoid, shares);
            let mixed = from_raw_parts_mut(self.mixed(task.image, first), len);
            mixed.fill(0.0);
            for (expert, share) in layer.experts.iter().zip(shares) {
                let own = &expert.as_slice()[first..first + len];
                mixed.iter_mut().zip(own).for_each(|(sum, value)| *sum += *share * value);
            }
        }
    }
}
