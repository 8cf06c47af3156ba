//! The blocks of the networks (`timm/models/_efficientnet_blocks.py`), one struct for each.

mod cond_conv_residual;
mod conv_bn_act;
mod depthwise_separable;
mod edge_residual;
mod inverted_residual;
mod mixed_residual;
mod mobile_attention;
mod universal_inverted_residual;

pub use cond_conv_residual::CondConvResidual;
pub use conv_bn_act::ConvBnAct;
pub use depthwise_separable::DepthwiseSeparableConv;
pub use edge_residual::EdgeResidual;
pub use inverted_residual::InvertedResidual;
pub use mixed_residual::MixedResidual;
pub use mobile_attention::MobileAttention;
pub use universal_inverted_residual::UniversalInvertedResidual;

use candle_core::{Result, Tensor};
use candle_nn::{ModuleT, VarBuilder};

use super::layers::{DropPath, LayerArgs};
use crate::arch;

/// Any block of a network.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Block {
    /// `cn`.
    ConvBnAct(ConvBnAct),
    /// `ds`.
    DepthwiseSeparable(DepthwiseSeparableConv),
    /// `ir`.
    InvertedResidual(InvertedResidual),
    /// `ir` with mixed convolutions.
    MixedResidual(MixedResidual),
    /// `ir` with conditional convolutions.
    CondConvResidual(CondConvResidual),
    /// `er`.
    EdgeResidual(EdgeResidual),
    /// `uir`.
    UniversalInvertedResidual(UniversalInvertedResidual),
    /// `mqa` and `mha`.
    MobileAttention(MobileAttention),
}

impl Block {
    /// Reads the tensors of `block`.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn new(block: &arch::Block, args: LayerArgs, vb: &VarBuilder) -> Result<Self> {
        match block {
            arch::Block::ConvBnAct(b) => ConvBnAct::new(b, args, vb).map(Self::ConvBnAct),
            arch::Block::DepthwiseSeparable(b) => {
                DepthwiseSeparableConv::new(b, args, vb).map(Self::DepthwiseSeparable)
            }
            arch::Block::InvertedResidual(b) => {
                InvertedResidual::new(b, args, vb).map(Self::InvertedResidual)
            }
            arch::Block::MixedResidual(b) => {
                MixedResidual::new(b, args, vb).map(Self::MixedResidual)
            }
            arch::Block::CondConvResidual(b) => {
                CondConvResidual::new(b, args, vb).map(Self::CondConvResidual)
            }
            arch::Block::EdgeResidual(b) => EdgeResidual::new(b, args, vb).map(Self::EdgeResidual),
            arch::Block::UniversalInvertedResidual(b) => {
                UniversalInvertedResidual::new(b, args, vb).map(Self::UniversalInvertedResidual)
            }
            arch::Block::MobileAttention(b) => {
                MobileAttention::new(b, args, vb).map(Self::MobileAttention)
            }
        }
    }
}

impl ModuleT for Block {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        match self {
            Self::ConvBnAct(block) => block.forward_t(xs, train),
            Self::DepthwiseSeparable(block) => block.forward_t(xs, train),
            Self::InvertedResidual(block) => block.forward_t(xs, train),
            Self::MixedResidual(block) => block.forward_t(xs, train),
            Self::CondConvResidual(block) => block.forward_t(xs, train),
            Self::EdgeResidual(block) => block.forward_t(xs, train),
            Self::UniversalInvertedResidual(block) => block.forward_t(xs, train),
            Self::MobileAttention(block) => block.forward_t(xs, train),
        }
    }
}

/// The residual connection of a block: drop path on the branch, then the sum.
#[derive(Debug, Clone)]
struct Skip(Option<DropPath>);

impl Skip {
    fn new(has_skip: bool, drop_path: f64) -> Self {
        Self(has_skip.then(|| DropPath::new(drop_path)))
    }

    fn join(&self, branch: Tensor, shortcut: &Tensor, train: bool) -> Result<Tensor> {
        match &self.0 {
            Some(drop_path) => drop_path.forward_t(&branch, train)? + shortcut,
            None => Ok(branch),
        }
    }
}
