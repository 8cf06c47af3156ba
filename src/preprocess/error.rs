//! What can go wrong between encoded bytes and a network's input.

use std::fmt::Display;

use thiserror::Error;

use super::decode::FORMATS;
use super::image::ColorMode;

/// A buffer whose length does not match the image's size.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "an image of mode {mode} and {width}x{height} pixels needs width and height above zero and \
     {expected} bytes (row by row), but {actual} were given"
)]
pub struct ImageSizeError {
    /// What the channels are.
    pub mode: ColorMode,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `width * height * channels`.
    pub expected: u64,
    /// Length of the buffer that was given, in bytes.
    pub actual: u64,
}

fn known_formats() -> String {
    let names: Vec<_> =
        FORMATS.iter().filter(|format| format.is_decoded()).map(|format| format.name).collect();
    names.join(", ")
}

/// Why [`decode`](super::decode()) refused a file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// No bytes at all.
    #[error("the file is empty; give an image file")]
    Empty,
    /// The content is not in any image format known here.
    #[error(
        "not an image of a known format (by its content; file names don't count); \
         known: {}",
        known_formats()
    )]
    UnknownFormat,
    /// A known format that has no decoder here.
    #[error("{format} is not decoded; convert it to PNG or JPEG")]
    NotDecoded {
        /// The file's format.
        format: &'static str,
    },
    /// The header announces more pixels than [`Limits::max_pixels`](super::Limits::max_pixels).
    #[error(
        "the header announces {width}x{height} pixels, more than the limit of {limit}; \
         raise `Limits::max_pixels` if the file is to be trusted"
    )]
    TooManyPixels {
        /// Width in the header.
        width: u64,
        /// Height in the header.
        height: u64,
        /// The limit, in pixels.
        limit: u64,
    },
    /// Decoding would take more memory than [`Limits::max_alloc`](super::Limits::max_alloc).
    #[error(
        "decoding this {format} image would take more memory than the limit of {limit} bytes; \
         raise `Limits::max_alloc` if the file is to be trusted"
    )]
    TooMuchMemory {
        /// The file's format.
        format: &'static str,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The file ends before its last pixel.
    #[error(
        "the {format} file is truncated: it ends before its last pixel; get the whole file, \
         or set `DecodeOptions::lenient` to keep what is there"
    )]
    Truncated {
        /// The file's format.
        format: &'static str,
    },
    /// The file breaks its format's rules.
    #[error("the {format} file is corrupt ({reason}); get an intact copy")]
    Corrupt {
        /// The file's format.
        format: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// A valid file that uses a feature that is not implemented.
    #[error(
        "this kind of {format} file is not supported ({reason}); convert it to an 8-bit RGB PNG"
    )]
    Unsupported {
        /// The file's format.
        format: &'static str,
        /// What the decoder said.
        reason: String,
    },
}

impl DecodeError {
    /// Takes a decoder's own message, on one line.
    pub(super) fn corrupt(format: &'static str, reason: &dyn Display) -> Self {
        Self::Corrupt { format, reason: one_line(&reason.to_string()) }
    }

    /// Takes a decoder's own message, on one line.
    pub(super) fn unsupported(format: &'static str, reason: &dyn Display) -> Self {
        Self::Unsupported { format, reason: one_line(&reason.to_string()) }
    }
}

fn one_line(reason: &str) -> String {
    reason.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Why a transform could not be built or applied.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum TransformError {
    /// An unknown interpolation, or one of timm's that is not a single filter.
    #[error(
        "unknown interpolation {name:?}; known: nearest, bilinear, bilinear-no-antialias, bicubic, lanczos{hint}"
    )]
    UnknownInterpolation {
        /// The name that was given.
        name: String,
        /// What to do, in known cases; empty otherwise.
        hint: &'static str,
    },
    /// A crop mode that timm does not have.
    #[error("unknown crop_mode {0:?}; known: center, squash, border")]
    UnknownCropMode(String),
    /// A number of channels that no kind of image has.
    #[error(
        "input_size {0:?} has {channels} channels, but images are prepared as L, RGB or RGBA, \
         with 1, 3 or 4; `Model::run` takes tensors", channels = .0.0
    )]
    Channels((usize, usize, usize)),
    /// A height or width that is zero or too large.
    #[error("input_size {0:?} (channels, height, width) must have sides from 1 to 8192")]
    InputSize((usize, usize, usize)),
    /// A `crop_pct` that is not a positive number, or makes the resize too large.
    #[error("crop_pct is {0}, but must be above 0 and leave a resize with sides from 1 to 65535")]
    CropPct(f64),
    /// A mean or a standard deviation that pixels cannot be normalized by.
    #[error(
        "mean {mean:?} and std {std:?} must have a finite value for each of the {channels} channels, \
         and no std may be zero as f32"
    )]
    MeanStd {
        /// Channels of the input.
        channels: usize,
        /// The means given.
        mean: Vec<f64>,
        /// The standard deviations given.
        std: Vec<f64>,
    },
    /// An image whose mode is not the transform's.
    #[error("the image is of mode {actual}, but this transform takes {expected}; convert it first")]
    Mode {
        /// The mode of the transform.
        expected: ColorMode,
        /// The mode of the image.
        actual: ColorMode,
    },
    /// An image so narrow or so long that a side of the resized image is outside Pillow's range.
    #[error(
        "an image of {width}x{height} pixels would be resized to {new_width}x{new_height}, where \
         each side must be 1 to 2147483647; crop it to a less extreme shape first"
    )]
    ResizedSide {
        /// Width of the image.
        width: u32,
        /// Height of the image.
        height: u32,
        /// Width after the resize.
        new_width: u64,
        /// Height after the resize.
        new_height: u64,
    },
    /// A resize to zero pixels, or to more than memory should be spent on.
    #[error("a resize to {width}x{height} pixels is out of range: 1 to 178956970 in all")]
    ResizedArea {
        /// Width asked for.
        width: u32,
        /// Height asked for.
        height: u32,
    },
    /// Pixels or an output buffer whose size is not the transform's.
    #[error("{what} holds {actual} values, but this transform needs {expected}")]
    Length {
        /// Which of the two it is.
        what: &'static str,
        /// What the transform needs.
        expected: usize,
        /// What was given.
        actual: usize,
    },
}
