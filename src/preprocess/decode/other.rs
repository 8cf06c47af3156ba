//! The formats that `image` decodes.

use std::io::{Cursor, ErrorKind};

use image::error::ImageError;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use super::DecodeOptions;
use crate::preprocess::error::DecodeError;
use crate::preprocess::exif;
use crate::preprocess::image::RgbImage;

pub(super) fn decode(
    bytes: &[u8],
    format: ImageFormat,
    name: &'static str,
    options: &DecodeOptions,
) -> Result<(RgbImage, Orientation), DecodeError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(options.limits.max_alloc);
    reader.limits(limits);
    let error = |error| explain(error, name, options);
    let mut decoder = reader.into_decoder().map_err(error)?;
    let (width, height) = decoder.dimensions();
    options.limits.check_pixels(width.into(), height.into())?;
    if decoder.total_bytes() > options.limits.max_alloc {
        return Err(DecodeError::TooMuchMemory { format: name, limit: options.limits.max_alloc });
    }
    let exif = decoder.exif_metadata().unwrap_or(None);
    let xmp = decoder.xmp_metadata().unwrap_or(None);
    let orientation = exif::orientation(exif.as_deref(), xmp.as_deref());
    let image = DynamicImage::from_decoder(decoder).map_err(error)?;
    let image = RgbImage::try_from(image)
        .map_err(|error| DecodeError::Corrupt { format: name, reason: error.to_string() })?;
    Ok((image, orientation))
}

fn explain(error: ImageError, format: &'static str, options: &DecodeOptions) -> DecodeError {
    match error {
        ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            DecodeError::Truncated { format }
        }
        ImageError::Limits(_) => {
            DecodeError::TooMuchMemory { format, limit: options.limits.max_alloc }
        }
        ImageError::Unsupported(error) => {
            DecodeError::Unsupported { format, reason: error.to_string() }
        }
        other => DecodeError::Corrupt { format, reason: other.to_string() },
    }
}
