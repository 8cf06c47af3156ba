//! Layer norm of each position, with its activation (timm's `LayerNormAct2d`).

use candle_core::{Result, Tensor};
use candle_nn::{ModuleT, VarBuilder};

use super::activate;
use crate::arch::Activation;

/// Layer norm over the channels of (N, C, H, W), then an activation, if any.
///
/// Tensors: `weight`, `bias`, each (C).
#[derive(Debug, Clone)]
pub struct LayerNormAct2d {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
    act: Option<Activation>,
}

impl LayerNormAct2d {
    /// Reads the norm of `channels` channels; `eps` is added to the variance.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn new(
        channels: usize,
        eps: f64,
        act: Option<Activation>,
        vb: &VarBuilder,
    ) -> Result<Self> {
        let shape = (1, channels, 1, 1);
        let weight = vb.get(channels, "weight")?.reshape(shape)?;
        Ok(Self { weight, bias: vb.get(channels, "bias")?.reshape(shape)?, eps, act })
    }
}

impl ModuleT for LayerNormAct2d {
    fn forward_t(&self, xs: &Tensor, _train: bool) -> Result<Tensor> {
        let centered = xs.broadcast_sub(&xs.mean_keepdim(1)?)?;
        let std = (centered.sqr()?.mean_keepdim(1)? + self.eps)?.sqrt()?;
        let ys = centered.broadcast_div(&std)?;
        let ys = ys.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)?;
        self.act.map_or(Ok(ys.clone()), |act| activate(&ys, act))
    }
}
