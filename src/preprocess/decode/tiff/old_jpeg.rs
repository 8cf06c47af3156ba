//! JPEG as TIFF 6.0 first had it (compression 6). Either one stream for the whole image, at a place
//! that a special tag gives or as the only strip. Or tables, in tags or as the beginning of a
//! stream, and coded bits in strips; these are put together into one stream as libtiff does it
//! (`tif_ojpeg.c`). Other mixtures are refused.

use std::borrow::Cow;

use super::codec::jpeg;
use super::directory::{Directory, tag};
use super::mode::{Format, Mode};
use super::pixels::Pixels;
use super::ycbcr::YCbCr;
use super::{corrupt, truncated, unsupported};
use crate::preprocess::decode::Limits;
use crate::preprocess::error::DecodeError;

/// Bytes per pixel that decoding takes besides the image.
pub(super) const BYTES: u64 = 6;

/// Samples of a transform block, across and down.
const BLOCK: usize = 8;

pub(super) fn read(
    tags: &Directory,
    format: &Format,
    mut image: Pixels,
    limits: &Limits,
) -> Result<Pixels, DecodeError> {
    if format.mode != Mode::YCbCr || format.separate {
        return Err(unsupported(&"old JPEG that is not packed YCbCr"));
    }
    let parts = Parts::read(tags, image.width, image.height)?;
    let size = (parts.width, parts.height);
    let (frame, (across, down)) = jpeg::components(&parts.stream(tags)?, size, limits)?;
    let ycbcr = YCbCr::with_subsampling(tags, across, down)?;
    if ycbcr.chunk_bytes(parts.width, parts.height).is_none() {
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

/// Where the strips are in the file, or the one tile that covers the image.
struct Parts {
    /// Size of the JPEG.
    width: usize,
    height: usize,
    /// Rows of a strip.
    rows: usize,
    offsets: Vec<u64>,
    counts: Vec<u64>,
}

impl Parts {
    fn read(tags: &Directory, width: usize, height: usize) -> Result<Self, DecodeError> {
        let both = |first, second| tags.has(first) && tags.has(second);
        if both(tag::STRIP_OFFSETS, tag::TILE_OFFSETS)
            || both(tag::STRIP_BYTE_COUNTS, tag::TILE_BYTE_COUNTS)
        {
            return Err(corrupt(&"tags of both strips and tiles"));
        }
        let side = |tag| tags.number(tag).map(|side| side.unwrap_or_default() as usize);
        if tags.has(tag::TILE_WIDTH) {
            let (across, down) = (side(tag::TILE_WIDTH)?, side(tag::TILE_LENGTH)?);
            let (offsets, counts) =
                (tags.numbers(tag::TILE_OFFSETS)?, tags.numbers(tag::TILE_BYTE_COUNTS)?);
            if across < width || down < height || offsets.len() != 1 {
                return Err(unsupported(&"old JPEG in several tiles"));
            }
            return Ok(Self { width: across, height: down, rows: down, offsets, counts });
        }
        let rows = tags.number(tag::ROWS_PER_STRIP)?.unwrap_or(u64::MAX);
        Ok(Self {
            width,
            height,
            rows: rows.min(height as u64) as usize,
            offsets: tags.numbers(tag::STRIP_OFFSETS)?,
            counts: tags.numbers(tag::STRIP_BYTE_COUNTS)?,
        })
    }

    fn stream<'a>(&self, tags: &Directory<'a>) -> Result<Cow<'a, [u8]>, DecodeError> {
        let in_parts = || unsupported(&"old JPEG in parts of another kind");
        let mut begun = &[][..];
        if let Some(begin) = tags.number(tag::JPEG_STREAM)? {
            let length = tags.number(tag::JPEG_STREAM_LENGTH)?.unwrap_or(u64::MAX);
            let end = begin.saturating_add(length).min(tags.file.len() as u64);
            begun = tags.file.get(begin as usize..end as usize).ok_or_else(truncated)?;
            let inside = self.offsets.iter().filter(|at| (begin..end).contains(at)).count();
            if self.rows == self.height && inside == self.offsets.len() {
                return Ok(Cow::Borrowed(begun));
            }
            if inside > 0 {
                return Err(in_parts());
            }
        }
        let strips = self.strips(tags)?;
        let [first, rest @ ..] = &strips[..] else {
            return Err(in_parts());
        };
        if self.rows == 0 || strips.len() != self.height.div_ceil(self.rows) {
            return Err(in_parts());
        }
        let mut stream = if begun.is_empty() && first[0] != 0xff {
            [&self.tables(tags)?, *first].concat()
        } else {
            self.with_restarts([begun, first].concat(), begun.len()).ok_or_else(in_parts)?
        };
        for (index, strip) in rest.iter().enumerate() {
            stream.extend([0xff, 0xd0 + (index % 8) as u8]);
            stream.extend(*strip);
        }
        stream.extend(b"\xff\xd9");
        Ok(Cow::Owned(stream))
    }

    fn strips<'a>(&self, tags: &Directory<'a>) -> Result<Vec<&'a [u8]>, DecodeError> {
        if self.counts.len() != self.offsets.len() {
            return Err(truncated());
        }
        let strips = self.offsets.iter().zip(&self.counts);
        let strips = strips.map(|(at, count)| slice(tags, *at, *count));
        let strips = strips.collect::<Result<Vec<_>, _>>()?;
        if strips.iter().any(|strip| strip.is_empty()) {
            return Err(corrupt(&"a strip of no bytes"));
        }
        if strips.iter().map(|strip| strip.len()).sum::<usize>() > tags.file.len() {
            return Err(corrupt(&"its strips overlap"));
        }
        Ok(strips)
    }

    /// The segment that gives the restart interval: one strip.
    fn restarts(&self, across: usize, down: usize) -> Option<Vec<u8>> {
        if self.rows == self.height {
            return Some(Vec::new());
        }
        // A strip must not cut through blocks.
        let whole = self.rows > 0 && self.rows.is_multiple_of(down * BLOCK);
        let blocks = self.width.div_ceil(across * BLOCK) * (self.rows / (down * BLOCK));
        let blocks = u16::try_from(blocks).ok().filter(|_| whole)?.to_be_bytes();
        Some([b"\xff\xdd\0\x04", &blocks[..]].concat())
    }

    /// A stream with that segment before its scan. Its coded bits begin at `bits` or later.
    fn with_restarts(&self, mut stream: Vec<u8>, bits: usize) -> Option<Vec<u8>> {
        let mut at = 2;
        let mut sampling = None;
        let mut restarts = false;
        while stream.starts_with(b"\xff\xd8") {
            let &[0xff, code, high, low] = stream.get(at..at + 4)? else {
                return None;
            };
            let end = at + 2 + usize::from(u16::from_be_bytes([high, low]));
            match code {
                0xc0 | 0xc1 => sampling = stream.get(at + 11).copied(),
                0xdd => restarts = true,
                0xda if end >= bits => {
                    if !restarts {
                        let [across, down] = [sampling? >> 4, sampling? & 15].map(usize::from);
                        let known = |factor| matches!(factor, 1 | 2 | 4);
                        let known = known(across) && known(down);
                        stream.splice(at..at, known.then(|| self.restarts(across, down))??);
                    }
                    return Some(stream);
                }
                0xda => return None,
                _ => {}
            }
            at = end;
        }
        None
    }

    /// A stream up to its coded bits, made of the tables that tags point to.
    fn tables(&self, tags: &Directory) -> Result<Vec<u8>, DecodeError> {
        let (across, down) = match *tags.numbers(tag::YCBCR_SUBSAMPLING)? {
            [] => (2, 2),
            [across @ (1 | 2 | 4), down @ (1 | 2 | 4)] => (across as usize, down as usize),
            _ => return Err(corrupt(&"YCbCrSubSampling")),
        };
        let [Ok(wide), Ok(high)] = [self.width, self.height].map(u16::try_from) else {
            return Err(corrupt(&"a JPEG larger than 65535 pixels"));
        };
        let mut stream = b"\xff\xd8".to_vec();
        let mut segment = |code: u8, body: &[u8]| {
            stream.extend([0xff, code]);
            stream.extend((body.len() as u16 + 2).to_be_bytes());
            stream.extend(body);
        };
        let mut numbers = [[0u8; 3]; 3];
        let kinds = [
            (tag::JPEG_QUANTIZATION, 0xdb, 0),
            (tag::JPEG_DC_TABLES, 0xc4, 0),
            (tag::JPEG_AC_TABLES, 0xc4, 16),
        ];
        for ((tag, code, class), numbers) in kinds.into_iter().zip(&mut numbers) {
            let offsets = tags.numbers(tag)?;
            if offsets.len() != 3 || offsets[0] == 0 {
                return Err(unsupported(&"old JPEG in parts, without three tables of each kind"));
            }
            for index in 0..3 {
                // A table that is the same as the previous one is not written again.
                if index > 0 && (offsets[index] == 0 || offsets[index] == offsets[index - 1]) {
                    numbers[index] = numbers[index - 1];
                    continue;
                }
                let count = if code == 0xdb {
                    64
                } else {
                    let counts = slice(tags, offsets[index], 16)?;
                    16 + counts.iter().map(|count| u64::from(*count)).sum::<u64>()
                };
                numbers[index] = index as u8;
                let body = slice(tags, offsets[index], count)?;
                segment(code, &[&[class | index as u8], body].concat());
            }
        }
        let [quantization, dc, ac] = numbers;
        let sampling = [(across << 4 | down) as u8, 0x11, 0x11];
        let mut frame = vec![8];
        frame.extend(high.to_be_bytes());
        frame.extend(wide.to_be_bytes());
        frame.push(3);
        let mut scan = vec![3];
        for band in 0..3 {
            frame.extend([band as u8, sampling[band], quantization[band]]);
            scan.extend([band as u8, dc[band] << 4 | ac[band]]);
        }
        scan.extend([0, 63, 0]);
        segment(0xc0, &frame);
        segment(0xda, &scan);
        let restarts = self.restarts(across, down);
        let restarts = restarts.ok_or_else(|| corrupt(&"strips that cut blocks of a JPEG"))?;
        stream.splice(2..2, restarts);
        Ok(stream)
    }
}

fn slice<'a>(tags: &Directory<'a>, begin: u64, count: u64) -> Result<&'a [u8], DecodeError> {
    let range = usize::try_from(begin).ok().zip(usize::try_from(count).ok());
    let slice = range.and_then(|(at, count)| tags.file.get(at..at.checked_add(count)?));
    slice.ok_or_else(truncated)
}
