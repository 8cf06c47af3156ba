//! The compressions: from the bytes of a strip or tile to its packed samples.

mod fax;
pub(super) mod jpeg;
mod jpeg12;
mod thunder;

use std::io::Read;

use flate2::{Decompress, FlushDecompress};
use lzma_rust2::XzReader;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use weezl::BitOrder;
use weezl::decode::Configuration;

use super::directory::{Directory, tag};
use super::mode::Format;
use super::{corrupt, truncated, unsupported};
use crate::preprocess::error::DecodeError;

/// The largest window that libtiff's zstd accepts.
const ZSTD_MOST: u64 = 1 << 27;

/// What a strip or tile has to hold.
pub(super) struct Chunk {
    pub(super) width: usize,
    /// Rows; the last strip may have fewer.
    pub(super) height: usize,
    /// The most rows that a JPEG may have; the first `height` count. The last strip's JPEG is often
    /// as high as the others, or ends with a whole block.
    pub(super) most_height: usize,
    /// Samples per pixel, and bits per sample.
    pub(super) samples: usize,
    pub(super) depth: usize,
    pub(super) row_bytes: usize,
    pub(super) tiled: bool,
    /// Whether its first byte is at an odd position in the file.
    pub(super) odd: bool,
    /// Whether a JPEG holds YCbCr, which becomes RGB.
    pub(super) ycbcr: bool,
}

/// The largest strip or tile of a file.
pub(super) struct Largest {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Samples per pixel.
    pub(super) samples: usize,
    /// Its bytes, uncompressed and compressed.
    pub(super) bytes: u64,
    pub(super) packed: u64,
}

/// The Compression tag, with the tags that belong to each compression.
#[derive(Debug)]
pub(super) enum Codec<'a> {
    None,
    Lzw,
    PackBits,
    Deflate,
    Zstd,
    Lzma,
    Thunder,
    Fax(fax::Coding),
    Jpeg { tables: &'a [u8] },
    OldJpeg,
}

impl<'a> Codec<'a> {
    pub(super) fn read(tags: &Directory<'a>) -> Result<Self, DecodeError> {
        let t4 = || tags.single(tag::T4_OPTIONS).map(Option::unwrap_or_default);
        Ok(match tags.number(tag::COMPRESSION)?.unwrap_or(1) {
            1 => Self::None,
            2 => Self::Fax(fax::Coding::Rows { words: false }),
            3 => Self::Fax(fax::Coding::group3(t4()?)?),
            4 => Self::Fax(fax::Coding::Group4),
            5 => Self::Lzw,
            6 => Self::OldJpeg,
            7 => Self::Jpeg { tables: tags.bytes(tag::JPEG_TABLES).unwrap_or_default() },
            8 | 32_946 => Self::Deflate,
            32_771 => Self::Fax(fax::Coding::Rows { words: true }),
            32_773 => Self::PackBits,
            32_809 => Self::Thunder,
            34_925 => Self::Lzma,
            50_000 => Self::Zstd,
            34_676 | 34_677 => return Err(unsupported(&"LogLuv compression")),
            50_001 => return Err(unsupported(&"WebP compression")),
            other => return Err(unsupported(&format!("compression {other}"))),
        })
    }

    /// Whether samples may be stored as differences.
    pub(super) fn has_predictor(&self) -> bool {
        matches!(self, Self::Lzw | Self::Deflate | Self::Zstd | Self::Lzma)
    }

    /// Whether libtiff reverses the bits of each compressed byte if FillOrder is 2.
    pub(super) fn bits_are_turned_first(&self) -> bool {
        !matches!(self, Self::Jpeg { .. } | Self::OldJpeg)
    }

    /// Whether YCbCr comes out as RGB.
    pub(super) fn gives_rgb(&self, format: &Format) -> bool {
        matches!(self, Self::Jpeg { .. }) && !format.separate
    }

    /// Bytes of tables that are read again for each strip or tile.
    pub(super) fn table_bytes(&self) -> usize {
        match self {
            Self::Jpeg { tables } => tables.len(),
            _ => 0,
        }
    }

    /// Bytes that it takes besides its input and output.
    pub(super) fn memory(&self, largest: &Largest) -> u64 {
        match self {
            Self::Fax(_) => largest.width as u64 * 16,
            Self::Jpeg { tables } => {
                let stream = largest.packed.saturating_add(tables.len() as u64);
                stream.saturating_add(jpeg::memory(largest))
            }
            // Whatever window a header asks for, their history grows with their output, to the next
            // power of two, and is in memory twice while it grows.
            Self::Zstd | Self::Lzma => largest.bytes.saturating_mul(3).saturating_add(1 << 20),
            _ => 0,
        }
    }

    /// Fills `out`, or fails. What JPEG and Group 4 leave out keeps its value, as in libtiff.
    /// `memory`: how many bytes it may take.
    pub(super) fn decode(
        &self,
        data: &[u8],
        chunk: &Chunk,
        out: &mut [u8],
        memory: u64,
    ) -> Result<(), DecodeError> {
        match self {
            // These are read elsewhere, not as libtiff's strips or tiles.
            Self::None | Self::OldJpeg => return Err(unsupported(&"such strips or tiles")),
            Self::Lzw => lzw(data, out)?,
            Self::PackBits => pack_bits(data, out).ok_or_else(truncated)?,
            Self::Deflate => deflate(data, out)?,
            Self::Zstd => {
                let mut frame = FrameDecoder::new();
                frame.set_max_window_size(ZSTD_MOST);
                let stream = StreamingDecoder::new_with_decoder(data, frame);
                fill(stream.map_err(|error| corrupt(&error))?, out)?;
            }
            Self::Lzma => fill(XzReader::new(data, false), out)?,
            Self::Thunder => thunder::decode(data, chunk, out)?,
            Self::Fax(coding) => fax::decode(data, *coding, chunk, out)?,
            Self::Jpeg { tables } => jpeg::decode(data, tables, chunk, out, memory)?,
        }
        Ok(())
    }
}

fn fill(mut reader: impl Read, out: &mut [u8]) -> Result<(), DecodeError> {
    reader.read_exact(out).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => truncated(),
        _ => corrupt(&error),
    })
}

fn deflate(data: &[u8], out: &mut [u8]) -> Result<(), DecodeError> {
    let mut inflate = Decompress::new(true);
    loop {
        let (read, written) = (inflate.total_in() as usize, inflate.total_out() as usize);
        if written == out.len() {
            return Ok(());
        }
        let status = inflate.decompress(&data[read..], &mut out[written..], FlushDecompress::None);
        status.map_err(|error| corrupt(&error))?;
        if (read, written) == (inflate.total_in() as usize, inflate.total_out() as usize) {
            return Err(truncated());
        }
    }
}

fn lzw(data: &[u8], out: &mut [u8]) -> Result<(), DecodeError> {
    // Before TIFF 5.0, codes began at the other end of a byte, and became longer one code later.
    // Both kinds begin with the code that clears the table; libtiff reads no others.
    let codes = match data {
        [0, second, ..] if second & 1 == 1 => Configuration::new(BitOrder::Lsb, 8),
        [128, second, ..] if second & 128 == 0 => {
            Configuration::with_tiff_size_switch(BitOrder::Msb, 8)
        }
        _ => return Err(corrupt(&"a bad LZW code")),
    };
    let mut decoder = codes.with_yield_on_full_buffer(true).build();
    let (mut read, mut written) = (0, 0);
    while written < out.len() {
        let step = decoder.decode_bytes(&data[read..], &mut out[written..]);
        step.status.map_err(|error| corrupt(&error))?;
        read += step.consumed_in;
        written += step.consumed_out;
        if (step.consumed_in, step.consumed_out) == (0, 0) {
            return Err(truncated());
        }
    }
    Ok(())
}

fn pack_bits(mut data: &[u8], mut out: &mut [u8]) -> Option<()> {
    while !out.is_empty() {
        let (&head, rest) = data.split_first()?;
        data = rest;
        let length = match head {
            0..=127 => usize::from(head) + 1,
            128 => continue,
            _ => 257 - usize::from(head),
        };
        let (run, left) = out.split_at_mut(length.min(out.len()));
        if head < 128 {
            run.copy_from_slice(data.get(..run.len())?);
            data = data.get(run.len()..)?;
        } else {
            let (&value, rest) = data.split_first()?;
            run.fill(value);
            data = rest;
        }
        out = left;
    }
    Some(())
}
