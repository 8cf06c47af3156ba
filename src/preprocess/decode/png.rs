//! PNG, row by row, so that a file that is cut can give the rows that it has.

use std::io::{Cursor, ErrorKind};

use image::metadata::Orientation;
use png::{
    BitDepth, ColorType, Decoder, DecodingError, InterlaceInfo, Limits, Transformations,
    expand_interlaced_row,
};

use super::DecodeOptions;
use crate::preprocess::error::DecodeError;
use crate::preprocess::exif;
use crate::preprocess::raster::{Raster, Samples};

const FORMAT: &str = "PNG";

pub(super) fn decode(
    bytes: &[u8],
    options: &DecodeOptions,
) -> Result<(Raster, Orientation), DecodeError> {
    let explain = |error| explain(error, options);
    let limit = usize::try_from(options.limits.max_alloc).unwrap_or(usize::MAX);
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: limit });
    decoder.set_transformations(Transformations::EXPAND);
    decoder.ignore_checksums(options.lenient);
    let header = decoder.read_header_info().map_err(explain)?;
    let (width, height) = (header.width, header.height);
    let deep_grey =
        header.color_type == ColorType::Grayscale && header.bit_depth == BitDepth::Sixteen;
    options.limits.check_pixels(width.into(), height.into())?;
    let mut reader = decoder.read_info().map_err(explain)?;
    // `png` 0.18 expects whole colours and panics without.
    if reader.info().palette.as_ref().is_some_and(|palette| palette.len() % 3 != 0) {
        return Err(DecodeError::corrupt(FORMAT, &"a palette of broken length"));
    }
    let (color, depth) = reader.output_color_type();
    let sample = if depth == BitDepth::Sixteen { 2 } else { 1 };
    let pixel = color.samples() * sample;
    let stride = width as usize * pixel;
    let size = stride as u64 * u64::from(height);
    options.limits.check_memory(FORMAT, size + u64::from(width) * u64::from(height) * 3)?;

    let xmp = reader.info().utf8_text.iter().find(|text| text.keyword == "XML:com.adobe.xmp");
    let xmp = xmp.and_then(|text| text.get_text().ok());
    let exif = reader.info().exif_metadata.as_deref();
    let orientation = exif::orientation(exif, xmp.as_deref().map(str::as_bytes));

    let mut data = vec![0; stride * height as usize];
    let count = row_count(reader.info().interlaced, width, height);
    // Past the last row comes the end of the file, which Pillow does not ask for.
    for index in 0..count {
        let row = match reader.next_interlaced_row() {
            Ok(Some(row)) => row,
            Ok(None) => break,
            // What is missing stays black.
            Err(_) if options.lenient => break,
            Err(error) => return Err(explain(error)),
        };
        match row.interlace() {
            InterlaceInfo::Null(_) => {
                data[index * stride..][..stride].copy_from_slice(&row.data()[..stride]);
            }
            InterlaceInfo::Adam7(info) => {
                expand_interlaced_row(&mut data, stride, row.data(), info, pixel as u8 * 8);
            }
        }
    }

    if deep_grey {
        // Pillow's mode `I;16`; other modes keep the high byte.
        let value = |p: &[u8]| i32::from(u16::from_be_bytes([p[0], p[1]]));
        let samples = Samples::Wide(data.chunks_exact(pixel).map(value).collect());
        return Ok((Raster::new(width, height, samples), orientation));
    }
    if sample == 2 {
        data = data.as_chunks::<2>().0.iter().map(|value| value[0]).collect();
    }
    let samples = match color.samples() {
        1 => Samples::Grey(data),
        2 => Samples::GreyAlpha(data),
        3 => Samples::Rgb(data),
        _ => Samples::Rgba(data),
    };
    Ok((Raster::new(width, height, samples), orientation))
}

/// Rows that the file holds: those of the image, or of Adam7's seven smaller ones.
fn row_count(interlaced: bool, width: u32, height: u32) -> usize {
    // First column and row of each pass, and the step from row to row.
    const PASSES: [[u32; 3]; 7] =
        [[0, 0, 8], [4, 0, 8], [0, 4, 8], [2, 0, 4], [0, 2, 4], [1, 0, 2], [0, 1, 2]];
    if !interlaced {
        return height as usize;
    }
    let passes = PASSES.iter().filter(|[x, ..]| *x < width);
    passes.map(|[_, y, step]| height.saturating_sub(*y).div_ceil(*step) as usize).sum()
}

fn explain(error: DecodingError, options: &DecodeOptions) -> DecodeError {
    match error {
        DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            DecodeError::Truncated { format: FORMAT }
        }
        DecodingError::LimitsExceeded => {
            DecodeError::TooMuchMemory { format: FORMAT, limit: options.limits.max_alloc }
        }
        other => DecodeError::corrupt(FORMAT, &other),
    }
}
