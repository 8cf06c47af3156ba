//! Global context (`timm/layers/global_context.py`, GCNet, <https://arxiv.org/abs/1904.11492>).

use candle_core::{D, Result, Tensor};
use candle_nn::{Module, VarBuilder};

use super::{Conv2d, activate};
use crate::arch::Activation;

/// Scales each channel by a gate computed from an attention-weighted mean of all positions.
///
/// Tensors: `conv_attn` (to one channel), `mlp_scale.fc1`, `mlp_scale.norm`, `mlp_scale.fc2`.
#[derive(Debug, Clone)]
pub struct GlobalContext {
    conv_attn: Conv2d,
    fc1: Conv2d,
    norm: candle_nn::LayerNorm,
    act: Activation,
    fc2: Conv2d,
}

impl GlobalContext {
    /// Reads a layer for `channels` channels, reduced to `rd_channels`.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn new(
        channels: usize,
        rd_channels: usize,
        act: Activation,
        vb: &VarBuilder,
    ) -> Result<Self> {
        let mlp = vb.pp("mlp_scale");
        Ok(Self {
            conv_attn: Conv2d::pointwise_with_bias(channels, 1, &vb.pp("conv_attn"))?,
            fc1: Conv2d::pointwise_with_bias(channels, rd_channels, &mlp.pp("fc1"))?,
            norm: candle_nn::layer_norm(rd_channels, 1e-6, mlp.pp("norm"))?,
            act,
            fc2: Conv2d::pointwise_with_bias(rd_channels, channels, &mlp.pp("fc2"))?,
        })
    }
}

impl Module for GlobalContext {
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let (n, c, h, w) = xs.dims4()?;
        let attn = self.conv_attn.forward(xs)?.reshape((n, h * w, 1))?;
        let attn = candle_nn::ops::softmax(&attn, 1)?;
        let context = xs.reshape((n, c, h * w))?.matmul(&attn)?.reshape((n, c, 1, 1))?;
        let hidden = self.fc1.forward(&context)?;
        let rd_channels = hidden.dim(1)?;
        let hidden = self.norm.forward(&hidden.reshape((n, rd_channels))?)?;
        let hidden = activate(&hidden, self.act)?.unsqueeze(D::Minus1)?.unsqueeze(D::Minus1)?;
        let gate = activate(&self.fc2.forward(&hidden)?, Activation::Sigmoid)?;
        xs.broadcast_mul(&gate)
    }
}
