//! An architecture as a row of numbers.

use super::{Activation, AntiAlias, DepthTrunc, Head, Norm, PadType, PrunedStage};

/// A depth multiplier for all stages, or one for each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DepthMultiplier {
    /// The same for every stage.
    Uniform(f64),
    /// One for each stage.
    PerStage(&'static [f64]),
}

/// Features that the classifier reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NumFeatures {
    /// This many.
    Fixed(usize),
    /// Scaled and rounded like every other width.
    Scaled(usize),
    /// Scaled, unless that makes them fewer.
    AtLeast(usize),
    /// As many as the last block's channels.
    LastBlock,
}

/// Which channel attention the `se` tokens stand for.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum SeKind {
    /// Squeeze-and-excitation.
    SqueezeExcite {
        /// Activation between its convolutions, if not the block's.
        act: Option<Activation>,
        /// Activation after them.
        gate: Activation,
        /// Rounding of the squeezed channels.
        rd_round: RdRound,
    },
    /// Global context (`gc`).
    GlobalContext,
}

/// How squeezed channels become a whole number.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum RdRound {
    /// To nearest, ties to even.
    Nearest,
    /// Like an unscaled width: to a multiple of 8, losing at most `1 - round_limit`.
    Divisible {
        /// The smallest share kept.
        round_limit: f64,
    },
}

/// An architecture: one row of the table, with everything that sets it apart from its relatives.
///
/// Fields are named after the arguments of timm's `EfficientNet` and of its `_gen_*` functions
/// (`timm/models/efficientnet.py`), and of `MobileNetV3`
/// (`timm/models/mobilenetv3.py`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arch {
    /// timm's name.
    pub name: &'static str,
    /// Block strings, stage by stage; see [`BlockDef`](super::BlockDef).
    pub arch_def: &'static [&'static [&'static str]],
    /// Width multiplier.
    pub channel_multiplier: f64,
    /// Widths are rounded to multiples of this.
    pub channel_divisor: usize,
    /// Rounding may not lose more than `1 - round_limit` of a width; 0 for no limit.
    pub round_limit: f64,
    /// Depth multiplier.
    pub depth_multiplier: DepthMultiplier,
    /// Rounding of scaled depths.
    pub depth_trunc: DepthTrunc,
    /// The first and the last stage keep their depth.
    pub fix_first_last: bool,
    /// Output channels of the stem, before scaling.
    pub stem_size: usize,
    /// Kernel size of the stem.
    pub stem_kernel_size: usize,
    /// The stem keeps its width.
    pub fix_stem: bool,
    /// Channels in a group of the spatial convolutions, unless a block string says otherwise.
    pub group_size: Option<usize>,
    /// Multiplies the experts of `cc` tokens.
    pub experts_multiplier: usize,
    /// The way from the last block to the classifier.
    pub head: Head,
    /// Features that the classifier reads.
    pub num_features: NumFeatures,
    /// Activation, unless a block names its own.
    pub act_layer: Activation,
    /// Padding of every convolution.
    pub pad_type: PadType,
    /// Kind of every norm.
    pub norm: Norm,
    /// Epsilon of every norm.
    pub bn_eps: f64,
    /// What downsamples in the blocks instead of strides.
    pub aa_layer: Option<AntiAlias>,
    /// What `se` tokens stand for.
    pub se_layer: SeKind,
    /// `se` ratios refer to the expanded channels rather than to the block's input.
    pub se_from_exp: bool,
    /// `uir`, `mqa` and `mha` blocks scale their branch channel by channel.
    pub layer_scale: bool,
    /// Channels left by pruning, which replace the scaled ones.
    pub pruned: Option<&'static [PrunedStage]>,
}

impl Arch {
    /// The architecture without the layers between the pool and the classifier, which then reads
    /// the last block's pooled output. This is what remains when users replace everything after the
    /// features of a MobileNet V3.
    #[must_use]
    pub fn without_conv_head(self) -> Self {
        Self { head: Head::Pool, num_features: NumFeatures::LastBlock, ..self }
    }
}
