//! PBM, PGM and PPM (P1 to P6), with Pillow's rounding of samples whose maximum is not 255
//! (`PIL/PpmImagePlugin.py`).

use std::fmt::Display;

use super::DecodeOptions;
use crate::preprocess::error::DecodeError;
use crate::preprocess::raster::{Raster, Samples};

const FORMAT: &str = "PNM";

pub(super) fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Raster, DecodeError> {
    let kind = bytes.get(1).copied().unwrap_or_default();
    let mut reader = Reader { bytes, at: 2 };
    let (width, height) = (reader.number("the width")?, reader.number("the height")?);
    options.limits.check_pixels(width.into(), height.into())?;
    let most = match kind {
        b'1' | b'4' => 1,
        _ => reader.number("the largest value")?,
    };
    if width == 0 || height == 0 || !(1..=65_535).contains(&most) {
        return Err(corrupt(&format!("{width}x{height} pixels of 0 to {most}")));
    }
    let colour = matches!(kind, b'3' | b'6');
    let scale = Scale { most, wide_grey: most > 255 && !colour };
    let count = width as usize * height as usize * if colour { 3 } else { 1 };
    // A file holds at least a bit a sample, so that memory follows its length, not its header.
    if count.div_ceil(8) > bytes.len() {
        return Err(DecodeError::Truncated { format: FORMAT });
    }
    let pixels = u64::from(width) * u64::from(height);
    options.limits.check_memory(FORMAT, pixels * 3 + count as u64)?;
    let samples: Vec<u8> = match kind {
        b'1' => (0..count).map(|_| reader.bit()).collect::<Result<_, _>>()?,
        b'4' => {
            let rows = reader.raw((width as usize).div_ceil(8) * height as usize)?;
            let bit = |row: &[u8], x: usize| {
                if row[x / 8] & (0x80 >> (x % 8)) == 0 { 255 } else { 0 }
            };
            let rows = rows.chunks_exact((width as usize).div_ceil(8));
            rows.flat_map(|row| (0..width as usize).map(move |x| bit(row, x))).collect()
        }
        b'2' | b'3' => {
            let value = |_| reader.number("a sample").map(|value| scale.apply(value));
            (0..count).map(value).collect::<Result<_, _>>()?
        }
        _ if most > 255 => {
            let values = reader.raw(count * 2)?.as_chunks::<2>().0;
            let value = |value: &[u8; 2]| scale.apply(u16::from_be_bytes(*value).into());
            values.iter().map(value).collect()
        }
        _ => {
            let values = reader.raw(count)?;
            values.iter().map(|value| scale.apply((*value).into())).collect()
        }
    };
    let samples = if colour { Samples::Rgb(samples) } else { Samples::Grey(samples) };
    Ok(Raster::new(width, height, samples))
}

fn corrupt(reason: &dyn Display) -> DecodeError {
    DecodeError::corrupt(FORMAT, reason)
}

struct Scale {
    most: u32,
    wide_grey: bool,
}

impl Scale {
    fn apply(&self, value: u32) -> u8 {
        let share = f64::from(value.min(self.most)) / f64::from(self.most);
        if self.wide_grey {
            // Pillow's mode `I`: 16 bits, clipped where it becomes RGB.
            (share * 65_535.0).round_ties_even() as u8
        } else {
            (share * 255.0).round_ties_even() as u8
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// The next byte that is neither white space nor in a comment.
    fn significant(&mut self) -> Result<u8, DecodeError> {
        loop {
            let byte = *self.bytes.get(self.at).ok_or(DecodeError::Truncated { format: FORMAT })?;
            self.at += 1;
            if byte == b'#' {
                let rest = &self.bytes[self.at..];
                self.at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            } else if !byte.is_ascii_whitespace() {
                return Ok(byte);
            }
        }
    }

    /// A decimal number and the one byte of white space after it.
    fn number(&mut self, what: &str) -> Result<u32, DecodeError> {
        let mut byte = Some(self.significant()?);
        let mut number = 0u32;
        while let Some(digit) = byte.filter(|byte| !byte.is_ascii_whitespace()) {
            number = Some(digit)
                .filter(u8::is_ascii_digit)
                .and_then(|digit| number.checked_mul(10)?.checked_add(u32::from(digit - b'0')))
                .ok_or_else(|| corrupt(&format!("{what} is not a number of 32 bits")))?;
            byte = self.bytes.get(self.at).copied();
            self.at += 1;
        }
        Ok(number)
    }

    /// One sample of a P1 file, where 1 is black.
    fn bit(&mut self) -> Result<u8, DecodeError> {
        match self.significant()? {
            b'0' => Ok(255),
            b'1' => Ok(0),
            other => Err(corrupt(&format!("{:?} is not 0 or 1", char::from(other)))),
        }
    }

    fn raw(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        rest.get(..length).ok_or(DecodeError::Truncated { format: FORMAT })
    }
}
