//! TIFF: the first image, with the bytes of Pillow, which reads uncompressed pixels itself and
//! leaves all others to libtiff.

mod chunks;
mod codec;
mod directory;
mod mode;
mod old_jpeg;
mod pixels;
mod predictor;
mod raw;
mod unpack;
mod ycbcr;

use std::fmt::Display;

use image::metadata::Orientation;

use self::codec::Codec;
use self::directory::{Directory, tag};
use self::mode::{Format, Mode};
use self::pixels::Pixels;
use super::DecodeOptions;
use crate::preprocess::error::DecodeError;
use crate::preprocess::exif;
use crate::preprocess::image::RgbImage;

const FORMAT: &str = "TIFF";

pub(super) fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<RgbImage, DecodeError> {
    let tags = Directory::read(bytes)?;
    let (width, height) = size(&tags, options)?;
    if tags.has(tag::MEDIA_PHOTO) {
        return Err(unsupported(&"Windows Media Photo"));
    }
    let codec = Codec::read(&tags)?;
    let format = Format::read(&tags, matches!(codec, Codec::OldJpeg))?;
    // libtiff gives YCbCr as RGB.
    let mode = match codec {
        Codec::None => format.mode,
        _ if format.photometric == 6 => Mode::Rgb,
        _ => format.mode,
    };
    let pixels = width as u64 * height as u64;
    options.limits.check_memory(FORMAT, pixels.saturating_mul(mode.bytes() as u64 + 3))?;
    let mut image = Pixels::new(mode, width, height);
    match codec {
        Codec::None => raw::read(&tags, &format, &mut image, options.lenient)?,
        Codec::OldJpeg => old_jpeg::read(&tags, &format, &mut image, &options.limits)?,
        _ => chunks::read(&tags, &format, &codec, &mut image, &options.limits)?,
    }
    let data = image.into_rgb(&palette(&tags, mode)?)?;
    let image =
        RgbImage::new(width as u32, height as u32, data).map_err(|error| corrupt(&error))?;
    // Pillow turns a TIFF upright on loading, whatever the caller asks for.
    Ok(match orientation(&tags)? {
        Orientation::NoTransforms => image,
        orientation => exif::transpose(image, orientation),
    })
}

fn size(tags: &Directory, options: &DecodeOptions) -> Result<(usize, usize), DecodeError> {
    let (Some(width), Some(height)) = (tags.number(tag::WIDTH)?, tags.number(tag::HEIGHT)?) else {
        return Err(corrupt(&"it has no width or height"));
    };
    options.limits.check_pixels(width, height)?;
    let side = |length| usize::try_from(length).ok().filter(|v| (1..1 << 31).contains(v));
    side(width).zip(side(height)).ok_or_else(|| corrupt(&"its width or height"))
}

/// 256 colours for the modes that need them: those of the ColorMap tag, and black.
fn palette(tags: &Directory, mode: Mode) -> Result<Vec<[u8; 3]>, DecodeError> {
    if !matches!(mode, Mode::Palette | Mode::PaletteAlpha) {
        return Ok(Vec::new());
    }
    let levels = tags.numbers(tag::COLOR_MAP)?;
    if levels.is_empty() {
        return Err(corrupt(&"a palette image without a ColorMap"));
    }
    // Red levels, then green ones, then blue ones.
    let count = levels.len() / 3;
    let level = |band: usize, index: usize| match index < count {
        true => (levels[band * count + index] >> 8) as u8,
        false => 0,
    };
    Ok((0..256).map(|index| [0, 1, 2].map(|band| level(band, index))).collect())
}

fn orientation(tags: &Directory) -> Result<Orientation, DecodeError> {
    if tags.has(tag::ORIENTATION) {
        let number = tags.number(tag::ORIENTATION)?.and_then(|number| u8::try_from(number).ok());
        return Ok(number.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms));
    }
    Ok(exif::orientation(None, tags.bytes(tag::XMP)))
}

fn truncated() -> DecodeError {
    DecodeError::Truncated { format: FORMAT }
}

fn corrupt(reason: &dyn Display) -> DecodeError {
    DecodeError::corrupt(FORMAT, reason)
}

fn unsupported(reason: &dyn Display) -> DecodeError {
    DecodeError::unsupported(FORMAT, reason)
}
