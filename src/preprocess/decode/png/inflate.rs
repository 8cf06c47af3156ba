//! Image data that is cut or damaged, inflated as far as Pillow comes.

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

/// Bytes of each row that the file holds, in order: those of the image, or of Adam7's seven
/// smaller ones.
pub(super) fn row_lengths(header: &Header, bits: usize) -> impl Iterator<Item = usize> {
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
pub(super) fn inflate_as_pillow(
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
