//! From an encoded image to a network's input, with the bytes that Pillow and timm give.
//!
//! ```text
//! encoded bytes -> RgbImage -> Pixels (H, W, 3) u8 -> input (3, H, W) f32
//!          decode()   EvalTransform::pixels   EvalTransform::normalize
//! ```
//!
//! Each arrow takes the type that the one before it gives, so a wrong order does not compile.
//! The arithmetic follows Pillow 13.0.0 (`Image.open(...).convert("RGB")`, `Image.resize`) and
//! timm 1.0.31 (`timm/data/transforms_factory.py`, `transforms_imagenet_eval`).
//!
//! ```
//! use effnet::preprocess::{EvalTransform, PreprocessConfig, RgbImage};
//!
//! let transform = EvalTransform::new(PreprocessConfig::default())?;
//! let image = RgbImage::new(2, 1, vec![255, 0, 0, 0, 0, 255])?;
//! let pixels = transform.pixels(&image)?;
//! assert_eq!((pixels.height(), pixels.width()), (224, 224));
//! let mut input = vec![0f32; transform.input_len()];
//! transform.normalize(&pixels, &mut input)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod decode;
mod error;
mod exif;
mod image;
mod resize;
mod transform;

pub use decode::{DecodeOptions, Limits, decode};
pub use error::{DecodeError, ImageSizeError, TransformError};
pub use image::{Pixels, RgbImage};
pub use resize::{Interpolation, resize};
pub use transform::{CropMode, EvalTransform, PreprocessConfig};
