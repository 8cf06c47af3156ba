//! JPEG, by `libjpeg-turbo-rs`, with libjpeg-turbo's default settings, as in Pillow. A stream with
//! faults is mended first: it gets the coefficients that libjpeg-turbo goes on with.

mod inks;
mod libjpeg;
mod stream;

use image::metadata::Orientation;
use libjpeg_turbo_rs::common::types::DecodeLimits;
use libjpeg_turbo_rs::{DecodeWarning, Decoder, JpegError, PixelFormat};

use self::libjpeg::MAX_SCANS;
pub(super) use self::libjpeg::{Fault, is_in_order};
use self::stream::Stream;
use super::budget::Job;
use crate::preprocess::error::DecodeError;
use crate::preprocess::raster::{Raster, Samples};

const FORMAT: &str = "JPEG";
const TRUNCATED: DecodeError = DecodeError::Truncated { format: FORMAT };

pub(super) fn decode(bytes: &[u8], job: &Job<'_>) -> Result<(Raster, Orientation), DecodeError> {
    let Stream { width, height, components, notes } = Stream::read(bytes)?;
    // Coefficients of two bytes, and samples.
    let beside = bytes.len() as u64;
    job.admit_beside(FORMAT, width.into(), height.into(), 3 * components as u64, beside)?;
    let data = match read(bytes, job) {
        Ok(data) => data,
        // libjpeg gave no row.
        Err(Fault::Cut | Fault::Broken(_)) if job.lenient => {
            vec![0; width as usize * height as usize * components]
        }
        Err(Fault::Cut | Fault::Stopped(_)) => return Err(TRUNCATED),
        Err(Fault::Broken(reason)) => return Err(DecodeError::corrupt(FORMAT, &reason)),
        Err(Fault::Error(error)) => return Err(error),
    };
    let samples = match components {
        1 => Samples::Grey(data),
        4 => Samples::Cmyk(data),
        _ => Samples::Rgb(data),
    };
    Ok((Raster::new(width, height, samples), notes.orientation()))
}

/// The picture of a stream; if the stream has faults, the picture that libjpeg makes of it.
fn read(bytes: &[u8], job: &Job<'_>) -> Result<Vec<u8>, Fault> {
    let in_order = match is_in_order(bytes, 8) {
        // A lenient job may still get a picture.
        Err(Fault::Cut | Fault::Broken(_)) => false,
        other => other?,
    };
    if in_order && let Ok((data, true)) = run(bytes, job) {
        return Ok(data);
    }
    let admit = |width: u64, height: u64, samples: u64| {
        // For each sample: a coefficient of two bytes, its code of at most four, and the sample
        // itself; then the picture.
        job.admit(FORMAT, width, height, (samples * 7).div_ceil(width * height) + 4)
    };
    let mended = libjpeg::mend(bytes, !job.lenient, admit)?;
    let (mut data, _) = run(&mended.stream, job)?;
    let row = data.len() / mended.height;
    data[row * mended.rows..].fill(0);
    Ok(data)
}

/// The decoder's bytes, and whether it found no faults.
fn run(stream: &[u8], job: &Job<'_>) -> Result<(Vec<u8>, bool), DecodeError> {
    let limits = DecodeLimits {
        max_pixels: job.limits.max_pixels,
        max_scans: MAX_SCANS,
        max_memory: Some(job.limits.max_alloc),
        ..DecodeLimits::default()
    };
    let error = |error| explain(error, job);
    let mut decoder = Decoder::new_with_limits(stream, limits).map_err(error)?;
    let format = match decoder.header().components.len() {
        1 => PixelFormat::Grayscale,
        4 => PixelFormat::Cmyk,
        _ => PixelFormat::Rgb,
    };
    decoder.set_output_format(format);
    decoder.set_block_smoothing(true);
    // libjpeg goes on after damage, with a warning that Pillow ignores.
    decoder.set_lenient(true);
    let (mut data, warnings) = if inks::are_unequal(decoder.header()) {
        inks::decode(decoder).map_err(error)?
    } else {
        let image = decoder.decode_image().map_err(error)?;
        (image.data, image.warnings)
    };
    // The decoder gives a grey picture in place of an error; libjpeg does not.
    let recovered = warnings.iter().find_map(|warning| match warning {
        DecodeWarning::UnsupportedRecovered { detail } => Some(detail),
        _ => None,
    });
    if let Some(detail) = recovered {
        return Err(DecodeError::unsupported(FORMAT, detail));
    }
    if format == PixelFormat::Cmyk {
        // Adobe's files have 255 for no ink.
        data.iter_mut().for_each(|value| *value = !*value);
    }
    Ok((data, warnings.is_empty()))
}

fn explain(error: JpegError, job: &Job<'_>) -> DecodeError {
    match error {
        JpegError::UnexpectedEof => TRUNCATED,
        JpegError::Unsupported(reason) => DecodeError::unsupported(FORMAT, &reason),
        JpegError::AllocationFailed { .. } | JpegError::LimitExceeded { .. } => {
            DecodeError::TooMuchMemory { format: FORMAT, limit: job.limits.max_alloc }
        }
        other => DecodeError::corrupt(FORMAT, &other),
    }
}
