//! A step of a plan: which layer, from where to where, and cut into which tasks.

use super::super::matrix::Matrix;
use super::super::side::Side;

/// The regions of the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Region {
    /// Feature maps, alternating with the next region.
    Ping,
    /// Feature maps.
    Pong,
    /// Like these two, from the map with which [`Phase::Together`] begins.
    Joined,
    /// [`Slot::Mid`].
    Mid,
    /// [`Slot::Query`].
    Query,
    /// [`Slot::Key`].
    Key,
    /// [`Slot::Value`].
    Value,
    /// Each image's own weights.
    Mixed,
    /// Parts of a squeeze-excitation's squeezed channels, `[image][task][channel]`; or, before a head,
    /// means `[image][channel]`.
    Pool,
    /// Gates, `[image][channel]`.
    Gate,
    /// Moments of each part of an image's pixels, `[image][part][mean or squares][channel]`.
    Moments,
    /// What the classifier reads, `[image][channel]`.
    Means,
    /// `[image][class]`.
    Logits,
    /// The caller's images.
    Images,
}

/// Regions that lie in the arena.
pub(in super::super) const REGIONS: usize = 13;

/// How many images the steps of a plan take at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Phase {
    /// While maps are large and weights few: only as many as it takes to give each thread a task,
    /// so that an image's maps stay in the caches.
    Few,
    /// After that: a group, so that weights go through the caches once for all its images.
    Together,
}

/// What the steps of one kind of layer have in addition to what all have.
#[derive(Debug)]
pub(in super::super) enum Kind {
    /// Nothing.
    Plain,
    /// For a dense convolution.
    Windows(Windows),
    /// For a depthwise convolution after an expansion: how many rows are expanded at once, before
    /// they are used one by one.
    Expanded { at_once: usize },
    /// For a depthwise convolution that slides over the stem's map: the stem's sizes and windows.
    Stem { sides: (Side, Side), windows: Windows },
    /// For a pointwise convolution: whether a task multiplies the weights, rather than its inputs,
    /// by the gate.
    Pointwise { gates_weights: bool },
    /// For a squeeze-excitation: how many parts of an image it reads in [`Region::Pool`].
    Parts(usize),
    /// For attention: the products of queries and keys, and of their softmax and values.
    Attention { by_key: Matrix, by_value: Matrix },
    /// For a dense layer: a task covers all images at once.
    AllImages,
}

/// Where the inputs of a convolution's window are in the padded rows of a task.
#[derive(Debug)]
pub(in super::super) struct Windows {
    /// Starts of the segments.
    pub(in super::super) segments: Vec<usize>,
    /// Length of a segment.
    pub(in super::super) run: usize,
}

/// One layer at one size.
#[derive(Debug)]
pub(in super::super) struct Step {
    /// Index of the layer.
    pub(in super::super) layer: usize,
    pub(in super::super) src: Region,
    pub(in super::super) dst: Region,
    /// The block's input, if it is added.
    pub(in super::super) residual: Region,
    pub(in super::super) h: Side,
    pub(in super::super) w: Side,
    /// Floats of an input pixel, and of an output pixel.
    pub(in super::super) pixel: (usize, usize),
    /// Output rows of a task (for pointwise layers: pixels).
    pub(in super::super) rows: usize,
    /// Tasks along the rows.
    pub(in super::super) chunks: usize,
    /// Tasks along the channels.
    pub(in super::super) blocks: usize,
    /// What only steps of its kind have.
    pub(in super::super) kind: Kind,
}

impl Step {
    /// Tasks for `images` images.
    pub(in super::super) fn tasks(&self, images: usize) -> usize {
        self.chunks * self.blocks * if matches!(self.kind, Kind::AllImages) { 1 } else { images }
    }
}

/// A feature map that is complete after some steps.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Map {
    /// The number of steps after which it is complete.
    pub(in super::super) steps: usize,
    pub(in super::super) region: Region,
    pub(in super::super) chs: usize,
    pub(in super::super) h: usize,
    pub(in super::super) w: usize,
}
