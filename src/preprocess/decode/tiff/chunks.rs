//! Compressed pixels, as Pillow gets them from libtiff: strip by strip or tile by tile, each
//! decoded into a buffer of the size that the tags give.

use super::codec::{Chunk, Codec, Largest};
use super::directory::{Directory, Order, tag};
use super::mode::{Format, Mode};
use super::pixels::Pixels;
use super::predictor::Predictor;
use super::unpack::{Unpack, divide_by_alpha, plane};
use super::ycbcr::YCbCr;
use super::{corrupt, truncated, unsupported};
use crate::preprocess::error::DecodeError;

/// How the file divides the image into strips or tiles, which libtiff calls striles.
struct Grid {
    tiled: bool,
    /// Size of a tile, or of a strip, as the tags give it.
    across: usize,
    down: usize,
    columns: usize,
    rows: usize,
    offsets: Vec<u64>,
    counts: Vec<u64>,
}

impl Grid {
    fn read(tags: &Directory, width: usize, height: usize) -> Result<Self, DecodeError> {
        let tiled = tags.has(tag::TILE_WIDTH);
        let both = |first, second| tags.has(first) && tags.has(second);
        if tiled != tags.has(tag::TILE_LENGTH)
            || both(tag::STRIP_OFFSETS, tag::TILE_OFFSETS)
            || both(tag::STRIP_BYTE_COUNTS, tag::TILE_BYTE_COUNTS)
        {
            return Err(corrupt(&"tags of both strips and tiles"));
        }
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
        // libtiff also takes the offsets of strips as offsets of tiles.
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

    /// How many rows a chunk in this row of chunks has: the last strip ends with the image, a tile
    /// does not.
    fn chunk_rows(&self, row: usize, height: usize) -> usize {
        if self.tiled { self.down } else { self.down.min(height - row * self.down) }
    }

    /// The compressed bytes of a chunk. `rest`: the length that libtiff assumes for a single strip
    /// of unknown length, which is all bytes of the file except those of tags.
    fn data<'a>(
        &self,
        file: &'a [u8],
        index: usize,
        rest: Option<u64>,
    ) -> Result<&'a [u8], DecodeError> {
        let begin = self.offsets.get(index).and_then(|at| usize::try_from(*at).ok());
        let begin = begin.filter(|at| *at <= file.len()).ok_or_else(truncated)?;
        match self.counts.get(index).copied().unwrap_or_default() {
            0 => match rest {
                Some(rest) if begin > 0 => {
                    let rest = usize::try_from(rest).unwrap_or(usize::MAX);
                    Ok(&file[begin..file.len().min(begin.saturating_add(rest))])
                }
                _ => Err(corrupt(&"a strip or tile of no bytes")),
            },
            count => {
                let end = usize::try_from(count).ok().and_then(|count| begin.checked_add(count));
                end.and_then(|end| file.get(begin..end)).ok_or_else(truncated)
            }
        }
    }
}

/// Everything that reading the strips or tiles needs.
pub(super) struct Chunks<'a> {
    file: &'a [u8],
    /// How many bytes of the file do not belong to tags, if it has one strip.
    rest: Option<u64>,
    format: &'a Format,
    codec: &'a Codec<'a>,
    grid: Grid,
    /// How many planes are read: 1 if the samples of a pixel are stored together.
    planes: usize,
    /// Samples per pixel, and bytes of a row, in a strip or tile.
    samples: usize,
    row_bytes: usize,
    /// Bytes of the largest strip or tile.
    most: usize,
    ycbcr: Option<YCbCr>,
    predictor: Predictor,
    unpack: Unpack,
    /// Which byte of a 16-bit sample is the high one.
    high: usize,
    /// Bytes that the codec may take besides its input and output.
    codec_memory: u64,
}

/// A strip or tile, and the part of the image that it covers.
struct Place {
    row: usize,
    column: usize,
    left: usize,
    top: usize,
    across: usize,
    down: usize,
    /// The number of rows stored in it.
    rows: usize,
}

impl<'a> Chunks<'a> {
    pub(super) fn new(
        tags: &Directory<'a>,
        format: &'a Format,
        codec: &'a Codec<'a>,
        (width, height): (usize, usize),
    ) -> Result<Self, DecodeError> {
        if !tags.standard {
            return Err(corrupt(&"its header"));
        }
        if tags.order == Order::Big && format.signed_or_float && format.depth > 8 {
            let reason = "compressed big-endian samples that are signed or floats, whose bytes Pillow swaps twice";
            return Err(unsupported(&reason));
        }
        let grid = Grid::read(tags, width, height)?;
        let bands = format.mode.bands();
        let planes = if format.separate && bands > 1 { bands } else { 1 };
        let ycbcr = match format.photometric {
            6 if !codec.gives_rgb(format) => Some(YCbCr::read(tags, format, grid.tiled)?),
            _ => None,
        };
        let samples = if format.separate { 1 } else { format.stored_samples };
        let row_bytes = (grid.across * samples * format.depth).div_ceil(8);
        let unpack = Unpack::pixels(format, tags.order, false);
        if ycbcr.is_none() && (grid.across * unpack.bits() / planes).div_ceil(8) != row_bytes {
            let reason = "samples that neither RGB nor alpha need, in separate planes";
            return Err(unsupported(&reason));
        }
        let predictor = match &ycbcr {
            // A sample that is packed with its chroma has no left neighbour.
            Some(ycbcr) if ycbcr.is_subsampled() => Predictor::none(tags, codec)?,
            _ => Predictor::read(tags, format, codec, samples, row_bytes)?,
        };
        let order = predictor.order_after(tags.order);
        let mut this = Self {
            file: tags.file,
            rest: None,
            format,
            codec,
            planes,
            samples,
            row_bytes,
            most: 0,
            ycbcr,
            predictor,
            unpack: unpack.with_order(order),
            high: usize::from(order == Order::Little && format.depth == 16),
            codec_memory: 0,
            grid,
        };
        this.most = this
            .bytes(this.grid.down)
            .ok_or_else(|| unsupported(&"blocks of chroma that libtiff cuts"))?;
        this.check_overlap()?;
        if this.chunks() == 1 && !this.grid.tiled {
            this.rest = Some((tags.file.len() as u64).saturating_sub(tags.overhead));
        }
        this.codec_memory = codec.memory(&this.largest());
        Ok(this)
    }

    /// Bytes that reading takes besides the image.
    pub(super) fn memory(&self) -> u64 {
        // The buffers of strips or tiles, and one for undoing the differences.
        let buffers = (self.most as u64).saturating_mul(self.buffers() as u64 + 1);
        let turned = if self.turns_bits() { self.largest().packed } else { 0 };
        buffers.saturating_add(turned).saturating_add(self.codec_memory)
    }

    fn largest(&self) -> Largest {
        let chunks = 0..self.chunks().min(self.grid.offsets.len());
        // A faulty strip or tile gives an error when it is read.
        let packed = chunks.filter_map(|index| self.grid.data(self.file, index, self.rest).ok());
        Largest {
            width: self.grid.across,
            height: self.grid.down,
            samples: self.samples,
            bytes: self.most as u64,
            packed: packed.map(<[u8]>::len).max().unwrap_or_default() as u64,
        }
    }

    /// How many strips or tiles are in memory at once: for YCbCr, one for each plane.
    fn buffers(&self) -> usize {
        if self.ycbcr.is_some() { self.planes } else { 1 }
    }

    fn turns_bits(&self) -> bool {
        self.format.reversed && self.codec.bits_are_turned_first()
    }

    /// Bytes of this many rows of a strip or tile.
    fn bytes(&self, rows: usize) -> Option<usize> {
        match &self.ycbcr {
            Some(ycbcr) if !self.format.separate => ycbcr.chunk_bytes(self.grid.across, rows),
            _ => Some(self.row_bytes.saturating_mul(rows)),
        }
    }

    fn chunks(&self) -> usize {
        let planes = if self.format.separate { self.format.stored_samples } else { 1 };
        self.grid.columns * self.grid.rows * planes
    }

    pub(super) fn read(&self, mut image: Pixels) -> Result<Pixels, DecodeError> {
        let grid = &self.grid;
        // libtiff also decodes everything into one buffer: what a codec leaves out keeps its value.
        let mut buffers = vec![vec![0u8; self.most]; self.buffers()];
        for index in 0..grid.rows * grid.columns {
            let (row, column) = (index / grid.columns, index % grid.columns);
            let (left, top) = (column * grid.across, row * grid.down);
            let rows = grid.chunk_rows(row, image.height);
            let across = grid.across.min(image.width - left);
            let down = rows.min(image.height - top);
            let place = Place { row, column, left, top, across, down, rows };
            for plane in 0..self.planes {
                let buffer = if self.ycbcr.is_some() { plane } else { 0 };
                self.decode(&place, plane, &mut buffers[buffer])?;
                if self.ycbcr.is_none() {
                    self.store(&place, plane, &buffers[0], &mut image);
                }
            }
            let (origin, size) = ((left, top), (across, down));
            match (&self.ycbcr, &buffers[..]) {
                (Some(ycbcr), [chunk]) => {
                    ycbcr.to_rgb(chunk, grid.across, origin, size, &mut image);
                }
                (Some(ycbcr), [y, cb, cr]) => {
                    ycbcr.planes_to_rgb([y, cb, cr], grid.across, origin, size, &mut image);
                }
                _ => {}
            }
        }
        // Unless alpha is known to be unassociated, separate planes are divided by it.
        let unassociated = matches!(self.format.extra, Some(2 | 999));
        if self.planes == 4 && self.format.mode == Mode::Rgba && !unassociated {
            divide_by_alpha(&mut image.data);
        }
        Ok(image)
    }

    fn decode(&self, place: &Place, plane: usize, buffer: &mut [u8]) -> Result<(), DecodeError> {
        let grid = &self.grid;
        let index = (plane * grid.rows + place.row) * grid.columns + place.column;
        let mut data = grid.data(self.file, index, self.rest)?;
        let turned: Vec<u8>;
        if self.turns_bits() {
            turned = data.iter().map(|byte| byte.reverse_bits()).collect();
            data = &turned;
        }
        let last = !grid.tiled && place.row + 1 == grid.rows;
        let chunk = Chunk {
            width: grid.across,
            height: place.rows,
            most_height: if last { grid.down.next_multiple_of(16) } else { place.rows },
            samples: self.samples,
            depth: self.format.depth,
            row_bytes: self.row_bytes,
            tiled: grid.tiled,
            odd: grid.offsets[index] % 2 == 1,
            ycbcr: self.format.photometric == 6 && self.codec.gives_rgb(self.format),
        };
        let out = &mut buffer[..self.bytes(place.rows).unwrap_or(self.most)];
        self.codec.decode(data, &chunk, out, self.codec_memory)?;
        self.predictor.undo(out);
        Ok(())
    }

    fn store(&self, place: &Place, plane_index: usize, buffer: &[u8], image: &mut Pixels) {
        let (pixel, bands) = (image.mode.bytes(), self.format.mode.bands());
        for (y, packed) in buffer.chunks_exact(self.row_bytes).take(place.down).enumerate() {
            let start = ((place.top + y) * image.width + place.left) * pixel;
            let out = &mut image.data[start..][..place.across * pixel];
            if self.planes == 1 {
                self.unpack.row(packed, out);
            } else {
                plane(packed, self.format.depth / 8, self.high, out, bands, plane_index);
            }
        }
    }

    /// The strips of an honest file do not share bytes, except small ones of one colour. So their
    /// total length is bounded, and with it the time.
    fn check_overlap(&self) -> Result<(), DecodeError> {
        let chunks = self.chunks();
        let size = self.file.len() as u64;
        let offered = self.grid.counts.iter().take(chunks).map(|count| (*count).min(size));
        let tables = (self.codec.table_bytes() as u64).saturating_mul(chunks as u64);
        let offered = offered.fold(tables, u64::saturating_add);
        let share = (self.most as u64).saturating_mul(10).saturating_add(4096);
        if offered > size.saturating_add(share.saturating_mul(chunks as u64)) {
            return Err(corrupt(&"its strips or tiles overlap"));
        }
        Ok(())
    }
}
