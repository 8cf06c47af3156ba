//! Encoded bytes to RGB.

mod convert;
mod gif;
mod jpeg;
mod other;
mod png;
mod pnm;
mod tiff;

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::ImageFormat;
use image::metadata::Orientation;

use super::error::DecodeError;
use super::exif;
use super::image::RgbImage;

/// What a file may cost at most, whatever its header announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Width times height. Default: 178,956,970, where Pillow raises its `DecompressionBombError`.
    pub max_pixels: u64,
    /// Bytes that decoding may allocate. Default: 2 GiB.
    pub max_alloc: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_pixels: 2 * 89_478_485, max_alloc: 2 << 30 }
    }
}

impl Limits {
    fn check_pixels(&self, width: u64, height: u64) -> Result<(), DecodeError> {
        if width.saturating_mul(height) > self.max_pixels {
            return Err(DecodeError::TooManyPixels { width, height, limit: self.max_pixels });
        }
        Ok(())
    }

    fn check_memory(&self, format: &'static str, bytes: u64) -> Result<(), DecodeError> {
        if bytes > self.max_alloc {
            return Err(DecodeError::TooMuchMemory { format, limit: self.max_alloc });
        }
        Ok(())
    }
}

/// How [`decode`] treats a file. The default is what Pillow does by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DecodeOptions {
    /// Against decompression bombs.
    pub limits: Limits,
    /// Accept a truncated JPEG or PNG and keep what decoded, as Pillow's
    /// `ImageFile.LOAD_TRUNCATED_IMAGES` does. Default: refuse.
    pub lenient: bool,
    /// Rotate and flip as the EXIF orientation says, as Pillow's `ImageOps.exif_transpose` does.
    /// Default: leave the image as stored, as timm does.
    pub exif_orientation: bool,
}

/// Decodes an image of any known format, recognised by its content, to 8-bit RGB as Pillow's
/// `Image.open(...).convert("RGB")` does.
///
/// ```
/// use effnet::preprocess::{DecodeOptions, decode};
///
/// let image = decode(b"P3 2 1 255  255 0 0  0 0 255", &DecodeOptions::default())?;
/// assert_eq!((image.width(), image.height()), (2, 1));
/// assert_eq!(image.data(), [255, 0, 0, 0, 0, 255]);
///
/// let text = decode(b"no image", &DecodeOptions::default()).unwrap_err();
/// assert!(text.to_string().starts_with("not an image of a known format"));
/// # Ok::<(), effnet::preprocess::DecodeError>(())
/// ```
///
/// # Errors
/// [`DecodeError`] says what was wrong and what to do.
pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<RgbImage, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    let format = sniff(bytes).ok_or(DecodeError::UnknownFormat)?;
    let decoded = || match format {
        (ImageFormat::Jpeg, _) => jpeg::decode(bytes, options),
        (ImageFormat::Png, _) => png::decode(bytes, options),
        (ImageFormat::Pnm, _) => Ok((pnm::decode(bytes, options)?, Orientation::NoTransforms)),
        (ImageFormat::Gif, _) => gif::decode(bytes, options),
        (ImageFormat::Tiff, _) => Ok((tiff::decode(bytes, options)?, Orientation::NoTransforms)),
        (format, name) => other::decode(bytes, format, name, options),
    };
    // The decoders are other people's, some of them young: a panic in one of them, set off by a
    // broken file, must not end a service.
    let (image, orientation) = catch_unwind(AssertUnwindSafe(decoded))
        .unwrap_or_else(|_| Err(DecodeError::corrupt(format.1, &"its decoder gave up")))?;
    if options.exif_orientation && orientation != Orientation::NoTransforms {
        return Ok(exif::transpose(image, orientation));
    }
    Ok(image)
}

/// The format, by the first bytes, and its name for messages.
fn sniff(bytes: &[u8]) -> Option<(ImageFormat, &'static str)> {
    let found = match bytes {
        [0xff, 0xd8, 0xff, ..] => (ImageFormat::Jpeg, "JPEG"),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => (ImageFormat::Png, "PNG"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => {
            (ImageFormat::WebP, "WebP")
        }
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => (ImageFormat::Gif, "GIF"),
        [b'B', b'M', ..] => (ImageFormat::Bmp, "BMP"),
        // Two more headers than the standard has: Pillow reads them.
        [b'I', b'I', 42 | 43, 0, ..]
        | [b'M', b'M', 0, 42 | 43, ..]
        | [b'I', b'I', 0, 42, ..]
        | [b'M', b'M', 42, 0, ..] => (ImageFormat::Tiff, "TIFF"),
        [b'P', b'1'..=b'6', ..] => (ImageFormat::Pnm, "PNM"),
        [b'q', b'o', b'i', b'f', ..] => (ImageFormat::Qoi, "QOI"),
        [0, 0, 1, 0, ..] => (ImageFormat::Ico, "ICO"),
        _ if is_tga(bytes) => (ImageFormat::Tga, "TGA"),
        _ => return None,
    };
    Some(found)
}

/// TGA has no magic number: its header must make sense, field by field, as Pillow asks too.
fn is_tga(bytes: &[u8]) -> bool {
    let Some(header) = bytes.first_chunk::<18>() else {
        return false;
    };
    let (map_type, image_type, map_depth, depth) = (header[1], header[2], header[7], header[16]);
    let size = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let mapped = matches!(image_type, 1 | 9);
    let kind = match image_type {
        1 | 9 => map_type == 1 && matches!(map_depth, 15 | 16 | 24 | 32),
        2 | 3 | 10 | 11 => map_type <= 1,
        _ => false,
    };
    kind && size(12) > 0
        && size(14) > 0
        && matches!(depth, 1 | 8 | 15 | 16 | 24 | 32)
        && (!mapped || depth == 8)
}
