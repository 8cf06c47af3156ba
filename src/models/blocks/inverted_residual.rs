use candle_core::{Result, Tensor};
use candle_nn::{Module, ModuleT, VarBuilder};

use super::Skip;
use crate::arch::{self, AntiAlias};
use crate::models::layers::{Conv2d, LayerArgs, NormAct, Se, downsample};

/// Pointwise expansion, depthwise, pointwise projection: MBConv
/// (<https://arxiv.org/abs/1801.04381>).
#[derive(Debug, Clone)]
pub struct InvertedResidual {
    conv_pw: Conv2d,
    bn1: NormAct,
    conv_dw: Conv2d,
    bn2: NormAct,
    aa: Option<AntiAlias>,
    se: Option<Se>,
    conv_pwl: Conv2d,
    bn3: NormAct,
    skip: Skip,
}

impl InvertedResidual {
    /// Reads the block's tensors.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn new(block: &arch::InvertedResidual, args: LayerArgs, vb: &VarBuilder) -> Result<Self> {
        let (mid_chs, out_chs) = (block.conv_dw.in_chs, block.out_chs);
        Ok(Self {
            conv_pw: Conv2d::pointwise(block.in_chs, mid_chs, &vb.pp("conv_pw"))?,
            bn1: NormAct::new(mid_chs, args, Some(block.act), &vb.pp("bn1"))?,
            conv_dw: Conv2d::new(block.conv_dw, args.pad_type, &vb.pp("conv_dw"))?,
            bn2: NormAct::new(mid_chs, args, Some(block.act), &vb.pp("bn2"))?,
            aa: block.aa,
            se: Se::new(block.se, mid_chs, block.act, vb)?,
            conv_pwl: Conv2d::pointwise(mid_chs, out_chs, &vb.pp("conv_pwl"))?,
            bn3: NormAct::new(out_chs, args, None, &vb.pp("bn3"))?,
            skip: Skip::new(block.has_skip, block.drop_path),
        })
    }
}

impl ModuleT for InvertedResidual {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        let ys = self.bn1.forward_t(&self.conv_pw.forward(xs)?, train)?;
        let ys = self.bn2.forward_t(&self.conv_dw.forward(&ys)?, train)?;
        let ys = self.aa.map_or(Ok(ys.clone()), |aa| downsample(&ys, aa))?;
        let ys = self.se.as_ref().map_or(Ok(ys.clone()), |se| se.forward(&ys))?;
        let ys = self.bn3.forward_t(&self.conv_pwl.forward(&ys)?, train)?;
        self.skip.join(ys, xs, train)
    }
}
