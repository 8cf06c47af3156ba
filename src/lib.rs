//! EfficientNet-family image classification on Candle, with timm's names and timm's answers.

pub mod preprocess;
