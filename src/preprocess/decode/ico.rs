//! Icons and cursors: the first of the largest pictures in the file (`PIL/IcoImagePlugin.py`,
//! `PIL/CurImagePlugin.py`).

use image::metadata::Orientation;

use super::bmp::Bitmap;
use super::budget::Job;
use super::png;
use super::rows::{Layout, u16_le, u32_le};
use crate::preprocess::error::DecodeError;
use crate::preprocess::image::ColorMode;
use crate::preprocess::raster::{Raster, Samples, share};

const ICON: &str = "ICO";
const CURSOR: &str = "CUR";
/// Where the picture of a file with one picture begins. Pillow uses the alpha of a cursor only if
/// it begins there.
const FIRST: usize = 22;

/// A picture in the directory at the file's start.
struct Entry {
    sides: [usize; 2],
    bits: u16,
    depth: u32,
    length: usize,
    offset: usize,
}

fn entries(bytes: &[u8], format: &'static str) -> Result<Vec<Entry>, DecodeError> {
    let count = usize::from(u16_le(bytes, 4).ok_or(DecodeError::Truncated { format })?);
    let entry = |index: usize| {
        let entry = bytes.get(6 + index * 16..)?.first_chunk::<16>()?;
        let bits = u16_le(entry, 6)?;
        Some(Entry {
            sides: [usize::from(entry[0]), usize::from(entry[1])],
            bits,
            depth: match (bits, entry[2]) {
                (0, 0) => 256,
                (0, colours) => match u32::from(colours).next_power_of_two().ilog2() {
                    0 => 256,
                    bits => bits,
                },
                (bits, _) => bits.into(),
            },
            length: u32_le(entry, 8)? as usize,
            offset: u32_le(entry, 12)? as usize,
        })
    };
    let entries: Option<Vec<_>> = (0..count).map(entry).collect();
    match entries {
        Some(entries) if !entries.is_empty() => Ok(entries),
        Some(_) => Err(DecodeError::corrupt(format, &"it holds no picture")),
        None => Err(DecodeError::Truncated { format }),
    }
}

pub(super) fn decode_icon(
    bytes: &[u8],
    job: &Job<'_>,
) -> Result<(Raster, Orientation), DecodeError> {
    let mut entries = entries(bytes, ICON)?;
    let area =
        |entry: &Entry| entry.sides.iter().map(|side| (side + 255) % 256 + 1).product::<usize>();
    entries.sort_by_key(|entry| (std::cmp::Reverse(area(entry)), entry.depth));
    // Pillow takes the first of the entries that have the same size as the first.
    let entry = &entries[0];
    let picture = bytes.get(entry.offset..).unwrap_or_default();
    if picture.starts_with(png::MAGIC) {
        let (raster, _) = png::decode(picture, job)?;
        return Ok((raster, Orientation::NoTransforms));
    }
    let mut bitmap = Bitmap::read(bytes, entry.offset, 0, false)?;
    bitmap.height /= 2;
    if bitmap.height == 0 {
        return Err(DecodeError::corrupt(ICON, &"a picture without rows"));
    }
    let raster = bitmap.decode(bytes, job)?;
    let alpha = if entry.bits == 32 {
        // Alpha is the fourth byte of a pixel, which must have four.
        let size = bitmap.width * bitmap.height * 4;
        let data = bytes.get(bitmap.start..).unwrap_or_default();
        let data = &data[..data.len().min(size)];
        let alpha: Vec<u8> = data.iter().skip(3).step_by(4).copied().collect();
        mask(&alpha, &bitmap, 8, bitmap.width, job)?
    } else {
        let stride = bitmap.width.next_multiple_of(32) / 8;
        let start = (entry.offset + entry.length).checked_sub(stride * bitmap.height);
        let start = start.ok_or_else(|| DecodeError::corrupt(ICON, &"its mask has no place"))?;
        let data = bytes.get(start..).unwrap_or_default();
        mask(&data[..data.len().min(stride * bitmap.height)], &bitmap, 1, stride, job)?
    };
    Ok((raster.with_alpha(alpha), Orientation::NoTransforms))
}

/// Alpha from rows of `bits`; single bits are inverted. `None` if the file is too short and the job
/// is lenient.
fn mask(
    data: &[u8],
    bitmap: &Bitmap,
    bits: usize,
    stride: usize,
    job: &Job<'_>,
) -> Result<Option<Vec<u8>>, DecodeError> {
    let (width, height) = (bitmap.width, bitmap.height);
    if data.len() < stride * (height - 1) + (width * bits).div_ceil(8) {
        return if job.lenient { Ok(None) } else { Err(DecodeError::Truncated { format: ICON }) };
    }
    let layout = Layout { width, height, bits, stride, bottom_up: true };
    let levels = layout.unpack(layout.read(data, ICON, job)?);
    Ok(Some(match bits {
        1 => levels.into_iter().map(|bit| if bit == 0 { 255 } else { 0 }).collect(),
        _ => levels,
    }))
}

pub(super) fn decode_cursor(
    bytes: &[u8],
    job: &Job<'_>,
) -> Result<(Raster, Orientation), DecodeError> {
    let entries = entries(bytes, CURSOR)?;
    let larger = |a: &Entry, b: &Entry| a.sides[0] > b.sides[0] && a.sides[1] > b.sides[1];
    let largest =
        entries.iter().reduce(|best, entry| if larger(entry, best) { entry } else { best });
    let offset = largest.map_or(0, |entry| entry.offset);
    let mut bitmap = Bitmap::read(bytes, offset, 0, offset == FIRST)?;
    if bitmap.height < 2 || (bitmap.is_grey() && bitmap.height % 2 > 0) {
        return Err(DecodeError::corrupt(CURSOR, &"a picture without rows"));
    }
    if !bitmap.is_grey() {
        // The lower half is the mask, which Pillow ignores.
        bitmap.height /= 2;
        return Ok((bitmap.decode(bytes, job)?, Orientation::NoTransforms));
    }
    let half = bitmap.width * bitmap.height / 2;
    let (width, height) = (bitmap.width as u32, bitmap.height as u32 / 2);
    let levels = bitmap.decode(bytes, job)?.into_data(ColorMode::L);
    let (and, xor) = levels.split_at(half);
    // The picture is pasted onto transparent black where the mask lets it through.
    let pixel = |(and, xor): (&u8, &u8)| {
        let seen = 255 - and;
        [share((*xor).into(), seen.into()) as u8, seen]
    };
    let pixels: Vec<_> = and.iter().zip(xor).map(pixel).collect();
    let raster = Raster::new(width, height, Samples::GreyAlpha(pixels.into_flattened()));
    Ok((raster, Orientation::NoTransforms))
}
