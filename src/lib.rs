//! EfficientNet-family image classification on Candle, with timm's names and timm's answers.

pub mod arch;
pub mod labels;
pub mod models;
pub mod preprocess;
pub mod pretrained;
pub mod weights;
