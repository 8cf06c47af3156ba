use candle_core::{Result, Tensor};
use candle_nn::{Module, ModuleT, VarBuilder};

use super::Skip;
use crate::arch;
use crate::models::layers::{BatchNormAct2d, Conv2d, LayerArgs, Se};

/// Depthwise, then pointwise: an inverted residual that does not expand.
#[derive(Debug, Clone)]
pub struct DepthwiseSeparableConv {
    conv_dw: Conv2d,
    bn1: BatchNormAct2d,
    se: Option<Se>,
    conv_pw: Conv2d,
    bn2: BatchNormAct2d,
    skip: Skip,
}

impl DepthwiseSeparableConv {
    /// Reads the block's tensors.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn new(block: &arch::DepthwiseSeparable, args: LayerArgs, vb: &VarBuilder) -> Result<Self> {
        let (in_chs, out_chs) = (block.conv_dw.in_chs, block.out_chs);
        Ok(Self {
            conv_dw: Conv2d::new(block.conv_dw, args.pad_type, &vb.pp("conv_dw"))?,
            bn1: BatchNormAct2d::new(in_chs, args.bn_eps, Some(block.act), &vb.pp("bn1"))?,
            se: Se::new(block.se, in_chs, block.act, vb)?,
            conv_pw: Conv2d::pointwise(in_chs, out_chs, &vb.pp("conv_pw"))?,
            bn2: BatchNormAct2d::new(out_chs, args.bn_eps, None, &vb.pp("bn2"))?,
            skip: Skip::new(block.has_skip, block.drop_path),
        })
    }
}

impl ModuleT for DepthwiseSeparableConv {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        let ys = self.bn1.forward_t(&self.conv_dw.forward(xs)?, train)?;
        let ys = self.se.as_ref().map_or(Ok(ys.clone()), |se| se.forward(&ys))?;
        let ys = self.bn2.forward_t(&self.conv_pw.forward(&ys)?, train)?;
        self.skip.join(ys, xs, train)
    }
}
