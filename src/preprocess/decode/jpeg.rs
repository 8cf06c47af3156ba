//! JPEG, by `libjpeg-turbo-rs`, with the settings that Pillow leaves to libjpeg-turbo.

use image::metadata::Orientation;
use libjpeg_turbo_rs::common::types::DecodeLimits;
use libjpeg_turbo_rs::{DecodeWarning, Decoder, JpegError, PixelFormat};

use super::DecodeOptions;
use crate::preprocess::error::DecodeError;
use crate::preprocess::exif;
use crate::preprocess::raster::{Raster, Samples};

const FORMAT: &str = "JPEG";
/// More than any encoder writes; each scan of a hostile file costs a pass over the image.
const MAX_SCANS: usize = 256;
const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];

pub(super) fn decode(
    bytes: &[u8],
    options: &DecodeOptions,
) -> Result<(Raster, Orientation), DecodeError> {
    let cut = is_cut(bytes);
    if cut && !options.lenient {
        return Err(DecodeError::Truncated { format: FORMAT });
    }
    let ended = if cut { [whole_segments(bytes), &END_OF_IMAGE].concat() } else { Vec::new() };
    let bytes = if cut { &ended } else { bytes };
    let limits = DecodeLimits {
        max_pixels: options.limits.max_pixels,
        max_scans: MAX_SCANS,
        max_memory: Some(options.limits.max_alloc),
        ..DecodeLimits::default()
    };
    let error = |error| explain(error, options);
    let mut decoder = Decoder::new_with_limits(bytes, limits).map_err(error)?;
    let (width, height) = (decoder.header().width(), decoder.header().height());
    options.limits.check_pixels(width as u64, height as u64)?;
    let format = match decoder.header().components.len() {
        1 => PixelFormat::Grayscale,
        4 => PixelFormat::Cmyk,
        _ => PixelFormat::Rgb,
    };
    decoder.set_output_format(format);
    decoder.set_block_smoothing(true);
    // libjpeg goes on after damage, with a warning; Pillow does not look at it.
    decoder.set_lenient(true);
    let image = decoder.decode_image().map_err(error)?;
    // The one recovery that libjpeg does not know: a grey picture in place of an error.
    let recovered = image.warnings.iter().find_map(|warning| match warning {
        DecodeWarning::UnsupportedRecovered { detail } => Some(detail),
        _ => None,
    });
    if let (Some(detail), false) = (recovered, options.lenient) {
        return Err(DecodeError::unsupported(FORMAT, detail));
    }
    let orientation = exif::orientation(image.exif_data.as_deref(), image.xmp_data.as_deref());
    let mut data = image.data;
    let samples = match format {
        PixelFormat::Grayscale => Samples::Grey(data),
        PixelFormat::Cmyk => {
            // Adobe's way round has 255 for no ink.
            data.iter_mut().for_each(|value| *value = !*value);
            Samples::Cmyk(data)
        }
        _ => Samples::Rgb(data),
    };
    Ok((Raster::new(width as u32, height as u32, samples), orientation))
}

/// Whether the file lacks its end-of-image marker. libjpeg, and with it Pillow, waits for more
/// bytes until that comes; damage before it is filled with grey and passes.
fn is_cut(bytes: &[u8]) -> bool {
    let scan = scan_start(bytes).unwrap_or(bytes.len());
    !bytes[scan..].windows(2).rev().any(|marker| marker == END_OF_IMAGE)
}

/// The bytes without a last marker segment that is cut itself.
fn whole_segments(bytes: &[u8]) -> &[u8] {
    let is_segment =
        |marker: &[u8]| marker[0] == 0xff && !matches!(marker[1], 0 | 1 | 0xd0..=0xd9 | 0xff);
    let Some(last) = bytes.windows(2).rposition(is_segment) else {
        return bytes;
    };
    match bytes[last + 2..].first_chunk::<2>() {
        Some(length) if last + 2 + usize::from(u16::from_be_bytes(*length)) <= bytes.len() => bytes,
        _ => &bytes[..last],
    }
}

/// Where the first scan begins, past headers that may hold a thumbnail with an end of its own.
fn scan_start(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == 0xff)?;
        let code = *bytes.get(at + 1)?;
        match code {
            0xda => return Some(at),
            0xff => at += 1,
            0x00 | 0x01 | 0xd0..=0xd9 => at += 2,
            _ => {
                let length = [*bytes.get(at + 2)?, *bytes.get(at + 3)?];
                at += 2 + usize::from(u16::from_be_bytes(length)).max(2);
            }
        }
    }
}

fn explain(error: JpegError, options: &DecodeOptions) -> DecodeError {
    match error {
        JpegError::UnexpectedEof => DecodeError::Truncated { format: FORMAT },
        JpegError::Unsupported(reason) => DecodeError::unsupported(FORMAT, &reason),
        // Scans past their limit are a fault of the file, not of the memory.
        JpegError::LimitExceeded { what, .. } if what.contains("scan") => {
            DecodeError::corrupt(FORMAT, &format!("more than {MAX_SCANS} scans"))
        }
        JpegError::AllocationFailed { .. } | JpegError::LimitExceeded { .. } => {
            DecodeError::TooMuchMemory { format: FORMAT, limit: options.limits.max_alloc }
        }
        other => DecodeError::corrupt(FORMAT, &other),
    }
}
