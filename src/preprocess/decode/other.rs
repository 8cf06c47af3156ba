//! The formats that `image` decodes.

use std::io::{Cursor, ErrorKind};

use image::error::ImageError;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use super::DecodeOptions;
use crate::preprocess::error::DecodeError;
use crate::preprocess::exif;
use crate::preprocess::raster::Raster;

pub(super) fn decode(
    bytes: &[u8],
    format: ImageFormat,
    name: &'static str,
    options: &DecodeOptions,
) -> Result<(Raster, Orientation), DecodeError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(options.limits.max_alloc);
    reader.limits(limits);
    let error = |error| explain(error, name, options);
    let mut decoder = reader.into_decoder().map_err(error)?;
    let (width, height) = decoder.dimensions();
    options.limits.check_pixels(width.into(), height.into())?;
    options.limits.check_memory(name, decoder.total_bytes())?;
    let exif = decoder.exif_metadata().unwrap_or(None);
    let xmp = decoder.xmp_metadata().unwrap_or(None);
    let orientation = exif::orientation(exif.as_deref(), xmp.as_deref());
    let mut image = DynamicImage::from_decoder(decoder).map_err(error)?;
    if let (Some(bits), DynamicImage::ImageRgb8(image)) = (bits_of_16(bytes, format), &mut image) {
        for pixel in image.pixels_mut() {
            for (byte, bits) in pixel.0.iter_mut().zip(bits) {
                *byte = truncated_sample(*byte, bits);
            }
        }
    }
    Ok((Raster::from(&image), orientation))
}

/// Bits of R, G and B where the file holds 16 a pixel, which Pillow widens in its own way.
fn bits_of_16(bytes: &[u8], format: ImageFormat) -> Option<[u32; 3]> {
    const RED_565: [u8; 4] = [0, 0xf8, 0, 0];
    match format {
        ImageFormat::Bmp if bytes.get(28) == Some(&16) => {
            let fields = bytes.get(30) == Some(&3) && bytes.get(54..58) == Some(&RED_565);
            Some(if fields { [5, 6, 5] } else { [5, 5, 5] })
        }
        ImageFormat::Tga if bytes.get(16) == Some(&16) => Some([5, 5, 5]),
        _ => None,
    }
}

/// A 5- or 6-bit sample as Pillow widens it, `value * 255 / most` without rounding, from the
/// rounded byte that `image` gives.
fn truncated_sample(byte: u8, bits: u32) -> u8 {
    let most = (1u32 << bits) - 1;
    ((u32::from(byte) >> (8 - bits)) * 255 / most) as u8
}

fn explain(error: ImageError, format: &'static str, options: &DecodeOptions) -> DecodeError {
    match error {
        ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            DecodeError::Truncated { format }
        }
        ImageError::Limits(_) => {
            DecodeError::TooMuchMemory { format, limit: options.limits.max_alloc }
        }
        ImageError::Unsupported(error) => DecodeError::unsupported(format, &error),
        other => DecodeError::corrupt(format, &other),
    }
}
