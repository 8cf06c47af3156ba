//! A network's layers at one image size: sizes, memory, and how the work is cut into tasks.
//!
//! Nothing here depends on the number of threads, so neither do the results.

use super::CpuError;
use super::kernels::{Kernels, OUTPUTS, POINTS};
use super::layer::{Kernel, Layer, Side, Slot};
use super::lower::Lowered;
use super::matrix::Matrix;
use super::memory::{Floats, padded};
use super::simd::LANES;

/// Tasks that the work of a step on one image is cut into, at least, where it is large enough.
const TASKS: usize = 8;
/// Floats that a task may use again and again: half of a second-level cache of 1 MiB.
const BUDGET: usize = 128 * 1024;
/// Windows of a Winograd task, at least: its weights come from the second-level cache or beyond, and
/// serve all of them.
const TILES: usize = 24;
/// Images that a pass over the layers takes together, at most.
const MAX_GROUP: usize = 4;

/// The regions of the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Region {
    /// Feature maps, which take turns.
    Ping,
    /// Feature maps.
    Pong,
    /// [`Slot::Mid`].
    Mid,
    /// [`Slot::Query`].
    Query,
    /// [`Slot::Key`].
    Key,
    /// [`Slot::Value`].
    Value,
    /// Weights of each image's own.
    Mixed,
    /// Parts of a squeeze-excitation's squeezed channels, `[image][task][channel]`; or, before a head,
    /// means `[image][channel]`.
    Pool,
    /// Gates, `[image][channel]`.
    Gate,
    /// What the classifier reads, `[image][channel]`.
    Means,
    /// `[image][class]`.
    Logits,
    /// The caller's images.
    Images,
}

/// Regions that lie in the arena.
pub(super) const REGIONS: usize = 11;

/// One layer at one size.
#[derive(Debug)]
pub(super) struct Step {
    /// Index of the layer.
    pub(super) layer: usize,
    pub(super) src: Region,
    pub(super) dst: Region,
    /// The block's input, where it is added.
    pub(super) residual: Region,
    pub(super) h: Side,
    pub(super) w: Side,
    /// Floats of a pixel that is read, and of one that is written.
    pub(super) pixel: (usize, usize),
    /// Rows of outputs (for pointwise layers: pixels) of a task.
    pub(super) rows: usize,
    /// Tasks along the rows.
    pub(super) chunks: usize,
    /// Tasks along the channels.
    pub(super) blocks: usize,
    /// Parts of an image that are read or written in [`Region::Pool`].
    pub(super) parts: usize,
    /// Starts of a row's segments.
    pub(super) segments: Vec<usize>,
    /// Length of a segment.
    pub(super) run: usize,
    /// Whether a task multiplies the weights by the gate, rather than its inputs.
    pub(super) gates_weights: bool,
    /// Whether a task covers all images at once.
    pub(super) all_images: bool,
    /// An attention's products: queries by keys, and their softmax by values.
    pub(super) attention: Option<(Matrix, Matrix)>,
}

impl Step {
    /// Tasks for `images` images.
    pub(super) fn tasks(&self, images: usize) -> usize {
        self.chunks * self.blocks * if self.all_images { 1 } else { images }
    }
}

/// A feature map that is complete after some steps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Map {
    /// Steps after which it is there.
    pub(super) steps: usize,
    pub(super) region: Region,
    pub(super) chs: usize,
    pub(super) h: usize,
    pub(super) w: usize,
}

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
    /// The stem's and the stages' maps, then the head's.
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
        let mut sizes = [0; REGIONS];
        let mut scratch = 0;
        let mut steps = Vec::with_capacity(lowered.layers.len());
        let mut maps = Vec::new();
        let (mut current, mut next) = (Region::Ping, Region::Pong);
        // Of the map that a region holds, or that the caller gives.
        let mut dims = [size; REGIONS + 1];
        let mut parts = 1;
        for (index, layer) in lowered.layers.iter().enumerate() {
            let resolve = |slot| match slot {
                Slot::Images => Region::Images,
                Slot::Current => current,
                Slot::Mid => Region::Mid,
                Slot::Query => Region::Query,
                Slot::Key => Region::Key,
                Slot::Value => Region::Value,
                Slot::Side | Slot::Next => next,
            };
            let src = layer.src().map(resolve);
            let (h, w) = src.map_or((1, 1), |src| dims[src as usize]);
            let side = |pad, kernel, stride, input| {
                let small = CpuError::TooSmall { height: size.0, width: size.1 };
                Side::new(pad, kernel, stride, input).ok_or(small)
            };
            let one = |side| Side { input: side, output: side, before: 0, padded: side };
            let mut step = Step {
                layer: index,
                src: src.unwrap_or(current),
                dst: layer.dst().map_or(next, resolve),
                residual: current,
                h: one(h),
                w: one(w),
                pixel: (0, 0),
                rows: 1,
                chunks: 1,
                blocks: 1,
                parts: 1,
                segments: vec![0],
                run: 0,
                gates_weights: false,
                all_images: false,
                attention: None,
            };
            let mut chs = 0;
            match layer {
                Layer::Convolution(l) => {
                    let (k, s) = (l.conv.kernel_size, l.conv.stride);
                    (step.h, step.w) = (side(l.pad, k, s, h)?, side(l.pad, k, s, w)?);
                    if matches!(l.kernel, Kernel::Winograd(_)) {
                        let reach = step.w.output.next_multiple_of(OUTPUTS) + 2;
                        step.w.padded = step.w.padded.max(reach);
                    }
                    chs = l.project.as_ref().map_or(l.conv.out_chs, |p| p.n);
                    let mut points = 0;
                    let mid = l.project.as_ref().map_or(0, |_| padded(l.conv.out_chs));
                    let (per_row, per_output) = if l.src == Slot::Images {
                        step.pixel.0 = 1;
                        (l.conv.in_chs * step.w.padded, 0)
                    } else {
                        step.pixel.0 = padded(l.conv.in_chs);
                        (step.pixel.0 * step.w.padded, mid * step.w.output)
                    };
                    let most = (BUDGET / (per_row * s + per_output)).max(1);
                    step.rows = step.h.output.div_ceil(TASKS).min(most);
                    let mut rows_in = (step.rows - 1) * s + k;
                    if let Kernel::Winograd(winograd) = &l.kernel {
                        let across = step.w.output.div_ceil(OUTPUTS);
                        let down = TILES.div_ceil(across).min(step.h.output.div_ceil(OUTPUTS));
                        step.rows = OUTPUTS * down;
                        rows_in = step.rows + 2;
                        let panel = winograd.points.widest_panel();
                        points = POINTS * across * down * (step.pixel.0 + panel);
                    }
                    (step.segments, step.run) = if l.src == Slot::Images {
                        let plane = rows_in * step.w.padded;
                        let starts = (0..l.conv.in_chs)
                            .flat_map(|c| (0..k * k).map(move |tap| (c, tap)))
                            .map(|(c, tap)| c * plane + tap / k * step.w.padded + tap % k);
                        (starts.collect(), 1)
                    } else {
                        let (pixel, run) = match &l.kernel {
                            Kernel::Direct(groups) => (
                                groups[0].words(step.pixel.0),
                                groups[0].words(l.conv.in_chs / groups.len()),
                            ),
                            Kernel::Winograd(_) => (step.pixel.0, l.conv.in_chs),
                        };
                        let starts =
                            (0..k * k).map(|tap| (tap / k * step.w.padded + tap % k) * pixel);
                        (starts.collect(), run)
                    };
                    step.chunks = step.h.output.div_ceil(step.rows);
                    let mut floats =
                        padded(rows_in * per_row) + step.rows * step.w.output * mid + points;
                    // Pairs of the rows, or later of what the projection reads.
                    let narrowed = match &l.kernel {
                        Kernel::Direct(groups) if groups[0].pairs.is_some() => rows_in * per_row,
                        _ => 0,
                    };
                    let projected = match &l.project {
                        Some(project) if project.pairs.is_some() => step.rows * step.w.output * mid,
                        _ => 0,
                    };
                    floats += padded(narrowed.max(projected));
                    if let Some(reduce) = &l.reduce {
                        parts = step.chunks;
                        step.parts = parts;
                        grow(&mut sizes, Region::Pool, parts * padded(reduce.n));
                        floats += padded(chs);
                    }
                    scratch = scratch.max(floats);
                }
                Layer::Depthwise(l) => {
                    let (k, s) = (l.conv.kernel_size, l.conv.stride);
                    chs = l.conv.out_chs;
                    (step.h, step.w) = (side(l.pad, k, s, h)?, side(l.pad, k, s, w)?);
                    step.run = l.expand.as_ref().map_or(0, |m| m.k);
                    step.pixel.0 = padded(l.expand.as_ref().map_or(chs, Matrix::inputs));
                    step.blocks = l.blocks();
                    let chunks = TASKS.div_ceil(step.blocks);
                    step.rows = step.h.output.div_ceil(chunks).max(k.min(step.h.output));
                    step.chunks = step.h.output.div_ceil(step.rows);
                    // The ring, a row of zeros, sums, and pairs of a row of inputs.
                    let ring = ((k + 1) * step.w.padded + 1) * l.widest_block();
                    scratch = scratch.max(ring + step.w.input * step.pixel.0);
                    if let Some(reduce) = &l.reduce {
                        parts = step.chunks * step.blocks;
                        step.parts = parts;
                        grow(&mut sizes, Region::Pool, parts * padded(reduce.n));
                    }
                }
                Layer::SqueezeExcite(l) => {
                    step.parts = parts;
                    step.dst = Region::Gate;
                    step.blocks = l.expand.panels.len().min(TASKS);
                    step.pixel = (l.bias.len(), padded(l.expand.n));
                    scratch = scratch.max(l.bias.len());
                    grow(&mut sizes, Region::Gate, padded(l.expand.n));
                }
                Layer::GlobalContext(l) => {
                    step.dst = Region::Gate;
                    step.pixel = (padded(l.attn.k), padded(l.expand.n));
                    scratch = scratch.max(h * w * LANES + padded(l.attn.k) + padded(l.reduce.n));
                    grow(&mut sizes, Region::Gate, padded(l.expand.n));
                }
                Layer::Mix(l) => {
                    (step.src, step.dst) = (Region::Pool, Region::Mixed);
                    step.pixel.0 = padded(l.routing.k);
                    step.blocks = TASKS;
                    scratch = scratch.max(padded(l.routing.n));
                    let mixed = &mut sizes[Region::Mixed as usize];
                    *mixed = l.experts.iter().map(Floats::len).fold(*mixed, usize::max);
                }
                Layer::Attention(l) => {
                    chs = l.heads * l.dim;
                    step.pixel.0 = chs;
                    let [pixels, keys] = [Region::Query, Region::Key]
                        .map(|region| dims[region as usize])
                        .map(|(h, w)| h * w);
                    let by_key = Matrix::shape(kernels, (keys, l.dim));
                    let by_value = Matrix::shape(kernels, (l.dim, keys));
                    step.blocks = l.heads;
                    let most = (BUDGET / 2 / padded(keys)).max(1);
                    step.rows = pixels.div_ceil(TASKS.div_ceil(l.heads)).min(most);
                    step.chunks = pixels.div_ceil(step.rows);
                    let floats = by_key.floats() + by_value.floats();
                    scratch = scratch.max(floats + step.rows * padded(keys));
                    step.attention = Some((by_key, by_value));
                }
                Layer::Pointwise(l) => {
                    chs = l.matrix.n;
                    step.pixel.0 = padded(l.matrix.inputs());
                    step.run = l.matrix.k;
                    let pixels = h * w;
                    let pairs = l.matrix.panels.len().div_ceil(2);
                    step.blocks = if l.mean || pixels < 512 { pairs } else { 1 };
                    if !l.mean {
                        let least = (pixels * step.pixel.0).div_ceil(BUDGET / 2);
                        let wanted = TASKS.div_ceil(step.blocks).min(pixels.div_ceil(8));
                        step.chunks = least.max(wanted);
                    }
                    step.rows = pixels.div_ceil(step.chunks);
                    step.chunks = pixels.div_ceil(step.rows);
                    let inputs = step.rows * step.pixel.0;
                    step.gates_weights = l.gates_weights(step.rows);
                    if step.gates_weights {
                        scratch = scratch.max(l.matrix.floats());
                    } else if l.gate || l.matrix.pairs.is_some() {
                        scratch = scratch.max(inputs);
                    }
                    if l.mean {
                        sizes[Region::Means as usize] = padded(chs);
                    }
                }
                Layer::Mean(l) => {
                    step.dst = if l.classified { Region::Means } else { Region::Pool };
                    step.pixel = (padded(l.chs), padded(l.chs));
                    step.blocks = (padded(l.chs) / LANES).min(TASKS);
                    grow(&mut sizes, step.dst, padded(l.chs));
                }
                Layer::Dense(l) => {
                    (step.src, step.dst) = match l.classifies() {
                        true => (Region::Means, Region::Logits),
                        false => (Region::Pool, Region::Means),
                    };
                    step.pixel = (padded(l.matrix.inputs()), padded(l.matrix.n));
                    step.run = l.matrix.k;
                    scratch = scratch.max(MAX_GROUP * step.pixel.0);
                    step.blocks = l.matrix.panels.len().div_ceil(2);
                    step.all_images = true;
                    sizes[step.dst as usize] = padded(l.matrix.n);
                }
            }
            let (h, w) = (step.h.output, step.w.output);
            if chs > 0 {
                dims[step.dst as usize] = (h, w);
                step.pixel.1 = padded(chs);
                grow(&mut sizes, step.dst, h * w * padded(chs));
            }
            let map = Map { steps: index + 1, region: step.dst, chs, h, w };
            if layer.dst() == Some(Slot::Next) {
                std::mem::swap(&mut current, &mut next);
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
        // Small maps share the weights' way through the caches; large ones fill them alone.
        let image = sizes.iter().sum::<usize>();
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

/// Lets `region` have `floats` for an image, at least.
fn grow(sizes: &mut [usize; REGIONS], region: Region, floats: usize) {
    let size = &mut sizes[region as usize];
    *size = (*size).max(floats);
}
