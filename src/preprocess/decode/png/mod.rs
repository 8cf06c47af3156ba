//! PNG. The chunks are read as Pillow reads them (`PIL/PngImagePlugin.py`). The crate `png` gets a
//! file with only the header and the image data, so that nothing else can take memory or be
//! refused.

mod chunks;
mod inflate;

use std::io::Cursor;

use image::metadata::Orientation;
use png::{DecodeOptions, Decoder, InterlaceInfo, Limits, Transformations, expand_interlaced_row};

use self::chunks::{File, Header};
use self::inflate::{inflate_as_pillow, row_lengths};
use super::budget::Job;
use super::rows::{palette, unpack};
use crate::preprocess::error::DecodeError;
use crate::preprocess::raster::{Raster, Samples};

pub(super) const MAGIC: &[u8] = b"\x89PNG\r\n\x1a\n";
const FORMAT: &str = "PNG";
const TRUNCATED: DecodeError = DecodeError::Truncated { format: FORMAT };

fn corrupt(reason: &str) -> DecodeError {
    DecodeError::corrupt(FORMAT, &reason)
}

pub(super) fn decode(bytes: &[u8], job: &Job<'_>) -> Result<(Raster, Orientation), DecodeError> {
    let file = File::read(bytes, job.lenient)?;
    let header = file.header.as_ref().ok_or_else(|| corrupt("it holds no header"))?;
    let &Header { width, height, depth, color, .. } = header;
    let channels = match (color, depth) {
        (0, 1 | 2 | 4 | 8 | 16) | (3, 1 | 2 | 4 | 8) => 1,
        (2, 8 | 16) => 3,
        (4, 8 | 16) => 2,
        (6, 8 | 16) => 4,
        _ => return Err(corrupt(&format!("colour type {color} of {depth} bits"))),
    };
    if width == 0 || height == 0 {
        return Err(corrupt(&format!("{width}x{height} pixels")));
    }
    let bits = channels * usize::from(depth);
    let (bytes_a_pixel, copied) = (bits.div_ceil(8) as u64, bytes.len() as u64);
    let sides = (u64::from(width), u64::from(height));
    job.admit_beside(FORMAT, sides.0, sides.1, bytes_a_pixel + 4, copied)?;
    let stride = (width as usize * bits).div_ceil(8);
    if file.data.is_empty() {
        return Err(corrupt("it holds no image data"));
    }
    if color == 3 && file.palette.len() / 3 > 256 {
        return Err(corrupt("a palette of more than 256 colours"));
    }
    let mut rows = vec![0; stride * height as usize];
    if !read_rows(header, &file.data, true, bits, &mut rows) {
        // Slower, but finds how far Pillow gets when data are missing or damaged.
        job.admit_beside(FORMAT, sides.0, sides.1, 3 * bytes_a_pixel + 4, copied)?;
        let stored = inflate_as_pillow(header, &file.data, bits, job.lenient)?;
        rows.fill(0);
        read_rows(header, &[&stored], false, bits, &mut rows);
    }

    let transparent = file.transparent.filter(|_| matches!(color, 0 | 2));
    let width_in = width as usize;
    let samples = match (color, depth) {
        (3, depth) => {
            let mut colours =
                palette(file.palette.as_chunks::<3>().0.iter().map(|[r, g, b]| [*r, *g, *b, 255]));
            for (colour, alpha) in colours.iter_mut().zip(file.alphas) {
                colour[3] = *alpha;
            }
            Samples::Palette(unpack(rows, width_in, depth.into()), colours)
        }
        (0, 16) => {
            let value = |v: &[u8; 2]| i32::from(u16::from_be_bytes(*v));
            Samples::Wide(rows.as_chunks::<2>().0.iter().map(value).collect())
        }
        (0, depth) => {
            let mut levels = unpack(rows, width_in, depth.into());
            if depth < 8 {
                let step = 255 / ((1 << depth) - 1);
                levels.iter_mut().for_each(|level| *level *= step);
            }
            Samples::Grey(levels)
        }
        (color, depth) => {
            if depth == 16 {
                rows = rows.as_chunks::<2>().0.iter().map(|value| value[0]).collect();
            }
            match color {
                2 => Samples::Rgb(rows),
                4 => Samples::GreyAlpha(rows),
                _ => Samples::Rgba(rows),
            }
        }
    };
    Ok((
        Raster::new(width, height, samples).with_transparent(transparent),
        file.notes.orientation(),
    ))
}

/// Unfilters image data into rows from the top. Returns whether every row is there, and the data's
/// checksum too if `checked`.
fn read_rows(header: &Header, data: &[&[u8]], checked: bool, bits: usize, rows: &mut [u8]) -> bool {
    let mut options = DecodeOptions::default();
    options.set_ignore_crc(true);
    options.set_ignore_adler32(!checked);
    let file = minimal(header, data);
    let mut decoder = Decoder::new_with_options(Cursor::new(file), options);
    decoder.set_transformations(Transformations::IDENTITY);
    decoder.set_limits(Limits { bytes: usize::MAX });
    let Ok(mut reader) = decoder.read_info() else {
        return false;
    };
    let stride = (header.width as usize * bits).div_ceil(8);
    for index in 0..row_lengths(header, bits).count() {
        let Ok(Some(row)) = reader.next_interlaced_row() else {
            return false;
        };
        match row.interlace() {
            InterlaceInfo::Null(_) => {
                rows[index * stride..][..stride].copy_from_slice(&row.data()[..stride]);
            }
            InterlaceInfo::Adam7(info) => {
                expand_interlaced_row(rows, stride, row.data(), info, bits as u8);
            }
        }
    }
    !checked || reader.finish().is_ok()
}

/// A file with only a header and image data.
fn minimal(header: &Header, data: &[&[u8]]) -> Vec<u8> {
    let length: usize = data.iter().map(|part| part.len() + 12).sum();
    let mut file = Vec::with_capacity(length + 64);
    file.extend_from_slice(MAGIC);
    let mut chunk = |name: &[u8; 4], body: &[u8]| {
        file.extend_from_slice(&(body.len() as u32).to_be_bytes());
        file.extend_from_slice(name);
        file.extend_from_slice(body);
        // The checksums are not checked.
        file.extend_from_slice(&[0; 4]);
    };
    let Header { width, height, depth, color, interlaced } = header;
    // Colours of a palette are looked up later.
    let color = if *color == 3 { 0 } else { *color };
    let sides = [width.to_be_bytes(), height.to_be_bytes()].concat();
    chunk(b"IHDR", &[sides.as_slice(), &[*depth, color, 0, 0, u8::from(*interlaced)]].concat());
    for part in data.iter().flat_map(|part| part.chunks(1 << 30)) {
        chunk(b"IDAT", part);
    }
    chunk(b"IEND", &[]);
    file
}
