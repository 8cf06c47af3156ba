//! Compressed pixels, as Pillow takes them from libtiff: strip by strip or tile by tile, each
//! decoded into a buffer of the size that the tags say.

use super::codec::{Chunk, Codec};
use super::directory::{Directory, Order, tag};
use super::mode::{Format, Mode};
use super::pixels::Pixels;
use super::predictor::Predictor;
use super::unpack::{Unpack, divide_by_alpha, plane};
use super::ycbcr::YCbCr;
use super::{corrupt, truncated, unsupported};
use crate::preprocess::decode::Limits;
use crate::preprocess::error::DecodeError;

/// How the file cuts the image into strips or tiles, which libtiff calls striles.
struct Grid {
    tiled: bool,
    /// Size of a tile, or of a strip as the tags say it.
    across: usize,
    down: usize,
    columns: usize,
    rows: usize,
    offsets: Vec<u64>,
    counts: Vec<u64>,
}

impl Grid {
    fn read(tags: &Directory, width: usize, height: usize) -> Result<Self, DecodeError> {
        let tiled = tags.has(tag::TILE_WIDTH) && tags.has(tag::TILE_LENGTH);
        let number = |tag| tags.number(tag).map(Option::unwrap_or_default);
        let (across, down) = if tiled {
            (number(tag::TILE_WIDTH)?, number(tag::TILE_LENGTH)?)
        } else {
            let rows = tags.number(tag::ROWS_PER_STRIP)?.unwrap_or(height as u64);
            (width as u64, rows.min(height as u64))
        };
        let size = |value| usize::try_from(value).ok().filter(|v| (1..1 << 31).contains(v));
        let (Some(across), Some(down)) = (size(across), size(down)) else {
            return Err(corrupt(&"strips or tiles of no size"));
        };
        // libtiff takes the offsets of strips for those of tiles too.
        let either = |first, second| tags.numbers(if tags.has(first) { first } else { second });
        let (columns, rows) = (width.div_ceil(across), height.div_ceil(down));
        Ok(Self {
            tiled,
            across,
            down,
            columns,
            rows,
            offsets: either(tag::STRIP_OFFSETS, tag::TILE_OFFSETS)?,
            counts: either(tag::STRIP_BYTE_COUNTS, tag::TILE_BYTE_COUNTS)?,
        })
    }

    /// Rows of a chunk in a row of chunks: the last strip ends with the image, a tile does not.
    fn chunk_rows(&self, row: usize, height: usize) -> usize {
        if self.tiled { self.down } else { self.down.min(height - row * self.down) }
    }

    /// The compressed bytes of a chunk; for a single strip of no known length all to the end of
    /// the file.
    fn data<'a>(&self, file: &'a [u8], index: usize, one: bool) -> Result<&'a [u8], DecodeError> {
        let begin = self.offsets.get(index).and_then(|at| usize::try_from(*at).ok());
        let begin = begin.filter(|at| *at <= file.len()).ok_or_else(truncated)?;
        match self.counts.get(index).copied().unwrap_or_default() {
            0 if one && !self.tiled && begin > 0 => Ok(&file[begin..]),
            0 => Err(corrupt(&"a strip or tile of no bytes")),
            count => {
                let end = usize::try_from(count).ok().and_then(|count| begin.checked_add(count));
                end.and_then(|end| file.get(begin..end)).ok_or_else(truncated)
            }
        }
    }
}

pub(super) fn read(
    tags: &Directory,
    format: &Format,
    codec: &Codec,
    image: &mut Pixels,
    limits: &Limits,
) -> Result<(), DecodeError> {
    if !tags.standard {
        return Err(corrupt(&"its header"));
    }
    if tags.order == Order::Big && format.signed_or_float && format.depth > 8 {
        let reason = "compressed, big-endian, signed or floating; Pillow swaps its bytes twice";
        return Err(unsupported(&reason));
    }
    let (width, height) = (image.width, image.height);
    let grid = Grid::read(tags, width, height)?;
    let bands = format.mode.bands();
    let planes = if format.separate && bands > 1 { bands } else { 1 };
    let ycbcr = match format.photometric {
        6 if !codec.gives_rgb(format) => Some(YCbCr::read(tags, format, grid.tiled)?),
        _ => None,
    };
    // Samples of a pixel in a chunk.
    let samples = if format.separate { 1 } else { format.stored_samples };
    let row_bytes = |pixels: usize| (pixels * samples * format.depth).div_ceil(8);
    let size = |rows: usize| match &ycbcr {
        Some(ycbcr) if !format.separate => ycbcr.chunk_bytes(grid.across, rows),
        _ => Some(row_bytes(grid.across) * rows),
    };
    let unpack = Unpack::pixels(format, tags.order, false);
    if ycbcr.is_none()
        && (grid.across * unpack.bits() / planes).div_ceil(8) != row_bytes(grid.across)
    {
        return Err(unsupported(&"samples that neither RGB nor alpha need, in separate planes"));
    }
    let most = size(grid.down).ok_or_else(|| unsupported(&"blocks of chroma that libtiff cuts"))?;
    let chunks = grid.columns * grid.rows * if format.separate { format.stored_samples } else { 1 };
    limits.check_memory(super::FORMAT, image.data.len() as u64 * 2 + most as u64 * 4)?;
    check_overlap(&grid, tags.file.len(), most, chunks, codec.table_bytes())?;
    let predictor = match &ycbcr {
        // Packed with its chroma, a sample has no left neighbour of its own.
        Some(ycbcr) if ycbcr.is_subsampled() => Predictor::none(tags, codec)?,
        _ => Predictor::read(tags, format, codec, samples, row_bytes(grid.across))?,
    };
    let order = predictor.order_after(tags.order);
    let unpack = unpack.with_order(order);
    let high = usize::from(order == Order::Little && format.depth == 16);
    let mut buffer = vec![0u8; most];
    let mut planar = vec![Vec::new(); if ycbcr.is_some() && format.separate { 3 } else { 0 }];
    for row in 0..grid.rows {
        let top = row * grid.down;
        let rows = grid.chunk_rows(row, height);
        for column in 0..grid.columns {
            let left = column * grid.across;
            let (across, down) = (grid.across.min(width - left), rows.min(height - top));
            let planes = if planar.is_empty() { planes } else { planar.len() };
            for layer in 0..planes {
                let index = (layer * grid.rows + row) * grid.columns + column;
                let mut data = grid.data(tags.file, index, chunks == 1)?;
                let flipped: Vec<u8>;
                if format.reversed && codec.bits_are_turned_first() {
                    flipped = data.iter().map(|byte| byte.reverse_bits()).collect();
                    data = &flipped;
                }
                let length = size(rows).unwrap_or(most);
                let chunk = Chunk {
                    width: grid.across,
                    height: rows,
                    most_height: if grid.tiled || row + 1 < grid.rows {
                        rows
                    } else {
                        grid.down.next_multiple_of(16)
                    },
                    samples,
                    depth: format.depth,
                    row_bytes: row_bytes(grid.across),
                    tiled: grid.tiled,
                    odd: grid.offsets[index] % 2 == 1,
                    ycbcr: format.photometric == 6 && codec.gives_rgb(format),
                };
                codec.decode(data, &chunk, &mut buffer[..length], limits)?;
                predictor.undo(&mut buffer[..length]);
                if let Some(plane) = planar.get_mut(layer) {
                    plane.clone_from(&buffer);
                    continue;
                }
                if let Some(ycbcr) = &ycbcr {
                    ycbcr.to_rgb(&buffer, grid.across, (left, top), (across, down), image);
                    continue;
                }
                let packed = buffer.chunks_exact(chunk.row_bytes).take(down);
                for (y, packed) in packed.enumerate() {
                    let pixel = image.mode.bytes();
                    let start = ((top + y) * width + left) * pixel;
                    let out = &mut image.data[start..][..across * pixel];
                    if planes == 1 {
                        unpack.row(packed, out);
                    } else {
                        plane(packed, format.depth / 8, high, out, bands, layer);
                    }
                }
            }
            if let (Some(ycbcr), [y, cb, cr]) = (&ycbcr, &planar[..]) {
                let planes = [&y[..], cb, cr];
                ycbcr.planes_to_rgb(planes, grid.across, (left, top), (across, down), image);
            }
        }
    }
    // Planes of an alpha that is not known to be unassociated are divided by it.
    if planes == 4 && format.mode == Mode::Rgba && !matches!(format.extra, Some(2 | 999)) {
        divide_by_alpha(&mut image.data);
    }
    Ok(())
}

/// Strips of an honest file do not share bytes, but for small ones of one colour: what they take
/// together is bounded, and with it the time.
fn check_overlap(
    grid: &Grid,
    file: usize,
    most: usize,
    chunks: usize,
    tables: usize,
) -> Result<(), DecodeError> {
    let offered: u64 = grid
        .counts
        .iter()
        .take(chunks)
        .map(|count| (*count).min(file as u64) + tables as u64)
        .fold(0, u64::saturating_add);
    let chunk = 10 * most as u64 + 4096;
    if offered > file as u64 + chunk.saturating_mul(chunks as u64) {
        return Err(corrupt(&"its strips or tiles overlap"));
    }
    Ok(())
}
