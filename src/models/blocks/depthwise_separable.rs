use candle_core::{Result, Tensor};
use candle_nn::{Module, ModuleT, VarBuilder};

use super::Skip;
use crate::arch::{self, AntiAlias};
use crate::models::layers::{Conv2d, LayerArgs, NormAct, Se, downsample};

/// Depthwise, then pointwise: an inverted residual that does not expand. At the start of a
/// space-to-depth region, a 2x2 convolution with stride 2 comes first.
#[derive(Debug, Clone)]
pub struct DepthwiseSeparableConv {
    s2d: Option<(Conv2d, NormAct)>,
    conv_dw: Conv2d,
    bn1: NormAct,
    aa: Option<AntiAlias>,
    se: Option<Se>,
    conv_pw: Conv2d,
    bn2: NormAct,
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
        let s2d = |conv: arch::Conv| -> Result<_> {
            let norm = NormAct::new(conv.out_chs, args, Some(block.act), &vb.pp("bn_s2d"))?;
            Ok((Conv2d::new(conv, args.pad_type, &vb.pp("conv_s2d"))?, norm))
        };
        Ok(Self {
            s2d: block.conv_s2d.map(s2d).transpose()?,
            conv_dw: Conv2d::new(block.conv_dw, args.pad_type, &vb.pp("conv_dw"))?,
            bn1: NormAct::new(in_chs, args, Some(block.act), &vb.pp("bn1"))?,
            aa: block.aa,
            se: Se::new(block.se, in_chs, block.act, vb)?,
            conv_pw: Conv2d::pointwise(in_chs, out_chs, &vb.pp("conv_pw"))?,
            bn2: NormAct::new(out_chs, args, block.pw_act.then_some(block.act), &vb.pp("bn2"))?,
            skip: Skip::new(block.has_skip, block.drop_path),
        })
    }
}

impl ModuleT for DepthwiseSeparableConv {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        let mut ys = xs.clone();
        if let Some((conv, norm)) = &self.s2d {
            ys = norm.forward_t(&conv.forward(&ys)?, train)?;
        }
        let ys = self.bn1.forward_t(&self.conv_dw.forward(&ys)?, train)?;
        let ys = self.aa.map_or(Ok(ys.clone()), |aa| downsample(&ys, aa))?;
        let ys = self.se.as_ref().map_or(Ok(ys.clone()), |se| se.forward(&ys))?;
        let ys = self.bn2.forward_t(&self.conv_pw.forward(&ys)?, train)?;
        self.skip.join(ys, xs, train)
    }
}
