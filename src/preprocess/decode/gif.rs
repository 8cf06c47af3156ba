//! GIF: the first frame, on the screen that Pillow gives it (`PIL/GifImagePlugin.py`). The screen
//! grows to hold the frame. Where the frame leaves it bare, it has the transparent colour, or
//! colour 0 if there is none.

use image::metadata::Orientation;

use super::budget::Job;
use super::rows::{palette, u16_le};
use crate::preprocess::error::DecodeError;
use crate::preprocess::raster::{Raster, Samples};

const FORMAT: &str = "GIF";
const TRUNCATED: DecodeError = DecodeError::Truncated { format: FORMAT };

pub(super) fn decode(bytes: &[u8], job: &Job<'_>) -> Result<(Raster, Orientation), DecodeError> {
    let mut reader = Reader { bytes, at: 6 };
    let screen = reader.take(7)?;
    let side = |bytes: &[u8], at| u16_le(bytes, at).map(usize::from).ok_or(TRUNCATED);
    let screen = (side(screen, 0)?, side(screen, 2)?, screen[4]);
    let global = reader.table(screen.2)?;
    let (transparent, frame) = reader.frame()?;
    let (left, top) = (side(frame, 0)?, side(frame, 2)?);
    let (frame_width, frame_height) = (side(frame, 4)?, side(frame, 6)?);
    if frame_width == 0 || frame_height == 0 {
        return Err(DecodeError::corrupt(FORMAT, &"its frame has no pixels"));
    }
    let (width, height) = (screen.0.max(left + frame_width), screen.1.max(top + frame_height));
    job.admit(FORMAT, width as u64, height as u64, 4)?;
    let local = reader.table(frame[8])?;
    let colours = match (local, global) {
        // Pillow leaves out a grey table. Whether the other one takes its place depends on the
        // requested mode.
        (Some(local), Some(global)) if is_grey(local) && !is_grey(global) => {
            return Err(DecodeError::unsupported(FORMAT, &"a grey palette beside a global one"));
        }
        (local, global) => local.or(global).filter(|table| !is_grey(table)),
    };

    let interlaced = frame[8] & 0x40 != 0;
    let code_bits = reader.take(1)?[0];
    let mut pixels = Frame::new(frame_width, frame_height, interlaced);
    match pixels.decompress(code_bits, &mut reader.blocks()) {
        Ok(true) => {}
        _ if job.lenient => {}
        Ok(false) => return Err(TRUNCATED),
        Err(error) => return Err(error),
    }
    let mut data = vec![transparent.unwrap_or(0); width * height];
    let rows = data.chunks_exact_mut(width).skip(top);
    for (row, indices) in rows.zip(pixels.paint(transparent.unwrap_or(0)).chunks_exact(frame_width))
    {
        row[left..][..frame_width].copy_from_slice(indices);
    }
    let (width, height) = (width as u32, height as u32);
    let raster = match colours {
        None => Raster::new(width, height, Samples::Grey(data))
            .with_transparent(transparent.map(|level| [level; 3])),
        Some(table) => {
            let mut colours =
                palette(table.as_chunks::<3>().0.iter().map(|[r, g, b]| [*r, *g, *b, 255]));
            if let Some(index) = transparent {
                colours[usize::from(index)][3] = 0;
            }
            Raster::new(width, height, Samples::Palette(data, colours))
        }
    };
    Ok((raster, Orientation::NoTransforms))
}

/// Whether every colour of a table is the grey level of its own index.
fn is_grey(table: &[u8]) -> bool {
    table.as_chunks::<3>().0.iter().enumerate().all(|(index, colour)| *colour == [index as u8; 3])
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let taken = self.bytes.get(self.at..self.at + length).ok_or(TRUNCATED)?;
        self.at += length;
        Ok(taken)
    }

    /// A colour table, if the flags announce one.
    fn table(&mut self, flags: u8) -> Result<Option<&'a [u8]>, DecodeError> {
        if flags & 0x80 == 0 {
            return Ok(None);
        }
        self.take(6 << (flags & 7)).map(Some)
    }

    /// A sub-block; `None` at the end of a sequence.
    fn block(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(*self.bytes.get(self.at)?);
        self.at += 1;
        let end = self.bytes.len().min(self.at + length);
        let block = &self.bytes[self.at..end];
        self.at = end;
        Some(block).filter(|block| !block.is_empty())
    }

    /// The transparent colour and the descriptor of the first frame. Bytes that begin nothing are
    /// skipped.
    fn frame(&mut self) -> Result<(Option<u8>, &'a [u8]), DecodeError> {
        let mut transparent = None;
        loop {
            match self.take(1)?[0] {
                b',' => return Ok((transparent, self.take(9)?)),
                b';' => return Err(DecodeError::corrupt(FORMAT, &"it holds no frame")),
                b'!' => {
                    let label = self.take(1)?[0];
                    let block = self.block();
                    match (label, block) {
                        (249, Some([flags, _, _, colour, ..])) if flags & 1 != 0 => {
                            transparent = Some(*colour);
                        }
                        (249, Some([flags, _, _, ..])) if flags & 1 == 0 => {}
                        (249, Some(_)) => {
                            return Err(DecodeError::corrupt(FORMAT, &"a control block too short"));
                        }
                        _ => {}
                    }
                    // After an extension without a first block, Pillow reads one more sequence,
                    // unless it is a comment.
                    if label != 254 || block.is_some() {
                        while self.block().is_some() {}
                    }
                }
                _ => {}
            }
        }
    }

    /// The bytes of the complete sub-blocks from here on, also after the ends of their sequences,
    /// because Pillow's decoder reads on until it has every pixel.
    fn blocks(&self) -> impl Iterator<Item = u8> + 'a {
        let (bytes, mut at) = (self.bytes, self.at);
        let block = move || {
            let length = usize::from(*bytes.get(at)?);
            let block = bytes.get(at + 1..at + 1 + length)?;
            at += 1 + length;
            Some(block)
        };
        std::iter::from_fn(block).flatten().copied()
    }
}

/// Indices in the order in which a file stores them.
struct Frame {
    width: usize,
    height: usize,
    interlaced: bool,
    data: Vec<u8>,
}

/// The most codes in a table.
const TABLE: usize = 4096;

impl Frame {
    fn new(width: usize, height: usize, interlaced: bool) -> Self {
        Self { width, height, interlaced, data: Vec::new() }
    }

    /// LZW as Pillow's decoder reads it (`src/libImaging/GifDecode.c`). Returns whether it gave
    /// every pixel.
    fn decompress(
        &mut self,
        code_bits: u8,
        bytes: &mut dyn Iterator<Item = u8>,
    ) -> Result<bool, DecodeError> {
        let corrupt = |reason: &str| DecodeError::corrupt(FORMAT, &reason);
        if code_bits > 12 {
            return Err(corrupt("codes of too many bits"));
        }
        let count = self.width * self.height;
        let clear = 1usize << code_bits;
        // For each code: the code before it, and its last byte.
        let mut links = [0u16; TABLE];
        let mut lasts = [0u8; TABLE];
        let mut string = Vec::with_capacity(TABLE);
        let (mut next, mut size) = (clear + 2, u32::from(code_bits) + 1);
        let (mut bits, mut held) = (0u32, 0u32);
        // The previous code, and the first byte of what it stood for.
        let mut previous: Option<(usize, u8)> = None;
        while self.data.len() < count {
            while held < size {
                let Some(byte) = bytes.next() else { return Ok(false) };
                bits |= u32::from(byte) << held;
                held += 8;
            }
            let code = (bits & ((1 << size) - 1)) as usize;
            bits >>= size;
            held -= size;
            if code == clear {
                (next, size, previous) = (clear + 2, u32::from(code_bits) + 1, None);
                continue;
            }
            if code == clear + 1 {
                return Ok(false);
            }
            let Some((before, first)) = previous else {
                if code > clear {
                    return Err(corrupt("a code that stands for nothing"));
                }
                self.data.push(code as u8);
                previous = Some((code, code as u8));
                continue;
            };
            if code > next {
                return Err(corrupt("a code that stands for nothing"));
            }
            string.clear();
            let mut at = code;
            if code == next {
                string.push(first);
                at = before;
            }
            while at >= clear {
                if at >= TABLE || string.len() >= TABLE {
                    return Err(corrupt("a code that stands for nothing"));
                }
                string.push(lasts[at]);
                at = usize::from(links[at]);
            }
            let first = at as u8;
            string.push(first);
            if next < TABLE {
                (links[next], lasts[next]) = (before as u16, first);
                if next == (1 << size) - 1 && size < 12 {
                    size += 1;
                }
                next += 1;
            }
            previous = Some((code, first));
            let room = count - self.data.len();
            self.data.extend(string.iter().rev().take(room));
        }
        Ok(true)
    }

    /// Rows from the top; missing pixels have the colour `bare`.
    fn paint(&self, bare: u8) -> Vec<u8> {
        let mut rows = vec![bare; self.width * self.height];
        let passes: &[(usize, usize)] =
            if self.interlaced { &[(0, 8), (4, 8), (2, 4), (1, 2)] } else { &[(0, 1)] };
        let order = passes.iter().flat_map(|(first, step)| (*first..self.height).step_by(*step));
        for (y, row) in order.zip(self.data.chunks(self.width)) {
            rows[y * self.width..][..row.len()].copy_from_slice(row);
        }
        rows
    }
}
