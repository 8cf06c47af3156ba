use candle_core::{Result, Tensor};
use candle_nn::{Module, ModuleT, VarBuilder};

use super::Skip;
use crate::arch;
use crate::models::layers::{LayerArgs, MixedConv2d, NormAct, Se};

/// An inverted residual with mixed convolutions: MixConv (<https://arxiv.org/abs/1907.09595>).
#[derive(Debug, Clone)]
pub struct MixedResidual {
    conv_pw: MixedConv2d,
    bn1: NormAct,
    conv_dw: MixedConv2d,
    bn2: NormAct,
    se: Option<Se>,
    conv_pwl: MixedConv2d,
    bn3: NormAct,
    skip: Skip,
}

impl MixedResidual {
    /// Reads the block's tensors.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn new(block: &arch::MixedResidual, args: LayerArgs, vb: &VarBuilder) -> Result<Self> {
        let out_chs = |convs: &[arch::Conv]| convs.iter().map(|conv| conv.out_chs).sum();
        let mid_chs = out_chs(&block.conv_pw);
        let mixed =
            |convs: &[arch::Conv], name| MixedConv2d::new(convs, args.pad_type, &vb.pp(name));
        Ok(Self {
            conv_pw: mixed(&block.conv_pw, "conv_pw")?,
            bn1: NormAct::new(mid_chs, args, Some(block.act), &vb.pp("bn1"))?,
            conv_dw: mixed(&block.conv_dw, "conv_dw")?,
            bn2: NormAct::new(mid_chs, args, Some(block.act), &vb.pp("bn2"))?,
            se: Se::new(block.se, mid_chs, block.act, vb)?,
            conv_pwl: mixed(&block.conv_pwl, "conv_pwl")?,
            bn3: NormAct::new(out_chs(&block.conv_pwl), args, None, &vb.pp("bn3"))?,
            skip: Skip::new(block.has_skip, block.drop_path),
        })
    }
}

impl ModuleT for MixedResidual {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        let ys = self.bn1.forward_t(&self.conv_pw.forward(xs)?, train)?;
        let ys = self.bn2.forward_t(&self.conv_dw.forward(&ys)?, train)?;
        let ys = self.se.as_ref().map_or(Ok(ys.clone()), |se| se.forward(&ys))?;
        let ys = self.bn3.forward_t(&self.conv_pwl.forward(&ys)?, train)?;
        self.skip.join(ys, xs, train)
    }
}
