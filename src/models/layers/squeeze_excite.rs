//! Squeeze-and-excitation (timm's `SqueezeExcite` of `_efficientnet_blocks.py`).

use candle_core::{Result, Tensor};
use candle_nn::{Module, VarBuilder};

use super::{Conv2d, activate};
use crate::arch::Activation;

/// Scales each channel by a gate computed from the means of all channels.
///
/// Tensors: `conv_reduce` and `conv_expand`, 1x1 convolutions with bias.
#[derive(Debug, Clone)]
pub struct SqueezeExcite {
    conv_reduce: Conv2d,
    act: Activation,
    conv_expand: Conv2d,
    gate: Activation,
}

impl SqueezeExcite {
    /// Reads a layer for `channels` channels, reduced to `rd_channels`, with `act` between its
    /// convolutions and `gate` after them.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn new(
        channels: usize,
        rd_channels: usize,
        act: Activation,
        gate: Activation,
        vb: &VarBuilder,
    ) -> Result<Self> {
        Ok(Self {
            conv_reduce: Conv2d::pointwise_with_bias(channels, rd_channels, &vb.pp("conv_reduce"))?,
            act,
            conv_expand: Conv2d::pointwise_with_bias(rd_channels, channels, &vb.pp("conv_expand"))?,
            gate,
        })
    }
}

impl Module for SqueezeExcite {
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        // Rows first, then columns: a sum of sums is more accurate than one long sum.
        let pooled = xs.mean_keepdim(3)?.mean_keepdim(2)?;
        let squeezed = activate(&self.conv_reduce.forward(&pooled)?, self.act)?;
        let gate = activate(&self.conv_expand.forward(&squeezed)?, self.gate)?;
        xs.broadcast_mul(&gate)
    }
}
