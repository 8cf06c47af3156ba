//! The layers that a plan is made of, independent of the images' size.

use super::kernels::DepthwiseRow;
use super::matrix::Matrix;
use super::memory::{AlignedBuf, padded};
use super::side::Pad;
use super::simd::LANES;
use crate::arch::{Activation, Conv};
use crate::engine::fuse::Statistics;

/// Where a layer reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// The caller's images, (N, C, H, W).
    Images,
    /// The block's input, (N, H, W, C) with C padded to whole vectors.
    Current,
    /// What the block's projection reads.
    Mid,
    /// What comes before that in a block of more than two layers, or the input of a norm that
    /// writes the output. It shares the memory of [`Slot::Next`], which is written later.
    Side,
    /// An attention layer's query, key and value.
    Query,
    Key,
    Value,
    /// The block's output, which becomes the next block's input.
    Next,
}

/// A fused layer.
#[derive(Debug)]
pub(super) enum Layer {
    Convolution(Convolution),
    Depthwise(Depthwise),
    Moments(Moments),
    Norm(Norm),
    SqueezeExcite(SqueezeExcite),
    GlobalContext(GlobalContext),
    ExpertMix(ExpertMix),
    Attention(Attention),
    Pointwise(Pointwise),
    Mean(Mean),
    Dense(Dense),
}

/// A dense convolution, norm and activation; then a residual, a pooling or a projection.
#[derive(Debug)]
pub(super) struct Convolution {
    pub(super) conv: Conv,
    pub(super) pad: Pad,
    pub(super) kernel: ConvWeights,
    pub(super) act: Option<Activation>,
    pub(super) src: Slot,
    pub(super) dst: Slot,
    /// The projection of a block without attention; what it reads never reaches memory.
    pub(super) project: Option<Matrix>,
    /// Whether the block's input is added to what is written.
    pub(super) residual: bool,
    /// Like [`Depthwise::reduce`].
    pub(super) reduce: Option<Matrix>,
}

/// The weights of a dense convolution.
#[derive(Debug)]
pub(super) enum ConvWeights {
    /// Matrices whose rows are windows: one for each group of channels, or for each set of groups
    /// whose outputs make whole vectors.
    Direct(Vec<Matrix>),
    /// For 3x3 kernels of stride 1.
    Winograd(Winograd),
}

/// A matrix without bias: the weights for each point of a transformed window, one point after the
/// other.
#[derive(Debug)]
pub(super) struct Winograd {
    pub(super) points: Matrix,
    pub(super) bias: AlignedBuf,
}

impl Winograd {
    /// Floats from a point's plane to the next, for planes of `plane` floats. It is an odd number
    /// of vectors: otherwise the vectors of a window would share a few sets of the first-level
    /// cache.
    pub(super) fn stride(plane: usize) -> usize {
        ((plane / LANES) | 1) * LANES
    }
}

impl ConvWeights {
    fn bytes(&self) -> usize {
        match self {
            Self::Direct(groups) => groups.iter().map(Matrix::bytes).sum(),
            Self::Winograd(w) => w.points.bytes() + w.bias.len() * size_of::<f32>(),
        }
    }
}

/// A depthwise convolution, norm and activation.
#[derive(Debug)]
pub(super) struct Depthwise {
    /// The convolution, or the one with the largest of several kernels.
    pub(super) conv: Conv,
    pub(super) pad: Pad,
    /// One for each vector of channels.
    pub(super) kernels: Vec<DepthwiseKernel>,
    /// `[vector of channels][side * side][16]`.
    pub(super) weights: AlignedBuf,
    pub(super) bias: AlignedBuf,
    pub(super) act: Option<Activation>,
    pub(super) src: Slot,
    pub(super) dst: Slot,
    pub(super) source: Source,
    /// Where its weights are among the image's own, if [`ExpertMix`] made them.
    pub(super) mixed: Option<usize>,
    /// The reduction of the squeeze-excitation that follows, without bias: each task computes its
    /// part of the squeezed channels from the sums of the outputs that it wrote.
    pub(super) reduce: Option<Matrix>,
}

/// The source of the rows that a [`Depthwise`] slides over. Unless it is a map, the rows never
/// reach memory.
#[derive(Debug)]
pub(super) enum Source {
    /// A feature map.
    Map,
    /// A pointwise expansion of a map, with the depthwise convolution's activation; and where its
    /// weights are among the image's own, if [`ExpertMix`] made them.
    Expand(Matrix, Option<usize>),
    /// The network's stem.
    Stem(Stem),
}

/// A dense convolution of [`Slot::Images`], norm and activation.
#[derive(Debug)]
pub(super) struct Stem {
    pub(super) conv: Conv,
    pub(super) pad: Pad,
    pub(super) matrix: Matrix,
    pub(super) act: Option<Activation>,
}

/// The kernel of a vector of channels.
#[derive(Debug, Clone, Copy)]
pub(super) struct DepthwiseKernel {
    pub(super) side: usize,
    /// Where its weights start, in floats.
    pub(super) at: usize,
    /// Computes a row of outputs.
    pub(super) row: unsafe fn(&DepthwiseRow<'_>),
}

/// The mean of each channel over a part of an image's pixels, and the sum of the squared deviations
/// from it. A [`Norm`] of groups computes its statistics from these.
#[derive(Debug)]
pub(super) struct Moments {
    pub(super) chs: usize,
    pub(super) src: Slot,
}

/// A norm that takes statistics of the map itself, and activation; then a residual. It works in
/// place, or from one slot to another.
#[derive(Debug)]
pub(super) struct Norm {
    pub(super) chs: usize,
    /// Those of groups are computed from the results of [`Moments`].
    pub(super) statistics: Statistics,
    /// Added to the variance.
    pub(super) eps: f64,
    /// `v`, if `x * sigmoid(v * x)` is divided by the standard deviation in place of `x - mean`.
    pub(super) gate: Option<AlignedBuf>,
    pub(super) scale: AlignedBuf,
    pub(super) shift: AlignedBuf,
    pub(super) act: Option<Activation>,
    pub(super) src: Slot,
    pub(super) dst: Slot,
    /// Whether the block's input is added.
    pub(super) residual: bool,
    /// Like [`Depthwise::reduce`].
    pub(super) reduce: Option<Matrix>,
}

/// From the parts of the squeezed channels to a gate for each channel.
#[derive(Debug)]
pub(super) struct SqueezeExcite {
    /// The reduction's bias.
    pub(super) bias: AlignedBuf,
    pub(super) act: Activation,
    pub(super) expand: Matrix,
    pub(super) gate: Activation,
}

/// From [`Slot::Mid`] to a gate for each channel: the mean of all pixels, weighted by a softmax of
/// `attn`, then passed through `reduce`, a layer norm, an activation, `expand` and a sigmoid.
#[derive(Debug)]
pub(super) struct GlobalContext {
    /// To one value per pixel.
    pub(super) attn: Matrix,
    pub(super) reduce: Matrix,
    /// The layer norm's scale.
    pub(super) scale: AlignedBuf,
    pub(super) shift: AlignedBuf,
    pub(super) act: Activation,
    pub(super) expand: Matrix,
}

/// A pointwise convolution with its norm.
#[derive(Debug)]
pub(super) struct Pointwise {
    pub(super) matrix: Matrix,
    pub(super) act: Option<Activation>,
    pub(super) src: Slot,
    pub(super) dst: Slot,
    /// Whether the inputs are multiplied by the gate.
    pub(super) gate: bool,
    /// Whether the block's input is added.
    pub(super) residual: bool,
    /// Whether the outputs' means over all pixels are kept.
    pub(super) mean: bool,
    /// Where its weights are among the image's own, if [`ExpertMix`] made them.
    pub(super) mixed: Option<usize>,
}

/// An image's own weights for the layers of a block: a sum of several experts' weights. Each expert
/// is weighted by a sigmoid of `routing`, applied to the means that a [`Mean`] computed.
#[derive(Debug)]
pub(super) struct ExpertMix {
    pub(super) routing: Matrix,
    /// All of the same length, packed as the layers take them.
    pub(super) experts: Vec<AlignedBuf>,
}

/// From [`Slot::Query`], [`Slot::Key`] and [`Slot::Value`] to [`Slot::Mid`]: each position's
/// queries, one per head, attend to all positions, which have one key each. The queries are already
/// scaled.
#[derive(Debug)]
pub(super) struct Attention {
    pub(super) heads: usize,
    /// Channels of a query, a key and a value: whole vectors.
    pub(super) dim: usize,
}

/// The means of [`Slot::Current`] over all pixels, for a head that pools first.
#[derive(Debug)]
pub(super) struct Mean {
    pub(super) chs: usize,
    /// Whether the head is a pool only: the classifier reads the means.
    pub(super) classified: bool,
}

/// A matrix for vectors, one per image: a head after a [`Mean`], or the classifier.
#[derive(Debug)]
pub(super) struct Dense {
    pub(super) matrix: Matrix,
    /// The head's activation; none for the classifier.
    pub(super) act: Option<Activation>,
}

impl Pointwise {
    /// Whether it takes fewer products to apply the gate to the weights than to `rows` inputs.
    pub(super) fn gates_weights(&self, rows: usize) -> bool {
        let own = self.matrix.pairs.is_none() && self.mixed.is_none();
        self.gate && own && padded(self.matrix.n) < rows
    }
}

impl Dense {
    /// Whether it is the classifier.
    pub(super) fn classifies(&self) -> bool {
        self.act.is_none()
    }
}

impl Layer {
    /// The feature map that is read.
    pub(super) fn src(&self) -> Option<Slot> {
        match self {
            Self::Convolution(l) => Some(l.src),
            Self::Depthwise(l) => Some(l.src),
            Self::Pointwise(l) => Some(l.src),
            Self::Moments(l) => Some(l.src),
            Self::Norm(l) => Some(l.src),
            Self::SqueezeExcite(_) | Self::GlobalContext(_) => Some(Slot::Mid),
            Self::Attention(_) => Some(Slot::Query),
            Self::Mean(_) => Some(Slot::Current),
            Self::ExpertMix(_) | Self::Dense(_) => None,
        }
    }

    /// Where a feature map is written.
    pub(super) fn dst(&self) -> Option<Slot> {
        match self {
            Self::Convolution(l) => Some(l.dst),
            Self::Depthwise(l) => Some(l.dst),
            Self::Pointwise(l) => Some(l.dst),
            Self::Norm(l) => Some(l.dst),
            Self::Attention(_) => Some(Slot::Mid),
            Self::Moments(_)
            | Self::SqueezeExcite(_)
            | Self::GlobalContext(_)
            | Self::ExpertMix(_)
            | Self::Mean(_)
            | Self::Dense(_) => None,
        }
    }

    /// Bytes of weights.
    pub(super) fn bytes(&self) -> usize {
        let optional = |matrix: &Option<Matrix>| matrix.as_ref().map_or(0, Matrix::bytes);
        match self {
            Self::Convolution(l) => l.kernel.bytes() + optional(&l.project) + optional(&l.reduce),
            Self::Depthwise(l) => {
                (l.weights.len() + l.bias.len()) * size_of::<f32>()
                    + l.source.matrix().map_or(0, Matrix::bytes)
                    + optional(&l.reduce)
            }
            Self::Norm(l) => {
                let gate = l.gate.as_ref().map_or(0, AlignedBuf::len);
                (gate + l.scale.len() + l.shift.len()) * size_of::<f32>() + optional(&l.reduce)
            }
            Self::SqueezeExcite(l) => l.bias.len() * size_of::<f32>() + l.expand.bytes(),
            Self::GlobalContext(l) => {
                let norm = (l.scale.len() + l.shift.len()) * size_of::<f32>();
                l.attn.bytes() + l.reduce.bytes() + norm + l.expand.bytes()
            }
            Self::ExpertMix(l) => {
                let floats: usize = l.experts.iter().map(AlignedBuf::len).sum();
                l.routing.bytes() + floats * size_of::<f32>()
            }
            Self::Pointwise(l) => l.matrix.bytes(),
            Self::Moments(_) | Self::Attention(_) | Self::Mean(_) => 0,
            Self::Dense(l) => l.matrix.bytes(),
        }
    }
}

impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Convolution(Convolution { conv, project, .. }) => {
                dense(f, conv)?;
                if conv.groups > 1 {
                    write!(f, " in {} groups", conv.groups)?;
                }
                project.as_ref().map_or(Ok(()), |project| write!(f, " -> {}", project.n))
            }
            Self::Depthwise(Depthwise { conv, kernels, source, .. }) => {
                match source {
                    Source::Map => {}
                    Source::Expand(matrix, _) => {
                        write!(f, "expand {} -> {}, ", matrix.inputs(), matrix.n)?;
                    }
                    Source::Stem(stem) => {
                        dense(f, &stem.conv)?;
                        write!(f, ", ")?;
                    }
                }
                let mut sides: Vec<usize> = kernels.iter().map(|kernel| kernel.side).collect();
                sides.dedup();
                let sides: Vec<String> = sides.iter().map(|k| format!("{k}x{k}")).collect();
                write!(f, "depthwise {}/{} {}", sides.join("+"), conv.stride, conv.out_chs)
            }
            Self::Moments(l) => write!(f, "moments {}", l.chs),
            Self::Norm(Norm { chs, statistics, .. }) => match statistics {
                Statistics::Groups(size) => write!(f, "norm {chs} in groups of {size}"),
                Statistics::Positions => write!(f, "norm {chs}"),
            },
            Self::SqueezeExcite(l) => {
                write!(f, "squeeze-excite {} -> {}", l.expand.inputs(), l.expand.n)
            }
            Self::GlobalContext(l) => {
                write!(f, "global context {} -> {}", l.reduce.k, l.reduce.n)
            }
            Self::Attention(l) => write!(f, "attention, {} heads of {}", l.heads, l.dim),
            Self::ExpertMix(l) => write!(f, "mix {} experts", l.experts.len()),
            Self::Pointwise(l) => write!(f, "pointwise {} -> {}", l.matrix.inputs(), l.matrix.n),
            Self::Mean(l) => write!(f, "mean {}", l.chs),
            Self::Dense(l) => write!(f, "dense {} -> {}", l.matrix.inputs(), l.matrix.n),
        }
    }
}

/// A dense convolution's side, stride and channels.
fn dense(f: &mut std::fmt::Formatter<'_>, conv: &Conv) -> std::fmt::Result {
    let (k, s) = (conv.kernel_size, conv.stride);
    write!(f, "conv {k}x{k}/{s} {} -> {}", conv.in_chs, conv.out_chs)
}

/// Vectors of channels in a depthwise task over a map.
const BLOCK: usize = 3;

impl From<Stem> for Convolution {
    fn from(Stem { conv, pad, matrix, act }: Stem) -> Self {
        let kernel = ConvWeights::Direct(vec![matrix]);
        let (src, dst) = (Slot::Images, Slot::Next);
        Self { conv, pad, kernel, act, src, dst, project: None, residual: false, reduce: None }
    }
}

impl Source {
    fn matrix(&self) -> Option<&Matrix> {
        match self {
            Self::Map => None,
            Self::Expand(matrix, _) | Self::Stem(Stem { matrix, .. }) => Some(matrix),
        }
    }
}

impl Depthwise {
    /// Sets channel `c`'s weight at row and column `tap` of a kernel of side `k`, which lies in the
    /// middle of its vector's kernel.
    pub(super) fn set_weight(&mut self, c: usize, tap: (usize, usize), k: usize, weight: f32) {
        let DepthwiseKernel { side, at, .. } = self.kernels[c / LANES];
        let inset = (side - k) / 2;
        let tap = (tap.0 + inset) * side + tap.1 + inset;
        self.weights.as_mut_slice()[at + tap * LANES + c % LANES] = weight;
    }

    /// Tasks along the channels: one for each panel of the matrix that computes them, if there is
    /// one.
    pub(super) fn blocks(&self) -> usize {
        match self.source.matrix() {
            Some(matrix) => matrix.panels.len(),
            None => self.vecs().div_ceil(BLOCK),
        }
    }

    /// The first vector of channels of a block, and how many it has.
    pub(super) fn block(&self, block: usize) -> (usize, usize) {
        match self.source.matrix() {
            Some(matrix) => (matrix.panels[block].vec, matrix.panels[block].vecs),
            None => (block * BLOCK, BLOCK.min(self.vecs() - block * BLOCK)),
        }
    }

    /// Channels of the widest block.
    pub(super) fn widest_block(&self) -> usize {
        let widest = (0..self.blocks()).map(|b| self.block(b).1).max();
        widest.unwrap_or(0) * LANES
    }

    fn vecs(&self) -> usize {
        self.conv.out_chs.div_ceil(LANES)
    }
}
