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
//! Decoding gives Pillow's bytes in each of the three modes, or an error that names what is not
//! read; [`FORMATS`] lists what is decoded. What is known to be refused:
//!
//! - AVIF, HEIC, JPEG XL and the other formats of the list that have no decoder;
//! - TIFF of the kinds below;
//! - JPEG with chroma of more samples than luma, or damage that leaves 16 bits;
//! - GIF with a grey palette of its first frame beside a global one;
//! - PNG whose first animation frame is smaller than the image;
//! - TGA without a palette of kind 1, or with one of another kind;
//! - lossy WebP, damaged so that coefficients leave 16 bits;
//! - JPEG 2000 of the irreversible transform (9/7), of palettes, CMYK or subsampled components.
//!
//! Errors say to convert the file, or to get an intact copy of one that is damaged. Pillow's
//! `Image.open("a.avif").save("a.png")` keeps its pixels.
//!
//! Every TIFF that Pillow reads gives the same bytes, but for these, which are refused by name:
//!
//! - JPEG of 12 bits a sample that is progressive or in rows of odd length; a JPEG larger than its
//!   strip or tile, with faults in its markers or tables, or of arithmetic codes; the old JPEG
//!   (compression 6) of several tiles or scans;
//! - what Pillow itself reads wrongly: compressed big-endian samples that are signed or floating,
//!   uncompressed planes of other than 8-bit colours, uncompressed YCbCr of subsampled chroma;
//! - YCbCr of subsampled chroma with a Predictor, or in blocks of 4x4 that do not fill its rows;
//! - damaged data where libtiff goes on with a warning (fax codes), strips that share their bytes.
//!
//! As in Pillow, colour profiles are ignored, 16-bit grey and floats are clipped to 0..=255 (see
//! [`Image::is_clipped`]; other 16-bit images keep the high byte), a TIFF is always turned as its
//! orientation tag says, and other files only with [`DecodeOptions::exif_orientation`].
//!
//! From any bytes decoding takes at most [`Limits::max_alloc`], shared by all decoders of the
//! process, and a time that the file's length and [`Limits::max_pixels`] bound.
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

pub use decode::{DecodeOptions, FORMATS, Format, Limits, decode};
pub use error::{DecodeError, ImageSizeError, TransformError};
pub use image::{ColorMode, Image, Pixels};
pub use normalize::Normalize;
pub use pipeline::Pipeline;
pub use resize::{Interpolation, resize};
pub use transform::{CropMode, EvalTransform, PreprocessConfig};
