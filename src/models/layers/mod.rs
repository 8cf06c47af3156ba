//! The layers that blocks are made of.

mod activation;
mod anti_alias;
mod attention2d;
mod batch_norm_act;
mod cond_conv2d;
mod conv2d;
mod conv_norm_act;
mod depthwise;
mod drop_path;
mod evo_norm;
mod global_context;
mod group_norm_act;
mod layer_norm_act;
mod layer_scale;
mod mixed_conv2d;
mod multi_query_attention;
mod norm_act;
mod se;
mod squeeze_excite;

pub(crate) use activation::activate;
pub(crate) use anti_alias::downsample;
pub use attention2d::Attention2d;
pub use batch_norm_act::BatchNormAct2d;
pub use cond_conv2d::CondConv2d;
pub use conv_norm_act::ConvNormAct;
pub use conv2d::Conv2d;
pub use depthwise::{Pads, depthwise_conv2d, depthwise_conv2d_portable};
pub use drop_path::DropPath;
pub use evo_norm::EvoNorm2dS0;
pub use global_context::GlobalContext;
pub use group_norm_act::GroupNormAct;
pub use layer_norm_act::LayerNormAct2d;
pub use layer_scale::LayerScale2d;
pub use mixed_conv2d::MixedConv2d;
pub use multi_query_attention::MultiQueryAttention2d;
pub use norm_act::NormAct;
pub use se::Se;
pub use squeeze_excite::SqueezeExcite;

use crate::arch::{Network, Norm, PadType};

/// What all layers of a network have in common.
#[derive(Debug, Clone, Copy)]
pub struct LayerArgs {
    /// Padding of the convolutions.
    pub pad_type: PadType,
    /// Kind of the norms.
    pub norm: Norm,
    /// Epsilon of the norms.
    pub bn_eps: f64,
    /// Whether batch norms are read by [`BatchNormAct2d::folded`].
    pub folded: bool,
}

impl From<&Network> for LayerArgs {
    fn from(network: &Network) -> Self {
        Self {
            pad_type: network.pad_type,
            norm: network.norm,
            bn_eps: network.bn_eps,
            folded: false,
        }
    }
}
