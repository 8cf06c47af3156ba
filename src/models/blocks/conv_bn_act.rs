use candle_core::{Result, Tensor};
use candle_nn::{Module, ModuleT, VarBuilder};

use super::Skip;
use crate::arch::{self, AntiAlias};
use crate::models::layers::{Conv2d, LayerArgs, NormAct, downsample};

/// A convolution, a norm, an activation, with an optional residual.
#[derive(Debug, Clone)]
pub struct ConvBnAct {
    conv: Conv2d,
    bn1: NormAct,
    aa: Option<AntiAlias>,
    skip: Skip,
}

impl ConvBnAct {
    /// Reads the block's tensors.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn new(block: &arch::ConvBnAct, args: LayerArgs, vb: &VarBuilder) -> Result<Self> {
        let out_chs = block.conv.out_chs;
        Ok(Self {
            conv: Conv2d::new(block.conv, args.pad_type, &vb.pp("conv"))?,
            bn1: NormAct::new(out_chs, args, Some(block.act), &vb.pp("bn1"))?,
            aa: block.aa,
            skip: Skip::new(block.has_skip, block.drop_path),
        })
    }
}

impl ModuleT for ConvBnAct {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        let ys = self.bn1.forward_t(&self.conv.forward(xs)?, train)?;
        let ys = self.aa.map_or(Ok(ys.clone()), |aa| downsample(&ys, aa))?;
        self.skip.join(ys, xs, train)
    }
}
