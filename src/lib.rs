//! EfficientNet-family image classification on Candle, with timm's names and timm's answers.

pub mod arch;
#[cfg(feature = "hub")]
pub mod hub;
pub mod labels;
pub mod models;
pub mod pretrained;
pub mod weights;
