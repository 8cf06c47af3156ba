use candle_core::{Result, Tensor};
use candle_nn::{Module, ModuleT, VarBuilder};

use super::Skip;
use crate::arch;
use crate::models::layers::{Attention2d, LayerArgs, LayerScale2d, MultiQueryAttention2d, NormAct};

/// A norm, then attention between positions: Mobile MQA (<https://arxiv.org/abs/2404.10518>), or
/// attention of several heads.
#[derive(Debug, Clone)]
pub struct MobileAttention {
    norm: NormAct,
    attn: Attention,
    layer_scale: Option<LayerScale2d>,
    skip: Skip,
}

#[derive(Debug, Clone)]
enum Attention {
    MultiQuery(MultiQueryAttention2d),
    MultiHead(Attention2d),
}

impl MobileAttention {
    /// Reads the block's tensors.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn new(block: &arch::MobileAttention, args: LayerArgs, vb: &VarBuilder) -> Result<Self> {
        let attn = vb.pp("attn");
        Ok(Self {
            norm: NormAct::new(block.in_chs, args, None, &vb.pp("norm"))?,
            attn: match block.attn {
                arch::Attention::MultiQuery { down_conv } => Attention::MultiQuery(
                    MultiQueryAttention2d::new(block, down_conv, args, &attn)?,
                ),
                arch::Attention::MultiHead => Attention::MultiHead(Attention2d::new(block, &attn)?),
            },
            layer_scale: LayerScale2d::new(block.layer_scale, block.out_chs, vb)?,
            skip: Skip::new(block.has_skip, block.drop_path),
        })
    }
}

impl ModuleT for MobileAttention {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        let ys = self.norm.forward_t(xs, train)?;
        let mut ys = match &self.attn {
            Attention::MultiQuery(attn) => attn.forward_t(&ys, train)?,
            Attention::MultiHead(attn) => attn.forward(&ys)?,
        };
        if let Some(layer_scale) = &self.layer_scale {
            ys = layer_scale.forward(&ys)?;
        }
        self.skip.join(ys, xs, train)
    }
}
