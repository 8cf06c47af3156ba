//! WebP: the first picture of a file. The chunks are read as libwebp's demultiplexer reads them;
//! `image-webp` gets a file with only that picture.

use std::borrow::Cow;
use std::io::Cursor;

use image::metadata::Orientation;
use image_webp::WebPDecoder;

use super::budget::Job;
use super::rows::u32_le;
use super::{vp8, vp8l};
use crate::preprocess::error::DecodeError;
use crate::preprocess::exif::Notes;
use crate::preprocess::raster::{Raster, Samples};

const FORMAT: &str = "WebP";
const TRUNCATED: DecodeError = DecodeError::Truncated { format: FORMAT };
const ANIMATION: u8 = 0x02;
const XMP: u8 = 0x04;
const EXIF: u8 = 0x08;
const ALPHA: u8 = 0x10;

fn corrupt(reason: &str) -> DecodeError {
    DecodeError::corrupt(FORMAT, &reason)
}

pub(super) fn decode(bytes: &[u8], job: &Job<'_>) -> Result<(Raster, Orientation), DecodeError> {
    let length = u32_le(bytes, 4).ok_or(TRUNCATED)? as usize;
    let body = bytes.get(12..length.saturating_add(8)).ok_or(TRUNCATED)?;
    let file = File::read(body)?;
    let [width, height] = file.canvas;
    job.admit_beside(FORMAT, width.into(), height.into(), 12, body.len() as u64)?;
    if let Some((name, picture)) = file.picture.colours
        && name == *b"VP8 "
    {
        if !vp8::is_key_frame(picture) {
            return Err(corrupt("its picture is not a key frame"));
        }
        let frame = vp8::Frame::read(picture).ok_or(TRUNCATED)?;
        if !frame.coefficients_fit() {
            return Err(corrupt("its coefficients exceed 16 bits"));
        }
    }
    let codes = file.picture.codes();
    if codes > 0 {
        let pixels = u64::from(width) * u64::from(height);
        job.admit(FORMAT, width.into(), height.into(), 12 + codes.div_ceil(pixels))?;
    }
    let frame = &file.frame;
    let picture = file.picture.whole(frame.sides);
    let explain = |error| corrupt(&format!("{error}"));
    let mut decoder = WebPDecoder::new(Cursor::new(picture)).map_err(explain)?;
    if decoder.dimensions() != frame.sides.into() {
        return Err(corrupt("its picture is not of the size that the file says"));
    }
    let size = decoder.output_buffer_size().ok_or_else(|| corrupt("a picture too large"))?;
    let has_alpha = decoder.has_alpha();
    let mut pixels = vec![0; size];
    decoder.read_image(&mut pixels).map_err(explain)?;
    let orientation = file.notes.orientation();
    if frame.sides == file.canvas && has_alpha == file.has_alpha {
        let samples = if has_alpha { Samples::Rgba(pixels) } else { Samples::Rgb(pixels) };
        return Ok((Raster::new(width, height, samples), orientation));
    }
    // Where the first frame leaves the canvas bare, it is transparent black; the frame is not
    // blended with anything.
    let mut canvas = vec![[0u8; 4]; width as usize * height as usize];
    let [left, top, columns] = [frame.left, frame.top, frame.sides[0]].map(|side| side as usize);
    let channels = if has_alpha { 4 } else { 3 };
    let rows = canvas.chunks_exact_mut(width as usize).skip(top);
    for (row, pixels) in rows.zip(pixels.chunks_exact(columns * channels)) {
        for (to, from) in row[left..].iter_mut().zip(pixels.chunks_exact(channels)) {
            *to = [from[0], from[1], from[2], from.get(3).copied().unwrap_or(255)];
        }
    }
    let samples = if file.has_alpha {
        Samples::Rgba(canvas.into_flattened())
    } else {
        let opaque: Vec<_> = canvas.iter().map(|[r, g, b, _]| [*r, *g, *b]).collect();
        Samples::Rgb(opaque.into_flattened())
    };
    Ok((Raster::new(width, height, samples), orientation))
}

/// The chunks of one picture.
#[derive(Default)]
struct Picture<'a> {
    alpha: Option<&'a [u8]>,
    /// The name and the bytes of the chunk with the coded colours.
    colours: Option<([u8; 4], &'a [u8])>,
}

impl<'a> Picture<'a> {
    /// Takes a chunk if it belongs to a picture. Returns whether it did.
    fn take(&mut self, name: [u8; 4], chunk: &'a [u8]) -> bool {
        match &name {
            b"ALPH" if self.colours.is_none() && self.alpha.is_none() => self.alpha = Some(chunk),
            b"VP8 " | b"VP8L" if self.colours.is_none() => self.colours = Some((name, chunk)),
            _ => return false,
        }
        true
    }

    /// Width and height, as the coded colours say.
    fn sides(&self) -> Option<[u32; 2]> {
        let (name, bytes) = self.colours?;
        if name == *b"VP8L" {
            let bits = u32_le(bytes, 1).filter(|_| bytes[0] == 0x2f)?;
            return Some([(bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1]);
        }
        let sides = u32_le(bytes, 6).filter(|_| bytes[3..6] == [0x9d, 0x01, 0x2a])?;
        Some([sides & 0x3fff, (sides >> 16) & 0x3fff])
    }

    /// Whether the picture itself says that it has alpha; `None` if its container decides.
    fn alpha_bit(&self) -> Option<bool> {
        let (name, bytes) = self.colours?;
        (name == *b"VP8L").then(|| bytes.get(4).is_some_and(|byte| byte & 0x10 != 0))
    }

    /// Bytes of the prefix codes in the lossless parts.
    fn codes(&self) -> u64 {
        let Some(sides) = self.sides() else { return 0 };
        let colours = self.colours.filter(|(name, _)| name == b"VP8L");
        // Skips a signature and a header of four bytes; in alpha, the byte that says how it is
        // coded.
        let stream = colours.and_then(|(_, bytes)| bytes.get(5..)).or_else(|| {
            let (kind, bytes) = self.alpha?.split_first()?;
            (kind & 3 == 1).then_some(bytes)
        });
        stream.map_or(0, |stream| vp8l::codes(stream, sides))
    }

    /// A file with this picture alone.
    fn whole(&self, [width, height]: [u32; 2]) -> Vec<u8> {
        let mut body = b"WEBP".to_vec();
        let mut chunk = |name: &[u8; 4], bytes: &[u8]| {
            body.extend_from_slice(name);
            body.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            body.extend_from_slice(bytes);
            body.resize(body.len().next_multiple_of(2), 0);
        };
        if let Some((name, colours)) = &self.colours {
            if let Some(alpha) = self.alpha.filter(|_| name == b"VP8 ") {
                let [w, h] = [width, height].map(|side| (side - 1).to_le_bytes());
                chunk(b"VP8X", &[ALPHA, 0, 0, 0, w[0], w[1], w[2], h[0], h[1], h[2]]);
                chunk(b"ALPH", alpha);
            }
            chunk(name, colours);
        }
        [b"RIFF".as_slice(), &(body.len() as u32).to_le_bytes(), &body].concat()
    }
}

/// Where a picture is on the canvas.
struct Frame {
    left: u32,
    top: u32,
    sides: [u32; 2],
}

struct File<'a> {
    canvas: [u32; 2],
    has_alpha: bool,
    frame: Frame,
    picture: Picture<'a>,
    notes: Notes<'a>,
}

impl<'a> File<'a> {
    fn read(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut chunks = Chunks(body);
        let (name, first) = chunks.next().ok_or(TRUNCATED)??;
        let mut picture = Picture::default();
        let mut notes = Notes::default();
        if picture.take(name, first) && name != *b"ALPH" {
            let sides = picture.sides().ok_or_else(|| corrupt("a picture without a header"))?;
            let has_alpha = picture.alpha_bit().unwrap_or(false);
            let frame = Frame { left: 0, top: 0, sides };
            return Ok(Self { canvas: sides, has_alpha, frame, picture, notes });
        }
        let &[flags, _, _, _, a, b, c, d, e, f, ..] = first else {
            return Err(corrupt("a header too short"));
        };
        if name != *b"VP8X" {
            return Err(corrupt("it begins with an unknown chunk"));
        }
        let canvas = [[a, b, c], [d, e, f]].map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]) + 1);
        let animated = flags & ANIMATION != 0;
        let (mut controlled, mut frame) = (false, None);
        for chunk in chunks {
            let (name, chunk) = chunk?;
            match &name {
                b"ANIM" => controlled = true,
                b"ANMF" if !controlled => return Err(corrupt("a frame before its animation")),
                b"ANMF" if animated && frame.is_none() => {
                    frame = Some(read_frame(chunk, &mut picture)?);
                }
                b"VP8X" => return Err(corrupt("two headers")),
                b"ALPH" | b"VP8 " | b"VP8L" if animated || controlled => {
                    return Err(corrupt("a picture outside the animation's frames"));
                }
                b"EXIF" if flags & EXIF != 0 && notes.exif.is_none() => {
                    notes.exif = Some(Cow::Borrowed(chunk));
                }
                b"XMP " if flags & XMP != 0 && notes.xmp.is_none() => {
                    notes.xmp = Some(Cow::Borrowed(chunk));
                }
                _ => {
                    picture.take(name, chunk);
                }
            }
        }
        let sides = picture.sides().ok_or_else(|| corrupt("it holds no picture"))?;
        let still = Frame { left: 0, top: 0, sides: canvas };
        let frame = frame.unwrap_or(still);
        if frame.sides != sides
            || frame.left + sides[0] > canvas[0]
            || frame.top + sides[1] > canvas[1]
        {
            return Err(corrupt("its picture is not of the size that the file says"));
        }
        let flag = flags & ALPHA != 0;
        let bit = picture.alpha_bit().filter(|_| !animated).unwrap_or(flag);
        let has_alpha = bit || (!animated && picture.alpha.is_some());
        Ok(Self { canvas, has_alpha, frame, picture, notes })
    }
}

fn read_frame<'a>(chunk: &'a [u8], picture: &mut Picture<'a>) -> Result<Frame, DecodeError> {
    let (head, rest) = chunk.split_at_checked(16).ok_or_else(|| corrupt("a frame too short"))?;
    let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], 0]);
    for chunk in Chunks(rest) {
        let (name, chunk) = chunk?;
        if !picture.take(name, chunk) {
            break;
        }
    }
    Ok(Frame { left: number(0) * 2, top: number(3) * 2, sides: [number(6) + 1, number(9) + 1] })
}

/// Names and bytes of chunks.
struct Chunks<'a>(&'a [u8]);

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<([u8; 4], &'a [u8]), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (head, rest) = self.0.split_at_checked(8)?;
        let name = [head[0], head[1], head[2], head[3]];
        let length = u32_le(head, 4)? as usize;
        let Some(chunk) = rest.get(..length) else {
            self.0 = &[];
            return Some(Err(TRUNCATED));
        };
        self.0 = rest.get(length.next_multiple_of(2)..).unwrap_or_default();
        Some(Ok((name, chunk)))
    }
}
