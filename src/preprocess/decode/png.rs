//! PNG. The chunks are read as Pillow reads them (`PIL/PngImagePlugin.py`); `png` gets a file of
//! only the header and the image data, so that nothing else can take memory or be refused.

use std::borrow::Cow;
use std::io::Cursor;

use flate2::{Decompress, FlushDecompress, Status};
use image::metadata::Orientation;
use png::{DecodeOptions, Decoder, InterlaceInfo, Limits, Transformations, expand_interlaced_row};

use super::budget::Job;
use super::rows::{palette, unpack};
use crate::preprocess::error::DecodeError;
use crate::preprocess::exif::Notes;
use crate::preprocess::raster::{Raster, Samples};

pub(super) const MAGIC: &[u8] = b"\x89PNG\r\n\x1a\n";
const FORMAT: &str = "PNG";
const TRUNCATED: DecodeError = DecodeError::Truncated { format: FORMAT };
/// Pillow's limits for what a text or a profile inflates to, and for all texts together.
const MAX_TEXT: usize = 1 << 20;
const MAX_TEXTS: usize = 64 << 20;
/// Pillow reads image data in blocks of so many bytes at most.
const BLOCK: usize = 1 << 16;

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
    job.admit(FORMAT, width.into(), height.into(), bits.div_ceil(8) as u64 + 4)?;
    let stride = (width as usize * bits).div_ceil(8);
    if file.data.is_empty() {
        return Err(corrupt("it holds no image data"));
    }
    if color == 3 && file.palette.len() / 3 > 256 {
        return Err(corrupt("a palette of more than 256 colours"));
    }
    let mut rows = vec![0; stride * height as usize];
    if !read_rows(header, &file.data, true, bits, &mut rows) {
        // Slower, to learn how far Pillow comes in what is missing or damaged.
        job.admit(FORMAT, width.into(), height.into(), 3 * bits.div_ceil(8) as u64 + 4)?;
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

struct Header {
    width: u32,
    height: u32,
    depth: u8,
    color: u8,
    interlaced: bool,
}

/// What the chunks of a file say.
#[derive(Default)]
struct File<'a> {
    header: Option<Header>,
    palette: &'a [u8],
    /// Of the palette's colours.
    alphas: &'a [u8],
    /// The one transparent colour, as far as Pillow compares it.
    transparent: Option<[u8; 3]>,
    notes: Notes<'a>,
    /// The image data, a slice a chunk.
    data: Vec<&'a [u8]>,
    texts: usize,
    animated: bool,
}

fn is_name(kind: &[u8; 4], lenient: bool) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if lenient { kind.is_ascii() } else { kind.iter().all(is_letter) }
}

impl<'a> File<'a> {
    fn read(bytes: &'a [u8], lenient: bool) -> Result<Self, DecodeError> {
        let mut file = Self::default();
        let mut at = MAGIC.len();
        // Up to the image data every chunk must be whole and right.
        let mut ended = false;
        loop {
            let Some((kind, chunk)) = chunk_at(bytes, at) else {
                return Err(TRUNCATED);
            };
            if matches!(&kind, b"IDAT" | b"IEND") {
                break;
            }
            if !is_name(&kind, lenient) {
                return Err(corrupt("a chunk's name is not of letters"));
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
                        String::from_utf8_lossy(&kind)
                    )));
                }
            }
            at = end + 4;
        }
        // The image data, whose checksums nobody reads.
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
                        // What comes after the picture is only asked for whole where it is read.
                        None if lenient => break,
                        None => return Err(TRUNCATED),
                    }
                }
            }
            let Some(chunk) = chunk else { break };
            at += 12 + chunk.len();
        }
        Ok(file)
    }

    /// Keeps what a chunk says.
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
            let name = String::from_utf8_lossy(kind);
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
                    Some((0, packed)) => inflate_text(packed, lenient)?,
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
                    (_, 0) => Cow::Owned(inflate_text(text, lenient)?),
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
                        inflate_text(packed, lenient)?;
                    }
                    _ => return Err(corrupt("a profile of unknown compression")),
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The first frame's place, which is all of the image in every file that keeps the rules.
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
            // Pillow compares the low byte with what the pixel has become.
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
}

/// The name of the chunk at a place, and its bytes if the file holds them all.
fn chunk_at(bytes: &[u8], at: usize) -> Option<([u8; 4], Option<&[u8]>)> {
    let head = bytes.get(at..at + 8)?.first_chunk::<8>()?;
    let [a, b, c, d, kind @ ..] = *head;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    Some((kind, bytes.get(at + 8..(at + 8).saturating_add(length))))
}

/// What stands before and after the first zero.
fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[]),
    }
}

/// A packed text: what there is of it, if it is damaged it is empty, and too long is an error.
fn inflate_text(packed: &[u8], lenient: bool) -> Result<Vec<u8>, DecodeError> {
    let mut text = Vec::with_capacity(packed.len().saturating_mul(4).min(MAX_TEXT + 1));
    let mut inflater = Decompress::new(true);
    loop {
        let read = inflater.total_in() as usize;
        let status = inflater.decompress_vec(&packed[read..], &mut text, FlushDecompress::None);
        match status {
            Err(_) => return Ok(Vec::new()),
            Ok(Status::StreamEnd) => return Ok(text),
            Ok(_) if text.len() > MAX_TEXT => {
                let reason = "a text or profile that inflates beyond 1 MiB";
                return if lenient { Ok(Vec::new()) } else { Err(corrupt(reason)) };
            }
            Ok(_) if text.len() == text.capacity() => {
                text.reserve(text.len().clamp(1024, MAX_TEXT + 1));
            }
            Ok(_) => return Ok(text),
        }
    }
}

/// Unfilters image data into rows from the top; whether every row, and the data's checksum where
/// it is `checked`, are there.
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

/// A file of a header and image data.
fn minimal(header: &Header, data: &[&[u8]]) -> Vec<u8> {
    let length: usize = data.iter().map(|part| part.len() + 12).sum();
    let mut file = Vec::with_capacity(length + 64);
    file.extend_from_slice(MAGIC);
    let mut chunk = |name: &[u8; 4], body: &[u8]| {
        file.extend_from_slice(&(body.len() as u32).to_be_bytes());
        file.extend_from_slice(name);
        file.extend_from_slice(body);
        // The checksums are not read.
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

/// First column and row of each of Adam7's passes, and the steps from column to column and from
/// row to row.
const PASSES: [[usize; 4]; 7] = [
    [0, 0, 8, 8],
    [4, 0, 8, 8],
    [0, 4, 4, 8],
    [2, 0, 4, 4],
    [0, 2, 2, 4],
    [1, 0, 2, 2],
    [0, 1, 1, 2],
];

/// Bytes of each row that the file holds, in order: those of the image, or of Adam7's seven
/// smaller ones.
fn row_lengths(header: &Header, bits: usize) -> impl Iterator<Item = usize> {
    let (width, height) = (header.width as usize, header.height as usize);
    let whole = [[0, 0, 1, 1]];
    let passes = if header.interlaced { PASSES.to_vec() } else { whole.to_vec() };
    passes.into_iter().filter(move |[x, ..]| *x < width).flat_map(move |[x, y, dx, dy]| {
        let length = ((width - x).div_ceil(dx) * bits).div_ceil(8);
        std::iter::repeat_n(length, height.saturating_sub(y).div_ceil(dy))
    })
}

/// The image data as far as Pillow's decoder takes it (`src/libImaging/ZipDecode.c`), as a stream
/// that is not packed. Rows that are missing are of zeros.
fn inflate_as_pillow(
    header: &Header,
    data: &[&[u8]],
    bits: usize,
    lenient: bool,
) -> Result<Vec<u8>, DecodeError> {
    let mut inflater = Inflater {
        blocks: data.iter().flat_map(|chunk| chunk.chunks(BLOCK)).collect::<Vec<_>>().into_iter(),
        input: &[],
        zlib: Decompress::new(true),
        ahead: None,
        ended: false,
    };
    let mut output = Vec::new();
    for length in row_lengths(header, bits) {
        let start = output.len();
        output.resize(start + length + 1, 0);
        // The end of the data after a whole row is the end of the picture.
        if inflater.ended {
            continue;
        }
        let row = &mut output[start..];
        let read = inflater.row(row).and_then(|()| match row[0] {
            0..=4 => Ok(()),
            _ => Err(corrupt("an unknown filter")),
        });
        if let Err(error) = read {
            if !lenient {
                return Err(error);
            }
            row.fill(0);
            inflater.ended = true;
        }
    }
    Ok(stored(&output))
}

/// zlib's inflater as Pillow calls it: for one row at a time, with one block of input at a time.
struct Inflater<'a> {
    blocks: std::vec::IntoIter<&'a [u8]>,
    input: &'a [u8],
    zlib: Decompress,
    /// The next row's first byte: zlib looks at what follows a row before it returns, so that
    /// damage there costs the row, and the data's end is seen with it.
    ahead: Option<u8>,
    ended: bool,
}

impl Inflater<'_> {
    fn row(&mut self, row: &mut [u8]) -> Result<(), DecodeError> {
        let mut filled = 0;
        if let Some(byte) = self.ahead.take() {
            row[0] = byte;
            filled = 1;
        }
        while filled < row.len() {
            let (moved, written) = self.step(&mut row[filled..])?;
            filled += written;
            if filled < row.len() && self.ended {
                return Err(TRUNCATED);
            }
            if !moved {
                self.input = self.blocks.next().ok_or(TRUNCATED)?;
            }
        }
        let mut next = [0];
        while !self.ended && self.ahead.is_none() {
            match self.step(&mut next)? {
                (_, 1) => self.ahead = Some(next[0]),
                (true, _) => {}
                (false, _) => break,
            }
        }
        Ok(())
    }

    /// Inflates into `output`: whether anything moved, and how many bytes came. The inflater may
    /// hold bytes back after it has read all input.
    fn step(&mut self, output: &mut [u8]) -> Result<(bool, usize), DecodeError> {
        let (read, written) = (self.zlib.total_in(), self.zlib.total_out());
        // By bytes, because the inflater keeps what comes before damage in the same call.
        let byte = &self.input[..self.input.len().min(1)];
        let status = self.zlib.decompress(byte, output, FlushDecompress::None);
        let status = status.map_err(|_| corrupt("its image data is damaged"))?;
        let (read, written) = (self.zlib.total_in() - read, self.zlib.total_out() - written);
        self.input = &self.input[read as usize..];
        self.ended = status == Status::StreamEnd;
        Ok((read > 0 || written > 0, written as usize))
    }
}

/// Bytes as a zlib stream of blocks that are not packed, without a checksum.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = bytes.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        stream.push(u8::from(blocks.peek().is_none()));
        stream.extend_from_slice(&length.to_le_bytes());
        stream.extend_from_slice(&(!length).to_le_bytes());
        stream.extend_from_slice(block);
    }
    stream.extend_from_slice(&[0; 4]);
    stream
}
