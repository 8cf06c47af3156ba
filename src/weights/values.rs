//! Stored bytes to f32. Its values include all of f16 and bf16; f64 is rounded to the nearest, ties
//! to even.

use half::f16;
use half::slice::HalfFloatSliceExt;
use safetensors::Dtype;

/// Values converted at a time: the piece stays in the first-level cache for the check that follows.
const PIECE: usize = 4096;

/// A type that weights are stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    F32,
    F16,
    Bf16,
    F64,
}

impl Stored {
    /// The stored type, or `None` for one that holds no weights.
    pub(super) fn of(dtype: Dtype) -> Option<Self> {
        match dtype {
            Dtype::F32 => Some(Self::F32),
            Dtype::F16 => Some(Self::F16),
            Dtype::BF16 => Some(Self::Bf16),
            Dtype::F64 => Some(Self::F64),
            _ => None,
        }
    }

    /// Bytes of a value.
    pub(super) fn width(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

/// A value that is NaN or infinite, and its index.
#[derive(Debug, PartialEq)]
pub(super) struct NonFinite {
    pub(super) index: usize,
    pub(super) value: f32,
}

/// Converts little-endian `bytes` of any alignment to f32 and checks that every value is finite.
pub(super) fn to_f32(stored: Stored, bytes: &[u8]) -> Result<Vec<f32>, NonFinite> {
    let mut values = vec![0f32; bytes.len() / stored.width()];
    let pieces = values.chunks_mut(PIECE).zip(bytes.chunks(PIECE * stored.width()));
    for (i, (out, bytes)) in pieces.enumerate() {
        convert(stored, bytes, out);
        if let Some(at) = first_non_finite(out) {
            return Err(NonFinite { index: i * PIECE + at, value: out[at] });
        }
    }
    Ok(values)
}

/// Converts one piece; `bytes` holds as many values as `out`, which is at most [`PIECE`].
fn convert(stored: Stored, bytes: &[u8], out: &mut [f32]) {
    let (pairs, _) = bytes.as_chunks::<2>();
    match stored {
        Stored::F32 => {
            let (words, _) = bytes.as_chunks::<4>();
            for (value, word) in out.iter_mut().zip(words) {
                *value = f32::from_le_bytes(*word);
            }
        }
        Stored::F64 => {
            let (words, _) = bytes.as_chunks::<8>();
            for (value, word) in out.iter_mut().zip(words) {
                *value = f64::from_le_bytes(*word) as f32;
            }
        }
        Stored::Bf16 => {
            for (value, pair) in out.iter_mut().zip(pairs) {
                *value = f32::from_bits(u32::from(u16::from_le_bytes(*pair)) << 16);
            }
        }
        Stored::F16 => {
            let mut halves = [f16::ZERO; PIECE];
            for (half, pair) in halves.iter_mut().zip(pairs) {
                *half = f16::from_le_bytes(*pair);
            }
            halves[..out.len()].convert_to_f32_slice(out);
        }
    }
}

/// Index of the first NaN or infinity.
pub(super) fn first_non_finite(values: &[f32]) -> Option<usize> {
    // The largest exponent field shows in one pass without branches whether any value needs a
    // closer look.
    const EXPONENT: u32 = 0x7f80_0000;
    let largest = values.iter().fold(0, |m, v| m.max(v.to_bits() & EXPONENT));
    if largest < EXPONENT {
        return None;
    }
    values.iter().position(|v| !v.is_finite())
}
