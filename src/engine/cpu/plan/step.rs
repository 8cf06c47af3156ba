//! A step of a plan: which layer, from where to where, cut into which tasks.

use super::super::matrix::Matrix;
use super::super::side::Side;

/// The regions of the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Region {
    /// Feature maps, which take turns.
    Ping,
    /// Feature maps.
    Pong,
    /// As these two, from the map on with which [`Phase::Together`] begins.
    Joined,
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
    /// Of each part of an image's pixels, `[image][part][mean or squares][channel]`.
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
    /// While maps are large and weights few: no more than it takes to give each thread a task, so that
    /// the caches keep an image's maps.
    Few,
    /// Then: a group, which shares the weights' way through the caches.
    Together,
}

/// What the steps of one kind of layer have beside what all have.
#[derive(Debug)]
pub(in super::super) enum Kind {
    /// Nothing.
    Plain,
    /// Of a dense convolution.
    Windows(Windows),
    /// Of a depthwise convolution behind an expansion: rows that are expanded at once, before they are taken
    /// one by one.
    Expanded { at_once: usize },
    /// Of a depthwise convolution that slides over the stem's map: the stem's sizes and windows.
    Stem { sides: (Side, Side), windows: Windows },
    /// Of a pointwise convolution: whether a task multiplies the weights by the gate, rather than its inputs.
    Pointwise { gates_weights: bool },
    /// Of a squeeze-excitation: parts of an image that are read in [`Region::Pool`].
    Parts(usize),
    /// Of an attention: the products of queries by keys, and of their softmax by values.
    Attention { by_key: Matrix, by_value: Matrix },
    /// Of a dense layer: a task covers all images at once.
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
    /// The block's input, where it is added.
    pub(in super::super) residual: Region,
    pub(in super::super) h: Side,
    pub(in super::super) w: Side,
    /// Floats of a pixel that is read, and of one that is written.
    pub(in super::super) pixel: (usize, usize),
    /// Rows of outputs (for pointwise layers: pixels) of a task.
    pub(in super::super) rows: usize,
    /// Tasks along the rows.
    pub(in super::super) chunks: usize,
    /// Tasks along the channels.
    pub(in super::super) blocks: usize,
    /// What only steps of its kind of layer have.
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
    /// Steps after which it is there.
    pub(in super::super) steps: usize,
    pub(in super::super) region: Region,
    pub(in super::super) chs: usize,
    pub(in super::super) h: usize,
    pub(in super::super) w: usize,
}
