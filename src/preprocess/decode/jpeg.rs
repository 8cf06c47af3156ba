//! JPEG, by `libjpeg-turbo-rs`, with the settings that Pillow leaves to libjpeg-turbo.

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use libjpeg_turbo_rs::common::types::DecodeLimits;
use libjpeg_turbo_rs::{DecodeWarning, Decoder, Image, JpegError, PixelFormat};

use super::DecodeOptions;
use super::convert::cmyk_to_rgb;
use crate::preprocess::error::DecodeError;
use crate::preprocess::exif;
use crate::preprocess::image::RgbImage;

const FORMAT: &str = "JPEG";
/// More than any encoder writes; each scan of a hostile file costs a pass over the image.
const MAX_SCANS: usize = 256;

pub(super) fn decode(
    bytes: &[u8],
    options: &DecodeOptions,
) -> Result<(RgbImage, Orientation), DecodeError> {
    // The decoder is young: a panic in it must not end a service.
    catch_unwind(AssertUnwindSafe(|| decode_unguarded(bytes, options))).unwrap_or_else(|_| {
        Err(DecodeError::Corrupt { format: FORMAT, reason: "the decoder gave up".to_owned() })
    })
}

fn decode_unguarded(
    bytes: &[u8],
    options: &DecodeOptions,
) -> Result<(RgbImage, Orientation), DecodeError> {
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
    let four = decoder.header().components.len() == 4;
    decoder.set_output_format(if four { PixelFormat::Cmyk } else { PixelFormat::Rgb });
    decoder.set_block_smoothing(true);
    decoder.set_lenient(true);
    let image = decoder.decode_image().map_err(error)?;
    if !options.lenient && ran_out(&image, bytes) {
        return Err(DecodeError::Truncated { format: FORMAT });
    }
    let orientation = exif::orientation(image.exif_data.as_deref(), image.xmp_data.as_deref());
    let data = if four { cmyk_to_rgb(&image.data, true) } else { image.data };
    let image = RgbImage::new(width as u32, height as u32, data).map_err(|error| {
        DecodeError::Corrupt { format: FORMAT, reason: error.to_string() }
    })?;
    Ok((image, orientation))
}

/// Whether the file ended before the image did. An image whose entropy-coded data ends at a
/// marker is damaged, not cut: libjpeg, and with it Pillow, fills what is missing with grey.
fn ran_out(image: &Image, bytes: &[u8]) -> bool {
    const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];
    let short = |warning: &DecodeWarning| matches!(warning, DecodeWarning::TruncatedData { .. });
    image.warnings.iter().any(short)
        && !bytes.windows(2).rev().any(|marker| marker == END_OF_IMAGE)
}

fn explain(error: JpegError, options: &DecodeOptions) -> DecodeError {
    match error {
        JpegError::UnexpectedEof => DecodeError::Truncated { format: FORMAT },
        JpegError::Unsupported(reason) => DecodeError::Unsupported { format: FORMAT, reason },
        JpegError::AllocationFailed { .. } | JpegError::LimitExceeded { .. } => {
            DecodeError::TooMuchMemory { format: FORMAT, limit: options.limits.max_alloc }
        }
        other => DecodeError::Corrupt { format: FORMAT, reason: other.to_string() },
    }
}
