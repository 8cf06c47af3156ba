//! Layers that the blocks are made of.

mod activation;
mod batch_norm_act;
mod conv2d;
mod depthwise;
mod drop_path;
mod global_context;
mod se;
mod squeeze_excite;

pub(crate) use activation::activate;
pub use batch_norm_act::BatchNormAct2d;
pub use conv2d::Conv2d;
pub use depthwise::{Pads, depthwise_conv2d, depthwise_conv2d_portable};
pub use drop_path::DropPath;
pub use global_context::GlobalContext;
pub use se::Se;
pub use squeeze_excite::SqueezeExcite;

use crate::arch::PadType;

/// What every layer of a network has in common.
#[derive(Debug, Clone, Copy)]
pub struct LayerArgs {
    /// Padding of the convolutions.
    pub pad_type: PadType,
    /// Epsilon of the batch norms.
    pub bn_eps: f64,
}
