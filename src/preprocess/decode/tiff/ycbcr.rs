//! YCbCr to RGB as libtiff's `tif_color.c` and `tif_getimage.c` do it for Pillow: with the nearest
//! chroma, and tables in whole numbers.

use super::directory::{Directory, tag};
use super::mode::Format;
use super::pixels::Pixels;
use super::{corrupt, unsupported};
use crate::preprocess::error::DecodeError;

const SHIFT: i32 = 16;

pub(super) struct YCbCr {
    /// How many luma samples share a pair of chroma samples, across and down.
    across: usize,
    down: usize,
    light: [i32; 256],
    red_of_cr: [i32; 256],
    green_of_cr: [i32; 256],
    green_of_cb: [i32; 256],
    blue_of_cb: [i32; 256],
}

impl YCbCr {
    pub(super) fn read(
        tags: &Directory,
        format: &Format,
        tiled: bool,
    ) -> Result<Self, DecodeError> {
        if format.stored_samples != 3 {
            return Err(unsupported(&"YCbCr of one sample a pixel"));
        }
        let (across, down) = match *tags.numbers(tag::YCBCR_SUBSAMPLING)? {
            [] => (2, 2),
            [across, down] => (across as usize, down as usize),
            _ => return Err(corrupt(&"YCbCrSubSampling")),
        };
        if format.separate && (across, down) != (1, 1) {
            return Err(unsupported(&"subsampled chroma in separate planes"));
        }
        let this = Self::with_subsampling(tags, across, down)?;
        let number = |tag| tags.number(tag).map(|n| n.unwrap_or_default() as usize);
        let tile = (number(tag::TILE_WIDTH)?, number(tag::TILE_LENGTH)?);
        if tiled && (tile.0 % across != 0 || tile.1 % down != 0) {
            return Err(unsupported(&"tiles that cut a block of chroma"));
        }
        Ok(this)
    }

    /// `across`, `down`: how many luma samples share a pair of chroma samples.
    pub(super) fn with_subsampling(
        tags: &Directory,
        across: usize,
        down: usize,
    ) -> Result<Self, DecodeError> {
        let known = [(1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (4, 4)];
        if !known.contains(&(across, down)) {
            return Err(unsupported(&format!("chroma subsampled {across} by {down}")));
        }
        let number = |tag| tags.number(tag).map(|n| n.unwrap_or_default() as usize);
        if number(tag::WIDTH)? < across || number(tag::HEIGHT)? < down {
            return Err(unsupported(&"an image smaller than a block of its chroma"));
        }
        let luma = match *tags.fractions(tag::YCBCR_COEFFICIENTS)? {
            [] => [0.299, 0.587, 0.114],
            [red, green, blue] => [red, green, blue],
            _ => return Err(corrupt(&"YCbCrCoefficients")),
        };
        let range = match *tags.fractions(tag::REFERENCE_BLACK_WHITE)? {
            [] => [0.0, 255.0, 128.0, 255.0, 128.0, 255.0],
            [a, b, c, d, e, f] => [a, b, c, d, e, f],
            _ => return Err(corrupt(&"ReferenceBlackWhite")),
        };
        if luma[1] == 0.0 || luma.iter().any(|part| part.is_nan()) {
            return Err(corrupt(&"YCbCrCoefficients"));
        }
        if !range.iter().all(|value| value.abs() < 2_147_483_000.0) {
            return Err(corrupt(&"ReferenceBlackWhite"));
        }
        Ok(Self::with_tables(across, down, luma, range))
    }

    fn with_tables(across: usize, down: usize, luma: [f32; 3], range: [f32; 6]) -> Self {
        let fixed =
            |factor: f32| (f64::from(factor.clamp(0.0, 2.0)) * f64::from(1 << SHIFT) + 0.5) as i32;
        let [red, green, blue] = luma;
        let (of_red, of_blue) = (2.0 - 2.0 * red, 2.0 - 2.0 * blue);
        let cr_to_red = fixed(of_red);
        let cr_to_green = -fixed(red * of_red / green);
        let cb_to_blue = fixed(of_blue);
        let cb_to_green = -fixed(blue * of_blue / green);
        let value = |code: i32, black: f32, white: f32, range: f32| {
            let span = if white == black { 1.0 } else { white - black };
            let value = (code.wrapping_sub(black as i32)) as f32 * range / span;
            value.clamp(-128.0 * 32.0, 128.0 * 32.0) as i32
        };
        let half = 1 << (SHIFT - 1);
        let chroma = |code: usize, black: f32, white: f32| {
            value(code as i32 - 128, black - 128.0, white - 128.0, 127.0)
        };
        let cb: [i32; 256] = std::array::from_fn(|code| chroma(code, range[2], range[3]));
        let cr: [i32; 256] = std::array::from_fn(|code| chroma(code, range[4], range[5]));
        Self {
            across,
            down,
            light: std::array::from_fn(|code| value(code as i32, range[0], range[1], 255.0)),
            red_of_cr: cr.map(|cr| (cr_to_red * cr + half) >> SHIFT),
            green_of_cr: cr.map(|cr| cr_to_green * cr),
            green_of_cb: cb.map(|cb| cb_to_green * cb + half),
            blue_of_cb: cb.map(|cb| (cb_to_blue * cb + half) >> SHIFT),
        }
    }

    pub(super) fn is_subsampled(&self) -> bool {
        (self.across, self.down) != (1, 1)
    }

    pub(super) fn pixel(&self, y: u8, cb: u8, cr: u8) -> [u8; 3] {
        let (y, cb, cr) = (self.light[usize::from(y)], usize::from(cb), usize::from(cr));
        let green = (self.green_of_cb[cb] + self.green_of_cr[cr]) >> SHIFT;
        [y + self.red_of_cr[cr], y + green, y + self.blue_of_cb[cb]]
            .map(|value| value.clamp(0, 255) as u8)
    }

    /// Bytes of a block: its luma samples, row by row, then Cb and Cr.
    fn block(&self) -> usize {
        self.across * self.down + 2
    }

    fn block_row(&self, width: usize) -> usize {
        width.div_ceil(self.across) * self.block()
    }

    /// Bytes of a strip or tile. `None` if libtiff loses some to rounding.
    pub(super) fn chunk_bytes(&self, width: usize, rows: usize) -> Option<usize> {
        let row = self.block_row(width);
        row.is_multiple_of(self.down).then(|| row.saturating_mul(rows.div_ceil(self.down)))
    }

    /// Converts a chunk of packed blocks, `width` pixels wide, into the part of the image that
    /// begins at `left, top`.
    pub(super) fn to_rgb(
        &self,
        chunk: &[u8],
        width: usize,
        (left, top): (usize, usize),
        (across, down): (usize, usize),
        image: &mut Pixels,
    ) {
        let stride = self.block_row(width);
        for y in 0..down {
            let blocks = chunk[y / self.down * stride..][..stride].chunks_exact(self.block());
            let start = ((top + y) * image.width + left) * 3;
            let row = &mut image.data[start..][..across * 3];
            for (pixels, block) in row.chunks_mut(self.across * 3).zip(blocks) {
                let light = &block[y % self.down * self.across..];
                let [cb, cr] = [block[block.len() - 2], block[block.len() - 1]];
                for (pixel, y) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(light) {
                    *pixel = self.pixel(*y, cb, cr);
                }
            }
        }
    }

    /// The same from three planes.
    pub(super) fn planes_to_rgb(
        &self,
        planes: [&[u8]; 3],
        width: usize,
        (left, top): (usize, usize),
        (across, down): (usize, usize),
        image: &mut Pixels,
    ) {
        for y in 0..down {
            let [light, cb, cr] = planes.map(|plane| &plane[y * width..][..across]);
            let start = ((top + y) * image.width + left) * 3;
            let row = image.data[start..][..across * 3].as_chunks_mut::<3>().0;
            for (x, pixel) in row.iter_mut().enumerate() {
                *pixel = self.pixel(light[x], cb[x], cr[x]);
            }
        }
    }
}
