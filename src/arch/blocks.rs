//! The blocks of a [`Network`](super::Network), with every number resolved.

use super::{Activation, BlockKind, PadType};

/// The downsampling that follows a convolution in place of its stride (timm's `aa`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AntiAlias {
    /// The mean of 2x2 pixels, stride 2; an odd last row or column is dropped.
    Avg,
    /// The binomial filter (1, 2, 1) in both directions, stride 2, padded with one zero on all
    /// sides.
    Blur,
}

impl AntiAlias {
    /// The factor by which each side of the image shrinks.
    pub const STRIDE: usize = 2;
}

/// One block of a [`Network`](super::Network).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Block {
    /// `cn`.
    ConvBnAct(ConvBnAct),
    /// `ds`.
    DepthwiseSeparable(DepthwiseSeparable),
    /// `ir`.
    InvertedResidual(InvertedResidual),
    /// `ir` with convolutions of several kernel sizes.
    MixedResidual(MixedResidual),
    /// `ir` with kernels mixed for each image.
    CondConvResidual(CondConvResidual),
    /// `er`.
    EdgeResidual(EdgeResidual),
    /// `uir`.
    UniversalInvertedResidual(UniversalInvertedResidual),
    /// `mqa` and `mha`.
    MobileAttention(MobileAttention),
}

impl Block {
    /// The kind of block.
    #[must_use]
    pub fn kind(&self) -> BlockKind {
        match self {
            Self::ConvBnAct(_) => BlockKind::ConvBnAct,
            Self::DepthwiseSeparable(b) if b.pw_act => BlockKind::DepthwiseSeparableAct,
            Self::DepthwiseSeparable(_) => BlockKind::DepthwiseSeparable,
            Self::InvertedResidual(_) | Self::MixedResidual(_) | Self::CondConvResidual(_) => {
                BlockKind::InvertedResidual
            }
            Self::EdgeResidual(_) => BlockKind::EdgeResidual,
            Self::UniversalInvertedResidual(_) => BlockKind::UniversalInvertedResidual,
            Self::MobileAttention(b) => match b.attn {
                Attention::MultiQuery { .. } => BlockKind::MultiQueryAttention,
                Attention::MultiHead => BlockKind::MultiHeadAttention,
            },
        }
    }

    /// Stride of the block as a whole.
    #[must_use]
    pub fn stride(&self) -> usize {
        let with_aa =
            |conv: &Conv, aa: Option<AntiAlias>| conv.stride * aa.map_or(1, |_| AntiAlias::STRIDE);
        match self {
            Self::ConvBnAct(b) => with_aa(&b.conv, b.aa),
            Self::DepthwiseSeparable(b) => {
                b.conv_s2d.map_or(1, |conv| conv.stride) * with_aa(&b.conv_dw, b.aa)
            }
            Self::InvertedResidual(b) => with_aa(&b.conv_dw, b.aa),
            Self::MixedResidual(b) => b.conv_dw.first().map_or(1, |conv| conv.stride),
            Self::CondConvResidual(b) => b.conv_dw.stride,
            Self::EdgeResidual(b) => with_aa(&b.conv_exp, b.aa),
            Self::UniversalInvertedResidual(b) => {
                let convs = [b.dw_start, b.dw_mid].into_iter().flatten();
                let stride: usize = convs.map(|conv| conv.stride).product();
                stride * b.aa.map_or(1, |_| AntiAlias::STRIDE)
            }
            Self::MobileAttention(_) => 1,
        }
    }

    /// Output channels of the block.
    #[must_use]
    pub fn out_chs(&self) -> usize {
        match self {
            Self::ConvBnAct(b) => b.conv.out_chs,
            Self::DepthwiseSeparable(b) => b.out_chs,
            Self::InvertedResidual(b) => b.out_chs,
            Self::MixedResidual(b) => b.conv_pwl.iter().map(|conv| conv.out_chs).sum(),
            Self::CondConvResidual(b) => b.out_chs,
            Self::EdgeResidual(b) => b.out_chs,
            Self::UniversalInvertedResidual(b) => b.out_chs,
            Self::MobileAttention(b) => b.out_chs,
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

impl Conv {
    /// A 1x1 convolution of all channels.
    #[must_use]
    pub const fn pointwise(in_chs: usize, out_chs: usize) -> Self {
        Self { in_chs, out_chs, kernel_size: 1, stride: 1, groups: 1 }
    }

    /// How this convolution pads in a network of `pad_type`. Even kernels, which only
    /// space-to-depth blocks have, always pad as TensorFlow does.
    ///
    /// ```
    /// use effnet::arch::{Conv, PadType};
    /// let conv_s2d = Conv { in_chs: 8, out_chs: 32, kernel_size: 2, stride: 2, groups: 1 };
    /// assert_eq!(conv_s2d.pad_type(PadType::Symmetric), PadType::Same);
    /// ```
    #[must_use]
    pub const fn pad_type(&self, pad_type: PadType) -> PadType {
        if self.kernel_size.is_multiple_of(2) { PadType::Same } else { pad_type }
    }

    /// Rows of the output for `size` rows of the input, in a network of `pad_type`; likewise
    /// columns.
    ///
    /// ```
    /// use effnet::arch::{Conv, PadType};
    /// let conv = Conv { in_chs: 3, out_chs: 32, kernel_size: 3, stride: 2, groups: 1 };
    /// assert_eq!(conv.output_size(PadType::Symmetric, 97), 49);
    /// ```
    #[must_use]
    pub const fn output_size(&self, pad_type: PadType, size: usize) -> usize {
        match self.pad_type(pad_type) {
            PadType::Same => size.div_ceil(self.stride),
            PadType::Symmetric => {
                let pad = (self.stride + self.kernel_size - 2) / 2;
                (size + 2 * pad).saturating_sub(self.kernel_size) / self.stride + 1
            }
        }
    }

    /// Zeros before the first of `size` rows, and columns alike, in a network of `pad_type`.
    ///
    /// ```
    /// use effnet::arch::{Conv, PadType};
    /// let conv = Conv { in_chs: 3, out_chs: 32, kernel_size: 3, stride: 2, groups: 1 };
    /// assert_eq!(conv.pad_before(PadType::Symmetric, 224), 1);
    /// assert_eq!(conv.pad_before(PadType::Same, 224), 0);
    /// ```
    #[must_use]
    pub const fn pad_before(&self, pad_type: PadType, size: usize) -> usize {
        match self.pad_type(pad_type) {
            PadType::Symmetric => (self.stride + self.kernel_size - 2) / 2,
            PadType::Same => {
                let last = size.div_ceil(self.stride).saturating_sub(1) * self.stride;
                (last + self.kernel_size).saturating_sub(size) / 2
            }
        }
    }

    /// Elements of the weight.
    #[must_use]
    pub const fn weight_len(&self) -> usize {
        self.out_chs * (self.in_chs / self.groups) * self.kernel_size * self.kernel_size
    }
}

/// A channel attention layer (timm's field `se`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SeLayer {
    /// `SqueezeExcite`: pool, reduce to `rd_channels`, `act`, expand, `gate`.
    SqueezeExcite {
        /// Channels between the two convolutions.
        rd_channels: usize,
        /// Activation between the two convolutions.
        act: Activation,
        /// Activation after them.
        gate: Activation,
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
    /// Downsampling after the activation, in place of a stride.
    pub aa: Option<AntiAlias>,
    /// Whether the input is added to the output.
    pub has_skip: bool,
    /// Drop-path rate of the residual, in training.
    pub drop_path: f64,
}

/// `conv_dw` -> `bn1` + activation -> `aa` -> `se` -> `conv_pw` -> `bn2`, after `conv_s2d` -> `bn_s2d` +
/// activation where a space-to-depth region begins.
#[derive(Debug, Clone, PartialEq)]
pub struct DepthwiseSeparable {
    /// The 2x2 convolution of stride 2 that begins a space-to-depth region.
    pub conv_s2d: Option<Conv>,
    /// The spatial convolution.
    pub conv_dw: Conv,
    /// Downsampling before `se`, in place of a stride.
    pub aa: Option<AntiAlias>,
    /// Output channels of `conv_pw`.
    pub out_chs: usize,
    /// Channel attention.
    pub se: Option<SeLayer>,
    /// Activation after `bn1`, and inside a [`SeLayer::GlobalContext`].
    pub act: Activation,
    /// Whether an activation follows `bn2` too.
    pub pw_act: bool,
    /// Whether the input is added to the output.
    pub has_skip: bool,
    /// Drop-path rate of the residual, in training.
    pub drop_path: f64,
}

/// `conv_pw` -> `bn1` + activation -> `conv_dw` -> `bn2` + activation -> `aa` -> `se` -> `conv_pwl` -> `bn3`.
#[derive(Debug, Clone, PartialEq)]
pub struct InvertedResidual {
    /// Input channels of `conv_pw`.
    pub in_chs: usize,
    /// The spatial convolution, on the expanded channels.
    pub conv_dw: Conv,
    /// Downsampling before `se`, in place of a stride.
    pub aa: Option<AntiAlias>,
    /// Output channels of `conv_pwl`.
    pub out_chs: usize,
    /// Channel attention.
    pub se: Option<SeLayer>,
    /// Activation after `bn1` and `bn2`, and inside a [`SeLayer::GlobalContext`].
    pub act: Activation,
    /// Whether the input is added to the output.
    pub has_skip: bool,
    /// Drop-path rate of the residual, in training.
    pub drop_path: f64,
}

/// `conv_exp` -> `bn1` + activation -> `aa` -> `se` -> `conv_pwl` -> `bn2`.
#[derive(Debug, Clone, PartialEq)]
pub struct EdgeResidual {
    /// The spatial convolution, which expands.
    pub conv_exp: Conv,
    /// Downsampling before `se`, in place of a stride.
    pub aa: Option<AntiAlias>,
    /// Output channels of `conv_pwl`.
    pub out_chs: usize,
    /// Channel attention.
    pub se: Option<SeLayer>,
    /// Activation after `bn1`, and inside a [`SeLayer::GlobalContext`].
    pub act: Activation,
    /// Whether the input is added to the output.
    pub has_skip: bool,
    /// Drop-path rate of the residual, in training.
    pub drop_path: f64,
}

/// An [`InvertedResidual`] in which each convolution may be several, side by side, each on a share
/// of the channels (MixNet). The tensor of a single one is `conv_dw.weight`; those of several are
/// `conv_dw.0.weight`, ...
#[derive(Debug, Clone, PartialEq)]
pub struct MixedResidual {
    /// The expansion.
    pub conv_pw: Vec<Conv>,
    /// The spatial convolutions, of different kernel sizes.
    pub conv_dw: Vec<Conv>,
    /// The projection.
    pub conv_pwl: Vec<Conv>,
    /// Channel attention.
    pub se: Option<SeLayer>,
    /// Activation after `bn1` and `bn2`, and inside a [`SeLayer::GlobalContext`].
    pub act: Activation,
    /// Whether the input is added to the output.
    pub has_skip: bool,
    /// Drop-path rate of the residual, in training.
    pub drop_path: f64,
}

/// An [`InvertedResidual`] whose kernels are sums of `num_experts` kernels, weighted for each image by
/// `routing_fn` -> sigmoid of the block's pooled input (CondConv). Tensors of the three convolutions
/// are (`num_experts`, elements of one kernel).
#[derive(Debug, Clone, PartialEq)]
pub struct CondConvResidual {
    /// Input channels of `conv_pw`.
    pub in_chs: usize,
    /// The spatial convolution, on the expanded channels.
    pub conv_dw: Conv,
    /// Output channels of `conv_pwl`.
    pub out_chs: usize,
    /// Kernels that each convolution is mixed from.
    pub num_experts: usize,
    /// Channel attention.
    pub se: Option<SeLayer>,
    /// Activation after `bn1` and `bn2`, and inside a [`SeLayer::GlobalContext`].
    pub act: Activation,
    /// Whether the input is added to the output.
    pub has_skip: bool,
    /// Drop-path rate of the residual, in training.
    pub drop_path: f64,
}

/// `dw_start` -> `pw_exp` + activation -> `dw_mid` + activation -> `pw_proj` -> `layer_scale`, each of the
/// first four a convolution `conv` and a norm `bn`.
#[derive(Debug, Clone, PartialEq)]
pub struct UniversalInvertedResidual {
    /// Input channels of the block.
    pub in_chs: usize,
    /// Depthwise convolution of the input; it has the stride if there is no `dw_mid`.
    pub dw_start: Option<Conv>,
    /// Output channels of `pw_exp`.
    pub mid_chs: usize,
    /// Depthwise convolution of the expanded channels.
    pub dw_mid: Option<Conv>,
    /// Downsampling in place of a stride: after `dw_mid`, or after `dw_start` if there is no
    /// `dw_mid`.
    pub aa: Option<AntiAlias>,
    /// Output channels of `pw_proj`.
    pub out_chs: usize,
    /// Activation after `pw_exp` and `dw_mid`.
    pub act: Activation,
    /// Whether the branch is scaled channel by channel (`layer_scale.gamma`).
    pub layer_scale: bool,
    /// Whether the input is added to the output.
    pub has_skip: bool,
    /// Drop-path rate of the residual, in training.
    pub drop_path: f64,
}

/// `norm` -> `attn` -> `layer_scale`.
#[derive(Debug, Clone, PartialEq)]
pub struct MobileAttention {
    /// Input channels of the block.
    pub in_chs: usize,
    /// Output channels of the block.
    pub out_chs: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Channels of a query, a key and a value.
    pub key_dim: usize,
    /// What the heads attend to.
    pub attn: Attention,
    /// Whether the branch is scaled channel by channel (`layer_scale.gamma`).
    pub layer_scale: bool,
    /// Whether the input is added to the output.
    pub has_skip: bool,
    /// Drop-path rate of the residual, in training.
    pub drop_path: f64,
}

/// The attention inside a [`MobileAttention`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Attention {
    /// `query.proj`, `key.proj`, `value.proj`, `output.proj`: all heads share one key and one value.
    MultiQuery {
        /// Depthwise convolution and norm of the input before `key.proj`, and another before
        /// `value.proj`.
        down_conv: Option<Conv>,
    },
    /// `qkv`, `proj`: each head has its own key and value.
    MultiHead,
}
