//! From the last block to the features that the classifier reads.

use candle_core::{Result, Tensor};
use candle_nn::{Module, ModuleT, VarBuilder};

use super::layers::{Conv2d, LayerArgs, NormAct, activate};
use crate::arch::{self, Activation, Network};

/// Everything between the blocks and the classifier, except dropout.
#[derive(Debug, Clone)]
pub(super) enum Head {
    /// `conv_head` -> `bn2` -> pool.
    ConvThenPool(Conv2d, NormAct),
    /// Pool.
    Pool,
    /// Pool -> `conv_head` -> activation.
    PoolThenConv(Conv2d, Activation),
    /// Pool -> `conv_head` -> `norm_head`.
    PoolThenConvNorm(Conv2d, NormAct),
}

impl Head {
    /// Reads the head behind a last block of `in_chs` channels.
    pub(super) fn new(
        network: &Network,
        args: LayerArgs,
        in_chs: usize,
        vb: &VarBuilder,
    ) -> Result<Self> {
        let out_chs = network.num_features;
        let conv_head = || Conv2d::pointwise(in_chs, out_chs, &vb.pp("conv_head"));
        let norm = |name| NormAct::new(out_chs, args, Some(network.act), &vb.pp(name));
        Ok(match network.head {
            arch::Head::ConvThenPool => Self::ConvThenPool(conv_head()?, norm("bn2")?),
            arch::Head::Pool => Self::Pool,
            arch::Head::PoolThenConv => {
                let conv = Conv2d::pointwise_with_bias(in_chs, out_chs, &vb.pp("conv_head"))?;
                Self::PoolThenConv(conv, network.act)
            }
            arch::Head::PoolThenConvNoBias => Self::PoolThenConv(conv_head()?, network.act),
            arch::Head::PoolThenConvNorm => {
                Self::PoolThenConvNorm(conv_head()?, norm("norm_head")?)
            }
        })
    }

    /// From the last block's output to the last feature map.
    pub(super) fn features(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        match self {
            Self::ConvThenPool(conv, norm) => norm.forward_t(&conv.forward(xs)?, train),
            Self::Pool | Self::PoolThenConv(..) | Self::PoolThenConvNorm(..) => Ok(xs.clone()),
        }
    }

    /// From the last feature map to the features (N, F) that the classifier reads.
    pub(super) fn pool(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        let pooled = xs.mean_keepdim(3)?.mean_keepdim(2)?;
        let features = match self {
            Self::ConvThenPool(..) | Self::Pool => pooled,
            Self::PoolThenConv(conv, act) => activate(&conv.forward(&pooled)?, *act)?,
            Self::PoolThenConvNorm(conv, norm) => norm.forward_t(&conv.forward(&pooled)?, train)?,
        };
        features.flatten_from(1)
    }
}
