//! Batch norm with its activation (timm's `BatchNormAct2d`).

use candle_core::{Result, Tensor, bail};
use candle_nn::{BatchNorm, BatchNormConfig, ModuleT, VarBuilder};

use super::activate;
use crate::arch::Activation;

/// Batch norm over the channels of (N, C, H, W), then an activation, if any.
///
/// Tensors: `weight`, `bias`, `running_mean`, `running_var`, each (C).
#[derive(Debug, Clone)]
pub struct BatchNormAct2d {
    norm: Norm,
    act: Option<Activation>,
}

#[derive(Debug, Clone)]
enum Norm {
    Stored(BatchNorm),
    /// A factor, unless a convolution has taken it in, and a summand: both (1, C, 1, 1).
    Folded(Option<Tensor>, Tensor),
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
        let bn = candle_nn::batch_norm(channels, config, vb.clone())?;
        Ok(Self { norm: Norm::Stored(bn), act })
    }

    /// Reads a norm whose running statistics are folded into `bias`, and into `weight` if `vb` has one.
    /// Without `weight`, the convolution before the norm has taken the factor in.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn folded(channels: usize, act: Option<Activation>, vb: &VarBuilder) -> Result<Self> {
        let read = |name| vb.get(channels, name)?.reshape((1, channels, 1, 1));
        let scale = vb.contains_tensor("weight").then(|| read("weight")).transpose()?;
        Ok(Self { norm: Norm::Folded(scale, read("bias")?), act })
    }
}

impl ModuleT for BatchNormAct2d {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        let xs = match &self.norm {
            Norm::Folded(..) if train => bail!("folded batch norms do not train"),
            Norm::Folded(None, shift) => xs.broadcast_add(shift)?,
            Norm::Folded(Some(scale), shift) => xs.broadcast_mul(scale)?.broadcast_add(shift)?,
            Norm::Stored(bn) if train => bn.forward_train(xs)?,
            Norm::Stored(bn) => {
                // One multiplication and one addition an element, as PyTorch does it.
                let inv_std = (bn.running_var() + bn.eps())?.sqrt()?.recip()?;
                let (scale, bias) = match bn.weight_and_bias() {
                    Some((weight, bias)) => ((weight * inv_std)?, Some(bias)),
                    None => (inv_std, None),
                };
                let shift = (bn.running_mean() * &scale)?.neg()?;
                let shift = bias.map_or(Ok(shift.clone()), |bias| bias + shift)?;
                let per_channel = (1, scale.elem_count(), 1, 1);
                xs.broadcast_mul(&scale.reshape(per_channel)?)?
                    .broadcast_add(&shift.reshape(per_channel)?)?
            }
        };
        self.act.map_or(Ok(xs.clone()), |act| activate(&xs, act))
    }
}
