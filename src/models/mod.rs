//! The networks as Candle modules. Fields and `VarBuilder` segments are timm's words, so a module's
//! path is its tensor's name in a timm checkpoint.
//!
//! Nothing here sees a file: a [`candle_nn::VarBuilder`] hands over the tensors.

#[doc(hidden)]
pub mod blocks;
mod efficientnet;
mod head;
#[doc(hidden)]
pub mod layers;

pub use efficientnet::EfficientNet;
