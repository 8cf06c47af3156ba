//! TIFF: the first page, with Pillow's conversions for each of its modes.

use std::fmt::Display;
use std::io::{Cursor, ErrorKind};

use image::metadata::Orientation;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError};

use super::DecodeOptions;
use super::budget::Job;
use crate::preprocess::error::DecodeError;
use crate::preprocess::raster::{Raster, Samples};

const FORMAT: &str = "TIFF";

pub(super) fn decode(
    bytes: &[u8],
    options: &Job<'_>,
) -> Result<(Raster, Orientation), DecodeError> {
    let explain = |error| explain(error, options);
    let limit = usize::try_from(options.limits.max_alloc).unwrap_or(usize::MAX);
    let mut limits = Limits::default();
    limits.decoding_buffer_size = limit;
    limits.intermediate_buffer_size = limit;
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(explain)?.with_limits(limits);
    let (width, height) = decoder.dimensions().map_err(explain)?;
    let color = decoder.colortype().map_err(explain)?;
    let pixels = u64::from(width) * u64::from(height);
    let bytes = u64::from(color.num_samples()) * u64::from(color.bit_depth().div_ceil(8));
    options.admit(FORMAT, width.into(), height.into(), bytes)?;
    let orientation = decoder.find_tag_unsigned::<u8>(Tag::Orientation).unwrap_or(None);
    let planes = decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).unwrap_or(None);
    let mut samples = DecodingResult::U8(Vec::new());
    decoder.read_image_to_buffer(&mut samples).map_err(explain)?;
    if planes == Some(2) && color.num_samples() > 1 {
        samples = interleaved(samples, pixels as usize, color)?;
    }
    let samples = to_samples(samples, color, width as usize)?;
    let orientation = orientation.and_then(Orientation::from_exif);
    Ok((Raster::new(width, height, samples), orientation.unwrap_or(Orientation::NoTransforms)))
}

fn unsupported(reason: &dyn Display) -> DecodeError {
    DecodeError::unsupported(FORMAT, reason)
}

/// Plane after plane to pixel after pixel.
fn interleaved(
    samples: DecodingResult,
    pixels: usize,
    color: ColorType,
) -> Result<DecodingResult, DecodeError> {
    let count = usize::from(color.num_samples());
    match samples {
        DecodingResult::U8(data) if data.len() == pixels * count => {
            let pixel = |at: usize| (0..count).map(move |plane| plane * pixels + at);
            Ok(DecodingResult::U8((0..pixels).flat_map(pixel).map(|at| data[at]).collect()))
        }
        _ => Err(unsupported(&"samples in separate planes")),
    }
}

fn to_samples(
    samples: DecodingResult,
    color: ColorType,
    width: usize,
) -> Result<Samples, DecodeError> {
    let high = |data: Vec<u16>| data.into_iter().map(|value| (value >> 8) as u8).collect();
    Ok(match (samples, color) {
        (DecodingResult::U8(data), ColorType::RGB(8)) => Samples::Rgb(data),
        (DecodingResult::U8(data), ColorType::RGBA(8)) => Samples::Rgba(data),
        (DecodingResult::U8(data), ColorType::Gray(8)) => Samples::Grey(data),
        (
            DecodingResult::U8(data),
            ColorType::GrayA(8) | ColorType::Multiband { bit_depth: 8, num_samples: 2 },
        ) => Samples::GreyAlpha(data),
        (DecodingResult::U8(data), ColorType::Gray(depth @ (1 | 2 | 4))) => {
            let most = (1u8 << depth) - 1;
            let per_byte = 8 / usize::from(depth);
            let rows = data.chunks_exact(width.div_ceil(per_byte));
            let row = |row: &[u8]| {
                let level = |x: usize| {
                    let shift = 8 - usize::from(depth) * (x % per_byte + 1);
                    ((row[x / per_byte] >> shift) & most) * (255 / most)
                };
                (0..width).map(level).collect::<Vec<_>>()
            };
            Samples::Grey(rows.flat_map(row).collect())
        }
        (DecodingResult::U8(data), ColorType::CMYK(8)) => Samples::Cmyk(data),
        (DecodingResult::U8(data), ColorType::YCbCr(8)) => Samples::YCbCr(data),
        (DecodingResult::U16(data), ColorType::Gray(16)) => {
            Samples::Wide(data.into_iter().map(i32::from).collect())
        }
        (DecodingResult::I32(data), ColorType::Gray(32)) => Samples::Wide(data),
        (DecodingResult::U32(data), ColorType::Gray(32)) => {
            // Past i32 a value is clipped to white all the same.
            Samples::Wide(data.into_iter().map(|v| v.min(i32::MAX as u32) as i32).collect())
        }
        (DecodingResult::F32(data), ColorType::Gray(32)) => Samples::Float(data),
        (DecodingResult::U16(data), ColorType::RGB(16)) => Samples::Rgb(high(data)),
        (DecodingResult::U16(data), ColorType::RGBA(16)) => Samples::Rgba(high(data)),
        (_, color) => return Err(unsupported(&format!("samples of kind {color:?}"))),
    })
}

fn explain(error: TiffError, options: &DecodeOptions) -> DecodeError {
    match error {
        TiffError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            DecodeError::Truncated { format: FORMAT }
        }
        TiffError::LimitsExceeded => {
            DecodeError::TooMuchMemory { format: FORMAT, limit: options.limits.max_alloc }
        }
        TiffError::UnsupportedError(error) => unsupported(&error),
        other => DecodeError::corrupt(FORMAT, &other),
    }
}
