//! Rows of packed samples, as Pillow's raw decoder reads them (`src/libImaging/RawDecode.c`).

use super::budget::Job;
use crate::preprocess::error::DecodeError;

/// How rows lie in a file.
pub(super) struct Layout {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) bits: usize,
    /// Bytes from one row to the next.
    pub(super) stride: usize,
    pub(super) bottom_up: bool,
}

impl Layout {
    fn row(&self) -> usize {
        (self.width * self.bits).div_ceil(8)
    }

    /// The rows from the top, without what is between them. The last needs no padding. Missing
    /// bytes are an error, or zero if the job is lenient.
    pub(super) fn read(
        &self,
        data: &[u8],
        format: &'static str,
        job: &Job<'_>,
    ) -> Result<Vec<u8>, DecodeError> {
        let row = self.row();
        let stride = self.stride.max(row);
        if data.len() < stride * (self.height - 1) + row && !job.lenient {
            return Err(DecodeError::Truncated { format });
        }
        let mut rows = vec![0; row * self.height];
        let copy = |(to, from): (&mut [u8], &[u8])| {
            if let Some(from) = from.get(..row) {
                to.copy_from_slice(from);
            }
        };
        let from = data.chunks(stride);
        if self.bottom_up {
            rows.chunks_exact_mut(row).rev().zip(from).for_each(copy);
        } else {
            rows.chunks_exact_mut(row).zip(from).for_each(copy);
        }
        Ok(rows)
    }

    /// Samples of 1, 2, 4 or 8 bits, the first in the highest bits, to one byte each.
    pub(super) fn unpack(&self, rows: Vec<u8>) -> Vec<u8> {
        unpack(rows, self.width, self.bits)
    }
}

/// Rows of samples of 1, 2, 4 or 8 bits, the first in the highest bits, to a byte each.
pub(super) fn unpack(rows: Vec<u8>, width: usize, bits: usize) -> Vec<u8> {
    if bits == 8 {
        return rows;
    }
    let (per_byte, mask) = (8 / bits, (1u8 << bits) - 1);
    let mut samples = Vec::with_capacity(rows.len() * per_byte);
    for row in rows.chunks_exact((width * bits).div_ceil(8)) {
        samples.extend((0..width).map(|x| {
            let shift = 8 - bits * (x % per_byte + 1);
            (row[x / per_byte] >> shift) & mask
        }));
    }
    samples
}

/// A little-endian number of 16 bits.
pub(super) fn u16_le(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A little-endian number of 32 bits.
pub(super) fn u32_le(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A palette whose colours past the given ones are black.
pub(super) fn palette(colours: impl Iterator<Item = [u8; 4]>) -> Box<[[u8; 4]; 256]> {
    let mut palette = Box::new([[0, 0, 0, 255]; 256]);
    for (entry, colour) in palette.iter_mut().zip(colours) {
        *entry = colour;
    }
    palette
}

/// A 5- or 6-bit sample widened as Pillow does, without rounding.
pub(super) fn widen(sample: u16, bits: u32) -> u8 {
    let most = (1u32 << bits) - 1;
    ((u32::from(sample) & most) * 255 / most) as u8
}
