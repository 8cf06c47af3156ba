use candle_core::{Result, Tensor};
use candle_nn::{Linear, Module, ModuleT, VarBuilder};

use super::Skip;
use crate::arch::{self, Conv};
use crate::models::layers::{CondConv2d, LayerArgs, NormAct, Se};

/// An inverted residual whose kernels depend on the image: CondConv
/// (<https://arxiv.org/abs/1904.04971>).
#[derive(Debug, Clone)]
pub struct CondConvResidual {
    routing_fn: Linear,
    conv_pw: CondConv2d,
    bn1: NormAct,
    conv_dw: CondConv2d,
    bn2: NormAct,
    se: Option<Se>,
    conv_pwl: CondConv2d,
    bn3: NormAct,
    skip: Skip,
}

impl CondConvResidual {
    /// Reads the block's tensors.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn new(block: &arch::CondConvResidual, args: LayerArgs, vb: &VarBuilder) -> Result<Self> {
        let (in_chs, mid_chs, out_chs) = (block.in_chs, block.conv_dw.in_chs, block.out_chs);
        let cond =
            |conv, name| CondConv2d::new(conv, block.num_experts, args.pad_type, &vb.pp(name));
        Ok(Self {
            routing_fn: candle_nn::linear(in_chs, block.num_experts, vb.pp("routing_fn"))?,
            conv_pw: cond(Conv::pointwise(in_chs, mid_chs), "conv_pw")?,
            bn1: NormAct::new(mid_chs, args, Some(block.act), &vb.pp("bn1"))?,
            conv_dw: cond(block.conv_dw, "conv_dw")?,
            bn2: NormAct::new(mid_chs, args, Some(block.act), &vb.pp("bn2"))?,
            se: Se::new(block.se, mid_chs, block.act, vb)?,
            conv_pwl: cond(Conv::pointwise(mid_chs, out_chs), "conv_pwl")?,
            bn3: NormAct::new(out_chs, args, None, &vb.pp("bn3"))?,
            skip: Skip::new(block.has_skip, block.drop_path),
        })
    }
}

impl ModuleT for CondConvResidual {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        let pooled = xs.mean(3)?.mean(2)?;
        let routing = candle_nn::ops::sigmoid(&self.routing_fn.forward(&pooled)?)?;
        let ys = self.bn1.forward_t(&self.conv_pw.forward(xs, &routing)?, train)?;
        let ys = self.bn2.forward_t(&self.conv_dw.forward(&ys, &routing)?, train)?;
        let ys = self.se.as_ref().map_or(Ok(ys.clone()), |se| se.forward(&ys))?;
        let ys = self.bn3.forward_t(&self.conv_pwl.forward(&ys, &routing)?, train)?;
        self.skip.join(ys, xs, train)
    }
}
