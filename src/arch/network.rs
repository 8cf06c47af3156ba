//! A network with every number resolved: what the model builder, the shape probe and the engines
//! read.

use super::{Activation, Block, BlockKind, Conv};

/// How a convolution pads its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PadType {
    /// PyTorch's: the same number of zeros on both sides.
    Symmetric,
    /// TensorFlow's `SAME`: as many zeros as the input's size needs, an odd one at the end.
    Same,
}

/// Which normalization a network uses, before every activation and after every projection.
///
/// Every norm has `weight` and `bias`. Batch norm also has its running statistics, and EvoNorm a
/// tensor `v` where it activates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Norm {
    /// `BatchNormAct2d`.
    BatchNorm,
    /// `GroupNormAct`: mean and variance over all positions of a group of channels.
    GroupNorm {
        /// Channels in a group.
        group_size: usize,
    },
    /// `LayerNormAct2d`: mean and variance over the channels of each position.
    LayerNorm,
    /// `EvoNorm2dS0`, in place of a norm and an activation: `x * sigmoid(v * x)` divided by the
    /// standard deviation of a group of channels; only a scale and shift where there is no
    /// activation.
    EvoNormS0 {
        /// Channels in a group.
        group_size: usize,
    },
}

/// What lies between the last block and the classifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Head {
    /// `conv_head` -> `bn2` + activation -> pool.
    ConvThenPool,
    /// Pool only.
    Pool,
    /// Pool -> `conv_head`, with bias -> activation (MobileNet V3).
    PoolThenConv,
    /// Pool -> `conv_head`, without bias -> activation.
    PoolThenConvNoBias,
    /// Pool -> `conv_head` -> `norm_head` + activation (MobileNet V4).
    PoolThenConvNorm,
}

impl Head {
    /// Whether `conv_head` reads the pooled features, so that the last block's output is the last
    /// feature map.
    #[must_use]
    pub fn pools_first(self) -> bool {
        !matches!(self, Self::ConvThenPool)
    }
}

/// A whole network, resolved from an [`Arch`](super::Arch).
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// timm's name of the architecture.
    pub name: String,
    /// Channels of the input image.
    pub in_chans: usize,
    /// Classes of the classifier; 0 for no classifier (the output is the pooled features).
    pub num_classes: usize,
    /// Output channels of the stem (`conv_stem`, stride 2).
    pub stem_chs: usize,
    /// Kernel size of the stem.
    pub stem_kernel_size: usize,
    /// The stages of blocks.
    pub stages: Vec<Vec<Block>>,
    /// The way from the last block to the classifier.
    pub head: Head,
    /// Features that the classifier reads: output channels of `conv_head`, or of the last block if
    /// there is no `conv_head`.
    pub num_features: usize,
    /// Activation of the stem and the head.
    pub act: Activation,
    /// Padding of every convolution.
    pub pad_type: PadType,
    /// Kind of every norm.
    pub norm: Norm,
    /// Epsilon of every norm.
    pub bn_eps: f64,
    /// Dropout rate before the classifier, in training.
    pub drop_rate: f64,
}

impl Network {
    /// Channels of the last feature map, timm's `num_features`: the last block's channels where the
    /// head widens only after the pool.
    #[must_use]
    pub fn feature_chs(&self) -> usize {
        match self.stages.iter().flatten().next_back() {
            Some(last) if self.head.pools_first() => last.out_chs(),
            _ => self.num_features,
        }
    }

    /// The stem's convolution.
    ///
    /// ```
    /// use effnet::arch;
    /// let network = arch::find("efficientnet_b0").unwrap().network(&Default::default())?;
    /// let stem = network.conv_stem();
    /// assert_eq!((stem.in_chs, stem.out_chs, stem.kernel_size, stem.stride), (3, 32, 3, 2));
    /// # Ok::<(), effnet::arch::ArchError>(())
    /// ```
    #[must_use]
    pub fn conv_stem(&self) -> Conv {
        Conv {
            in_chs: self.in_chans,
            out_chs: self.stem_chs,
            kernel_size: self.stem_kernel_size,
            stride: 2,
            groups: 1,
        }
    }

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
    /// is stage `i`; each is the last one at its resolution.
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
