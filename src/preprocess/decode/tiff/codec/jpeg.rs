//! JPEG in TIFF: one stream per strip or tile, whose tables may be in a tag.

use libjpeg_turbo_rs::api::raw_data::RawImage;
use libjpeg_turbo_rs::common::types::DecodeLimits;
use libjpeg_turbo_rs::{DecodeWarning, Decoder, JpegError, PixelFormat};
use memchr::memmem;

use super::{Chunk, Largest, jpeg12};
use crate::preprocess::decode::Limits;
use crate::preprocess::decode::jpeg::{Fault, is_in_order};
use crate::preprocess::decode::tiff::{FORMAT, corrupt, truncated, unsupported};
use crate::preprocess::error::DecodeError;

/// The most samples that a unit has across and down: four times the eight of a transform block.
const BLOCK: u64 = 32;
/// libtiff's limit.
const MAX_SCANS: usize = 100;
const START_OF_IMAGE: &[u8] = b"\xff\xd8";
const START_OF_SCAN: u8 = 0xda;
/// Adobe's marker that says that the components are YCbCr.
const IS_YCBCR: &[u8] = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x01";

/// Bytes that a strip or tile takes besides its stream: the samples of whole blocks, chroma at full
/// size, coefficients of two bytes, and the result.
pub(super) fn memory(largest: &Largest) -> u64 {
    let [width, height] = [largest.width, largest.height].map(|side| side as u64 + 2 * BLOCK);
    let samples = width.saturating_mul(height).saturating_mul(largest.samples as u64);
    samples.saturating_mul(6)
}

pub(super) fn decode(
    data: &[u8],
    tables: &[u8],
    chunk: &Chunk,
    out: &mut [u8],
    memory: u64,
) -> Result<(), DecodeError> {
    if !data.starts_with(START_OF_IMAGE) {
        return Err(corrupt(&"a strip or tile holds no JPEG"));
    }
    let mut stream = START_OF_IMAGE.to_vec();
    copy_segments(tables, &mut stream)?;
    let scan = copy_segments(data, &mut stream)?.ok_or_else(truncated)?;
    if chunk.ycbcr {
        stream.extend(IS_YCBCR);
    }
    stream.extend(&data[scan..]);
    // For libtiff's libjpeg, an end marker follows the last byte.
    stream.extend(b"\xff\xd9");
    let limits = DecodeLimits {
        max_pixels: chunk.width as u64 * chunk.most_height as u64,
        max_scans: MAX_SCANS,
        max_memory: Some(memory),
        ..DecodeLimits::default()
    };
    // Reads only the frame: a scan may be long, and there may be many.
    let frame = Decoder::new_header_only(&stream, DecodeLimits::default());
    let frame = frame.map_err(|error| explain(&error))?;
    check(&frame, chunk)?;
    check_order(&stream, chunk.depth as u8)?;
    let (width, height) = (frame.header().width(), frame.header().height());
    if width > chunk.width || height > chunk.most_height {
        return Err(corrupt(&"a strip or tile holds a JPEG larger than itself"));
    }
    if width < chunk.width || height < chunk.height {
        out.fill(0);
    }
    let rows = out.chunks_exact_mut(chunk.row_bytes).take(height);
    if chunk.depth == 12 {
        return jpeg12::decode(&stream, width, rows).map_err(|error| explain(&error));
    }
    let mut decoder = Decoder::new_with_limits(&stream, limits).map_err(|error| explain(&error))?;
    decoder.set_lenient(true);
    if chunk.ycbcr {
        decoder.set_output_format(PixelFormat::Rgb);
        decoder.set_block_smoothing(true);
        let image = decoder.decode_image().map_err(|error| explain(&error))?;
        check_warnings(&image.warnings)?;
        for (row, decoded) in rows.zip(image.data.chunks_exact(width * 3)) {
            row[..decoded.len()].copy_from_slice(decoded);
        }
    } else {
        let (image, warnings) =
            decoder.decode_raw_with_warnings().map_err(|error| explain(&error))?;
        check_warnings(&warnings)?;
        for (y, row) in rows.enumerate() {
            for (band, plane) in image.planes.iter().enumerate() {
                let samples = &plane[y * image.plane_widths[band]..][..width];
                for (pixel, sample) in row.chunks_exact_mut(chunk.samples).zip(samples) {
                    pixel[band] = *sample;
                }
            }
        }
    }
    Ok(())
}

/// The components, at their own size, of a stream that holds an image of exactly `size`; and how
/// many luma samples, across and down, share one sample of each chroma component.
pub(in super::super) fn components(
    stream: &[u8],
    size: (usize, usize),
    limits: &Limits,
) -> Result<(RawImage, (usize, usize)), DecodeError> {
    let limits = DecodeLimits {
        max_pixels: limits.max_pixels,
        max_memory: Some(limits.max_alloc),
        ..DecodeLimits::default()
    };
    let mut decoder = Decoder::new_with_limits(stream, limits).map_err(|error| explain(&error))?;
    check_order(stream, 8)?;
    let header = decoder.header();
    let [light, chroma @ ..] = &header.components[..] else {
        return Err(corrupt(&"a JPEG of no components"));
    };
    let ones = chroma.iter().all(|c| (c.horizontal_sampling, c.vertical_sampling) == (1, 1));
    let plain = header.precision == 8 && !header.is_progressive && !header.is_lossless;
    if chroma.len() != 2 || !ones || !plain || decoder.has_multiple_scans() {
        return Err(unsupported(&"old JPEG that is not one scan of three components"));
    }
    if (header.width(), header.height()) != size {
        return Err(corrupt(&"a JPEG of another size than the image"));
    }
    let sampling = (light.horizontal_sampling.into(), light.vertical_sampling.into());
    decoder.set_lenient(true);
    let (image, warnings) = decoder.decode_raw_with_warnings().map_err(|error| explain(&error))?;
    check_warnings(&warnings)?;
    Ok((image, sampling))
}

/// Copies the segments before the first scan, except comments and application segments. Returns
/// where that scan begins.
fn copy_segments(data: &[u8], stream: &mut Vec<u8>) -> Result<Option<usize>, DecodeError> {
    let mut at = 0;
    while at + 1 < data.len() {
        match [data[at], data[at + 1]] {
            [0xff, START_OF_SCAN] => {
                // Its length is six bytes, and two for each component.
                return match data.get(at + 2..at + 5) {
                    Some(&[0, length, count])
                        if usize::from(length) == 6 + 2 * usize::from(count) =>
                    {
                        Ok(Some(at))
                    }
                    _ => Err(corrupt(&"a bad scan of a JPEG")),
                };
            }
            [0xff, 0xff] => at += 1,
            [0xff, 0x01 | 0xd0..=0xd9] => at += 2,
            [0xff, code] => {
                let length = data.get(at + 2..at + 4).ok_or_else(truncated)?;
                let end = at + 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
                let segment = data.get(at..end).ok_or_else(truncated)?;
                if !matches!(code, 0xe0..=0xef | 0xfe) {
                    stream.extend(segment);
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    Ok(None)
}

/// Refuses streams for which libjpeg gives no picture, or may give another picture than a decoder
/// without its error recovery. Only libjpeg accepts fill bytes of ones inside the coded bits.
fn check_order(stream: &[u8], bits: u8) -> Result<(), DecodeError> {
    let is_filled_up = memmem::find(stream, b"\xff\xff\0").is_some();
    match is_in_order(stream, bits) {
        Ok(true) if !is_filled_up => Ok(()),
        Ok(_) => {
            Err(unsupported(&"a JPEG with faults in its markers or tables, or arithmetic codes"))
        }
        Err(Fault::Cut | Fault::Stopped(_)) => Err(truncated()),
        Err(Fault::Broken(reason)) => Err(corrupt(&reason)),
        Err(Fault::Error(error)) => Err(error),
    }
}

fn check(decoder: &Decoder, chunk: &Chunk) -> Result<(), DecodeError> {
    let header = decoder.header();
    let known = chunk.depth == 8 || chunk.depth == 12 && chunk.samples == 1;
    if !known || usize::from(header.precision) != chunk.depth || header.is_lossless {
        return Err(unsupported(&format!("JPEG of {} bits a sample", header.precision)));
    }
    if chunk.depth == 12 && header.is_progressive {
        return Err(unsupported(&"progressive JPEG of 12 bits"));
    }
    if chunk.depth == 12 && chunk.width % 2 == 1 {
        let reason = "12-bit JPEG with rows of odd length, whose last sample libtiff leaves out";
        return Err(unsupported(&reason));
    }
    let components = &header.components;
    if components.len() != chunk.samples || (chunk.ycbcr && chunk.samples != 3) {
        return Err(corrupt(&"a JPEG with another number of samples than the image"));
    }
    let factors = components.iter().map(|c| (c.horizontal_sampling, c.vertical_sampling));
    let known = |(index, (across, down))| match index {
        0 if chunk.ycbcr => matches!(across, 1 | 2 | 4) && matches!(down, 1 | 2 | 4),
        _ => (across, down) == (1, 1),
    };
    if factors.enumerate().all(known) {
        Ok(())
    } else {
        Err(unsupported(&"JPEG of subsampled components, other than chroma"))
    }
}

/// libjpeg goes on after damage, with a warning, and differs from this decoder.
fn check_warnings(warnings: &[DecodeWarning]) -> Result<(), DecodeError> {
    let is_damage = |warning: &&DecodeWarning| {
        !matches!(
            warning,
            DecodeWarning::ExtraneousData { .. } | DecodeWarning::TruncatedData { .. }
        )
    };
    warnings.iter().find(is_damage).map_or(Ok(()), |warning| Err(corrupt(warning)))
}

fn explain(error: &JpegError) -> DecodeError {
    match error {
        JpegError::UnexpectedEof => truncated(),
        JpegError::Unsupported(reason) => unsupported(reason),
        other => DecodeError::corrupt(FORMAT, other),
    }
}
