//! Tensors stored in pieces, each perhaps compressed.

use std::io::Read;
use std::ops::Range;

use flate2::read::ZlibDecoder;

/// The most bytes of a tensor in chunks, which can be far larger than its file. The largest of this
/// family has 50 MB; Keras stores each in one piece unless asked to do otherwise.
pub(super) const MAX_TENSOR: usize = 256 << 20;

/// What was done to a chunk's bytes before they were stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Filter {
    Deflate,
    /// The first bytes of all values, then the second bytes, ...
    Shuffle,
    /// Four bytes at the end. They are not checked.
    Checksum,
}

#[derive(Clone, Debug)]
pub(super) struct Chunk {
    /// Where in the tensor it starts.
    pub(super) start: Vec<usize>,
    pub(super) bytes: Range<usize>,
    /// A bit for each filter that was left out.
    pub(super) skipped: u32,
}

/// Where the values of a tensor in chunks are.
#[derive(Clone, Debug)]
pub(in crate::weights) struct Chunks {
    /// A chunk's shape, and its bytes once they are unpacked.
    pub(super) chunk: Vec<usize>,
    pub(super) of_chunk: usize,
    /// Bytes of a value.
    pub(super) width: usize,
    pub(super) filters: Vec<Filter>,
    pub(super) chunks: Vec<Chunk>,
}

impl Chunks {
    /// Moves all positions by the number of bytes before this file inside another.
    pub(in crate::weights) fn shift(&mut self, by: usize) {
        for chunk in &mut self.chunks {
            chunk.bytes = chunk.bytes.start + by..chunk.bytes.end + by;
        }
    }

    /// The values of the tensor in row-major order.
    ///
    /// # Errors
    /// What is wrong with a chunk, worded to end a sentence about the tensor.
    pub(in crate::weights) fn assemble(
        &self,
        file: &[u8],
        shape: &[usize],
    ) -> Result<Vec<u8>, &'static str> {
        let mut out = vec![0; shape.iter().product::<usize>() * self.width];
        for chunk in &self.chunks {
            self.place(&self.unpack(file, chunk)?, &chunk.start, shape, &mut out);
        }
        Ok(out)
    }

    fn unpack(&self, file: &[u8], chunk: &Chunk) -> Result<Vec<u8>, &'static str> {
        let mut bytes = file[chunk.bytes.clone()].to_vec();
        for (i, filter) in self.filters.iter().enumerate().rev() {
            if chunk.skipped.checked_shr(i as u32).is_some_and(|bits| bits & 1 == 1) {
                continue;
            }
            bytes = match filter {
                Filter::Deflate => {
                    let mut out = Vec::new();
                    // A checksum may follow.
                    let most = self.of_chunk as u64 + 4;
                    let read = ZlibDecoder::new(&*bytes).take(most).read_to_end(&mut out);
                    read.map_err(|_| "has a chunk whose compression is damaged")?;
                    out
                }
                Filter::Shuffle => unshuffle(&bytes, self.width),
                Filter::Checksum => {
                    bytes.truncate(bytes.len().saturating_sub(4));
                    bytes
                }
            };
        }
        match bytes.len() == self.of_chunk {
            true => Ok(bytes),
            false => Err("has a chunk whose size is not what it says"),
        }
    }

    /// Copies the part of a chunk that lies in the tensor. All chunks start on the tensor's grid.
    fn place(&self, bytes: &[u8], start: &[usize], shape: &[usize], out: &mut [u8]) {
        let extents: Vec<usize> = start
            .iter()
            .zip(shape)
            .zip(&self.chunk)
            .map(|((&at, &size), &chunk)| chunk.min(size - at))
            .collect();
        let Some((&run, outer)) = extents.split_last() else {
            out.copy_from_slice(bytes);
            return;
        };
        let mut index = vec![0; outer.len()];
        for _ in 0..outer.iter().product::<usize>() {
            let (mut from, mut to) = (0, 0);
            for (d, &i) in index.iter().chain([&0]).enumerate() {
                from = from * self.chunk[d] + i;
                to = to * shape[d] + start[d] + i;
            }
            let count = run * self.width;
            out[to * self.width..][..count].copy_from_slice(&bytes[from * self.width..][..count]);
            for (i, &size) in index.iter_mut().zip(outer).rev() {
                *i += 1;
                if *i < size {
                    break;
                }
                *i = 0;
            }
        }
    }
}

fn unshuffle(bytes: &[u8], width: usize) -> Vec<u8> {
    let count = bytes.len() / width;
    // Bytes that do not fill a value stay at the end.
    let mut out = bytes.to_vec();
    for (i, &byte) in bytes[..count * width].iter().enumerate() {
        out[i % count * width + i / count] = byte;
    }
    out
}
