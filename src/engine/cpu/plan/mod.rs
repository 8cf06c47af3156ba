//! A network's layers at one image size: sizes, memory, and how the work is cut into tasks.
//!
//! The way work is cut into tasks does not depend on the number of threads, so neither do the
//! results.

mod builder;
mod step;

use std::ops::Range;

use super::CpuError;
use super::kernels::KernelTable;
use super::layer::Slot;
use super::memory::padded;
use super::pack::Packed;
use builder::{PlanBuilder, TASKS};
pub(super) use step::{Kind, Map, Region, Step, Windows};
use step::{Phase, REGIONS};

/// The most images that a pass over the layers takes together.
const MAX_GROUP: usize = 8;

/// Steps and memory for images of one size.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) size: (usize, usize),
    pub(super) steps: Vec<Step>,
    /// The number of steps of [`Phase::Few`], and the most images that they take at a time.
    few: (usize, usize),
    /// The number of images that the arena has room for.
    pub(super) group: usize,
    /// The most images that a pass of this size takes.
    most: usize,
    /// Where each region starts, in floats.
    pub(super) offsets: [usize; REGIONS],
    /// Floats of an image's own weights.
    pub(super) mixed: usize,
    /// Floats of the regions.
    pub(super) floats: usize,
    /// Floats of a thread's scratch.
    pub(super) scratch: usize,
    /// Those of [`Packed::maps`].
    pub(super) maps: Vec<Map>,
}

impl Plan {
    /// Plans `packed` for images of `size`, at most `batch` at a time, on `threads` threads.
    ///
    /// # Errors
    ///
    /// Images whose maps do not fit in the address space, or of which nothing is left at some
    /// layer.
    pub(super) fn new(
        packed: &Packed,
        kernels: &KernelTable,
        size: (usize, usize),
        (batch, threads): (usize, usize),
    ) -> Result<Self, CpuError> {
        // The largest map has a few thousand channels and no more pixels than the image; beyond
        // this, sizes could overflow.
        if size.0.checked_mul(size.1).is_none_or(|pixels| pixels > 1 << 28) {
            return Err(CpuError::TooLarge { height: size.0, width: size.1 });
        }
        let mut builder = PlanBuilder::new(kernels, size);
        let mut steps = Vec::with_capacity(packed.layers.len());
        let mut maps = Vec::new();
        let mut few = 0;
        for (index, layer) in packed.layers.iter().enumerate() {
            if builder.phase == Phase::Few {
                few = index + 1;
            }
            let (step, chs) = builder.step(index, layer)?;
            let (h, w) = (step.h.output, step.w.output);
            let map = Map { steps: index + 1, region: step.dst, chs, h, w };
            if layer.dst() == Some(Slot::Next) {
                builder.advance();
            }
            steps.push(step);
            // Stages without blocks repeat the map before them.
            maps.extend(packed.maps.iter().filter(|(_, end)| *end == index + 1).map(|_| map));
        }
        let PlanBuilder { mut sizes, scratch, phase, .. } = builder;
        if phase == Phase::Few {
            // No map is small.
            sizes.swap(0, 1);
            few = 0;
        }
        // An image's weights are at the same distance from the next image's in both phases.
        let mixed = sizes.map(|sizes| sizes[Region::Mixed as usize]).into_iter().max().unwrap_or(0);
        sizes.iter_mut().for_each(|sizes| sizes[Region::Mixed as usize] = mixed);
        let image = sizes[Phase::Together as usize].iter().sum::<usize>();
        let group = (4 * 1024 * 1024 / image.max(1)).clamp(1, MAX_GROUP);
        let (most, group) = (group, group.min(batch));
        let few = (few, threads.div_ceil(TASKS).min(group));
        let mut offsets = [0; REGIONS];
        let mut floats: usize = 0;
        for (region, offset) in offsets.iter_mut().enumerate() {
            *offset = floats;
            let needed =
                [few.1, group].iter().zip(&sizes).try_fold(0, |most: usize, (&images, sizes)| {
                    Some(most.max(sizes[region].checked_mul(images)?))
                });
            floats = needed
                .and_then(|needed| floats.checked_add(needed))
                .filter(|&floats| floats < isize::MAX as usize / 64)
                .ok_or(CpuError::TooLarge { height: size.0, width: size.1 })?;
        }
        let scratch = padded(scratch);
        Ok(Self { size, steps, few, group, most, offsets, mixed, floats, scratch, maps })
    }

    /// Ranges of steps to run in turn, and how many images of a group of `count` they take at a
    /// time.
    pub(super) fn phases(&self, count: usize) -> [(Range<usize>, usize); 2] {
        let (few, images) = self.few;
        // If all images fit in the first phase, there is no need to separate the phases.
        let few = if count > images { few } else { 0 };
        [(0..few, images), (few..self.steps.len(), count)]
    }

    /// Whether a batch of `images` needs no larger group.
    pub(super) fn fits(&self, images: usize) -> bool {
        images <= self.group || self.group == self.most
    }

    /// Bytes of the arena for `threads` threads.
    pub(super) fn bytes(&self, threads: usize) -> usize {
        (self.floats + threads * self.scratch) * size_of::<f32>()
    }
}
