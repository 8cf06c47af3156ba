//! The orientation that a camera stored with the pixels, as Pillow's `Image.getexif` and
//! `ImageOps.exif_transpose` find it.

use std::borrow::Cow;

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage, RgbaImage};

use super::image::{ColorMode, Image};

/// What a file holds besides its pixels that may say how to turn the image.
#[derive(Default)]
pub(super) struct Notes<'a> {
    /// An EXIF block, with or without its `Exif\0\0` header.
    pub(super) exif: Option<Cow<'a, [u8]>>,
    /// An EXIF block as ImageMagick's text.
    pub(super) profile: Option<Cow<'a, [u8]>>,
    /// An XMP packet.
    pub(super) xmp: Option<Cow<'a, [u8]>>,
}

impl<'a> Notes<'a> {
    /// Keeps a PNG's text if it is one of these, in whatever chunk it is.
    pub(super) fn take_text(&mut self, key: &[u8], text: Cow<'a, [u8]>) {
        match key {
            b"exif" => self.exif = Some(text),
            b"Raw profile type exif" => self.profile = Some(text),
            b"XML:com.adobe.xmp" => self.xmp = Some(text),
            _ => {}
        }
    }

    /// The EXIF block takes precedence over the text, and both over the packet.
    pub(super) fn orientation(&self) -> Orientation {
        let block = match (&self.exif, &self.profile) {
            (Some(exif), _) => Some(exif.clone()),
            (None, Some(profile)) => unhex(profile).map(Cow::Owned),
            (None, None) => None,
        };
        let found = block.and_then(|block| exif_orientation(&block));
        let found = found.or_else(|| xmp_orientation(self.xmp.as_deref()?));
        found.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
    }
}

/// The bytes of a profile's text, which has hexadecimal digits from the fourth line on.
fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let lines = text.split(|byte| *byte == b'\n').skip(3);
    let digits: Vec<u8> = lines.flatten().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    digits.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

const ORIENTATION: u16 = 274;

/// The orientation tag of an EXIF block's first directory, with a number of any type; 0 if the
/// value is not an orientation.
fn exif_orientation(block: &[u8]) -> Option<u8> {
    const HEADER: &[u8] = b"Exif\0\0";
    let block = block.strip_prefix(HEADER).unwrap_or(block);
    let tiff = block.strip_prefix(HEADER).unwrap_or(block);
    let big_endian = tiff.starts_with(b"MM");
    let wide = match tiff.get(..4)? {
        b"MM\0\x2a" | b"II\x2a\0" | b"MM\x2a\0" | b"II\0\x2a" => false,
        b"MM\0\x2b" | b"II\x2b\0" => true,
        _ => return None,
    };
    let number = |at: usize, length: usize| {
        let bytes = tiff.get(at..at.checked_add(length)?)?;
        let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if big_endian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) })
    };
    let word = if wide { 8 } else { 4 };
    let start = number(word, word)? as usize;
    let (count, first) = if wide { (number(start, 8)?, 8) } else { (number(start, 2)?, 2) };
    let entry = 4 + 2 * word;
    let mut found = None;
    for index in 0..usize::try_from(count).ok()? {
        let at = start.checked_add(first)?.checked_add(index.checked_mul(entry)?)?;
        let (Some(tag), Some(kind), Some(count)) =
            (number(at, 2), number(at + 2, 2), number(at + 4, word))
        else {
            break;
        };
        let size = match kind {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16 => 8,
            _ => continue,
        };
        let length = count.saturating_mul(size);
        if length == 0 {
            continue;
        }
        let inside = at + 4 + word;
        let place = if length > word as u64 { number(inside, word)? as usize } else { inside };
        let all = place.checked_add(usize::try_from(length).unwrap_or(usize::MAX));
        // Pillow stops at a value outside the block.
        if all.is_none_or(|end| end > tiff.len()) {
            break;
        }
        if tag == u64::from(ORIENTATION) {
            found = Some(value(kind, number(place, size as usize)?));
        }
    }
    found
}

/// A number of a TIFF type as an orientation; 0 if it is not one.
fn value(kind: u64, bits: u64) -> u8 {
    let number = match kind {
        3 | 4 | 13 | 16 => bits as f64,
        6 => f64::from(bits as u8 as i8),
        8 => f64::from(bits as u16 as i16),
        9 => f64::from(bits as u32 as i32),
        11 => f32::from_bits(bits as u32).into(),
        12 => f64::from_bits(bits),
        _ => 0.0,
    };
    (1..=8).find(|orientation| f64::from(*orientation) == number).unwrap_or(0)
}

/// The digit after the first `tiff:Orientation="` or `tiff:Orientation>`.
fn xmp_orientation(xmp: &[u8]) -> Option<u8> {
    const NAME: &[u8] = b"tiff:Orientation";
    xmp.windows(NAME.len()).enumerate().filter(|(_, window)| *window == NAME).find_map(|(at, _)| {
        let rest = &xmp[at + NAME.len()..];
        let digit = rest.strip_prefix(b"=\"").or_else(|| rest.strip_prefix(b">"))?.first()?;
        digit.is_ascii_digit().then(|| digit - b'0')
    })
}

/// Rotates and flips as Pillow's `ImageOps.exif_transpose` does.
pub(super) fn transpose(image: Image, orientation: Orientation) -> Image {
    let (mode, width, height) = (image.mode(), image.width(), image.height());
    let data = image.data().to_vec();
    let buffer = match mode {
        ColorMode::L => GrayImage::from_raw(width, height, data).map(DynamicImage::from),
        ColorMode::Rgb => RgbImage::from_raw(width, height, data).map(DynamicImage::from),
        ColorMode::Rgba => RgbaImage::from_raw(width, height, data).map(DynamicImage::from),
    };
    let Some(mut upright) = buffer else {
        return image;
    };
    upright.apply_orientation(orientation);
    let (width, height) = (upright.width(), upright.height());
    Image::new(mode, width, height, upright.into_bytes()).unwrap_or(image)
}
