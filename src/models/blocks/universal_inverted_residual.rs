use candle_core::{Result, Tensor};
use candle_nn::{Module, ModuleT, VarBuilder};

use super::Skip;
use crate::arch::{self, AntiAlias, Conv};
use crate::models::layers::{ConvNormAct, LayerArgs, LayerScale2d, downsample};

/// An inverted residual whose depthwise convolutions, before and after the expansion, are optional:
/// UIB (<https://arxiv.org/abs/2404.10518>).
#[derive(Debug, Clone)]
pub struct UniversalInvertedResidual {
    dw_start: Option<ConvNormAct>,
    pw_exp: ConvNormAct,
    dw_mid: Option<ConvNormAct>,
    aa: Option<AntiAlias>,
    pw_proj: ConvNormAct,
    layer_scale: Option<LayerScale2d>,
    skip: Skip,
}

impl UniversalInvertedResidual {
    /// Reads the block's tensors.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn new(
        block: &arch::UniversalInvertedResidual,
        args: LayerArgs,
        vb: &VarBuilder,
    ) -> Result<Self> {
        let (mid_chs, out_chs) = (block.mid_chs, block.out_chs);
        let layer = |conv, act, name| ConvNormAct::new(conv, args, act, &vb.pp(name));
        let act = Some(block.act);
        Ok(Self {
            dw_start: block.dw_start.map(|conv| layer(conv, None, "dw_start")).transpose()?,
            pw_exp: layer(Conv::pointwise(block.in_chs, mid_chs), act, "pw_exp")?,
            dw_mid: block.dw_mid.map(|conv| layer(conv, act, "dw_mid")).transpose()?,
            aa: block.aa,
            pw_proj: layer(Conv::pointwise(mid_chs, out_chs), None, "pw_proj")?,
            layer_scale: LayerScale2d::new(block.layer_scale, out_chs, vb)?,
            skip: Skip::new(block.has_skip, block.drop_path),
        })
    }
}

impl ModuleT for UniversalInvertedResidual {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        let mut ys = xs.clone();
        if let Some(dw_start) = &self.dw_start {
            ys = dw_start.forward_t(&ys, train)?;
        }
        // The downsampling follows the convolution that would otherwise have the stride.
        if let (Some(aa), None) = (self.aa, &self.dw_mid) {
            ys = downsample(&ys, aa)?;
        }
        ys = self.pw_exp.forward_t(&ys, train)?;
        if let Some(dw_mid) = &self.dw_mid {
            ys = dw_mid.forward_t(&ys, train)?;
            ys = self.aa.map_or(Ok(ys.clone()), |aa| downsample(&ys, aa))?;
        }
        ys = self.pw_proj.forward_t(&ys, train)?;
        if let Some(layer_scale) = &self.layer_scale {
            ys = layer_scale.forward(&ys)?;
        }
        self.skip.join(ys, xs, train)
    }
}
