use candle_core::{Result, Tensor};
use candle_nn::{Module, ModuleT, VarBuilder};

use super::Skip;
use crate::arch;
use crate::models::layers::{Attention2d, LayerArgs, LayerScale2d, MultiQueryAttention2d, NormAct};

/// A norm, then attention between positions: Mobile MQA (<https://arxiv.org/abs/2404.10518>), or
/// attention with several heads.
#[derive(Debug, Clone)]
pub struct MobileAttention {
    norm: NormAct,
    attn: Attention,
    layer_scale: Option<LayerScale2d>,
    skip: Skip,
}

#[derive(Debug, Clone)]
enum Attention {
    MultiQuery(Box<MultiQueryAttention2d>),
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
                arch::Attention::MultiQuery { down_conv } => Attention::MultiQuery(Box::new(
                    MultiQueryAttention2d::new(block, down_conv, args, &attn)?,
                )),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::{Norm, PadType};
    use crate::weights::seeded;
    use candle_core::{DType, Device};

    /// No architecture of the table has this block, so the test holds timm's values.
    #[test]
    fn attention_of_several_heads_is_timms() -> Result<()> {
        let block = arch::MobileAttention {
            in_chs: 4,
            out_chs: 4,
            num_heads: 2,
            key_dim: 2,
            attn: arch::Attention::MultiHead,
            layer_scale: true,
            has_skip: true,
            drop_path: 0.0,
        };
        let (pad_type, norm) = (PadType::Symmetric, Norm::BatchNorm);
        let args = LayerArgs { pad_type, norm, bn_eps: 1e-5, folded: false };
        let vb = seeded::var_builder(0, DType::F32, &Device::Cpu);
        let xs = Tensor::from_vec(seeded::images(0, &[1, 4, 2, 1]), (1, 4, 2, 1), &Device::Cpu)?;
        let ys = MobileAttention::new(&block, args, &vb)?.forward_t(&xs, false)?;
        // timm 1.0.31: MobileAttention(4, 4, num_heads=2, key_dim=2, value_dim=2), seeded.
        let expected = [
            1.822_849_6,
            0.426_813_36,
            -1.061_877_3,
            1.187_237_9,
            -1.578_437_4,
            0.520_478_37,
            0.400_519_07,
            0.103_596_84,
        ];
        for (y, e) in ys.flatten_all()?.to_vec1::<f32>()?.iter().zip(expected) {
            assert!((y - e).abs() < 1e-5, "{y} for {e}");
        }
        Ok(())
    }
}
