//! Which of Pillow's modes a file opens in: the table `OPEN_INFO` of its `TiffImagePlugin`.

use super::directory::{Directory, Order, tag};
use super::{corrupt, unsupported};
use crate::preprocess::error::DecodeError;

/// Pillow's modes that a TIFF can open in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// `1`, as bytes of 0 and 255.
    Bilevel,
    /// `L`.
    Grey,
    /// `LA`.
    GreyAlpha,
    /// `La`: grey multiplied by its alpha. Pillow cannot convert it.
    PremultipliedGrey,
    /// `I;16`, little-endian.
    Grey16,
    /// `I`, little-endian.
    Integer,
    /// `F`, little-endian.
    Float,
    /// `P`.
    Palette,
    /// `PA`.
    PaletteAlpha,
    /// `RGB`.
    Rgb,
    /// `RGBA`.
    Rgba,
    /// `CMYK`.
    Cmyk,
    /// `YCbCr`.
    YCbCr,
    /// `LAB`.
    Lab,
}

impl Mode {
    /// Samples per pixel.
    pub(super) fn bands(self) -> usize {
        match self {
            Self::Bilevel
            | Self::Grey
            | Self::Grey16
            | Self::Integer
            | Self::Float
            | Self::Palette => 1,
            Self::GreyAlpha | Self::PremultipliedGrey | Self::PaletteAlpha => 2,
            Self::Rgb | Self::YCbCr | Self::Lab => 3,
            Self::Rgba | Self::Cmyk => 4,
        }
    }

    /// Bytes per pixel.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Grey16 => 2,
            Self::Integer | Self::Float => 4,
            mode => mode.bands(),
        }
    }

    /// Further bytes per pixel that are in memory while the image is converted.
    pub(super) fn bytes_beside(self) -> usize {
        match self {
            Self::Grey16 | Self::Integer | Self::Float | Self::PaletteAlpha => 4,
            // RGB, on the way to grey.
            Self::Cmyk => 3,
            _ => 0,
        }
    }
}

const UNSIGNED: u64 = 1;
const SIGNED: u64 = 2;
const FLOAT: u64 = 3;

const EITHER: &[Order] = &[Order::Little, Order::Big];
const LITTLE: &[Order] = &[Order::Little];

const FIRST: &[u64] = &[1];
const BOTH: &[u64] = &[1, 2];

/// The most samples per pixel in the table.
const MOST_SAMPLES: usize = 6;

/// A row: PhotometricInterpretation, SampleFormat, byte orders, FillOrders, bits per sample,
/// samples per pixel, ExtraSamples, mode.
type Row = (u64, u64, &'static [Order], &'static [u64], u64, usize, &'static [u64], Mode);

#[rustfmt::skip]
const MODES: &[Row] = &[
    // White is zero.
    (0, UNSIGNED, EITHER, BOTH,   1, 1, &[],        Mode::Bilevel),
    (0, UNSIGNED, EITHER, BOTH,   2, 1, &[],        Mode::Grey),
    (0, UNSIGNED, EITHER, BOTH,   4, 1, &[],        Mode::Grey),
    (0, UNSIGNED, EITHER, BOTH,   8, 1, &[],        Mode::Grey),
    (0, UNSIGNED, LITTLE, FIRST, 16, 1, &[],        Mode::Grey16),
    (0, FLOAT,    EITHER, FIRST, 32, 1, &[],        Mode::Float),
    // Black is zero.
    (1, UNSIGNED, EITHER, BOTH,   1, 1, &[],        Mode::Bilevel),
    (1, UNSIGNED, EITHER, BOTH,   2, 1, &[],        Mode::Grey),
    (1, UNSIGNED, EITHER, BOTH,   4, 1, &[],        Mode::Grey),
    (1, UNSIGNED, EITHER, BOTH,   8, 1, &[],        Mode::Grey),
    (1, SIGNED,   EITHER, FIRST,  8, 1, &[],        Mode::Grey),
    (1, UNSIGNED, LITTLE, FIRST, 12, 1, &[],        Mode::Grey16),
    (1, UNSIGNED, EITHER, FIRST, 16, 1, &[],        Mode::Grey16),
    (1, UNSIGNED, LITTLE, &[2],  16, 1, &[],        Mode::Grey16),
    (1, SIGNED,   EITHER, FIRST, 16, 1, &[],        Mode::Integer),
    (1, UNSIGNED, LITTLE, FIRST, 32, 1, &[],        Mode::Integer),
    (1, SIGNED,   EITHER, FIRST, 32, 1, &[],        Mode::Integer),
    (1, FLOAT,    EITHER, FIRST, 32, 1, &[],        Mode::Float),
    (1, UNSIGNED, EITHER, FIRST,  8, 2, &[0],       Mode::Grey),
    (1, UNSIGNED, EITHER, FIRST,  8, 2, &[1],       Mode::PremultipliedGrey),
    (1, UNSIGNED, EITHER, FIRST,  8, 2, &[2],       Mode::GreyAlpha),
    // RGB. 999 is CorelDRAW's alpha.
    (2, UNSIGNED, EITHER, BOTH,   8, 3, &[],        Mode::Rgb),
    (2, UNSIGNED, EITHER, FIRST,  8, 4, &[],        Mode::Rgba),
    (2, UNSIGNED, EITHER, FIRST,  8, 4, &[0],       Mode::Rgb),
    (2, UNSIGNED, EITHER, FIRST,  8, 5, &[0, 0],    Mode::Rgb),
    (2, UNSIGNED, EITHER, FIRST,  8, 6, &[0, 0, 0], Mode::Rgb),
    (2, UNSIGNED, EITHER, FIRST,  8, 4, &[1],       Mode::Rgba),
    (2, UNSIGNED, EITHER, FIRST,  8, 5, &[1, 0],    Mode::Rgba),
    (2, UNSIGNED, EITHER, FIRST,  8, 6, &[1, 0, 0], Mode::Rgba),
    (2, UNSIGNED, EITHER, FIRST,  8, 4, &[2],       Mode::Rgba),
    (2, UNSIGNED, EITHER, FIRST,  8, 5, &[2, 0],    Mode::Rgba),
    (2, UNSIGNED, EITHER, FIRST,  8, 6, &[2, 0, 0], Mode::Rgba),
    (2, UNSIGNED, EITHER, FIRST,  8, 4, &[999],     Mode::Rgba),
    (2, UNSIGNED, EITHER, FIRST, 16, 3, &[],        Mode::Rgb),
    (2, UNSIGNED, EITHER, FIRST, 16, 4, &[],        Mode::Rgba),
    (2, UNSIGNED, EITHER, FIRST, 16, 4, &[0],       Mode::Rgb),
    (2, UNSIGNED, EITHER, FIRST, 16, 4, &[1],       Mode::Rgba),
    (2, UNSIGNED, EITHER, FIRST, 16, 4, &[2],       Mode::Rgba),
    // Palette.
    (3, UNSIGNED, EITHER, BOTH,   1, 1, &[],        Mode::Palette),
    (3, UNSIGNED, EITHER, BOTH,   2, 1, &[],        Mode::Palette),
    (3, UNSIGNED, EITHER, BOTH,   4, 1, &[],        Mode::Palette),
    (3, UNSIGNED, EITHER, BOTH,   8, 1, &[],        Mode::Palette),
    (3, UNSIGNED, EITHER, FIRST,  8, 2, &[0],       Mode::Palette),
    (3, UNSIGNED, EITHER, FIRST,  8, 2, &[2],       Mode::PaletteAlpha),
    // Inks.
    (5, UNSIGNED, EITHER, FIRST,  8, 4, &[],        Mode::Cmyk),
    (5, UNSIGNED, EITHER, FIRST,  8, 5, &[0],       Mode::Cmyk),
    (5, UNSIGNED, EITHER, FIRST,  8, 6, &[0, 0],    Mode::Cmyk),
    (5, UNSIGNED, EITHER, FIRST, 16, 4, &[],        Mode::Cmyk),
    (6, UNSIGNED, EITHER, FIRST,  8, 1, &[],        Mode::Grey),
    (6, UNSIGNED, EITHER, FIRST,  8, 3, &[],        Mode::YCbCr),
    (8, UNSIGNED, EITHER, FIRST,  8, 3, &[],        Mode::Lab),
];

/// What the tags say about a pixel.
pub(super) struct Format {
    pub(super) mode: Mode,
    pub(super) photometric: u64,
    /// Bits per sample.
    pub(super) depth: usize,
    /// Samples per pixel that count, extra ones included.
    pub(super) samples: usize,
    /// Samples per pixel in the file. In separate planes, extra samples without a meaning do not
    /// count.
    pub(super) stored_samples: usize,
    pub(super) separate: bool,
    /// Whether the lowest bit of a byte is its first.
    pub(super) reversed: bool,
    pub(super) signed_or_float: bool,
    /// The first value of ExtraSamples.
    pub(super) extra: Option<u64>,
}

impl Format {
    /// `old_jpeg`: whether the compression is old JPEG, which always means YCbCr.
    pub(super) fn read(tags: &Directory, old_jpeg: bool) -> Result<Self, DecodeError> {
        let planes = tags.number(tag::PLANAR_CONFIGURATION)?.unwrap_or(1);
        if !matches!(planes, 1 | 2) {
            return Err(corrupt(&format!("PlanarConfiguration {planes}")));
        }
        let separate = planes == 2;
        // Pillow ignores a photometric tag with more than one value.
        let photometric = match *tags.numbers(tag::PHOTOMETRIC)? {
            _ if old_jpeg => 6,
            [value] => value,
            _ => 0,
        };
        let fill_order = tags.single(tag::FILL_ORDER)?.unwrap_or(1);
        let mut formats = tags.numbers(tag::SAMPLE_FORMAT)?;
        formats.dedup();
        let format = match *formats {
            [] => UNSIGNED,
            [format] => format,
            _ => return Err(unsupported(&"samples of more than one SampleFormat")),
        };
        let mut bits = match tags.numbers(tag::BITS_PER_SAMPLE)? {
            bits if bits.is_empty() => vec![1],
            bits => bits,
        };
        let default = if old_jpeg { 3 } else { 1 };
        let mut samples = tags.number(tag::SAMPLES_PER_PIXEL)?.unwrap_or(default) as usize;
        let mut extra = tags.numbers(tag::EXTRA_SAMPLES)?;
        if samples > MOST_SAMPLES || extra.len() > MOST_SAMPLES {
            return Err(unsupported(&format!("{samples} samples a pixel")));
        }
        let stored_samples = samples;
        if separate && !extra.is_empty() && extra.iter().all(|kind| *kind == 0) {
            bits.truncate(bits.len().saturating_sub(extra.len()));
            samples = samples.saturating_sub(extra.len());
            extra.clear();
        }
        if let [all] = *bits {
            bits = vec![all; samples];
        }
        bits.truncate(samples);
        let same = bits.windows(2).all(|pair| pair[0] == pair[1]);
        let row = MODES.iter().find(|row| {
            let (its_photometric, its_format, orders, fill_orders, depth, count, its_extra, _) =
                row;
            *its_photometric == photometric
                && *its_format == format
                && orders.contains(&tags.order)
                && fill_orders.contains(&fill_order)
                && bits.first() == Some(depth)
                && same
                && bits.len() == samples
                && samples == *count
                && extra == *its_extra
        });
        let Some((.., depth, _, _, mode)) = row else {
            return Err(unsupported(&format!(
                "{samples} samples of {bits:?} bits, PhotometricInterpretation {photometric}, \
                 SampleFormat {format}, FillOrder {fill_order}, ExtraSamples {extra:?}, \
                 {}-endian, which Pillow does not read",
                if tags.order == Order::Little { "little" } else { "big" }
            )));
        };
        Ok(Self {
            mode: *mode,
            photometric,
            depth: *depth as usize,
            samples,
            stored_samples,
            separate,
            reversed: fill_order == 2,
            signed_or_float: format != UNSIGNED,
            extra: extra.first().copied(),
        })
    }
}
