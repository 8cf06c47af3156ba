//! The file's header and its first directory of tags, read as Pillow's `TiffImagePlugin` does.

use std::collections::BTreeMap;

use super::{corrupt, unsupported};
use crate::preprocess::error::DecodeError;

/// Tags that decide how pixels are read.
pub(super) mod tag {
    pub(in super::super) const WIDTH: u16 = 256;
    pub(in super::super) const HEIGHT: u16 = 257;
    pub(in super::super) const BITS_PER_SAMPLE: u16 = 258;
    pub(in super::super) const COMPRESSION: u16 = 259;
    pub(in super::super) const PHOTOMETRIC: u16 = 262;
    pub(in super::super) const FILL_ORDER: u16 = 266;
    pub(in super::super) const STRIP_OFFSETS: u16 = 273;
    pub(in super::super) const ORIENTATION: u16 = 274;
    pub(in super::super) const SAMPLES_PER_PIXEL: u16 = 277;
    pub(in super::super) const ROWS_PER_STRIP: u16 = 278;
    pub(in super::super) const STRIP_BYTE_COUNTS: u16 = 279;
    pub(in super::super) const PLANAR_CONFIGURATION: u16 = 284;
    pub(in super::super) const T4_OPTIONS: u16 = 292;
    pub(in super::super) const PREDICTOR: u16 = 317;
    pub(in super::super) const COLOR_MAP: u16 = 320;
    pub(in super::super) const TILE_WIDTH: u16 = 322;
    pub(in super::super) const TILE_LENGTH: u16 = 323;
    pub(in super::super) const TILE_OFFSETS: u16 = 324;
    pub(in super::super) const TILE_BYTE_COUNTS: u16 = 325;
    pub(in super::super) const EXTRA_SAMPLES: u16 = 338;
    pub(in super::super) const SAMPLE_FORMAT: u16 = 339;
    pub(in super::super) const JPEG_TABLES: u16 = 347;
    pub(in super::super) const JPEG_STREAM: u16 = 513;
    pub(in super::super) const JPEG_STREAM_LENGTH: u16 = 514;
    pub(in super::super) const JPEG_QUANTIZATION: u16 = 519;
    pub(in super::super) const JPEG_DC_TABLES: u16 = 520;
    pub(in super::super) const JPEG_AC_TABLES: u16 = 521;
    pub(in super::super) const YCBCR_COEFFICIENTS: u16 = 529;
    pub(in super::super) const YCBCR_SUBSAMPLING: u16 = 530;
    pub(in super::super) const REFERENCE_BLACK_WHITE: u16 = 532;
    pub(in super::super) const XMP: u16 = 700;
    /// A tag of Windows Media Photo, which Pillow refuses.
    pub(in super::super) const MEDIA_PHOTO: u16 = 0xbc01;
}

/// Byte order: which byte of a number comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    /// An unsigned number of up to eight bytes.
    pub(super) fn number(self, bytes: &[u8]) -> u64 {
        let join = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
        match self {
            Self::Little => bytes.iter().rev().fold(0, join),
            Self::Big => bytes.iter().fold(0, join),
        }
    }
}

struct Entry<'a> {
    kind: u16,
    data: &'a [u8],
}

/// The tags of the first image.
pub(super) struct Directory<'a> {
    pub(super) file: &'a [u8],
    pub(super) order: Order,
    /// Whether the header follows the standard. Pillow reads two other headers, libtiff does not.
    pub(super) standard: bool,
    /// Bytes of the header, of the directory, and of the values outside it.
    pub(super) overhead: u64,
    entries: BTreeMap<u16, Entry<'a>>,
}

/// Bytes per value for each type that Pillow knows; it ignores tags of other types.
fn value_size(kind: u16) -> Option<u64> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 => 8,
        _ => return None,
    })
}

impl<'a> Directory<'a> {
    pub(super) fn read(file: &'a [u8]) -> Result<Self, DecodeError> {
        let order = if file.starts_with(b"II") { Order::Little } else { Order::Big };
        let header = file.first_chunk::<8>().ok_or(super::truncated())?;
        let version = order.number(&header[2..4]);
        let big = version == 43;
        let first = if big { number_at(file, order, 8, 8)? } else { order.number(&header[4..]) };
        let standard = matches!(version, 42 | 43);
        let mut directory = Self { file, order, standard, overhead: 0, entries: BTreeMap::new() };
        directory.read_entries(first, big)?;
        Ok(directory)
    }

    fn read_entries(&mut self, first: u64, big: bool) -> Result<(), DecodeError> {
        let (file, order) = (self.file, self.order);
        // Sizes of the entry count, of an entry, and of the field that holds a value or says where
        // the values are.
        let (head, size, field) = if big { (8, 20, 8) } else { (2, 12, 4) };
        let count = number_at(file, order, first, head)?;
        self.overhead = count.saturating_mul(size).saturating_add(if big { 32 } else { 14 });
        let mut outside = 0u64;
        let mut broken = false;
        for index in 0..count {
            let at = first.saturating_add(head as u64).saturating_add(index.saturating_mul(size));
            let entry = slice_at(file, at, size)?;
            let tag = order.number(&entry[..2]) as u16;
            let kind = order.number(&entry[2..4]) as u16;
            let (count, value) = entry[4..].split_at(field);
            let Some(unit) = value_size(kind) else {
                continue;
            };
            if self.entries.contains_key(&tag) {
                continue;
            }
            // Pillow reads nothing after a tag whose values are outside the file, libtiff does.
            if broken && is_known(tag) {
                return Err(corrupt(&"a tag points outside of the file"));
            }
            let bytes = order.number(count).saturating_mul(unit);
            if bytes <= field as u64 {
                self.entries.insert(tag, Entry { kind, data: &value[..bytes as usize] });
                continue;
            }
            outside = outside.saturating_add(bytes);
            self.overhead = self.overhead.saturating_add(bytes);
            if outside > file.len() as u64 {
                // Pillow ignores it, libtiff may read a part.
                if is_known(tag) {
                    return Err(corrupt(&"a tag is larger than the file"));
                }
                continue;
            }
            match slice_at(file, order.number(value), bytes) {
                Ok(data) => {
                    self.entries.insert(tag, Entry { kind, data });
                }
                Err(_) => broken = true,
            }
        }
        Ok(())
    }

    fn entry(&self, tag: u16) -> Option<&Entry<'a>> {
        self.entries.get(&tag)
    }

    pub(super) fn has(&self, tag: u16) -> bool {
        self.entry(tag).is_some()
    }

    /// The bytes of a tag, whatever its type.
    pub(super) fn bytes(&self, tag: u16) -> Option<&'a [u8]> {
        self.entry(tag).map(|entry| entry.data)
    }

    /// The whole numbers of a tag; empty if it is missing. Negative numbers become too large for
    /// any use.
    pub(super) fn numbers(&self, tag: u16) -> Result<Vec<u64>, DecodeError> {
        let Some(entry) = self.entry(tag) else {
            return Ok(Vec::new());
        };
        let size = match entry.kind {
            // libtiff ignores tags of type 13 that are not directories.
            3 | 4 | 6 | 8 | 9 | 16 => value_size(entry.kind).unwrap_or(1),
            kind => return Err(unsupported(&format!("tag {tag} with values of type {kind}"))),
        };
        Ok(entry.data.chunks_exact(size as usize).map(|value| self.order.number(value)).collect())
    }

    /// The first number of a tag.
    pub(super) fn number(&self, tag: u16) -> Result<Option<u64>, DecodeError> {
        Ok(self.numbers(tag)?.first().copied())
    }

    /// The number of a tag that libtiff ignores if it has more than one.
    pub(super) fn single(&self, tag: u16) -> Result<Option<u64>, DecodeError> {
        match *self.numbers(tag)? {
            [] if !self.has(tag) => Ok(None),
            [number] if number <= u64::from(u32::MAX) => Ok(Some(number)),
            _ => Err(corrupt(&format!("tag {tag} does not have exactly one small value"))),
        }
    }

    /// The numbers or fractions of a tag.
    pub(super) fn fractions(&self, tag: u16) -> Result<Vec<f32>, DecodeError> {
        match self.entry(tag) {
            Some(Entry { kind: 5, data, .. }) => Ok(data
                .chunks_exact(8)
                .map(|pair| {
                    let [above, below] =
                        [&pair[..4], &pair[4..]].map(|part| self.order.number(part) as f64);
                    if below == 0.0 { 0.0 } else { (above / below) as f32 }
                })
                .collect()),
            Some(Entry { kind: 11, data, .. }) => Ok(data
                .chunks_exact(4)
                .map(|value| f32::from_bits(self.order.number(value) as u32))
                .collect()),
            // libtiff ignores values of these types.
            Some(Entry { kind: kind @ (6 | 8 | 9), .. }) => {
                Err(unsupported(&format!("tag {tag} with values of type {kind}")))
            }
            _ => Ok(self.numbers(tag)?.into_iter().map(|value| value as f32).collect()),
        }
    }
}

fn is_known(tag: u16) -> bool {
    use tag::*;
    matches!(
        tag,
        WIDTH..=PHOTOMETRIC
            | FILL_ORDER
            | STRIP_OFFSETS..=STRIP_BYTE_COUNTS
            | PLANAR_CONFIGURATION
            | T4_OPTIONS
            | PREDICTOR..=TILE_BYTE_COUNTS
            | EXTRA_SAMPLES..=JPEG_TABLES
            | JPEG_STREAM..=REFERENCE_BLACK_WHITE
            | XMP
    )
}

fn slice_at(file: &[u8], at: u64, size: u64) -> Result<&[u8], DecodeError> {
    let range = usize::try_from(at).ok().zip(usize::try_from(size).ok());
    range.and_then(|(at, size)| file.get(at..at.checked_add(size)?)).ok_or_else(super::truncated)
}

fn number_at(file: &[u8], order: Order, at: u64, size: usize) -> Result<u64, DecodeError> {
    slice_at(file, at, size as u64).map(|bytes| order.number(bytes))
}
