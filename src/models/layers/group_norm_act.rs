//! Group norm with its activation (timm's `GroupNormAct`).

use candle_core::{Result, Tensor, bail};
use candle_nn::{ModuleT, VarBuilder};

use super::activate;
use crate::arch::Activation;

/// Group norm over (N, C, H, W), then an activation, if any.
///
/// Tensors: `weight`, `bias`, each (C).
#[derive(Debug, Clone)]
pub struct GroupNormAct {
    weight: Tensor,
    bias: Tensor,
    groups: usize,
    eps: f64,
    act: Option<Activation>,
}

impl GroupNormAct {
    /// Reads the norm of `channels` channels in groups of `group_size`; `eps` is added to the
    /// variance.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give, or channels that do not divide into groups.
    pub fn new(
        channels: usize,
        group_size: usize,
        eps: f64,
        act: Option<Activation>,
        vb: &VarBuilder,
    ) -> Result<Self> {
        let groups = groups(channels, group_size)?;
        let shape = (1, channels, 1, 1);
        let weight = vb.get(channels, "weight")?.reshape(shape)?;
        Ok(Self { weight, bias: vb.get(channels, "bias")?.reshape(shape)?, groups, eps, act })
    }
}

impl ModuleT for GroupNormAct {
    fn forward_t(&self, xs: &Tensor, _train: bool) -> Result<Tensor> {
        let (centered, std) = center_and_std(xs, self.groups, self.eps)?;
        let ys = centered.broadcast_div(&std)?.reshape(xs.shape())?;
        let ys = ys.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)?;
        self.act.map_or(Ok(ys.clone()), |act| activate(&ys, act))
    }
}

/// The number of groups of `group_size` among `channels`.
pub(super) fn groups(channels: usize, group_size: usize) -> Result<usize> {
    if group_size == 0 || !channels.is_multiple_of(group_size) {
        bail!("{channels} channels do not divide into norm groups of {group_size}")
    }
    Ok(channels / group_size)
}

/// `xs` minus the mean of each group of each image, (N, groups, elements), and each group's
/// standard deviation, (N, groups, 1).
pub(super) fn center_and_std(xs: &Tensor, groups: usize, eps: f64) -> Result<(Tensor, Tensor)> {
    let n = xs.dim(0)?;
    let xs = xs.reshape((n, groups, ()))?;
    let centered = xs.broadcast_sub(&xs.mean_keepdim(2)?)?;
    let std = (centered.sqr()?.mean_keepdim(2)? + eps)?.sqrt()?;
    Ok((centered, std))
}
