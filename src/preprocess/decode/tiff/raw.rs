//! Uncompressed pixels, read like Pillow's own decoder, which ignores byte counts.

use super::directory::{Directory, tag};
use super::mode::{Format, Mode};
use super::pixels::Pixels;
use super::unpack::{Unpack, plane};
use super::{corrupt, truncated, unsupported};
use crate::preprocess::error::DecodeError;

/// A rectangle of the image at one place in the file.
struct Part {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    layer: usize,
    offset: u64,
    /// Bytes of a row of these pixels, and bytes from one row to the next.
    row: usize,
    stride: usize,
}

/// The file, and how its rows are packed.
struct Source<'a> {
    file: &'a [u8],
    format: &'a Format,
    unpack: Unpack,
    lenient: bool,
}

/// `lenient`: whether rows beyond the end of the file and missing strips stay zero.
pub(super) fn read(
    tags: &Directory,
    format: &Format,
    mut image: Pixels,
    lenient: bool,
) -> Result<Pixels, DecodeError> {
    let (width, height) = (image.width, image.height);
    let subsampling = tags.numbers(tag::YCBCR_SUBSAMPLING)?;
    if format.mode == Mode::YCbCr && subsampling.iter().any(|factor| *factor != 1) {
        return Err(unsupported(&"uncompressed YCbCr of subsampled chroma; Pillow misreads it"));
    }
    let strips = tags.has(tag::STRIP_OFFSETS);
    if format.separate {
        check_planes(format, strips)?;
    }
    let (offsets, across, down) = if strips {
        let rows = tags.number(tag::ROWS_PER_STRIP)?.unwrap_or(height as u64);
        (tags.numbers(tag::STRIP_OFFSETS)?, width as u64, rows)
    } else {
        let sizes = [tags.number(tag::TILE_WIDTH)?, tags.number(tag::TILE_LENGTH)?];
        let [Some(across), Some(down)] = sizes else {
            return Err(corrupt(&"neither strips nor tiles"));
        };
        (tags.numbers(tag::TILE_OFFSETS)?, across, down)
    };
    if across == 0 || down == 0 {
        return Err(corrupt(&"strips or tiles of no size"));
    }
    let layers = if format.separate { format.mode.bands() } else { 1 };
    let mut offsets = &offsets[..];
    if (across, down) == (width as u64, height as u64) && !format.separate {
        // Each strip covers the whole image, and the last one counts.
        offsets = &offsets[offsets.len().saturating_sub(1)..];
    }
    let bits = if format.separate { format.depth } else { format.depth * format.samples } as u64;
    // A tile that extends beyond the image's edge has full rows, of which the image has a part.
    let stride = |left: usize, row: usize| {
        if left as u64 + across > width as u64 { (across * bits / 8) as usize } else { row }
    };
    let (across, down) = (across.min(width as u64) as usize, down.min(height as u64) as usize);
    let (columns, rows) = (width.div_ceil(across), height.div_ceil(down));
    if offsets.len() > columns * rows * layers {
        return Err(unsupported(&"more strips or tiles than the image has room for"));
    }
    // Pillow leaves the pixels of missing strips as its memory was.
    if offsets.len() < columns * rows * layers && !lenient {
        return Err(truncated());
    }
    let unpack = if format.separate {
        Unpack::band(format)
    } else {
        Unpack::pixels(format, tags.order, format.reversed)
    };
    let source = Source { file: tags.file, format, unpack, lenient };
    for (index, offset) in offsets.iter().enumerate() {
        let (layer, place) = (index / (columns * rows), index % (columns * rows));
        let (left, top) = (place % columns * across, place / columns * down);
        let (width, height) = (across.min(width - left), down.min(height - top));
        let row = (width * bits as usize).div_ceil(8);
        let stride = stride(left, row);
        source.read(
            &Part { left, top, width, height, layer, offset: *offset, row, stride },
            &mut image,
        )?;
    }
    Ok(image)
}

/// Pillow reads planes as 8-bit bands, whatever the samples are. Files that it misreads are
/// refused.
fn check_planes(format: &Format, strips: bool) -> Result<(), DecodeError> {
    let known = match format.mode {
        Mode::Bilevel => true,
        // Only the luma of YCbCr. Pillow assumes that its rows are a third as long as they are.
        Mode::Grey if format.photometric == 6 => false,
        Mode::Grey | Mode::Palette | Mode::Rgb | Mode::Lab | Mode::Cmyk => format.depth == 8,
        Mode::Rgba => {
            let alpha = matches!(format.extra, Some(2 | 999)) || strips && format.extra.is_none();
            format.depth == 8 && format.samples == 4 && alpha
        }
        _ => false,
    };
    if known { Ok(()) } else { Err(unsupported(&"such samples in separate planes, uncompressed")) }
}

impl Source<'_> {
    fn read(&self, part: &Part, image: &mut Pixels) -> Result<(), DecodeError> {
        if part.stride < part.row {
            return Err(corrupt(&"tile rows too short"));
        }
        let (pixel, bands) = (self.format.mode.bytes(), self.format.mode.bands());
        let begin = usize::try_from(part.offset).unwrap_or(usize::MAX);
        for y in 0..part.height {
            let at = begin.saturating_add(y.saturating_mul(part.stride));
            let Some(packed) = self.file.get(at..at.saturating_add(part.row)) else {
                return if self.lenient { Ok(()) } else { Err(truncated()) };
            };
            let start = ((part.top + y) * image.width + part.left) * pixel;
            let out = &mut image.data[start..][..part.width * pixel];
            if self.format.separate && bands > 1 {
                plane(packed, 1, 0, out, bands, part.layer);
            } else {
                self.unpack.row(packed, out);
            }
        }
        Ok(())
    }
}
