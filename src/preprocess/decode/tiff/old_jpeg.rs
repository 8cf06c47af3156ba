//! JPEG as TIFF 6.0 first had it (compression 6): one stream for the whole image, at a place that a
//! tag of its own says. Files that keep its tables in tags, or its data apart, are refused.

use super::codec::jpeg;
use super::directory::{Directory, tag};
use super::mode::{Format, Mode};
use super::pixels::Pixels;
use super::ycbcr::YCbCr;
use super::{truncated, unsupported};
use crate::preprocess::decode::Limits;
use crate::preprocess::error::DecodeError;

/// Bytes a pixel that decoding takes beside the image.
pub(super) const BYTES: u64 = 6;

pub(super) fn read(
    tags: &Directory,
    format: &Format,
    mut image: Pixels,
    limits: &Limits,
) -> Result<Pixels, DecodeError> {
    let strips = tags.numbers(tag::STRIP_OFFSETS)?;
    if format.mode != Mode::YCbCr || tags.has(tag::TILE_WIDTH) {
        return Err(unsupported(&"old JPEG of other than strips of YCbCr"));
    }
    let in_parts = || unsupported(&"old JPEG in parts");
    let rows = tags.number(tag::ROWS_PER_STRIP)?.unwrap_or(u64::MAX);
    if strips.len() > 1 || rows < image.height as u64 {
        return Err(in_parts());
    }
    let begin = tags.number(tag::JPEG_STREAM)?.ok_or_else(in_parts)?;
    let length = tags.number(tag::JPEG_STREAM_LENGTH)?.unwrap_or(u64::MAX);
    let end = begin.saturating_add(length).min(tags.file.len() as u64);
    if strips.first().is_some_and(|first| !(begin..end).contains(first)) {
        return Err(in_parts());
    }
    let stream = tags.file.get(begin as usize..end as usize).ok_or_else(truncated)?;
    let (frame, (across, down)) = jpeg::components(stream, (image.width, image.height), limits)?;
    let ycbcr = YCbCr::with_subsampling(tags, across, down)?;
    if ycbcr.chunk_bytes(image.width, image.height).is_none() {
        return Err(unsupported(&"blocks of chroma that libtiff cuts"));
    }
    let [light, cb, cr] = [0, 1, 2].map(|band| (&frame.planes[band][..], frame.plane_widths[band]));
    for (y, row) in image.data.chunks_exact_mut(image.width * 3).enumerate() {
        let light = &light.0[y * light.1..];
        let [cb, cr] = [cb, cr].map(|(plane, width)| &plane[y / down * width..]);
        for (x, pixel) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            *pixel = ycbcr.pixel(light[x], cb[x / across], cr[x / across]);
        }
    }
    Ok(image)
}
