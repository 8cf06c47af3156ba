//! From an encoded image to a network's input, with the same bytes as Pillow and timm.
//!
//! ```text
//! bytes -> Image -> Pixels (H, W, C) u8 -> input (C, H, W) f32
//!      decode() EvalTransform::pixels    EvalTransform::normalize
//! ```
//!
//! Each step takes the type that the previous one gives, so a wrong order does not compile. The
//! arithmetic follows Pillow 13.0.0 (`Image.open(...).convert(mode)`, `Image.resize`) and timm
//! 1.0.31 (`timm/data/transforms_factory.py`, `transforms_imagenet_eval`).
//!
//! # What equals Pillow, and what does not
//!
//! Resize, crop and normalize are equal to the last bit, for every interpolation and crop mode.
//! Decoding gives Pillow's bytes in each of the three modes, or an error that names what cannot be
//! read; [`FORMATS`] lists the formats. These are known to be refused:
//!
//! - AVIF, HEIC, JPEG XL and the other formats of the list that have no decoder;
//! - the kinds of TIFF below;
//! - JPEG with more chroma samples than luma samples, or with damage whose coefficients exceed 16
//!   bits;
//! - GIF whose first frame has a grey palette, if there is a global palette too;
//! - PNG whose first animation frame is smaller than the image;
//! - TGA of kind 1 without a palette, or of another kind with one;
//! - lossy WebP with damage whose coefficients exceed 16 bits;
//! - JPEG 2000 with the irreversible transform (9/7), palettes, CMYK or subsampled components.
//!
//! Errors say to convert the file, or to get an intact copy of a damaged one. Pillow's
//! `Image.open("a.avif").save("a.png")` keeps the pixels.
//!
//! Every TIFF that Pillow reads gives the same bytes, except these, which are refused by name:
//!
//! - 12-bit JPEG that is progressive or has rows of odd length; a JPEG that is larger than its
//!   strip or tile, has faults in its markers or tables, or uses arithmetic codes; old JPEG
//!   (compression 6) with several tiles or scans;
//! - what Pillow itself reads wrongly: compressed big-endian samples that are signed or floats,
//!   uncompressed planes of colours that do not have 8 bits, uncompressed YCbCr with subsampled
//!   chroma;
//! - YCbCr with subsampled chroma and a Predictor, or in 4x4 blocks that do not fill its rows;
//! - damaged data after which libtiff goes on with a warning (fax codes); strips that share bytes.
//!
//! As in Pillow, colour profiles are ignored; 16-bit grey and floats are clipped to 0..=255 (see
//! [`Image::is_clipped`]; other 16-bit images keep the high byte); a TIFF is always turned as its
//! orientation tag says, other files only with [`DecodeOptions::exif_orientation`].
//!
//! Whatever the bytes, decoding takes at most [`Limits::max_alloc`] of memory, shared by all
//! decoders of the process; the file's length and [`Limits::max_pixels`] bound its time.
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
mod normalize;
mod pipeline;
mod raster;
mod resize;
mod transform;

#[cfg(feature = "batcher")]
pub(crate) use decode::announced_pixels;
pub use decode::{DecodeOptions, FORMATS, Format, Limits, decode};
pub use error::{DecodeError, ImageSizeError, TransformError};
pub use image::{ColorMode, Image, Pixels};
pub use normalize::Normalize;
pub use pipeline::Pipeline;
pub use resize::{Interpolation, resize};
pub use transform::{CropMode, EvalTransform, PreprocessConfig, Region};
