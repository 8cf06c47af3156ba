//! TIFF: the first image, with Pillow's bytes. Pillow reads uncompressed pixels itself and leaves
//! all others to libtiff.

mod chunks;
mod codec;
mod directory;
mod lab;
mod mode;
mod old_jpeg;
mod pixels;
mod predictor;
mod raw;
mod unpack;
mod ycbcr;

use std::borrow::Cow;
use std::fmt::Display;

use image::metadata::Orientation;

use self::chunks::Chunks;
use self::codec::Codec;
use self::directory::{Directory, tag};
use self::mode::{Format, Mode};
use self::pixels::Pixels;
use super::budget::Job;
use crate::preprocess::error::DecodeError;
use crate::preprocess::exif::Notes;
use crate::preprocess::image::ColorMode;
use crate::preprocess::raster::Raster;

const FORMAT: &str = "TIFF";

pub(super) fn decode(bytes: &[u8], job: &Job<'_>) -> Result<(Raster, Orientation), DecodeError> {
    let tags = Directory::read(bytes)?;
    let (width, height) = size(&tags)?;
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
    if mode == Mode::Lab && job.mode() == ColorMode::L {
        return Err(unsupported(&"CIELab as grey; Pillow cannot convert it"));
    }
    let admit = |more: u64, beside: u64| {
        let bytes = (mode.bytes() + mode.bytes_beside()) as u64 + more;
        job.admit_beside(FORMAT, width as u64, height as u64, bytes, beside)
    };
    let image = || Pixels::new(mode, width, height);
    let image = match codec {
        Codec::None => {
            admit(0, 0)?;
            raw::read(&tags, &format, image(), job.lenient)?
        }
        Codec::OldJpeg => {
            admit(old_jpeg::BYTES, bytes.len() as u64)?;
            old_jpeg::read(&tags, &format, image(), &job.limits)?
        }
        _ => {
            // The size is checked before anything is computed from it.
            admit(0, 0)?;
            let chunks = Chunks::new(&tags, &format, &codec, (width, height))?;
            admit(0, chunks.memory())?;
            chunks.read(image())?
        }
    };
    let samples = image.into_samples(&palette(&tags, mode)?)?;
    Ok((Raster::new(width as u32, height as u32, samples), orientation(&tags)?))
}

fn size(tags: &Directory) -> Result<(usize, usize), DecodeError> {
    let (Some(width), Some(height)) = (tags.number(tag::WIDTH)?, tags.number(tag::HEIGHT)?) else {
        return Err(corrupt(&"it has no width or height"));
    };
    let side = |length| usize::try_from(length).ok().filter(|v| (1..1 << 31).contains(v));
    side(width).zip(side(height)).ok_or_else(|| corrupt(&"its width or height"))
}

/// 256 colours for the modes that need them: the colours of the ColorMap tag, then black.
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
    let xmp = tags.bytes(tag::XMP).map(Cow::Borrowed);
    Ok(Notes { xmp, ..Notes::default() }.orientation())
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
