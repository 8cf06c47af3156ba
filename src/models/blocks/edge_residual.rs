use candle_core::{Result, Tensor};
use candle_nn::{Module, ModuleT, VarBuilder};

use super::Skip;
use crate::arch::{self, AntiAlias};
use crate::models::layers::{Conv2d, LayerArgs, NormAct, Se, downsample};

/// A full convolution that expands, then a pointwise projection: Fused-MBConv
/// (<https://arxiv.org/abs/2104.00298>).
#[derive(Debug, Clone)]
pub struct EdgeResidual {
    conv_exp: Conv2d,
    bn1: NormAct,
    aa: Option<AntiAlias>,
    se: Option<Se>,
    conv_pwl: Conv2d,
    bn2: NormAct,
    skip: Skip,
}

impl EdgeResidual {
    /// Reads the block's tensors.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn new(block: &arch::EdgeResidual, args: LayerArgs, vb: &VarBuilder) -> Result<Self> {
        let (mid_chs, out_chs) = (block.conv_exp.out_chs, block.out_chs);
        Ok(Self {
            conv_exp: Conv2d::new(block.conv_exp, args.pad_type, &vb.pp("conv_exp"))?,
            bn1: NormAct::new(mid_chs, args, Some(block.act), &vb.pp("bn1"))?,
            aa: block.aa,
            se: Se::new(block.se, mid_chs, block.act, vb)?,
            conv_pwl: Conv2d::pointwise(mid_chs, out_chs, &vb.pp("conv_pwl"))?,
            bn2: NormAct::new(out_chs, args, None, &vb.pp("bn2"))?,
            skip: Skip::new(block.has_skip, block.drop_path),
        })
    }
}

impl ModuleT for EdgeResidual {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        let ys = self.bn1.forward_t(&self.conv_exp.forward(xs)?, train)?;
        let ys = self.aa.map_or(Ok(ys.clone()), |aa| downsample(&ys, aa))?;
        let ys = self.se.as_ref().map_or(Ok(ys.clone()), |se| se.forward(&ys))?;
        let ys = self.bn2.forward_t(&self.conv_pwl.forward(&ys)?, train)?;
        self.skip.join(ys, xs, train)
    }
}
