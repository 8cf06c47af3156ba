//! A graph's operations joined where their arithmetic allows it, for any target: norms,
//! activations, layer scales and sums go into the convolution before them, gates into the one
//! after.
//!
//! ```text
//! conv_dw, bn2, se, conv_pwl, bn3, sum  ->  conv (norm, act), squeeze-excitation, conv (norm, gate, residual)
//! ```
//!
//! Weights are only named here: a target reads those of one layer at a time, folded in f64
//! ([`Weights::read`]), and packs them.

mod join;
#[cfg(test)]
pub(super) mod reference;
mod weights;

pub(crate) use join::{CannotFuse, fuse};
pub(crate) use weights::{Folded, Weights};

use std::ops::Range;

use crate::arch::{self, Activation, AntiAlias, PadType, Tap, Value};

/// A network as fused layers, in the order of computation.
#[derive(Debug)]
pub(crate) struct Fused {
    /// Padding of every convolution.
    pub(crate) pad_type: PadType,
    pub(crate) layers: Vec<Layer>,
    /// The layers of the stem, of each block, and of what follows the blocks.
    pub(crate) parts: Vec<Range<usize>>,
    /// The graph's taps.
    pub(crate) taps: Vec<Tap>,
}

/// A fused layer. Values are the graph's; a layer writes the value of its last operation.
#[derive(Debug)]
pub(crate) struct Layer {
    /// timm's path of its first operation.
    pub(crate) path: String,
    pub(crate) kind: Kind,
    /// What it reads: a map or a vector; for attention queries, keys and values.
    pub(crate) src: Vec<Value>,
    pub(crate) dst: Value,
    /// Channels of what it writes.
    pub(crate) chs: usize,
}

/// What a layer computes.
#[derive(Debug)]
pub(crate) enum Kind {
    Conv(Conv),
    /// A map's gate for each channel, by which the graph's squeeze-excitation multiplies the map.
    /// In [`Conv::gate`] it stands for that product.
    SqueezeExcite {
        reduce: Weights,
        act: Activation,
        expand: Weights,
        gate: Activation,
    },
    /// Like [`Kind::SqueezeExcite`]: the mean over all positions, weighted by a softmax of `attn`,
    /// then passed through `reduce`, a layer norm, `act`, `expand` and a sigmoid.
    GlobalContext {
        attn: Weights,
        reduce: Weights,
        /// The layer norm's path.
        norm: String,
        act: Activation,
        expand: Weights,
    },
    /// The weights of [`Conv::mix`]: a dense layer of a vector, then a sigmoid.
    Routing(Weights),
    /// The graph's [`arch::Op::MultiQueryAttention`], its queries already scaled.
    MultiQueryAttention {
        num_heads: usize,
        key_dim: usize,
    },
    /// The graph's [`arch::Op::MultiHeadAttention`].
    MultiHeadAttention {
        num_heads: usize,
        key_dim: usize,
    },
    AntiAlias(AntiAlias),
    /// A norm without statistics of the map that cannot go into a convolution: one factor and one
    /// summand per channel.
    ScaleShift(Weights),
    Norm(Norm),
    /// The mean over all positions.
    Pool,
}

/// Convolutions side by side, usually just one, each on its share of the channels; on a vector, a
/// dense layer.
#[derive(Debug)]
pub(crate) struct Conv {
    pub(crate) convs: Vec<arch::Conv>,
    pub(crate) weights: Weights,
    /// Kernels that are mixed for each image, and the weights that mix them.
    pub(crate) mix: Option<(usize, Value)>,
    /// Multiplies the inputs, channel by channel.
    pub(crate) gate: Option<Value>,
    /// After the sum with the bias.
    pub(crate) act: Option<Activation>,
    /// Added last.
    pub(crate) residual: Option<Value>,
}

/// A norm that needs statistics of the map itself: `(x - mean) / std`, scaled and shifted.
#[derive(Debug)]
pub(crate) struct Norm {
    pub(crate) statistics: Statistics,
    /// Added to the variance.
    pub(crate) eps: f64,
    /// The tensor `v`, if `x * sigmoid(v * x)` replaces `x - mean`.
    pub(crate) gate: Option<String>,
    /// The scale and the shift.
    pub(crate) affine: Weights,
    /// After the shift.
    pub(crate) act: Option<Activation>,
    /// Added last.
    pub(crate) residual: Option<Value>,
}

/// What the mean and standard deviation are taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statistics {
    /// A group of this many channels, at all positions.
    Groups(usize),
    /// All channels of a position.
    Positions,
}

impl Conv {
    pub(crate) fn is_depthwise(&self) -> bool {
        self.convs.iter().all(|c| c.groups > 1 && c.groups == c.in_chs && c.out_chs == c.in_chs)
    }

    pub(crate) fn is_pointwise(&self) -> bool {
        self.convs.iter().all(|c| (c.kernel_size, c.stride, c.groups) == (1, 1, 1))
    }
}

impl Fused {
    /// How many layers and taps read each value, by [`Value::index`].
    pub(crate) fn readers(&self) -> Vec<usize> {
        let taps = self.taps.iter().map(|tap| tap.value);
        let values: Vec<_> = self.layers.iter().flat_map(Layer::reads).chain(taps).collect();
        let most = self.layers.iter().map(|layer| layer.dst).chain(values.iter().copied()).max();
        let mut readers = vec![0; most.map_or(0, |value| value.index() + 1)];
        values.iter().for_each(|value| readers[value.index()] += 1);
        readers
    }

    /// Whether a tap of this name is the value.
    pub(crate) fn is_tap(&self, name: &str, value: Value) -> bool {
        self.taps.iter().any(|tap| tap.name == name && tap.value == value)
    }
}

impl Layer {
    /// Everything that it reads.
    pub(crate) fn reads(&self) -> impl Iterator<Item = Value> + '_ {
        let beside = match &self.kind {
            Kind::Conv(c) => [c.mix.map(|(_, value)| value), c.gate, c.residual],
            Kind::Norm(norm) => [norm.residual, None, None],
            _ => [None; 3],
        };
        self.src.iter().copied().chain(beside.into_iter().flatten())
    }
}
