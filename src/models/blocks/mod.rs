//! The blocks of the networks (`timm/models/_efficientnet_blocks.py`), one struct each.

mod conv_bn_act;
mod depthwise_separable;
mod edge_residual;
mod inverted_residual;

pub use conv_bn_act::ConvBnAct;
pub use depthwise_separable::DepthwiseSeparableConv;
pub use edge_residual::EdgeResidual;
pub use inverted_residual::InvertedResidual;

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
    /// `er`.
    EdgeResidual(EdgeResidual),
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
            arch::Block::EdgeResidual(b) => EdgeResidual::new(b, args, vb).map(Self::EdgeResidual),
        }
    }
}

impl ModuleT for Block {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        match self {
            Self::ConvBnAct(block) => block.forward_t(xs, train),
            Self::DepthwiseSeparable(block) => block.forward_t(xs, train),
            Self::InvertedResidual(block) => block.forward_t(xs, train),
            Self::EdgeResidual(block) => block.forward_t(xs, train),
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
