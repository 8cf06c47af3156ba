//! A network's layers at one image size: sizes, memory, and how the work is cut into tasks.
//!
//! Nothing here depends on the number of threads, so neither do the results.

mod draft;
mod step;

use super::CpuError;
use super::kernels::Kernels;
use super::layer::Slot;
use super::lower::Lowered;
use super::memory::padded;
use draft::Draft;
use step::REGIONS;
pub(super) use step::{Map, Region, Step};

/// Images that a pass over the layers takes together, at most.
const MAX_GROUP: usize = 4;

/// Steps and memory for images of one size.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) size: (usize, usize),
    pub(super) steps: Vec<Step>,
    /// Images that the arena has room for.
    pub(super) group: usize,
    /// Images that a pass of this size takes, at most.
    most: usize,
    /// Where each region starts, in floats.
    pub(super) offsets: [usize; REGIONS],
    /// Floats of an image's own weights.
    pub(super) mixed: usize,
    /// Floats of the regions.
    pub(super) floats: usize,
    /// Floats of a thread's scratch.
    pub(super) scratch: usize,
    /// Those that [`Lowered::stages`] names, then the head's.
    pub(super) maps: Vec<Map>,
}

impl Plan {
    /// Plans `lowered` for images of `size`, at most `batch` at a time.
    ///
    /// # Errors
    ///
    /// Images whose maps do not fit the address space, or of which a layer leaves nothing.
    pub(super) fn new(
        lowered: &Lowered,
        kernels: &Kernels,
        size: (usize, usize),
        batch: usize,
    ) -> Result<Self, CpuError> {
        // The largest map has a few thousand channels and no more pixels than the image; beyond
        // this, sizes could overflow.
        if size.0.checked_mul(size.1).is_none_or(|pixels| pixels > 1 << 28) {
            return Err(CpuError::TooLarge { height: size.0, width: size.1 });
        }
        let mut draft = Draft::new(kernels, size);
        let mut steps = Vec::with_capacity(lowered.layers.len());
        let mut maps = Vec::new();
        for (index, layer) in lowered.layers.iter().enumerate() {
            let (step, chs) = draft.step(index, layer)?;
            let (h, w) = (step.h.output, step.w.output);
            let map = Map { steps: index + 1, region: step.dst, chs, h, w };
            if layer.dst() == Some(Slot::Next) {
                draft.advance();
            }
            steps.push(step);
            // Stages without blocks repeat the map before them.
            for &end in &lowered.stages {
                if end == index + 1 {
                    maps.push(map);
                }
            }
            if lowered.features == index + 1 {
                maps.push(map);
            }
        }
        let Draft { sizes, scratch, .. } = draft;
        let image = sizes.iter().sum::<usize>();
        // Small maps share the weights' way through the caches; large ones fill them alone.
        let group = (4 * 1024 * 1024 / image.max(1)).clamp(1, MAX_GROUP);
        let (most, group) = (group, group.min(batch));
        let mut offsets = [0; REGIONS];
        let mut floats: usize = 0;
        for (offset, region) in offsets.iter_mut().zip(sizes) {
            *offset = floats;
            floats = region
                .checked_mul(group)
                .and_then(|region| floats.checked_add(region))
                .filter(|&floats| floats < isize::MAX as usize / 64)
                .ok_or(CpuError::TooLarge { height: size.0, width: size.1 })?;
        }
        let mixed = sizes[Region::Mixed as usize];
        let scratch = padded(scratch);
        Ok(Self { size, steps, group, most, offsets, mixed, floats, scratch, maps })
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
