//! PBM, PGM, PPM and PFM, with Pillow's rounding of samples whose maximum is not 255
//! (`PIL/PpmImagePlugin.py`).

use std::fmt::Display;

use image::metadata::Orientation;

use super::budget::Job;
use super::rows::Layout;
use crate::preprocess::error::DecodeError;
use crate::preprocess::raster::{Raster, Samples};

const FORMAT: &str = "PNM";
const TRUNCATED: DecodeError = DecodeError::Truncated { format: FORMAT };
/// The most digits of a number in a header or in a plain file.
const MAX_DIGITS: usize = 10;

/// A file's kind, by its magic number.
#[derive(Clone, Copy, PartialEq)]
struct Kind {
    magic: &'static [u8],
    channels: usize,
    plain: bool,
}

const KINDS: [Kind; 8] = [
    Kind { magic: b"P1", channels: 1, plain: true },
    Kind { magic: b"P2", channels: 1, plain: true },
    Kind { magic: b"P3", channels: 3, plain: true },
    Kind { magic: b"P4", channels: 1, plain: false },
    Kind { magic: b"P5", channels: 1, plain: false },
    Kind { magic: b"P6", channels: 3, plain: false },
    Kind { magic: b"P0CMYK", channels: 4, plain: false },
    Kind { magic: b"Pf", channels: 1, plain: false },
];

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// The kind, and where the bytes after its magic number begin. Pillow reads at most six bytes, or
/// fewer and the white space after them.
fn kind(bytes: &[u8]) -> Option<(Kind, usize)> {
    let length = bytes.iter().take(6).position(|byte| is_space(*byte));
    let magic = &bytes[..length.unwrap_or(6.min(bytes.len()))];
    let kind = KINDS.into_iter().find(|kind| kind.magic == magic)?;
    Some((kind, magic.len() + usize::from(length.is_some())))
}

pub(super) fn accepts(bytes: &[u8]) -> bool {
    kind(bytes).is_some()
}

pub(super) fn decode(bytes: &[u8], job: &Job<'_>) -> Result<(Raster, Orientation), DecodeError> {
    let (kind, at) = kind(bytes).ok_or(TRUNCATED)?;
    let mut reader = Reader { bytes, at };
    let (width, height) = (reader.side()?, reader.side()?);
    let (columns, rows) = (width as usize, height as usize);
    let layout =
        |bits, bottom_up| Layout { width: columns, height: rows, bits, stride: 0, bottom_up };
    job.admit(FORMAT, width.into(), height.into(), 8)?;
    let count = columns * rows * kind.channels;
    // A file holds at least one bit per sample, so its length bounds the memory, whatever the
    // header says.
    if count.div_ceil(8) > bytes.len() && !job.lenient {
        return Err(TRUNCATED);
    }
    let samples = match kind.magic {
        b"P1" => Samples::Grey(reader.bits(count)?),
        b"P4" => {
            let layout = layout(1, false);
            // 1 is black, and so are missing pixels.
            let white: Vec<u8> = reader.rest().iter().map(|bits| !bits).collect();
            let bits = layout.unpack(layout.read(&white, FORMAT, job)?);
            Samples::Grey(bits.into_iter().map(|bit| 255 * bit).collect())
        }
        b"Pf" => {
            let scale = reader.token()?;
            let scale: Option<f64> = std::str::from_utf8(&scale).ok().and_then(|s| s.parse().ok());
            let scale = scale.filter(|scale| *scale != 0.0 && scale.is_finite());
            let scale = scale.ok_or_else(|| corrupt(&"its scale is not a nonzero number"))?;
            let data = layout(32, true).read(reader.rest(), FORMAT, job)?;
            let number = if scale < 0.0 { f32::from_le_bytes } else { f32::from_be_bytes };
            Samples::Float(data.as_chunks::<4>().0.iter().map(|bytes| number(*bytes)).collect())
        }
        _ => {
            let most = reader.number()?;
            if !(1..=65_535).contains(&most) {
                return Err(corrupt(&format!("samples of 0 to {most}")));
            }
            let scale = Scale { most, wide: most > 255 && kind.channels == 1 };
            let values: Vec<u32> = if kind.plain {
                reader.numbers(count, most)?
            } else if most == 255 {
                let data = layout(8 * kind.channels, false).read(reader.rest(), FORMAT, job)?;
                return Ok((raster(width, height, kind, data), Orientation::NoTransforms));
            } else if most == 65_535 && scale.wide {
                let data = layout(16, false).read(reader.rest(), FORMAT, job)?;
                data.as_chunks::<2>().0.iter().map(|v| u16::from_be_bytes(*v).into()).collect()
            } else {
                reader.samples(count, most)?
            };
            if scale.wide {
                Samples::Wide(values.into_iter().map(|value| scale.apply(value) as i32).collect())
            } else {
                let data = values.into_iter().map(|value| scale.apply(value) as u8).collect();
                return Ok((raster(width, height, kind, data), Orientation::NoTransforms));
            }
        }
    };
    Ok((Raster::new(width, height, samples), Orientation::NoTransforms))
}

fn raster(width: u32, height: u32, kind: Kind, data: Vec<u8>) -> Raster {
    let samples = match kind.channels {
        1 => Samples::Grey(data),
        3 => Samples::Rgb(data),
        _ => Samples::Cmyk(data),
    };
    Raster::new(width, height, samples)
}

fn corrupt(reason: &dyn Display) -> DecodeError {
    DecodeError::corrupt(FORMAT, reason)
}

struct Scale {
    most: u32,
    /// Grey of more than 8 bits, Pillow's mode `I`.
    wide: bool,
}

impl Scale {
    fn apply(&self, value: u32) -> u32 {
        let top = if self.wide { 65_535.0 } else { 255.0 };
        let scaled = f64::from(value) / f64::from(self.most) * top;
        scaled.round_ties_even().min(top) as u32
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The bytes up to the next white space, without comments. A comment includes its end of line,
    /// so a number continues after it.
    fn token(&mut self) -> Result<Vec<u8>, DecodeError> {
        let mut token = Vec::new();
        let mut comment = false;
        while let Some(byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'\r' | b'\n' if comment => comment = false,
                _ if comment => {}
                b'#' => comment = true,
                byte if is_space(*byte) && token.is_empty() => {}
                byte if is_space(*byte) => break,
                byte => token.push(*byte),
            }
            if token.len() > MAX_DIGITS {
                return Err(corrupt(&"a number of too many digits"));
            }
        }
        if token.is_empty() { Err(TRUNCATED) } else { Ok(token) }
    }

    fn number(&mut self) -> Result<u32, DecodeError> {
        digits(&self.token()?)
    }

    fn side(&mut self) -> Result<u32, DecodeError> {
        match self.number()? {
            0 => Err(corrupt(&"a side of 0 pixels")),
            side => Ok(side),
        }
    }

    /// A plain file's bytes without its comments.
    fn without_comments(&self) -> impl Iterator<Item = u8> + 'a {
        let mut comment = false;
        self.rest().iter().copied().filter(move |byte| {
            let end = matches!(byte, b'\r' | b'\n');
            let inside = comment || *byte == b'#';
            comment = inside && !end;
            !inside
        })
    }

    /// Samples of a P1 file, in which 1 is black and nothing needs to separate two samples.
    fn bits(&self, count: usize) -> Result<Vec<u8>, DecodeError> {
        let bits = self.without_comments().filter(|byte| !is_space(*byte));
        let levels: Result<Vec<u8>, _> = bits
            .map(|byte| match byte {
                b'0' => Ok(255),
                b'1' => Ok(0),
                other => Err(corrupt(&format!("{:?} is not 0 or 1", char::from(other)))),
            })
            .collect();
        let mut levels = all(levels?, count)?;
        levels.truncate(count);
        Ok(levels)
    }

    /// Samples of a P2 or P3 file.
    fn numbers(&self, count: usize, most: u32) -> Result<Vec<u32>, DecodeError> {
        let mut values = Vec::new();
        let mut token = Vec::new();
        for byte in self.without_comments().chain([b' ']) {
            if !is_space(byte) {
                token.push(byte);
            } else if !token.is_empty() {
                let value = digits(&token)?;
                if value > most {
                    return Err(corrupt(&format!("a sample of {value} beyond {most}")));
                }
                values.push(value);
                token.clear();
            }
            if values.len() == count {
                break;
            }
            if token.len() > MAX_DIGITS {
                return Err(corrupt(&"a number of too many digits"));
            }
        }
        all(values, count)
    }

    /// Samples of a P5 or P6 file, of one byte or two, depending on their maximum.
    fn samples(&self, count: usize, most: u32) -> Result<Vec<u32>, DecodeError> {
        let values = if most < 256 {
            self.rest().iter().take(count).map(|byte| u32::from(*byte)).collect()
        } else {
            let pairs = self.rest().as_chunks::<2>().0.iter().take(count);
            pairs.map(|pair| u16::from_be_bytes(*pair).into()).collect()
        };
        all(values, count)
    }
}

/// The samples, if they are all there. Pillow's lenient mode does not reach these decoders.
fn all<T>(samples: Vec<T>, count: usize) -> Result<Vec<T>, DecodeError> {
    if samples.len() < count { Err(TRUNCATED) } else { Ok(samples) }
}

fn digits(token: &[u8]) -> Result<u32, DecodeError> {
    let number = |number: u32, digit: &u8| {
        let digit = Some(digit).filter(|digit| digit.is_ascii_digit())?;
        number.checked_mul(10)?.checked_add(u32::from(digit - b'0'))
    };
    let value = if token.len() > MAX_DIGITS { None } else { token.iter().try_fold(0, number) };
    value.ok_or_else(|| corrupt(&"a number is missing, invalid or larger than 32 bits"))
}
