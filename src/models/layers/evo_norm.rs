//! EvoNorm-S0 (timm's `EvoNorm2dS0`, <https://arxiv.org/abs/2004.02967>).

use candle_core::{Result, Tensor};
use candle_nn::{ModuleT, VarBuilder};

use super::group_norm_act::{center_and_std, groups};

/// `x * sigmoid(v * x)` divided by the standard deviation of x's group, then scale and shift.
/// Without activation, only scale and shift.
///
/// Tensors: `weight`, `bias` and, with activation, `v`, each (C).
#[derive(Debug, Clone)]
pub struct EvoNorm2dS0 {
    weight: Tensor,
    bias: Tensor,
    v: Option<Tensor>,
    groups: usize,
    eps: f64,
}

impl EvoNorm2dS0 {
    /// Reads the layer of `channels` channels in groups of `group_size`; `eps` is added to the
    /// variance.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give, or channels that do not divide into groups.
    pub fn new(
        channels: usize,
        group_size: usize,
        eps: f64,
        apply_act: bool,
        vb: &VarBuilder,
    ) -> Result<Self> {
        let read = |name| vb.get(channels, name)?.reshape((1, channels, 1, 1));
        let v = apply_act.then(|| read("v")).transpose()?;
        let groups = groups(channels, group_size)?;
        Ok(Self { weight: read("weight")?, bias: read("bias")?, v, groups, eps })
    }
}

impl ModuleT for EvoNorm2dS0 {
    fn forward_t(&self, xs: &Tensor, _train: bool) -> Result<Tensor> {
        let mut ys = xs.clone();
        if let Some(v) = &self.v {
            let (n, ..) = xs.dims4()?;
            let (_, std) = center_and_std(xs, self.groups, self.eps)?;
            let gated = (xs * candle_nn::ops::sigmoid(&xs.broadcast_mul(v)?)?)?;
            let gated = gated.reshape((n, self.groups, ()))?;
            ys = gated.broadcast_div(&std)?.reshape(xs.shape())?;
        }
        ys.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)
    }
}
