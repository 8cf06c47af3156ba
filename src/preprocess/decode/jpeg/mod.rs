//! JPEG, by `libjpeg-turbo-rs`, with the settings that Pillow leaves to libjpeg-turbo. Streams
//! whose markers are not in order are put in order first, as libjpeg reads them.

mod inks;
mod restarts;
mod stream;

use std::borrow::Cow;

use image::metadata::Orientation;
use libjpeg_turbo_rs::common::types::DecodeLimits;
use libjpeg_turbo_rs::{DecodeWarning, Decoder, JpegError, PixelFormat};

use self::stream::{End, Stream};
use super::budget::Job;
use crate::preprocess::error::DecodeError;
use crate::preprocess::raster::{Raster, Samples};

const FORMAT: &str = "JPEG";
const TRUNCATED: DecodeError = DecodeError::Truncated { format: FORMAT };
/// More than any encoder writes; each scan of a hostile file costs a pass over the image.
const MAX_SCANS: usize = 256;
/// Passes over all blocks that a file may take, whatever its length, and blocks beyond for each of
/// its bytes. Encoders' scripts come to about six passes; an empty scan of a hostile file is free.
const MAX_PASSES: u64 = 32;
const BLOCKS_A_BYTE: u64 = 256;
const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];
/// How many bytes libjpeg looks ahead for bits; it waits for them where no marker comes before.
const LOOK_AHEAD: usize = 8;

pub(super) fn decode(bytes: &[u8], job: &Job<'_>) -> Result<(Raster, Orientation), DecodeError> {
    let stream = Stream::read(bytes)?;
    let frame = &stream.frame;
    let (width, height) = (frame.width, frame.height);
    // Coefficients of two bytes and a sample.
    job.admit(FORMAT, width.into(), height.into(), 3 * frame.components.len() as u64)?;
    let most = frame.blocks() * MAX_PASSES + bytes.len() as u64 * BLOCKS_A_BYTE;
    if stream.blocks > most || stream.scans.len() > MAX_SCANS {
        return Err(DecodeError::corrupt(FORMAT, &"more scans than its length is good for"));
    }
    let orientation = stream.notes.orientation();
    let strict = !job.lenient;
    let whole = match stream.end {
        End::Marked => stream.in_order(bytes, strict)?,
        // A picture of one scan is whole where its bits end at any marker.
        End::OtherMarker(at) if stream.is_single() => {
            ended(&stream.in_order(&bytes[..at], strict)?)
        }
        _ if strict => {
            let spare = bytes.len().saturating_sub(LOOK_AHEAD);
            if !stream.is_single() || stream.scans.iter().any(|scan| scan.start > spare) {
                return Err(TRUNCATED);
            }
            let (_, short) = run(&ended(&stream.in_order(&bytes[..spare], strict)?), job)?;
            if short {
                return Err(TRUNCATED);
            }
            ended(&stream.in_order(bytes, strict)?)
        }
        // libjpeg waits for the rest of a segment before it gives any row.
        End::InSegment => {
            let size = width as usize * height as usize * frame.components.len();
            let blank = vec![0; size];
            return Ok((raster(width, height, blank, frame.components.len()), orientation));
        }
        End::OtherMarker(_) | End::InScan => ended(&stream.in_order(bytes, strict)?),
    };
    let (mut data, _) = run(&whole, job)?;
    if frame.components.len() == 4 {
        // Adobe's way round has 255 for no ink.
        data.iter_mut().for_each(|value| *value = !*value);
    }
    Ok((raster(width, height, data, frame.components.len()), orientation))
}

fn raster(width: u32, height: u32, data: Vec<u8>, channels: usize) -> Raster {
    let samples = match channels {
        1 => Samples::Grey(data),
        4 => Samples::Cmyk(data),
        _ => Samples::Rgb(data),
    };
    Raster::new(width, height, samples)
}

/// The stream with an end.
fn ended(stream: &[u8]) -> Cow<'static, [u8]> {
    Cow::Owned([stream, END_OF_IMAGE.as_slice()].concat())
}

/// The decoder's bytes, and whether it missed some of the stream.
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
    // libjpeg goes on after damage, with a warning; Pillow does not look at it.
    decoder.set_lenient(true);
    let (data, warnings) = if inks::are_unequal(decoder.header()) {
        inks::decode(decoder).map_err(error)?
    } else {
        let image = decoder.decode_image().map_err(error)?;
        (image.data, image.warnings)
    };
    // The one recovery that libjpeg does not know: a grey picture in place of an error.
    let recovered = warnings.iter().find_map(|warning| match warning {
        DecodeWarning::UnsupportedRecovered { detail } => Some(detail),
        _ => None,
    });
    if let (Some(detail), false) = (recovered, job.lenient) {
        return Err(DecodeError::unsupported(FORMAT, detail));
    }
    // libjpeg goes on at once, the decoder at the next restart marker: a picture that Pillow does
    // not give must be asked for.
    let damaged = |warning: &_| matches!(warning, DecodeWarning::HuffmanError { .. });
    if !job.lenient && warnings.iter().any(damaged) {
        return Err(DecodeError::Damaged { format: FORMAT });
    }
    let short = warnings.iter().any(|w| matches!(w, DecodeWarning::TruncatedData { .. }));
    Ok((data, short))
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
