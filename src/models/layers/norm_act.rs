//! The norm of a network, with its activation.

use candle_core::{Result, Tensor};
use candle_nn::{ModuleT, VarBuilder};

use super::{BatchNormAct2d, EvoNorm2dS0, GroupNormAct, LayerArgs, LayerNormAct2d};
use crate::arch::{Activation, Norm};

/// A norm over (N, C, H, W), then an activation, if any.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum NormAct {
    /// Batch norm.
    BatchNorm(BatchNormAct2d),
    /// Group norm.
    GroupNorm(GroupNormAct),
    /// Layer norm of each position.
    LayerNorm(LayerNormAct2d),
    /// EvoNorm-S0, which is norm and activation in one.
    EvoNormS0(EvoNorm2dS0),
}

impl NormAct {
    /// Reads the norm for `channels` channels, of the kind in `args`.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give, or channels that do not divide into the norm's groups.
    pub fn new(
        channels: usize,
        args: LayerArgs,
        act: Option<Activation>,
        vb: &VarBuilder,
    ) -> Result<Self> {
        let eps = args.bn_eps;
        match args.norm {
            Norm::BatchNorm if args.folded => {
                BatchNormAct2d::folded(channels, act, vb).map(Self::BatchNorm)
            }
            Norm::BatchNorm => BatchNormAct2d::new(channels, eps, act, vb).map(Self::BatchNorm),
            Norm::GroupNorm { group_size } => {
                GroupNormAct::new(channels, group_size, eps, act, vb).map(Self::GroupNorm)
            }
            Norm::LayerNorm => LayerNormAct2d::new(channels, eps, act, vb).map(Self::LayerNorm),
            Norm::EvoNormS0 { group_size } => {
                EvoNorm2dS0::new(channels, group_size, eps, act.is_some(), vb).map(Self::EvoNormS0)
            }
        }
    }
}

impl ModuleT for NormAct {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        match self {
            Self::BatchNorm(norm) => norm.forward_t(xs, train),
            Self::GroupNorm(norm) => norm.forward_t(xs, train),
            Self::LayerNorm(norm) => norm.forward_t(xs, train),
            Self::EvoNormS0(norm) => norm.forward_t(xs, train),
        }
    }
}
