//! A network with every number resolved: what the model builder, the shape probe and the engines
//! read.

use super::{Activation, BlockKind};

/// How a convolution pads its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PadType {
    /// PyTorch's: the same number of zeros on both sides.
    Symmetric,
    /// TensorFlow's `SAME`: as many zeros as the input's size asks for, the odd one at the end.
    Same,
}

/// A whole network, resolved from an [`Arch`](super::Arch).
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// timm's name of the architecture.
    pub name: String,
    /// Channels of the input image.
    pub in_chans: usize,
    /// Classes of the classifier; 0 for none (the pooled features come out).
    pub num_classes: usize,
    /// Output channels of the stem (`conv_stem`, 3x3, stride 2).
    pub stem_chs: usize,
    /// The stages of blocks.
    pub stages: Vec<Vec<Block>>,
    /// Output channels of `conv_head`, and so of the pooled features.
    pub num_features: usize,
    /// Activation of the stem and the head.
    pub act: Activation,
    /// Padding of every convolution.
    pub pad_type: PadType,
    /// Epsilon of every batch norm.
    pub bn_eps: f64,
    /// Dropout rate before the classifier, in training.
    pub drop_rate: f64,
}

/// One block of a [`Network`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Block {
    /// `cn`.
    ConvBnAct(ConvBnAct),
    /// `ds`.
    DepthwiseSeparable(DepthwiseSeparable),
    /// `ir`.
    InvertedResidual(InvertedResidual),
    /// `er`.
    EdgeResidual(EdgeResidual),
}

impl Block {
    /// The kind of block.
    #[must_use]
    pub fn kind(&self) -> BlockKind {
        match self {
            Self::ConvBnAct(_) => BlockKind::ConvBnAct,
            Self::DepthwiseSeparable(_) => BlockKind::DepthwiseSeparable,
            Self::InvertedResidual(_) => BlockKind::InvertedResidual,
            Self::EdgeResidual(_) => BlockKind::EdgeResidual,
        }
    }

    /// Stride of the block.
    #[must_use]
    pub fn stride(&self) -> usize {
        match self {
            Self::ConvBnAct(b) => b.conv.stride,
            Self::DepthwiseSeparable(b) => b.conv_dw.stride,
            Self::InvertedResidual(b) => b.conv_dw.stride,
            Self::EdgeResidual(b) => b.conv_exp.stride,
        }
    }

    /// Output channels of the block.
    #[must_use]
    pub fn out_chs(&self) -> usize {
        match self {
            Self::ConvBnAct(b) => b.conv.out_chs,
            Self::DepthwiseSeparable(b) => b.out_chs,
            Self::InvertedResidual(b) => b.out_chs,
            Self::EdgeResidual(b) => b.out_chs,
        }
    }
}

/// A square convolution without bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    /// Input channels.
    pub in_chs: usize,
    /// Output channels.
    pub out_chs: usize,
    /// Side of the kernel.
    pub kernel_size: usize,
    /// Stride in both directions.
    pub stride: usize,
    /// Channel groups: 1 for a full convolution, `in_chs` for a depthwise one.
    pub groups: usize,
}

/// A channel attention layer (timm's field `se`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SeLayer {
    /// `SqueezeExcite`: pool, reduce to `rd_channels`, activate, expand, sigmoid.
    SqueezeExcite {
        /// Channels between the two convolutions.
        rd_channels: usize,
    },
    /// `GlobalContext`: the pool is weighted by a softmax over all positions (GCNet).
    GlobalContext {
        /// Channels between the two convolutions.
        rd_channels: usize,
    },
}

/// `conv` -> `bn1` + activation.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvBnAct {
    /// The convolution.
    pub conv: Conv,
    /// Activation after the norm.
    pub act: Activation,
    /// Whether the input is added to the output.
    pub has_skip: bool,
    /// Drop-path rate of the residual, in training.
    pub drop_path: f64,
}

/// `conv_dw` -> `bn1` + activation -> `se` -> `conv_pw` -> `bn2`.
#[derive(Debug, Clone, PartialEq)]
pub struct DepthwiseSeparable {
    /// The spatial convolution.
    pub conv_dw: Conv,
    /// Output channels of `conv_pw`.
    pub out_chs: usize,
    /// Channel attention.
    pub se: Option<SeLayer>,
    /// Activation after `bn1`, and inside `se`.
    pub act: Activation,
    /// Whether the input is added to the output.
    pub has_skip: bool,
    /// Drop-path rate of the residual, in training.
    pub drop_path: f64,
}

/// `conv_pw` -> `bn1` + activation -> `conv_dw` -> `bn2` + activation -> `se` -> `conv_pwl` -> `bn3`.
#[derive(Debug, Clone, PartialEq)]
pub struct InvertedResidual {
    /// Input channels of `conv_pw`.
    pub in_chs: usize,
    /// The spatial convolution, on the expanded channels.
    pub conv_dw: Conv,
    /// Output channels of `conv_pwl`.
    pub out_chs: usize,
    /// Channel attention.
    pub se: Option<SeLayer>,
    /// Activation after `bn1` and `bn2`, and inside `se`.
    pub act: Activation,
    /// Whether the input is added to the output.
    pub has_skip: bool,
    /// Drop-path rate of the residual, in training.
    pub drop_path: f64,
}

/// `conv_exp` -> `bn1` + activation -> `se` -> `conv_pwl` -> `bn2`.
#[derive(Debug, Clone, PartialEq)]
pub struct EdgeResidual {
    /// The spatial convolution, which expands.
    pub conv_exp: Conv,
    /// Output channels of `conv_pwl`.
    pub out_chs: usize,
    /// Channel attention.
    pub se: Option<SeLayer>,
    /// Activation after `bn1`, and inside `se`.
    pub act: Activation,
    /// Whether the input is added to the output.
    pub has_skip: bool,
    /// Drop-path rate of the residual, in training.
    pub drop_path: f64,
}

impl Network {
    /// The kinds of the blocks, stage by stage: what a naming convention needs to know.
    ///
    /// ```
    /// use effnet::arch::{self, BlockKind};
    /// let network = arch::find("efficientnetv2_s").unwrap().network(&Default::default())?;
    /// assert_eq!(network.block_kinds()[0], [BlockKind::ConvBnAct; 2]);
    /// # Ok::<(), effnet::arch::ArchError>(())
    /// ```
    #[must_use]
    pub fn block_kinds(&self) -> Vec<Vec<BlockKind>> {
        self.stages.iter().map(|stage| stage.iter().map(Block::kind).collect()).collect()
    }

    /// Where the resolution changes: the indices of the outputs that
    /// `EfficientNet::forward_intermediates` returns (timm's `stage_ends`). 0 is the stem, `i + 1`
    /// is stage `i`; each is the last at its resolution.
    ///
    /// ```
    /// use effnet::arch;
    /// let network = arch::find("efficientnet_b0").unwrap().network(&Default::default())?;
    /// assert_eq!(network.stage_ends(), [1, 2, 3, 5, 7]);
    /// # Ok::<(), effnet::arch::ArchError>(())
    /// ```
    #[must_use]
    pub fn stage_ends(&self) -> Vec<usize> {
        let starts_with_stride = |i: usize| self.stages[i].first().is_some_and(|b| b.stride() > 1);
        (0..=self.stages.len())
            .filter(|&i| i == self.stages.len() || starts_with_stride(i))
            .collect()
    }
}
