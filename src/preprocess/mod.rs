//! From an encoded image to a network's input, with the bytes that Pillow and timm give.
//!
//! ```text
//! bytes -> Image -> Pixels (H, W, C) u8 -> input (C, H, W) f32
//!      decode() EvalTransform::pixels    EvalTransform::normalize
//! ```
//!
//! Each arrow takes the type that the one before it gives, so a wrong order does not compile.
//! The arithmetic follows Pillow 13.0.0 (`Image.open(...).convert(mode)`, `Image.resize`) and
//! timm 1.0.31 (`timm/data/transforms_factory.py`, `transforms_imagenet_eval`).
//!
//! # What is equal to Pillow, and what is not
//!
//! Resize, crop and normalize are equal to the last bit, for every interpolation and crop mode.
//! Decoding is equal byte for byte on 214 of the 219 test files that Pillow reads: JPEG (every
//! subsampling, progressive, arithmetic, restart markers, grey, CMYK and YCCK), PNG (every depth and
//! colour type, Adam7), WebP (lossy too), GIF, BMP, TIFF, PNM, QOI, ICO, TGA. The rest, measured:
//!
//! | file | difference |
//! | --- | --- |
//! | BMP with run-length jumps | skipped pixels are black, in Pillow of colour 0 |
//! | TIFF that holds JPEG | 1.2% of bytes, by 1 level |
//! | TIFF with a palette or in CIELab | refused as unsupported |
//! | ICO with a 24-bit bitmap that has no mask | refused as corrupt |
//! | PNG with damaged data, leniently | what follows the damage (2% of bytes) |
//! | JPEG cut within a scan's header, leniently | the scans before it; Pillow gives black |
//!
//! As in Pillow, alpha and colour profiles are ignored, 16-bit grey is clipped to 0..=255 (other
//! 16-bit images keep the high byte), a TIFF is always turned as its orientation tag says, and other
//! files only with [`DecodeOptions::exif_orientation`].
//!
//! ```
//! use effnet::preprocess::{ColorMode, EvalTransform, Image, PreprocessConfig};
//!
//! let transform = EvalTransform::new(PreprocessConfig::default())?;
//! let image = Image::new(ColorMode::Rgb, 2, 1, vec![255, 0, 0, 0, 0, 255])?;
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
mod pipeline;
mod raster;
mod resize;
mod transform;

pub use decode::{DecodeOptions, Limits, decode};
pub use error::{DecodeError, ImageSizeError, TransformError};
pub use image::{ColorMode, Image, Pixels};
pub use pipeline::Pipeline;
pub use resize::{Interpolation, resize};
pub use transform::{CropMode, EvalTransform, PreprocessConfig};
