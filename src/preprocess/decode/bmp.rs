//! BMP, and DIB, a BMP without file header, which icons and cursors hold too
//! (`PIL/BmpImagePlugin.py`).

use std::fmt::Display;

use image::metadata::Orientation;

use super::budget::Job;
use super::rows::{Layout, palette, u16_le, u32_le, widen};
use crate::preprocess::error::DecodeError;
use crate::preprocess::raster::{Raster, Samples};

const FORMAT: &str = "BMP";
const RLE8: u32 = 1;
const RLE4: u32 = 2;
const BITFIELDS: u32 = 3;

pub(super) fn decode(bytes: &[u8], job: &Job<'_>) -> Result<(Raster, Orientation), DecodeError> {
    let start = u32_le(bytes, 10).ok_or(TRUNCATED)?;
    let bitmap = Bitmap::read(bytes, 14, start as usize, false)?;
    Ok((bitmap.decode(bytes, job)?, Orientation::NoTransforms))
}

pub(super) fn decode_dib(
    bytes: &[u8],
    job: &Job<'_>,
) -> Result<(Raster, Orientation), DecodeError> {
    Ok((Bitmap::read(bytes, 0, 0, false)?.decode(bytes, job)?, Orientation::NoTransforms))
}

/// A DIB has no magic number: the length of its header must be known.
pub(super) fn accepts_dib(bytes: &[u8]) -> bool {
    matches!(u32_le(bytes, 0), Some(12 | 40 | 52 | 56 | 64 | 108 | 124))
}

const TRUNCATED: DecodeError = DecodeError::Truncated { format: FORMAT };

fn unsupported(reason: &dyn Display) -> DecodeError {
    DecodeError::unsupported(FORMAT, reason)
}

/// What a pixel is.
#[derive(Debug, Clone, PartialEq)]
enum Pixel {
    /// A bit of a black and white picture.
    Bit,
    Grey,
    Index(Box<[[u8; 4]; 256]>),
    /// Numbers of bits of red, green, blue in 16 bits.
    Packed([u32; 3]),
    /// Positions of red, green, blue in three or four bytes, and of alpha.
    Bytes([usize; 3], Option<usize>),
}

/// A bitmap's header.
pub(super) struct Bitmap {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) bits: usize,
    /// Where the pixels begin.
    pub(super) start: usize,
    top_down: bool,
    compression: u32,
    pixel: Pixel,
}

impl Bitmap {
    /// Reads the header at `at`; `start` is where the file says that its pixels are, or 0.
    /// `alpha` says whether the fourth byte of a pixel is alpha if the header does not say so.
    pub(super) fn read(
        bytes: &[u8],
        at: usize,
        start: usize,
        alpha: bool,
    ) -> Result<Self, DecodeError> {
        let length = u32_le(bytes, at).ok_or(TRUNCATED)? as usize;
        let header = bytes.get(at + 4..at + length.max(4)).ok_or(TRUNCATED)?;
        let short = |offset| u16_le(header, offset).ok_or(TRUNCATED);
        let long = |offset| u32_le(header, offset).ok_or(TRUNCATED);
        let mut at = at + length;
        let (width, height, bits, compression, colours, entry, top_down);
        match length {
            12 => {
                (width, height) = (u32::from(short(0)?), u32::from(short(2)?));
                (bits, compression, colours, entry) = (usize::from(short(6)?), 0, 0, 3);
                top_down = false;
            }
            40 | 52 | 56 | 64 | 108 | 124 => {
                top_down = header[7] == 0xff;
                width = long(0)?;
                height = if top_down { long(4)?.wrapping_neg() } else { long(4)? };
                (bits, compression, colours, entry) =
                    (usize::from(short(10)?), long(12)?, long(28)?, 4);
            }
            _ => return Err(unsupported(&format!("a header of {length} bytes"))),
        }
        if width == 0 || height == 0 {
            return Err(DecodeError::corrupt(FORMAT, &format!("{width}x{height} pixels")));
        }
        let colours = if colours == 0 { 1 << bits.min(16) } else { colours as usize };
        let after_header = start == at;
        let pixel = match (bits, compression) {
            (16 | 24 | 32, BITFIELDS) => {
                let mut masks = [0; 4];
                let count = if header.len() >= 52 { 4 } else { 3 };
                for (index, mask) in masks.iter_mut().take(count).enumerate() {
                    *mask = if header.len() >= 48 {
                        long(36 + index * 4)?
                    } else {
                        at += 4;
                        u32_le(bytes, at - 4).ok_or(TRUNCATED)?
                    };
                }
                bit_fields(bits, masks)?
            }
            (16, 0) => Pixel::Packed([5, 5, 5]),
            (32, 0) if alpha => Pixel::Bytes([2, 1, 0], Some(3)),
            (24 | 32, 0) => Pixel::Bytes([2, 1, 0], None),
            (1 | 4 | 8, 0 | RLE8 | RLE4) => {
                if colours > 65_536 {
                    return Err(unsupported(&format!("a palette of {colours} colours")));
                }
                let end = bytes.len().min(at + entry * colours);
                let table = bytes.get(at..end).unwrap_or_default();
                at = end;
                indexed(table, entry, colours)?
            }
            _ => {
                return Err(unsupported(&format!(
                    "{bits} bits a pixel with compression {compression}"
                )));
            }
        };
        let mut start = if start == 0 { at } else { start };
        if after_header && bits <= 8 {
            start += entry * colours;
        }
        let (width, height) = (width as usize, height as usize);
        Ok(Self { width, height, bits, start, top_down, compression, pixel })
    }

    /// The picture.
    pub(super) fn decode(&self, file: &[u8], job: &Job<'_>) -> Result<Raster, DecodeError> {
        let &Self { width, height, bits, .. } = self;
        job.admit(FORMAT, width as u64, height as u64, bits.div_ceil(8) as u64 + 8)?;
        let data = file.get(self.start..).unwrap_or_default();
        let mut layout = Layout {
            width,
            height,
            bits,
            stride: ((width * bits + 31) >> 3) & !3,
            bottom_up: !self.top_down,
        };
        let rows = if matches!(self.compression, RLE8 | RLE4) {
            (layout.bits, layout.stride) = (8, width);
            let pixels = run_lengths(file, self.start, width * height, width, self.compression);
            // Pillow's lenient mode does not reach its run-length decoder.
            if pixels.len() < width * height {
                return Err(TRUNCATED);
            }
            layout.read(&pixels, FORMAT, job)?
        } else {
            // Grey levels take one byte each, whatever the header says, and rows must be long
            // enough for them.
            match self.pixel {
                Pixel::Bit => layout.bits = 1,
                Pixel::Grey => layout.bits = 8,
                _ => {}
            }
            if layout.stride < (width * layout.bits).div_ceil(8) {
                return Err(unsupported(&format!("grey levels of {bits} bits")));
            }
            layout.read(data, FORMAT, job)?
        };
        let samples = match &self.pixel {
            Pixel::Bit => {
                let bits = layout.unpack(rows);
                Samples::Grey(bits.into_iter().map(|bit| if bit == 0 { 0 } else { 255 }).collect())
            }
            Pixel::Grey => Samples::Grey(rows),
            Pixel::Index(colours) => Samples::Palette(layout.unpack(rows), colours.clone()),
            Pixel::Packed([red, green, blue]) => {
                let pixel = |pixel: &[u8; 2]| {
                    let value = u16::from_le_bytes(*pixel);
                    [
                        widen(value >> (green + blue), *red),
                        widen(value >> blue, *green),
                        widen(value, *blue),
                    ]
                };
                let pixels: Vec<_> = rows.as_chunks::<2>().0.iter().map(pixel).collect();
                Samples::Rgb(pixels.into_flattened())
            }
            Pixel::Bytes([r, g, b], None) => {
                let pixel = |p: &[u8]| [p[*r], p[*g], p[*b]];
                let pixels: Vec<_> = rows.chunks_exact(bits / 8).map(pixel).collect();
                Samples::Rgb(pixels.into_flattened())
            }
            Pixel::Bytes([r, g, b], Some(alpha)) => {
                let pixel = |p: &[u8]| [p[*r], p[*g], p[*b], p[*alpha]];
                let pixels: Vec<_> = rows.chunks_exact(bits / 8).map(pixel).collect();
                Samples::Rgba(pixels.into_flattened())
            }
        };
        Ok(Raster::new(width as u32, height as u32, samples))
    }

    /// Whether this is a picture without colours. Cursors treat these in a special way.
    pub(super) fn is_grey(&self) -> bool {
        matches!(self.pixel, Pixel::Bit | Pixel::Grey)
    }
}

/// The layouts of bit fields that Pillow knows.
fn bit_fields(bits: usize, masks: [u32; 4]) -> Result<Pixel, DecodeError> {
    Ok(match (bits, masks) {
        (32, [0xff_0000, 0xff00, 0xff, 0]) => Pixel::Bytes([2, 1, 0], None),
        (32, [0xff00_0000, 0xff_0000, 0xff00, 0]) => Pixel::Bytes([3, 2, 1], None),
        (32, [0xff00_0000, 0xff00, 0xff, 0]) => Pixel::Bytes([3, 1, 0], None),
        (32, [0xff00_0000, 0xff_0000, 0xff00, 0xff]) => Pixel::Bytes([3, 2, 1], Some(0)),
        (32, [0xff, 0xff00, 0xff_0000, 0xff00_0000]) => Pixel::Bytes([0, 1, 2], Some(3)),
        (32, [0xff_0000, 0xff00, 0xff, 0xff00_0000] | [0, 0, 0, 0]) => {
            Pixel::Bytes([2, 1, 0], Some(3))
        }
        (32, [0xff00_0000, 0xff00, 0xff, 0xff_0000]) => Pixel::Bytes([3, 1, 0], Some(2)),
        (24, [0xff_0000, 0xff00, 0xff, _]) => Pixel::Bytes([2, 1, 0], None),
        (16, [0xf800, 0x07e0, 0x1f, _]) => Pixel::Packed([5, 6, 5]),
        (16, [0x7c00, 0x03e0, 0x1f, _]) => Pixel::Packed([5, 5, 5]),
        _ => return Err(unsupported(&format!("{bits} bits in fields {masks:x?}"))),
    })
}

/// A palette, or grey levels if each of its colours equals its index.
fn indexed(table: &[u8], entry: usize, colours: usize) -> Result<Pixel, DecodeError> {
    let level = |index: usize| if colours == 2 { [0, 255][index] } else { index as u8 };
    let is_grey = (0..colours)
        .all(|index| table.get(index * entry..index * entry + 3) == Some(&[level(index); 3][..]));
    if is_grey {
        return Ok(if colours <= 2 { Pixel::Bit } else { Pixel::Grey });
    }
    if table.len() / entry > 256 {
        return Err(unsupported(&format!("a palette of {colours} colours")));
    }
    Ok(Pixel::Index(palette(table.chunks_exact(entry).map(|c| [c[2], c[1], c[0], 255]))))
}

/// Run lengths to indices. Pixels that a jump skips or an end of line leaves out have colour 0.
fn run_lengths(file: &[u8], start: usize, count: usize, width: usize, kind: u32) -> Vec<u8> {
    let mut data = Vec::new();
    let (mut at, mut x) = (start, 0);
    let nibble =
        |byte: u8, index: usize| if index.is_multiple_of(2) { byte >> 4 } else { byte & 15 };
    while data.len() < count {
        let Some(&[number, byte]) = file.get(at..at + 2) else { break };
        at += 2;
        match (usize::from(number), usize::from(byte)) {
            (0, 0) => {
                data.resize(data.len().next_multiple_of(width), 0);
                x = 0;
            }
            (0, 1) => break,
            (0, 2) => {
                let Some(&[right, up]) = file.get(at..at + 2) else { break };
                at += 2;
                let skipped = usize::from(right) + usize::from(up) * width;
                data.resize(count.min(data.len() + skipped), 0);
                x = data.len() % width;
            }
            (0, length) => {
                let wanted = length.min(count - data.len());
                let bytes = if kind == RLE4 { wanted.div_ceil(2) } else { wanted };
                let found = &file[at..file.len().min(at + bytes)];
                at += found.len();
                if kind == RLE4 {
                    let pixels = wanted.min(found.len() * 2);
                    data.extend((0..pixels).map(|index| nibble(found[index / 2], index)));
                } else {
                    data.extend_from_slice(found);
                }
                if found.len() < bytes || data.len() == count {
                    break;
                }
                x += length;
                // To an even position in the file.
                at = at.next_multiple_of(2);
            }
            (length, _) => {
                let length = length.min(width.saturating_sub(x));
                if kind == RLE4 {
                    data.extend((0..length).map(|index| nibble(byte, index)));
                } else {
                    data.resize(data.len() + length, byte);
                }
                x += length;
            }
        }
    }
    data
}
