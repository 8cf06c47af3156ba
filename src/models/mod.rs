//! The networks as Candle modules. Fields and `VarBuilder` segments have timm's names, so the path
//! to a tensor is its name in a timm checkpoint.
//!
//! Nothing here reads files: a [`candle_nn::VarBuilder`] provides the tensors.

#[doc(hidden)]
pub mod blocks;
mod efficientnet;
mod head;
#[doc(hidden)]
pub mod layers;

pub use efficientnet::EfficientNet;
