//! From rows of packed samples to the bytes of a mode, as in Pillow's `src/libImaging/Unpack.c`.

use super::directory::Order;
use super::mode::{Format, Mode};

/// How a row is packed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unpack {
    mode: Mode,
    /// Bits per sample.
    depth: usize,
    /// Samples per pixel in the row; samples beyond the mode's bands are left out.
    samples: usize,
    /// The byte order of samples of more than 8 bits.
    order: Order,
    /// Whether white is zero.
    inverted: bool,
    /// Whether the lowest bit of a byte is its first.
    reversed: bool,
    /// Whether colours are multiplied by their alpha.
    premultiplied: bool,
}

impl Unpack {
    /// For rows that hold all samples of a pixel. `reversed`: whether the bits of the rows are
    /// still reversed.
    pub(super) fn pixels(format: &Format, order: Order, reversed: bool) -> Self {
        Self {
            mode: format.mode,
            depth: format.depth,
            samples: format.samples,
            order,
            inverted: format.photometric == 0 && format.depth <= 8,
            reversed,
            premultiplied: format.mode == Mode::Rgba && format.extra == Some(1),
        }
    }

    /// For rows of one band. In uncompressed planes, Pillow ignores FillOrder and which end is
    /// white.
    pub(super) fn band(format: &Format) -> Self {
        Self { inverted: false, ..Self::pixels(format, Order::Little, false) }
    }

    pub(super) fn with_order(self, order: Order) -> Self {
        Self { order, ..self }
    }

    /// Bits per pixel in the row.
    pub(super) fn bits(&self) -> usize {
        self.depth * self.samples
    }

    /// Fills `out`, which has whole pixels, from a row that is long enough.
    pub(super) fn row(&self, row: &[u8], out: &mut [u8]) {
        match self.depth {
            1 | 2 | 4 => self.small(row, out),
            8 => self.bytes(row, out),
            12 => twelve_bits(row, out),
            16 if self.mode == Mode::Grey16 => {
                for (out, value) in pairs(out).zip(row.as_chunks::<2>().0) {
                    let value = if self.reversed { value.map(u8::reverse_bits) } else { *value };
                    *out = (self.order.number(&value) as u16).to_le_bytes();
                }
            }
            16 if self.mode == Mode::Integer => {
                let out = out.as_chunks_mut::<4>().0;
                for (out, value) in out.iter_mut().zip(row.as_chunks::<2>().0) {
                    *out = i32::from(self.order.number(value) as i16).to_le_bytes();
                }
            }
            16 => self.high_bytes(row, out),
            _ => {
                let out = out.as_chunks_mut::<4>().0;
                for (out, value) in out.iter_mut().zip(row.as_chunks::<4>().0) {
                    *out = (self.order.number(value) as u32).to_le_bytes();
                }
            }
        }
    }

    /// Samples of 1, 2 and 4 bits: levels are spread over a byte, indices are not.
    fn small(&self, row: &[u8], out: &mut [u8]) {
        let most = (1u8 << self.depth) - 1;
        let scale = if self.mode == Mode::Palette { 1 } else { 255 / most };
        let flip = if self.inverted { 255 } else { 0 };
        for (pixels, byte) in out.chunks_mut(8 / self.depth).zip(row) {
            let mut byte = if self.reversed { byte.reverse_bits() } else { *byte };
            for pixel in pixels {
                byte = byte.rotate_left(self.depth as u32);
                *pixel = ((byte & most) * scale) ^ flip;
            }
        }
    }

    fn bytes(&self, row: &[u8], out: &mut [u8]) {
        let bands = self.mode.bands();
        if self.samples == bands {
            let length = out.len();
            out.copy_from_slice(&row[..length]);
        } else {
            for (out, pixel) in out.chunks_exact_mut(bands).zip(row.chunks_exact(self.samples)) {
                out.copy_from_slice(&pixel[..bands]);
            }
        }
        self.finish(out);
    }

    /// The high byte of each sample of 16 bits.
    fn high_bytes(&self, row: &[u8], out: &mut [u8]) {
        let bands = self.mode.bands();
        let high = usize::from(self.order == Order::Little);
        for (out, pixel) in out.chunks_exact_mut(bands).zip(row.chunks_exact(self.samples * 2)) {
            for (out, value) in out.iter_mut().zip(pixel.as_chunks::<2>().0) {
                *out = value[high];
            }
        }
        self.finish(out);
    }

    fn finish(&self, out: &mut [u8]) {
        if self.reversed {
            out.iter_mut().for_each(|value| *value = value.reverse_bits());
        }
        if self.inverted {
            out.iter_mut().for_each(|value| *value = !*value);
        }
        if self.premultiplied {
            divide_by_alpha(out);
        }
        if self.mode == Mode::Lab {
            // These are signed in the file.
            for [_, a, b] in out.as_chunks_mut::<3>().0 {
                *a ^= 128;
                *b ^= 128;
            }
        }
    }
}

/// Fills one of the `bands` bands of `out` from a plane of 8 or 16 bits per sample. Of 16 bits, the
/// byte `high` counts.
pub(super) fn plane(
    row: &[u8],
    bytes: usize,
    high: usize,
    out: &mut [u8],
    bands: usize,
    at: usize,
) {
    for (out, value) in out.chunks_exact_mut(bands).zip(row.chunks_exact(bytes)) {
        out[at] = value[high];
    }
}

/// Undoes the multiplication of colours by their alpha, like Pillow's conversion of `RGBa` to
/// `RGBA`.
pub(super) fn divide_by_alpha(rgba: &mut [u8]) {
    for pixel in rgba.as_chunks_mut::<4>().0 {
        match pixel[3] {
            0 => *pixel = [0; 4],
            255 => {}
            alpha => {
                for value in &mut pixel[..3] {
                    *value = (u32::from(*value) * 255 / u32::from(alpha)).min(255) as u8;
                }
            }
        }
    }
}

fn twelve_bits(row: &[u8], out: &mut [u8]) {
    for (index, out) in pairs(out).enumerate() {
        let at = index / 2 * 3;
        let value = if index % 2 == 0 {
            (u16::from(row[at]) << 4) | u16::from(row[at + 1] >> 4)
        } else {
            (u16::from(row[at + 1] & 15) << 8) | u16::from(row[at + 2])
        };
        *out = value.to_le_bytes();
    }
}

fn pairs(out: &mut [u8]) -> impl Iterator<Item = &mut [u8; 2]> {
    out.as_chunks_mut::<2>().0.iter_mut()
}
