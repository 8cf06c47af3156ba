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
//! # What is equal to Pillow, and what is not
//!
//! Resize, crop and normalize are equal to the last bit, for every interpolation and crop mode.
//! Decoding is equal byte for byte on 216 of the 219 test files that Pillow reads: JPEG (every
//! subsampling, progressive, arithmetic, restart markers, grey, CMYK and YCCK), PNG (every depth and
//! colour type, Adam7), WebP (lossy too), GIF, BMP, TIFF, PNM, QOI, ICO, TGA. The rest, measured:
//!
//! | file | difference |
//! | --- | --- |
//! | BMP with run-length jumps | skipped pixels are black, in Pillow of colour 0 |
//! | TIFF of the kinds below | refused, saying which |
//! | ICO with a 24-bit bitmap that has no mask | refused as corrupt |
//! | PNG with damaged data, leniently | what follows the damage (2% of bytes) |
//! | JPEG cut within a scan's header, leniently | the scans before it; Pillow gives black |
//!
//! Every TIFF that Pillow reads gives the same bytes, but for these, which are refused by name:
//!
//! - CIELab;
//! - JPEG of 12 bits a sample; a JPEG larger than its strip or tile; the old JPEG (compression 6) of
//!   more than one strip, of several scans, or with its tables in tags;
//! - what Pillow itself reads wrongly: compressed big-endian samples that are signed or floating,
//!   uncompressed planes of other than 8-bit colours, uncompressed YCbCr of subsampled chroma;
//! - YCbCr of subsampled chroma with a Predictor, or in blocks of 4x4 that do not fill its rows;
//! - damaged data where libtiff goes on with a warning (fax codes), strips that share their bytes.
//!
//! As in Pillow, alpha and colour profiles are ignored, 16-bit grey is clipped to 0..=255 (other
//! 16-bit images keep the high byte), a TIFF is always turned as its orientation tag says, and other
//! files only with [`DecodeOptions::exif_orientation`].
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
