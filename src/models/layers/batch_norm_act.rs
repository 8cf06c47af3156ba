//! Batch norm with its activation (timm's `BatchNormAct2d`).

use candle_core::{Result, Tensor};
use candle_nn::{BatchNorm, BatchNormConfig, ModuleT, VarBuilder};

use super::activate;
use crate::arch::Activation;

/// Batch norm over the channels of (N, C, H, W), then an activation, if any.
///
/// Tensors: `weight`, `bias`, `running_mean`, `running_var`, each (C).
#[derive(Debug, Clone)]
pub struct BatchNormAct2d {
    bn: BatchNorm,
    act: Option<Activation>,
}

impl BatchNormAct2d {
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
        let config = BatchNormConfig { eps, ..BatchNormConfig::default() };
        Ok(Self { bn: candle_nn::batch_norm(channels, config, vb.clone())?, act })
    }
}

impl ModuleT for BatchNormAct2d {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        let xs = if train {
            self.bn.forward_train(xs)?
        } else {
            // One multiplication and one addition per element, as in PyTorch.
            let inv_std = (self.bn.running_var() + self.bn.eps())?.sqrt()?.recip()?;
            let (scale, bias) = match self.bn.weight_and_bias() {
                Some((weight, bias)) => ((weight * inv_std)?, Some(bias)),
                None => (inv_std, None),
            };
            let shift = (self.bn.running_mean() * &scale)?.neg()?;
            let shift = bias.map_or(Ok(shift.clone()), |bias| bias + shift)?;
            let per_channel = (1, scale.elem_count(), 1, 1);
            xs.broadcast_mul(&scale.reshape(per_channel)?)?
                .broadcast_add(&shift.reshape(per_channel)?)?
        };
        self.act.map_or(Ok(xs.clone()), |act| activate(&xs, act))
    }
}
