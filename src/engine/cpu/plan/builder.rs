//! A plan being built: one function per kind of layer, which cuts its work into tasks and says what
//! memory they need.

use super::super::CpuError;
use super::super::kernels::{KernelTable, OUTPUTS, POINTS};
use super::super::layer::{
    Attention, ConvWeights, Convolution, Dense, Depthwise, ExpertMix, GlobalContext, Layer, Mean,
    Norm, Pointwise, Slot, Source, SqueezeExcite, Stem, Winograd,
};
use super::super::matrix::Matrix;
use super::super::memory::{AlignedBuf, padded};
use super::super::side::{Pad, Side};
use super::super::simd::LANES;
use super::MAX_GROUP;
use super::step::{Kind, Phase, REGIONS, Region, Step, Windows};
use crate::arch::Conv;
use crate::engine::fuse::Statistics;

/// The least number of tasks that a step's work on one image is cut into, if it is large enough.
pub(super) const TASKS: usize = 8;
/// Floats that a task may use repeatedly: half of a second-level cache of 1 MiB.
const BUDGET: usize = 128 * 1024;
/// The largest map, in floats, with which [`Phase::Together`] begins.
const JOINED: usize = 40 * 1024;
/// The least number of windows in a Winograd task: its weights come from the second-level cache or
/// beyond, and all windows use them.
const TILES: usize = 24;

/// What the layers so far need, and what they left.
pub(super) struct PlanBuilder<'a> {
    kernels: &'a KernelTable,
    /// The images' size.
    size: (usize, usize),
    /// Floats of each region per image, in each phase.
    pub(super) sizes: [[usize; REGIONS]; 2],
    /// The next step's phase.
    pub(super) phase: Phase,
    /// Floats of a thread's scratch.
    pub(super) scratch: usize,
    /// Size of the map that each region holds, or that the caller gives.
    dims: [(usize, usize); REGIONS + 1],
    /// Parts of squeezed channels in [`Region::Pool`].
    parts: usize,
    /// Where the block's input is, and where its output goes.
    current: Region,
    next: Region,
}

impl<'a> PlanBuilder<'a> {
    /// A plan without layers, for images of `size`.
    pub(super) fn new(kernels: &'a KernelTable, size: (usize, usize)) -> Self {
        Self {
            kernels,
            size,
            sizes: [[0; REGIONS]; 2],
            phase: Phase::Few,
            scratch: 0,
            dims: [size; REGIONS + 1],
            parts: 1,
            current: Region::Ping,
            next: Region::Pong,
        }
    }

    /// The step of the next layer, and the channels of the feature map that it writes, or 0.
    pub(super) fn step(&mut self, index: usize, layer: &Layer) -> Result<(Step, usize), CpuError> {
        let src = layer.src().map(|slot| self.region(slot));
        let (h, w) = src.map_or((1, 1), |src| self.dims[src as usize]);
        let one = |side| Side { input: side, output: side, before: 0, padded: side };
        let mut step = Step {
            layer: index,
            src: src.unwrap_or(self.current),
            dst: layer.dst().map_or(self.next, |slot| self.region(slot)),
            residual: self.current,
            h: one(h),
            w: one(w),
            pixel: (0, 0),
            rows: 1,
            chunks: 1,
            blocks: 1,
            kind: Kind::Plain,
        };
        let chs = match layer {
            Layer::Convolution(l) => self.convolution(l, &mut step)?,
            Layer::Depthwise(l) => self.depthwise(l, &mut step)?,
            Layer::Moments(l) => {
                self.divide(l.chs, true, &mut step);
                step.dst = Region::Moments;
                self.grow(Region::Moments, step.chunks * 2 * step.pixel.0);
                0
            }
            Layer::Norm(l) => self.norm(l, &mut step),
            Layer::SqueezeExcite(l) => self.squeeze_excite(l, &mut step),
            Layer::GlobalContext(l) => self.global_context(l, &mut step),
            Layer::ExpertMix(l) => self.mix(l, &mut step),
            Layer::Attention(l) => self.attention(l, &mut step),
            Layer::Pointwise(l) => self.pointwise(l, &mut step),
            Layer::Mean(l) => self.mean(l, &mut step),
            Layer::Dense(l) => self.dense(l, &mut step),
        };
        if chs > 0 {
            let (h, w) = (step.h.output, step.w.output);
            // The head's means are for the next steps, which take a group.
            let is_head = matches!(layer, Layer::Pointwise(l) if l.mean);
            let ends_block = layer.dst() == Some(Slot::Next) && !is_head;
            if self.phase == Phase::Few && ends_block && h * w * padded(chs) <= JOINED {
                self.phase = Phase::Together;
                self.next = Region::Joined;
                step.dst = Region::Joined;
            }
            self.dims[step.dst as usize] = (h, w);
            step.pixel.1 = padded(chs);
            self.grow(step.dst, h * w * padded(chs));
        }
        Ok((step, chs))
    }

    /// Makes a block's output the next one's input.
    pub(super) fn advance(&mut self) {
        std::mem::swap(&mut self.current, &mut self.next);
    }

    fn region(&self, slot: Slot) -> Region {
        match slot {
            Slot::Images => Region::Images,
            Slot::Current => self.current,
            Slot::Mid => Region::Mid,
            Slot::Query => Region::Query,
            Slot::Key => Region::Key,
            Slot::Value => Region::Value,
            Slot::Side | Slot::Next => self.next,
        }
    }

    /// Gives `region` at least `floats` floats per image.
    fn grow(&mut self, region: Region, floats: usize) {
        let size = &mut self.sizes[self.phase as usize][region as usize];
        *size = (*size).max(floats);
    }

    /// Gives a thread's scratch at least `floats` floats.
    fn scratch(&mut self, floats: usize) {
        self.scratch = self.scratch.max(floats);
    }

    /// The sizes of a convolution over a map of `h` by `w` pixels.
    fn slide(
        &self,
        pad: Pad,
        conv: Conv,
        (h, w): (usize, usize),
    ) -> Result<(Side, Side), CpuError> {
        let (height, width) = self.size;
        let side = |input| {
            Side::new(pad, conv.kernel_size, conv.stride, input)
                .ok_or(CpuError::TooSmall { height, width })
        };
        Ok((side(h)?, side(w)?))
    }

    /// Makes the tasks of `step` squeeze what they write.
    fn reduce(&mut self, step: &Step, reduce: &Matrix) {
        self.parts = step.chunks * step.blocks;
        self.grow(Region::Pool, self.parts * padded(reduce.n));
    }

    fn convolution(&mut self, l: &Convolution, step: &mut Step) -> Result<usize, CpuError> {
        let (k, s) = (l.conv.kernel_size, l.conv.stride);
        (step.h, step.w) = self.slide(l.pad, l.conv, (step.h.input, step.w.input))?;
        if matches!(l.kernel, ConvWeights::Winograd(_)) {
            let reach = step.w.output.next_multiple_of(OUTPUTS) + 2;
            step.w.padded = step.w.padded.max(reach);
        }
        let chs = l.project.as_ref().map_or(l.conv.out_chs, |p| p.n);
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
        if let ConvWeights::Winograd(winograd) = &l.kernel {
            let across = step.w.output.div_ceil(OUTPUTS);
            let down = TILES.div_ceil(across).min(step.h.output.div_ceil(OUTPUTS));
            step.rows = OUTPUTS * down;
            rows_in = step.rows + 2;
            let panel = winograd.points.widest_panel();
            let plane = |floats| Winograd::stride(across * down * floats);
            points = POINTS * (plane(step.pixel.0) + plane(panel));
        }
        step.chunks = step.h.output.div_ceil(step.rows);
        step.kind = Kind::Windows(windows(l, step, rows_in));
        let mut floats = padded(rows_in * per_row) + step.rows * step.w.output * mid + points;
        // The rows as pairs, or later what the projection reads as pairs.
        let narrowed = match &l.kernel {
            ConvWeights::Direct(groups) if groups[0].pairs.is_some() => rows_in * per_row,
            _ => 0,
        };
        let projected = match &l.project {
            Some(project) if project.pairs.is_some() => step.rows * step.w.output * mid,
            _ => 0,
        };
        floats += padded(narrowed.max(projected));
        if let Some(reduce) = &l.reduce {
            self.reduce(step, reduce);
            floats += padded(chs);
        }
        self.scratch(floats);
        Ok(chs)
    }

    fn depthwise(&mut self, l: &Depthwise, step: &mut Step) -> Result<usize, CpuError> {
        let (k, chs) = (l.conv.kernel_size, l.conv.out_chs);
        let mut map = (step.h.input, step.w.input);
        // Floats in which the ring's rows are computed: their inputs as pairs and several rows at
        // once, or the image's rows under one row.
        let mut beside = 0;
        match &l.source {
            Source::Map => step.pixel.0 = padded(chs),
            Source::Expand(matrix, _) => {
                step.pixel.0 = padded(matrix.inputs());
                let at_once = matrix.rows_at_once(self.kernels, map.1);
                let staged = if at_once > 1 { l.widest_block() } else { 0 };
                beside = at_once * map.1 * (step.pixel.0 + staged);
                step.kind = Kind::Expanded { at_once };
            }
            Source::Stem(Stem { conv, pad, .. }) => {
                let (h, w) = self.slide(*pad, *conv, map)?;
                map = (h.output, w.output);
                beside = conv.in_chs * conv.kernel_size * w.padded;
                let windows = in_planes(conv, w.padded, conv.kernel_size);
                step.kind = Kind::Stem { sides: (h, w), windows };
            }
        }
        (step.h, step.w) = self.slide(l.pad, l.conv, map)?;
        step.blocks = l.blocks();
        // A power of two, for even shares, and the smaller one, because rows between chunks are
        // expanded twice.
        let chunks = 1 << TASKS.div_ceil(step.blocks).ilog2();
        step.rows = step.h.output.div_ceil(chunks).max(k.min(step.h.output));
        step.chunks = step.h.output.div_ceil(step.rows);
        // The ring, a row of zeros, and sums.
        let ring = ((k + 1) * step.w.padded + 1) * l.widest_block();
        self.scratch(ring + beside);
        if let Some(reduce) = &l.reduce {
            self.reduce(step, reduce);
        }
        Ok(chs)
    }

    /// Cuts a map into tasks: by pixels, or by channels if it is small and each channel may be
    /// `alone`.
    fn divide(&self, chs: usize, alone: bool, step: &mut Step) {
        step.pixel.0 = padded(chs);
        let pixels = step.h.input * step.w.input;
        let least = (pixels * step.pixel.0).div_ceil(BUDGET / 2);
        if alone && least == 1 {
            step.blocks = (step.pixel.0 / LANES).min(TASKS);
        } else {
            step.chunks = even(least.max(TASKS.min(pixels)));
        }
        step.rows = pixels.div_ceil(step.chunks);
        step.chunks = pixels.div_ceil(step.rows);
    }

    fn norm(&mut self, l: &Norm, step: &mut Step) -> usize {
        // [`Layer::Moments`] cuts its map in the same way.
        self.divide(l.chs, matches!(l.statistics, Statistics::Groups(_)), step);
        // Sums; the group's mean and factor for each channel; the channels' own moments.
        self.scratch(5 * step.pixel.0);
        if let Some(reduce) = &l.reduce {
            self.reduce(step, reduce);
        }
        l.chs
    }

    fn squeeze_excite(&mut self, l: &SqueezeExcite, step: &mut Step) -> usize {
        step.kind = Kind::Parts(self.parts);
        step.dst = Region::Gate;
        step.blocks = l.expand.panels.len().min(TASKS);
        step.pixel = (l.bias.len(), padded(l.expand.n));
        self.scratch(l.bias.len());
        self.grow(Region::Gate, step.pixel.1);
        0
    }

    fn global_context(&mut self, l: &GlobalContext, step: &mut Step) -> usize {
        step.dst = Region::Gate;
        step.pixel = (padded(l.attn.k), padded(l.expand.n));
        let pixels = step.h.input * step.w.input;
        self.scratch(pixels * LANES + padded(l.attn.k) + padded(l.reduce.n));
        self.grow(Region::Gate, step.pixel.1);
        0
    }

    fn mix(&mut self, l: &ExpertMix, step: &mut Step) -> usize {
        (step.src, step.dst) = (Region::Pool, Region::Mixed);
        step.pixel.0 = padded(l.routing.k);
        step.blocks = TASKS;
        self.scratch(padded(l.routing.n));
        for floats in l.experts.iter().map(AlignedBuf::len) {
            self.grow(Region::Mixed, floats);
        }
        0
    }

    fn attention(&mut self, l: &Attention, step: &mut Step) -> usize {
        let chs = l.heads * l.dim;
        step.pixel.0 = chs;
        let [pixels, keys] = [Region::Query, Region::Key]
            .map(|region| self.dims[region as usize])
            .map(|(h, w)| h * w);
        let by_key = Matrix::shape(self.kernels, (keys, l.dim));
        let by_value = Matrix::shape(self.kernels, (l.dim, keys));
        step.blocks = l.heads;
        let most = (BUDGET / 2 / padded(keys)).max(1);
        step.rows = pixels.div_ceil(TASKS.div_ceil(l.heads)).min(most);
        step.chunks = pixels.div_ceil(step.rows);
        self.scratch(by_key.floats() + by_value.floats() + step.rows * padded(keys));
        step.kind = Kind::Attention { by_key, by_value };
        chs
    }

    fn pointwise(&mut self, l: &Pointwise, step: &mut Step) -> usize {
        let chs = l.matrix.n;
        step.pixel.0 = padded(l.matrix.inputs());
        let pixels = step.h.input * step.w.input;
        let pairs = l.matrix.panels.len().div_ceil(2);
        step.blocks = if l.mean || pixels < 512 { pairs } else { 1 };
        if !l.mean {
            let least = (pixels * step.pixel.0).div_ceil(BUDGET / 2);
            let wanted = TASKS.div_ceil(step.blocks).min(pixels.div_ceil(8));
            step.chunks = even(least.max(wanted));
        }
        step.rows = pixels.div_ceil(step.chunks);
        step.chunks = pixels.div_ceil(step.rows);
        let gates_weights = l.gates_weights(step.rows);
        step.kind = Kind::Pointwise { gates_weights };
        if gates_weights {
            self.scratch(l.matrix.floats());
        } else if l.gate || l.matrix.pairs.is_some() {
            self.scratch(step.rows * step.pixel.0);
        }
        if l.mean {
            self.grow(Region::Means, padded(chs));
        }
        chs
    }

    fn mean(&mut self, l: &Mean, step: &mut Step) -> usize {
        step.dst = if l.classified { Region::Means } else { Region::Pool };
        step.pixel = (padded(l.chs), padded(l.chs));
        step.blocks = (padded(l.chs) / LANES).min(TASKS);
        self.grow(step.dst, padded(l.chs));
        0
    }

    fn dense(&mut self, l: &Dense, step: &mut Step) -> usize {
        (step.src, step.dst) = match l.classifies() {
            true => (Region::Means, Region::Logits),
            false => (Region::Pool, Region::Means),
        };
        step.pixel = (padded(l.matrix.inputs()), padded(l.matrix.n));
        step.blocks = l.matrix.panels.len().div_ceil(2);
        step.kind = Kind::AllImages;
        self.scratch(MAX_GROUP * step.pixel.0);
        self.grow(step.dst, step.pixel.1);
        0
    }
}

/// The number of chunks, or one more, so that two threads share the tasks evenly; a single chunk
/// stays one.
fn even(chunks: usize) -> usize {
    if chunks == 1 { 1 } else { chunks.next_multiple_of(2) }
}

/// The windows of a convolution over a task's `rows_in` padded rows.
fn windows(l: &Convolution, step: &Step, rows_in: usize) -> Windows {
    if l.src == Slot::Images {
        return in_planes(&l.conv, step.w.padded, rows_in);
    }
    let (pixel, run) = match &l.kernel {
        ConvWeights::Direct(groups) => {
            let words = |floats| groups[0].words(floats);
            (words(step.pixel.0), words(l.conv.in_chs / groups.len()))
        }
        ConvWeights::Winograd(_) => (step.pixel.0, l.conv.in_chs),
    };
    let segments = taps(&l.conv, step.w.padded).map(|tap| tap * pixel).collect();
    Windows { segments, run }
}

/// The windows of a convolution of the images, over planes of `rows` padded rows.
fn in_planes(conv: &Conv, row: usize, rows: usize) -> Windows {
    let planes = (0..conv.in_chs).map(|c| c * rows * row);
    let segments =
        planes.flat_map(|plane| (0..conv.kernel_size).map(move |ky| plane + ky * row)).collect();
    Windows { segments, run: conv.kernel_size }
}

/// Where a window's pixels are in padded rows.
fn taps(conv: &Conv, row: usize) -> impl Iterator<Item = usize> {
    let k = conv.kernel_size;
    (0..k * k).map(move |tap| tap / k * row + tap % k)
}
