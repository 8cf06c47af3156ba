//! The Predictor tag: samples stored as differences from their left neighbours.

use super::codec::Codec;
use super::directory::{Directory, Order, tag};
use super::mode::Format;
use super::{corrupt, unsupported};
use crate::preprocess::error::DecodeError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    Horizontal,
    FloatingPoint,
}

#[derive(Debug)]
pub(super) struct Predictor {
    kind: Kind,
    order: Order,
    /// Bytes of a sample.
    bytes: usize,
    /// Samples per pixel.
    samples: usize,
    row_bytes: usize,
}

impl Predictor {
    /// `samples` is per pixel, `row_bytes` per row, in a strip or tile.
    pub(super) fn read(
        tags: &Directory,
        format: &Format,
        codec: &Codec,
        samples: usize,
        row_bytes: usize,
    ) -> Result<Self, DecodeError> {
        let kind = match (number(tags, codec)?, format.depth) {
            (1, _) => Kind::None,
            (2, 8 | 16 | 32) => Kind::Horizontal,
            (3, 16 | 32) if format.signed_or_float => Kind::FloatingPoint,
            (predictor @ (2 | 3), depth) => {
                return Err(unsupported(&format!("Predictor {predictor} for {depth} bits")));
            }
            (predictor, _) => return Err(corrupt(&format!("Predictor {predictor}"))),
        };
        Ok(Self { kind, order: tags.order, bytes: format.depth / 8, samples, row_bytes })
    }

    /// For samples that cannot have a predictor.
    pub(super) fn none(tags: &Directory, codec: &Codec) -> Result<Self, DecodeError> {
        match number(tags, codec)? {
            1 => {
                let kind = Kind::None;
                Ok(Self { kind, order: tags.order, bytes: 1, samples: 1, row_bytes: 1 })
            }
            _ => Err(unsupported(&"a Predictor over subsampled chroma")),
        }
    }

    /// The order of bytes once the differences are undone.
    pub(super) fn order_after(&self, order: Order) -> Order {
        if self.kind == Kind::None { order } else { Order::Little }
    }

    pub(super) fn undo(&self, chunk: &mut [u8]) {
        let pixel = self.samples * self.bytes;
        for row in chunk.chunks_exact_mut(self.row_bytes) {
            match self.kind {
                Kind::None => return,
                Kind::Horizontal if self.bytes == 1 => add_left(row, self.samples),
                Kind::Horizontal => {
                    if self.order == Order::Big {
                        row.chunks_exact_mut(self.bytes).for_each(<[u8]>::reverse);
                    }
                    add_left_wide(row, self.bytes, pixel);
                }
                Kind::FloatingPoint => {
                    add_left(row, self.samples);
                    // The highest bytes of all samples come first.
                    let apart = row.to_vec();
                    let count = row.len() / self.bytes;
                    for (index, value) in row.chunks_exact_mut(self.bytes).enumerate() {
                        for (byte, out) in value.iter_mut().rev().enumerate() {
                            *out = apart[byte * count + index];
                        }
                    }
                }
            }
        }
    }
}

fn number(tags: &Directory, codec: &Codec) -> Result<u64, DecodeError> {
    let number = if codec.has_predictor() { tags.single(tag::PREDICTOR)? } else { None };
    Ok(number.unwrap_or(1))
}

fn add_left(row: &mut [u8], distance: usize) {
    match distance {
        1 => add_pixels::<1>(row),
        3 => add_pixels::<3>(row),
        4 => add_pixels::<4>(row),
        _ => {
            for at in distance..row.len() {
                row[at] = row[at].wrapping_add(row[at - distance]);
            }
        }
    }
}

fn add_pixels<const SAMPLES: usize>(row: &mut [u8]) {
    let mut sum = [0u8; SAMPLES];
    for pixel in row.as_chunks_mut::<SAMPLES>().0 {
        for (sum, value) in sum.iter_mut().zip(pixel) {
            *sum = sum.wrapping_add(*value);
            *value = *sum;
        }
    }
}

/// The same for little-endian samples of 2 or 4 bytes; `distance` in bytes.
fn add_left_wide(row: &mut [u8], bytes: usize, distance: usize) {
    for at in (distance..row.len()).step_by(bytes) {
        let sum = Order::Little
            .number(&row[at..at + bytes])
            .wrapping_add(Order::Little.number(&row[at - distance..][..bytes]));
        row[at..at + bytes].copy_from_slice(&sum.to_le_bytes()[..bytes]);
    }
}
