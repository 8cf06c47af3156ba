use candle_core::{Result, Tensor};
use candle_nn::{Module, ModuleT, VarBuilder};

use super::Skip;
use crate::arch;
use crate::models::layers::{BatchNormAct2d, Conv2d, LayerArgs};

/// A convolution, a norm, an activation, with an optional residual.
#[derive(Debug, Clone)]
pub struct ConvBnAct {
    conv: Conv2d,
    bn1: BatchNormAct2d,
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
            bn1: BatchNormAct2d::new(out_chs, args.bn_eps, Some(block.act), &vb.pp("bn1"))?,
            skip: Skip::new(block.has_skip, block.drop_path),
        })
    }
}

impl ModuleT for ConvBnAct {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        let ys = self.bn1.forward_t(&self.conv.forward(xs)?, train)?;
        self.skip.join(ys, xs, train)
    }
}
