//! The chunks of a file that say something about its picture.

use std::borrow::Cow;

use flate2::{Decompress, FlushDecompress, Status};

use super::{FORMAT, MAGIC, TRUNCATED, corrupt};
use crate::preprocess::error::DecodeError;
use crate::preprocess::exif::Notes;

/// Pillow's limits for the inflated size of a text or a profile, and for all texts together. The
/// last is here one for all that is inflated too: Pillow does not limit the number of profiles.
const MAX_TEXT: usize = 1 << 20;
const MAX_TEXTS: usize = 64 << 20;

pub(super) struct Header {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) depth: u8,
    pub(super) color: u8,
    pub(super) interlaced: bool,
}

/// What the chunks of a file say.
#[derive(Default)]
pub(super) struct File<'a> {
    pub(super) header: Option<Header>,
    pub(super) palette: &'a [u8],
    /// The alpha of each of the palette's colours.
    pub(super) alphas: &'a [u8],
    /// The one transparent colour, in the bits that Pillow compares.
    pub(super) transparent: Option<[u8; 3]>,
    pub(super) notes: Notes<'a>,
    /// The image data, one slice per chunk.
    pub(super) data: Vec<&'a [u8]>,
    texts: usize,
    /// Bytes of inflated texts and profiles, of damaged ones too.
    inflated: u64,
    animated: bool,
}

fn is_name(kind: &[u8; 4], lenient: bool) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if lenient { kind.is_ascii() } else { kind.iter().all(is_letter) }
}

impl<'a> File<'a> {
    pub(super) fn read(bytes: &'a [u8], lenient: bool) -> Result<Self, DecodeError> {
        let mut file = Self::default();
        let mut at = MAGIC.len();
        // Up to the image data, every chunk must be complete and correct.
        let mut ended = false;
        loop {
            let Some((kind, chunk)) = chunk_at(bytes, at) else {
                return Err(TRUNCATED);
            };
            if matches!(&kind, b"IDAT" | b"IEND") {
                break;
            }
            if !is_name(&kind, lenient) {
                return Err(corrupt("a chunk's name is not made of letters"));
            }
            let chunk = chunk.ok_or(TRUNCATED)?;
            file.take(&kind, chunk, lenient)?;
            let end = at + 8 + chunk.len();
            let sum = bytes.get(end..end + 4).ok_or(TRUNCATED)?;
            let ancillary = kind[0] & 0x20 != 0;
            if !(lenient && ancillary) {
                let mut crc = flate2::Crc::new();
                crc.update(&bytes[at + 4..end]);
                if crc.sum().to_be_bytes() != sum {
                    return Err(corrupt(&format!(
                        "the checksum of its {} chunk is wrong",
                        kind.escape_ascii()
                    )));
                }
            }
            at = end + 4;
        }
        // The image data, whose checksums are not checked.
        while let Some((kind, chunk)) = chunk_at(bytes, at) {
            let rest = bytes.get(at + 8..).unwrap_or_default();
            match &kind {
                b"IDAT" | b"DDAT" if !ended => file.data.push(chunk.unwrap_or(rest)),
                b"IEND" => break,
                b"fcTL" if file.animated => break,
                name if !is_name(name, lenient) => break,
                _ => {
                    ended = true;
                    match chunk {
                        Some(chunk) => file.take(&kind, chunk, lenient)?,
                        None => return Err(TRUNCATED),
                    }
                }
            }
            let Some(chunk) = chunk else { break };
            at += 12 + chunk.len();
        }
        Ok(file)
    }

    /// Stores what a chunk says.
    fn take(&mut self, kind: &[u8; 4], chunk: &'a [u8], lenient: bool) -> Result<(), DecodeError> {
        let least = match kind {
            b"IHDR" => 13,
            b"gAMA" => 4,
            b"cHRM" => 32,
            b"sRGB" => 1,
            b"pHYs" => 9,
            b"acTL" => 8,
            b"fcTL" => 26,
            _ => 0,
        };
        if chunk.len() < least {
            let name = kind.escape_ascii();
            return if lenient {
                Ok(())
            } else {
                Err(corrupt(&format!("its {name} chunk is cut")))
            };
        }
        match kind {
            b"IHDR" => {
                let side = |at: usize| {
                    chunk[at..at + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
                };
                if chunk[11] != 0 {
                    return Err(corrupt("an unknown kind of filter"));
                }
                self.header = Some(Header {
                    width: side(0),
                    height: side(4),
                    depth: chunk[8],
                    color: chunk[9],
                    interlaced: chunk[12] != 0,
                });
            }
            b"PLTE" => {
                self.palette = chunk;
            }
            b"acTL" => self.animated = true,
            b"fcTL" => self.take_frame(chunk)?,
            b"fdAT" if self.data.is_empty() => {
                return Err(DecodeError::unsupported(
                    FORMAT,
                    &"an animation without a first picture",
                ));
            }
            b"tRNS" => return self.take_transparency(chunk, lenient),
            b"eXIf" => self.notes.exif = Some(Cow::Borrowed(chunk)),
            b"tEXt" => {
                let (key, text) = split(chunk);
                if !key.is_empty() {
                    self.take_text(key, Cow::Borrowed(text))?;
                }
            }
            b"zTXt" => {
                let (key, rest) = split(chunk);
                let text = match rest.split_first() {
                    Some((0, packed)) => self.inflate_text(packed, lenient)?,
                    Some(_) if !lenient => return Err(corrupt("a text of unknown compression")),
                    _ => Vec::new(),
                };
                if !key.is_empty() {
                    self.take_text(key, Cow::Owned(text))?;
                }
            }
            b"iTXt" => {
                let (key, rest) = split(chunk);
                let &[packed, method, ref rest @ ..] = rest else {
                    return Ok(());
                };
                let (_, rest) = split(rest);
                let (_, text) = split(rest);
                let text = match (packed, method) {
                    (0, _) => Cow::Borrowed(text),
                    (_, 0) => Cow::Owned(self.inflate_text(text, lenient)?),
                    _ => return Ok(()),
                };
                if !key.is_empty() {
                    self.take_text(key, text)?;
                }
            }
            b"iCCP" => {
                let (_, rest) = split(chunk);
                match rest.split_first() {
                    Some((0, packed)) => {
                        self.inflate_text(packed, lenient)?;
                    }
                    _ => return Err(corrupt("a profile of unknown compression")),
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The first frame's place. In every valid file it covers the whole image.
    fn take_frame(&mut self, chunk: &[u8]) -> Result<(), DecodeError> {
        let number = |at: usize| {
            chunk[at..at + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
        };
        let place = [number(4), number(8), number(12), number(16)];
        let whole = self.header.as_ref().map(|header| [header.width, header.height, 0, 0]);
        if self.data.is_empty() && whole != Some(place) {
            return Err(DecodeError::unsupported(FORMAT, &"a first frame smaller than the image"));
        }
        Ok(())
    }

    fn take_transparency(&mut self, chunk: &'a [u8], lenient: bool) -> Result<(), DecodeError> {
        let Some(&Header { color, depth, .. }) = self.header.as_ref() else {
            return Ok(());
        };
        let least = match color {
            0 => 2,
            2 => 6,
            _ => 0,
        };
        if chunk.len() < least {
            return if lenient { Ok(()) } else { Err(corrupt("its tRNS chunk is cut")) };
        }
        match (color, depth) {
            (3, _) => self.alphas = chunk,
            (0, 1) => self.transparent = Some([if chunk[..2] == [0, 0] { 0 } else { 255 }; 3]),
            // Pillow compares the low byte with the converted pixel.
            (0, _) => self.transparent = Some([chunk[1]; 3]),
            (2, _) => self.transparent = Some([chunk[1], chunk[3], chunk[5]]),
            _ => {}
        }
        Ok(())
    }

    fn take_text(&mut self, key: &'a [u8], text: Cow<'a, [u8]>) -> Result<(), DecodeError> {
        self.texts += text.len();
        if self.texts > MAX_TEXTS {
            return Err(corrupt("too many bytes of text"));
        }
        self.notes.take_text(key, text);
        Ok(())
    }

    /// Inflates a text as far as it goes. A damaged text gives an empty one; a text that is too long
    /// is an error.
    fn inflate_text(&mut self, packed: &[u8], lenient: bool) -> Result<Vec<u8>, DecodeError> {
        let mut text = Vec::new();
        let mut inflater = Decompress::new(true);
        loop {
            text.reserve(text.len().clamp(1024, MAX_TEXT));
            let before = (inflater.total_in(), inflater.total_out());
            let rest = &packed[before.0 as usize..];
            let status = inflater.decompress_vec(rest, &mut text, FlushDecompress::None);
            self.inflated += inflater.total_out() - before.1;
            if self.inflated > MAX_TEXTS as u64 {
                return Err(corrupt("too many bytes of texts and profiles"));
            }
            if text.len() > MAX_TEXT {
                let reason = "a text or profile that inflates beyond 1 MiB";
                return if lenient { Ok(Vec::new()) } else { Err(corrupt(reason)) };
            }
            match status {
                Err(_) => return Ok(Vec::new()),
                Ok(Status::StreamEnd) => return Ok(text),
                Ok(_) if before == (inflater.total_in(), inflater.total_out()) => return Ok(text),
                Ok(_) => {}
            }
        }
    }
}

/// The name of the chunk at `at`, and its bytes if the file holds them all.
fn chunk_at(bytes: &[u8], at: usize) -> Option<([u8; 4], Option<&[u8]>)> {
    let head = bytes.get(at..at + 8)?.first_chunk::<8>()?;
    let [a, b, c, d, kind @ ..] = *head;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    Some((kind, bytes.get(at + 8..(at + 8).saturating_add(length))))
}

/// What is before and after the first zero.
fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[]),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A file without pixels, and this many profiles of a megabyte.
    fn with_profiles(count: usize) -> Vec<u8> {
        let mut packer = flate2::write::ZlibEncoder::new(b"name\0\0".to_vec(), Default::default());
        packer.write_all(&vec![0; MAX_TEXT]).unwrap();
        let profile = packer.finish().unwrap();
        let mut file = MAGIC.to_vec();
        let mut chunk = |name: &[u8; 4], body: &[u8]| {
            let named = [name, body].concat();
            let mut crc = flate2::Crc::new();
            crc.update(&named);
            file.extend((body.len() as u32).to_be_bytes());
            file.extend(named);
            file.extend(crc.sum().to_be_bytes());
        };
        chunk(b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]);
        (0..count).for_each(|_| chunk(b"iCCP", &profile));
        chunk(b"IEND", &[]);
        file
    }

    #[test]
    fn what_all_profiles_inflate_to_has_a_limit() {
        assert!(File::read(&with_profiles(64), false).is_ok());
        for lenient in [false, true] {
            let error = File::read(&with_profiles(65), lenient).err().unwrap().to_string();
            assert!(error.contains("too many bytes of texts and profiles"), "{error}");
        }
    }
}
