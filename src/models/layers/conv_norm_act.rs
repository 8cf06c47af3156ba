//! A convolution and its norm (timm's `ConvNormAct`).

use candle_core::{Result, Tensor};
use candle_nn::{Module, ModuleT, VarBuilder};

use super::{Conv2d, LayerArgs, NormAct};
use crate::arch::{Activation, Conv};

/// `conv` -> `bn`, then an activation, if any.
#[derive(Debug, Clone)]
pub struct ConvNormAct {
    conv: Conv2d,
    bn: NormAct,
}

impl ConvNormAct {
    /// Reads the layer.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn new(
        conv: Conv,
        args: LayerArgs,
        act: Option<Activation>,
        vb: &VarBuilder,
    ) -> Result<Self> {
        Ok(Self {
            conv: Conv2d::new(conv, args.pad_type, &vb.pp("conv"))?,
            bn: NormAct::new(conv.out_chs, args, act, &vb.pp("bn"))?,
        })
    }
}

impl ModuleT for ConvNormAct {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        self.bn.forward_t(&self.conv.forward(xs)?, train)
    }
}
