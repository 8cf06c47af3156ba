//! A network as operations: what they compute, which tensors they take, what they read and write.
//!
//! ```text
//! Network -> Graph { nodes: [conv_stem, bn1, blocks.0.0.conv_dw, ...], taps: [blocks.0.0, stages.0, ..., logits] }
//! ```

mod build;
mod grid;
mod shapes;
mod tensors;

pub use grid::Grid;

use super::{Activation, AntiAlias, Conv, Network, Norm, PadType};

/// A network as operations, in the order of computation. This is the only description of its
/// structure; it names no target and computes nothing.
///
/// Each operation writes one value. A value is a map (N, C, h, w) or, after a pool, a vector (N,
/// C).
///
/// ```
/// use effnet::arch;
/// let network = arch::find("efficientnet_b0").unwrap().network(&Default::default())?;
/// let graph = network.graph();
/// assert_eq!(graph.nodes[0].path, "conv_stem");
/// let tap = graph.tap("stages.4").unwrap();
/// assert_eq!((tap.chs, tap.reduction), (320, 32));
/// let shapes = graph.shapes(224, 224);
/// assert_eq!(shapes[tap.value.index()], [320, 7, 7]);
/// # Ok::<(), effnet::arch::ArchError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// timm's name of the architecture.
    pub name: String,
    /// Channels of the images.
    pub in_chans: usize,
    /// Padding of every convolution.
    pub pad_type: PadType,
    /// Kind of every norm.
    pub norm: Norm,
    /// Epsilon of every norm.
    pub bn_eps: f64,
    /// The operations. The first reads the images.
    pub nodes: Vec<Node>,
    /// Where the nodes of the stem, of each block and of the head begin and end, in that order.
    pub parts: Vec<Part>,
    /// The values that have a name.
    pub taps: Vec<Tap>,
}

/// What an operation reads: the images, or what another operation wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(usize);

impl Value {
    /// The images.
    pub const IMAGES: Self = Self(0);

    /// Its number: 0 for the images, `i + 1` for what node `i` writes.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0
    }
}

/// An operation of a [`Graph`].
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// timm's path of the module, such as `blocks.0.0.conv_dw`; a block's sum has the block's path.
    pub path: String,
    /// What is computed.
    pub op: Op,
    /// What it reads.
    pub inputs: Vec<Value>,
    /// Channels of what it writes.
    pub chs: usize,
}

/// The nodes of a block, or of a part before or after the blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `stem`, `blocks.0.0`, ..., `conv_head`, `global_pool`, `classifier`.
    pub path: String,
    /// Its nodes.
    pub nodes: std::ops::Range<usize>,
}

/// A value with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tap {
    /// `blocks.N.M` after a block; `stages.N` at the end of each resolution (timm's
    /// `feature_info`); `features`, the last map; `pre_logits`, what the classifier reads;
    /// `logits`, which equal `pre_logits` if there is no classifier.
    pub name: String,
    /// The value.
    pub value: Value,
    /// Its channels.
    pub chs: usize,
    /// The factor by which the image's sides have shrunk; 0 for a vector.
    pub reduction: usize,
}

/// What a [`Node`] computes. Tensors are named below the node's path.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Op {
    /// Convolutions side by side, each on its share of the channels. The tensor of a single one is
    /// `weight`; those of several are `0.weight`, `1.weight`, ... On a vector, a 1x1 convolution of
    /// one position.
    Conv {
        /// The convolutions; usually one.
        convs: Vec<Conv>,
        /// Whether there is a `bias`.
        bias: bool,
    },
    /// A convolution whose kernel is a sum of `num_experts` kernels, weighted for each image. Reads
    /// a map and an [`Op::Routing`]; `weight` is (`num_experts`, elements of one kernel).
    CondConv {
        /// The convolution.
        conv: Conv,
        /// Kernels that are mixed.
        num_experts: usize,
    },
    /// The weights of an [`Op::CondConv`]'s kernels: a dense layer of a vector, then a sigmoid.
    Routing {
        /// Weights.
        num_experts: usize,
    },
    /// The network's kind of norm, then an activation, if any.
    Norm {
        /// After the norm.
        act: Option<Activation>,
    },
    /// An activation alone.
    Act(Activation),
    /// A downsampling in place of a stride.
    AntiAlias(AntiAlias),
    /// A map times a gate for each channel: the mean over all positions, passed through
    /// `conv_reduce`, `act`, `conv_expand`, `gate`.
    SqueezeExcite {
        /// Channels between the two convolutions.
        rd_channels: usize,
        /// Between the two convolutions.
        act: Activation,
        /// After them.
        gate: Activation,
    },
    /// A map times a gate for each channel: the mean over all positions, weighted by a softmax of
    /// `conv_attn`, then passed through `mlp_scale.fc1`, `mlp_scale.norm` (a layer norm with
    /// epsilon 1e-6), `act`, `mlp_scale.fc2`, a sigmoid.
    GlobalContext {
        /// Channels between `fc1` and `fc2`.
        rd_channels: usize,
        /// After `mlp_scale.norm`.
        act: Activation,
    },
    /// The mean over all positions: a map to a vector.
    Pool,
    /// Attention of each position's queries, one per head, to the keys and values of all positions,
    /// one key and one value each. Reads queries, keys and values; a query is scaled by one over
    /// the root of `key_dim`.
    MultiQueryAttention {
        /// Queries of a position.
        num_heads: usize,
        /// Channels of a query, a key and a value.
        key_dim: usize,
    },
    /// Attention in which each head has its own key and value. Reads queries, keys and values of
    /// all heads side by side in one map.
    MultiHeadAttention {
        /// Heads.
        num_heads: usize,
        /// Channels of a query, a key and a value.
        key_dim: usize,
    },
    /// A map times one factor per channel, `gamma`.
    LayerScale,
    /// The sum of a branch and a shortcut.
    Add {
        /// Share of the images whose branch is left out, in training.
        drop_path: f64,
    },
    /// A dense layer of a vector: `weight`, `bias`.
    Linear,
}

impl Graph {
    /// The channels of a value.
    #[must_use]
    pub fn chs(&self, value: Value) -> usize {
        value.0.checked_sub(1).map_or(self.in_chans, |node| self.nodes[node].chs)
    }

    /// What node `index` writes.
    #[must_use]
    pub fn value_of(&self, index: usize) -> Value {
        Value(index + 1)
    }

    /// The names of all taps, in the order of computation.
    #[must_use]
    pub fn outputs(&self) -> Vec<String> {
        self.taps.iter().map(|tap| tap.name.clone()).collect()
    }

    /// The tap of this name.
    #[must_use]
    pub fn tap(&self, name: &str) -> Option<&Tap> {
        self.taps.iter().find(|tap| tap.name == name)
    }
}

impl Network {
    /// The network as operations.
    #[must_use]
    pub fn graph(&self) -> Graph {
        build::graph(self)
    }
}
