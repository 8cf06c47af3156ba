//! TGA (`PIL/TgaImagePlugin.py`).

use std::fmt::Display;

use image::metadata::Orientation;

use super::budget::Job;
use super::rows::{Layout, palette, u16_le, u32_le, widen};
use crate::preprocess::error::DecodeError;
use crate::preprocess::raster::{Raster, Samples};

const FORMAT: &str = "TGA";
const HEADER: usize = 18;
const FOOTER: usize = 26;
/// Where in an extension area the meaning of alpha is.
const ALPHA_KIND: usize = 494;
const TRUNCATED: DecodeError = DecodeError::Truncated { format: FORMAT };

/// TGA has no magic number, so every field of its header must make sense.
pub(super) fn accepts(bytes: &[u8]) -> bool {
    let Some(header) = bytes.first_chunk::<HEADER>() else {
        return false;
    };
    let side = |at| u16_le(header, at).unwrap_or_default();
    header[1] <= 1
        && matches!(header[2], 1 | 2 | 3 | 9 | 10 | 11)
        && (header[1] == 0 || matches!(header[7], 15 | 16 | 24 | 32))
        && side(12) > 0
        && side(14) > 0
        && matches!(header[16], 1 | 8 | 15 | 16 | 24 | 32)
}

fn unsupported(reason: &dyn Display) -> DecodeError {
    DecodeError::unsupported(FORMAT, reason)
}

pub(super) fn decode(bytes: &[u8], job: &Job<'_>) -> Result<(Raster, Orientation), DecodeError> {
    let header = bytes.first_chunk::<HEADER>().ok_or(TRUNCATED)?;
    let number = |at| u16_le(header, at).map(usize::from).ok_or(TRUNCATED);
    let (kind, mapped, map_depth) = (header[2], header[1] == 1, usize::from(header[7]));
    let (first, colours) = (number(3)?, number(5)?);
    let (width, height) = (number(12)?, number(14)?);
    let (depth, flags) = (usize::from(header[16]), header[17]);
    let compressed = kind & 8 != 0;
    let known = match (kind & 7, depth) {
        (1, 8) => mapped,
        (3, 1) => !mapped && !compressed,
        (3, 8 | 16) | (2, 16 | 24 | 32) => !mapped,
        _ => false,
    };
    if !known {
        let map = if mapped { "with" } else { "without" };
        return Err(unsupported(&format!("kind {kind} of {depth} bits {map} a palette")));
    }
    job.admit(FORMAT, width as u64, height as u64, 8)?;
    let mut at = HEADER + usize::from(header[0]);
    let map = bytes.get(at..).unwrap_or_default();
    if mapped {
        if !matches!(map_depth, 16 | 24 | 32) {
            return Err(unsupported(&format!("a palette of {map_depth} bits")));
        }
        if first + colours > 256 {
            return Err(unsupported(&format!("a palette of {} colours", first + colours)));
        }
        at += colours * map_depth / 8;
    }
    let bottom_up = flags & 0x20 == 0;
    let data = bytes.get(at..).unwrap_or_default();
    let layout = |stride| Layout { width, height, bits: depth, stride, bottom_up };
    let rows = if compressed {
        let rows = run_lengths(data, width * depth / 8, height, depth / 8, job.lenient)?;
        if rows.len() < width * depth / 8 * height && !job.lenient {
            return Err(TRUNCATED);
        }
        layout(0).read(&rows, FORMAT, job)?
    } else {
        layout(0).read(data, FORMAT, job)?
    };
    let samples = match (kind & 7, depth) {
        (1, _) => {
            let map = &map[..map.len().min(colours * map_depth / 8)];
            let given = map.chunks_exact(map_depth / 8).map(|colour| match *colour {
                [low, high] => packed(low, high),
                [b, g, r] => [r, g, b, 255],
                [b, g, r, alpha] => [r, g, b, alpha],
                _ => [0; 4],
            });
            // Colours before the first are zeros; with 15 bits, that is opaque.
            let zero = if map_depth == 32 { [0; 4] } else { [0, 0, 0, 255] };
            let colours = palette(std::iter::repeat_n(zero, first).chain(given));
            Samples::Palette(rows, colours)
        }
        (3, 1) => {
            let bits = layout(0).unpack(rows);
            Samples::Grey(bits.into_iter().map(|bit| if bit == 0 { 0 } else { 255 }).collect())
        }
        (3, 8) => Samples::Grey(rows),
        (3, _) => Samples::GreyAlpha(rows),
        (_, 24) => {
            let pixels: Vec<_> =
                rows.as_chunks::<3>().0.iter().map(|[b, g, r]| [*r, *g, *b]).collect();
            Samples::Rgb(pixels.into_flattened())
        }
        (_, depth) => {
            let opaque = has_no_alpha(bytes);
            let mut pixels: Vec<_> = if depth == 16 {
                rows.as_chunks::<2>().0.iter().map(|[low, high]| packed(*low, *high)).collect()
            } else {
                rows.as_chunks::<4>().0.iter().map(|[b, g, r, a]| [*r, *g, *b, *a]).collect()
            };
            if opaque {
                pixels.iter_mut().for_each(|pixel| pixel[3] = 255);
            }
            Samples::Rgba(pixels.into_flattened())
        }
    };
    let raster = Raster::new(width as u32, height as u32, samples);
    let raster = if flags & 0x10 != 0 { raster.mirrored() } else { raster };
    Ok((raster, Orientation::NoTransforms))
}

/// Five bits a colour, and one that is set where the pixel is transparent.
fn packed(low: u8, high: u8) -> [u8; 4] {
    let value = u16::from_le_bytes([low, high]);
    let alpha = if high & 0x80 == 0 { 255 } else { 0 };
    [widen(value >> 10, 5), widen(value >> 5, 5), widen(value, 5), alpha]
}

/// Whether the extension area of version 2 says that alpha means nothing.
fn has_no_alpha(bytes: &[u8]) -> bool {
    let footer = bytes.len().checked_sub(FOOTER).map(|at| &bytes[at..]);
    let Some(footer) = footer.filter(|footer| footer.ends_with(b"TRUEVISION-XFILE.\0")) else {
        return false;
    };
    let area = u32_le(footer, 0).unwrap_or_default() as usize;
    area > 0 && bytes.get(area + ALPHA_KIND) == Some(&0)
}

/// Packets to rows. A packet of pixels may cross the end of a row, a run must not
/// (`src/libImaging/TgaRleDecode.c`). Ends early if the bytes do.
fn run_lengths(
    data: &[u8],
    row: usize,
    height: usize,
    pixel: usize,
    lenient: bool,
) -> Result<Vec<u8>, DecodeError> {
    let (mut rows, mut at) = (Vec::new(), 0);
    while rows.len() < row * height {
        let Some(packet) = data.get(at) else { break };
        let length = (usize::from(packet & 0x7f) + 1) * pixel;
        at += 1;
        if packet & 0x80 != 0 {
            let Some(value) = data.get(at..at + pixel) else { break };
            if rows.len() % row + length > row {
                if lenient {
                    break;
                }
                return Err(DecodeError::corrupt(FORMAT, &"a run crosses the end of a row"));
            }
            rows.extend(value.iter().copied().cycle().take(length));
            at += pixel;
        } else {
            let Some(values) = data.get(at..at + length) else { break };
            rows.extend_from_slice(values);
            at += length;
        }
    }
    // An incomplete row is not shown.
    rows.truncate(rows.len().min(row * height) / row * row);
    Ok(rows)
}
