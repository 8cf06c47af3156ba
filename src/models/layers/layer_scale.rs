//! Layer scale (timm's `LayerScale2d`).

use candle_core::{Result, Tensor};
use candle_nn::{Module, VarBuilder};

/// Scales each channel of (N, C, H, W) by `gamma` (C).
#[derive(Debug, Clone)]
pub struct LayerScale2d {
    gamma: Tensor,
}

impl LayerScale2d {
    /// Reads the layer for `channels` channels at `vb`'s `layer_scale`, if `enabled`.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn new(enabled: bool, channels: usize, vb: &VarBuilder) -> Result<Option<Self>> {
        if !enabled {
            return Ok(None);
        }
        let gamma = vb.pp("layer_scale").get(channels, "gamma")?;
        Ok(Some(Self { gamma: gamma.reshape((1, channels, 1, 1))? }))
    }
}

impl Module for LayerScale2d {
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        xs.broadcast_mul(&self.gamma)
    }
}
