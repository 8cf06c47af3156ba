//! Image data that is cut or damaged, inflated as far as Pillow gets.

use flate2::{Decompress, FlushDecompress, Status};

use super::chunks::Header;
use super::{TRUNCATED, corrupt};
use crate::preprocess::error::DecodeError;

/// The most bytes of image data that Pillow reads at once.
const BLOCK: usize = 1 << 16;

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

/// The length in bytes of each row that the file holds, in order: of the image, or of Adam7's seven
/// smaller images.
pub(super) fn row_lengths(header: &Header, bits: usize) -> impl Iterator<Item = usize> {
    let (width, height) = (header.width as usize, header.height as usize);
    let whole = [[0, 0, 1, 1]];
    let passes = if header.interlaced { PASSES.to_vec() } else { whole.to_vec() };
    passes.into_iter().filter(move |[x, ..]| *x < width).flat_map(move |[x, y, dx, dy]| {
        let length = ((width - x).div_ceil(dx) * bits).div_ceil(8);
        std::iter::repeat_n(length, height.saturating_sub(y).div_ceil(dy))
    })
}

/// The image data as far as Pillow's decoder reads it (`src/libImaging/ZipDecode.c`), as an
/// uncompressed stream. Missing rows are zeros.
pub(super) fn inflate_as_pillow(
    header: &Header,
    data: &[&[u8]],
    bits: usize,
    lenient: bool,
) -> Result<Vec<u8>, DecodeError> {
    let mut output = vec![0; row_lengths(header, bits).map(|length| length + 1).sum()];
    match inflate(header, data, bits, &mut output) {
        Err(error) if !lenient => Err(error),
        _ => Ok(stored(&output)),
    }
}

/// Inflates row by row, with one block of input at a time, as far as it goes. When zlib meets
/// damage, the row that it was working on is lost.
fn inflate(
    header: &Header,
    data: &[&[u8]],
    bits: usize,
    mut output: &mut [u8],
) -> Result<(), DecodeError> {
    let mut zlib = Decompress::new(true);
    let mut lengths = row_lengths(header, bits);
    let mut row = match lengths.next() {
        Some(length) => vec![0; length + 1],
        None => return Ok(()),
    };
    let mut filled = 0;
    for mut input in data.iter().flat_map(|chunk| chunk.chunks(BLOCK)) {
        while !input.is_empty() {
            let (read, written) = (zlib.total_in(), zlib.total_out());
            let status = zlib.decompress(input, &mut row[filled..], FlushDecompress::None);
            let status = status.map_err(|_| corrupt("its image data is damaged"))?;
            input = &input[(zlib.total_in() - read) as usize..];
            filled += (zlib.total_out() - written) as usize;
            if filled < row.len() {
                break;
            }
            if row[0] > 4 {
                return Err(corrupt("an unknown filter"));
            }
            let (whole, rest) = output.split_at_mut(row.len());
            whole.copy_from_slice(&row);
            output = rest;
            // If the data end after a complete row, the picture ends there.
            let Some(length) = lengths.next().filter(|_| status != Status::StreamEnd) else {
                return Ok(());
            };
            row.resize(length + 1, 0);
            filled = 0;
        }
    }
    Err(TRUNCATED)
}

/// Bytes as a zlib stream of uncompressed blocks, without a checksum.
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
