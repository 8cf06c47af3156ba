//! The header of a JPEG stream, as Pillow reads it.

use std::borrow::Cow;
use std::ops::Range;

use super::libjpeg::next_marker;
use super::{FORMAT, TRUNCATED};
use crate::preprocess::error::DecodeError;
use crate::preprocess::exif::Notes;

const START_OF_SCAN: u8 = 0xda;
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const EXIF: &[u8] = b"Exif\0\0";

pub(super) struct Stream<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) components: usize,
    pub(super) notes: Notes<'a>,
}

impl<'a> Stream<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let corrupt = |reason: &str| DecodeError::corrupt(FORMAT, &reason);
        let mut notes = Notes::default();
        let mut exif: Option<Cow<'a, [u8]>> = None;
        let mut frame = None;
        let mut at = 2;
        loop {
            let (code, place) = next_marker(bytes, at).ok_or(TRUNCATED)?;
            if code < 0xc0 {
                return Err(corrupt("an unknown marker in its header"));
            }
            // Pillow skips these, and the segments that some of them have.
            if matches!(code, 0xc8 | 0xd0..=0xd9 | 0xf0..=0xfd) {
                at = place + 2;
                continue;
            }
            let segment = segment(bytes, place).ok_or(TRUNCATED)?;
            let body = &bytes[segment.clone()];
            at = segment.end;
            match code {
                START_OF_SCAN => break,
                0xdb if !is_quantization(body) => return Err(corrupt("a cut table")),
                0xc0..=0xcf | 0xde if !matches!(code, 0xc4 | 0xcc) => {
                    frame = Some(read_frame(body)?);
                }
                0xe1 if body.starts_with(EXIF) => match &mut exif {
                    Some(exif) => exif.to_mut().extend_from_slice(&body[EXIF.len()..]),
                    None => exif = Some(Cow::Borrowed(body)),
                },
                0xe1 if body.starts_with(XMP) => {
                    notes.xmp = Some(Cow::Borrowed(&body[XMP.len()..]));
                }
                0xe0 if body.starts_with(b"JFIF") && body.len() < 7 => {
                    return Err(corrupt("a cut JFIF segment"));
                }
                0xee if body.starts_with(b"Adobe") && body.len() < 7 => {
                    return Err(corrupt("a cut Adobe segment"));
                }
                _ => {}
            }
        }
        notes.exif = exif;
        let (width, height, components) =
            frame.ok_or_else(|| corrupt("a scan before its frame"))?;
        Ok(Self { width, height, components, notes })
    }
}

/// Whether a segment consists of complete quantization tables.
fn is_quantization(mut body: &[u8]) -> bool {
    while let Some(kind) = body.first() {
        let length = if kind >> 4 == 0 { 65 } else { 129 };
        match body.get(length..) {
            Some(rest) => body = rest,
            None => return false,
        }
    }
    true
}

/// Width, height and the number of components.
fn read_frame(body: &[u8]) -> Result<(u32, u32, usize), DecodeError> {
    let (Some(height), Some(width), [bits, _, _, _, _, count, ..]) =
        (number(body, 1), number(body, 3), body)
    else {
        return Err(TRUNCATED);
    };
    if !body.len().is_multiple_of(3) {
        return Err(DecodeError::corrupt(FORMAT, &"a cut frame"));
    }
    if *bits != 8 || !matches!(count, 1 | 3 | 4) {
        let kind = format!("{count} components of {bits} bits");
        return Err(DecodeError::unsupported(FORMAT, &kind));
    }
    if width == 0 || height == 0 {
        return Err(DecodeError::corrupt(FORMAT, &format!("{width}x{height} pixels")));
    }
    Ok((width.into(), height.into(), usize::from(*count)))
}

/// A big-endian number of 16 bits.
fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The bytes after the length field of the segment whose marker is at `place`.
fn segment(bytes: &[u8], place: usize) -> Option<Range<usize>> {
    let length = usize::from(number(bytes, place + 2)?);
    let range = place + 4..place + 2 + length.max(2);
    (range.end <= bytes.len()).then_some(range)
}
