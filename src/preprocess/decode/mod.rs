//! From encoded bytes to 8-bit images.

mod bmp;
mod budget;
mod format;
mod gif;
mod ico;
mod jpeg;
mod jpeg2000;
mod png;
mod pnm;
mod qoi;
mod rows;
mod tga;
mod tiff;
mod vp8;
mod vp8l;
mod webp;

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;

pub use self::format::{FORMATS, Format};

use self::budget::Job;
use super::error::DecodeError;
use super::exif;
use super::image::{ColorMode, Image};

/// What decoding a file may cost, whatever its header announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Width times height. Default: 178,956,970, where Pillow raises its `DecompressionBombError`.
    pub max_pixels: u64,
    /// Bytes that all decoders of the process may take together while they run. A decoder that
    /// would exceed this waits until others have ended; one that needs more by itself is refused.
    /// Finished images do not count. Default: 2 GiB.
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
    /// Limits against decompression bombs.
    pub limits: Limits,
    /// Accept a truncated file and keep what could be decoded, where Pillow's
    /// `ImageFile.LOAD_TRUNCATED_IMAGES` does. Default: refuse.
    pub lenient: bool,
    /// Rotate and flip as the EXIF orientation says, as Pillow's `ImageOps.exif_transpose` does.
    /// Default: leave the image as stored, as timm does.
    pub exif_orientation: bool,
}

/// Decodes an image of any known format, recognised by its content, as Pillow's
/// `Image.open(...).convert(mode)` does.
///
/// ```
/// use effnet::preprocess::{ColorMode, DecodeOptions, decode};
///
/// let options = DecodeOptions::default();
/// let file = b"P3 2 1 255  255 0 0  0 0 255";
/// let image = decode(file, ColorMode::Rgb, &options)?;
/// assert_eq!((image.width(), image.height()), (2, 1));
/// assert_eq!(image.data(), [255, 0, 0, 0, 0, 255]);
/// assert_eq!(decode(file, ColorMode::L, &options)?.data(), [76, 29]);
///
/// let text = decode(b"no image", ColorMode::Rgb, &options).unwrap_err();
/// assert!(text.to_string().starts_with("not an image of a known format"));
/// # Ok::<(), effnet::preprocess::DecodeError>(())
/// ```
///
/// # Errors
/// [`DecodeError`] says what was wrong and what to do.
pub fn decode(
    bytes: &[u8],
    mode: ColorMode,
    options: &DecodeOptions,
) -> Result<Image, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    let (format, decoder) = Format::of(bytes)?;
    let job = Job::new(mode, options);
    // The decoders come from other crates, some of them young. If a broken file makes one panic,
    // that must not end a service.
    let (raster, orientation) = catch_unwind(AssertUnwindSafe(|| decoder(bytes, &job)))
        .unwrap_or_else(|_| Err(DecodeError::corrupt(format.name, &"its decoder gave up")))?;
    let image =
        raster.into_image(mode).map_err(|error| DecodeError::corrupt(format.name, &error))?;
    let turn = options.exif_orientation || format.always_upright;
    if turn && orientation != Orientation::NoTransforms {
        return Ok(exif::transpose(image, orientation));
    }
    Ok(image)
}

/// How many pixels a file's header announces; 0 if it cannot be read. Nothing is decoded: all decoders
/// ask for the picture's memory first, and here none gets any.
#[cfg(feature = "batcher")]
pub(crate) fn announced_pixels(bytes: &[u8], options: &DecodeOptions) -> u64 {
    let none = Limits { max_pixels: 0, ..options.limits };
    match decode(bytes, ColorMode::Rgb, &DecodeOptions { limits: none, ..*options }) {
        Err(DecodeError::TooManyPixels { width, height, .. }) => width.saturating_mul(height),
        _ => 0,
    }
}

#[cfg(all(test, feature = "batcher"))]
mod tests {
    use super::*;

    #[test]
    fn a_header_announces_the_pixels_of_its_picture_in_every_format() {
        let mut formats = std::collections::BTreeSet::new();
        let folders = ["tests/data/images", "tests/data/images/jpeg2000"];
        for file in folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()) {
            let path = file.unwrap().path();
            let Ok(bytes) = std::fs::read(&path) else { continue };
            let options = DecodeOptions::default();
            let announced = announced_pixels(&bytes, &options);
            match decode(&bytes, ColorMode::Rgb, &options) {
                Ok(image) => {
                    let pixels = u64::from(image.width()) * u64::from(image.height());
                    let format = Format::of(&bytes).unwrap().0.name;
                    // A grey cursor's mask is decoded like a picture.
                    let has_mask = format == "CUR" && announced == 2 * pixels;
                    assert!(announced == pixels || has_mask, "{}: {announced}", path.display());
                    formats.insert(format);
                }
                Err(DecodeError::TooManyPixels { width, height, .. }) => {
                    assert_eq!(announced, width * height, "{}", path.display());
                }
                Err(_) => {}
            }
        }
        let decoded: Vec<_> = FORMATS.iter().filter(|f| f.is_decoded()).map(|f| f.name).collect();
        assert_eq!(formats.len(), decoded.len(), "{formats:?} of {decoded:?}");
        assert_eq!(announced_pixels(b"text", &DecodeOptions::default()), 0);
    }
}
