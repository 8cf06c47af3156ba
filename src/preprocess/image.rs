//! The two kinds of 8-bit images: decoded ones, and those ready for normalization.

use std::fmt;
use std::ops::Range;

use image::DynamicImage;

use super::error::ImageSizeError;
use super::raster::{Raster, Samples};

/// The channels of an image, with Pillow's names (`Image.convert(mode)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ColorMode {
    /// Grey, 1 channel. Colour becomes luma: (19595 R + 38470 G + 7471 B + 32768) / 65536.
    L,
    /// Red, green, blue. Alpha is dropped.
    #[default]
    Rgb,
    /// Red, green, blue, alpha. Alpha is 255 if a file has none.
    Rgba,
}

impl ColorMode {
    /// The mode for a network with `channels` input channels (timm's `in_chans`): 1, 3 or 4.
    pub fn from_channels(channels: usize) -> Option<Self> {
        match channels {
            1 => Some(Self::L),
            3 => Some(Self::Rgb),
            4 => Some(Self::Rgba),
            _ => None,
        }
    }

    /// Bytes per pixel.
    pub fn channels(self) -> usize {
        match self {
            Self::L => 1,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }
}

impl fmt::Display for ColorMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::L => "L",
            Self::Rgb => "RGB",
            Self::Rgba => "RGBA",
        })
    }
}

/// A decoded image: 8 bits per channel, row by row from the top, `(height, width, channels)`.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    mode: ColorMode,
    width: u32,
    height: u32,
    data: Vec<u8>,
    clipped: bool,
}

impl Image {
    /// Takes raw bytes, `width * height * mode.channels()` of them, row by row from the top.
    ///
    /// # Errors
    /// [`ImageSizeError`] if a side is zero or the length does not match.
    pub fn new(
        mode: ColorMode,
        width: u32,
        height: u32,
        data: Vec<u8>,
    ) -> Result<Self, ImageSizeError> {
        let expected = u128::from(width) * u128::from(height) * mode.channels() as u128;
        if expected == 0 || data.len() as u128 != expected {
            return Err(ImageSizeError {
                mode,
                width,
                height,
                expected: u64::try_from(expected).unwrap_or(u64::MAX),
                actual: data.len() as u64,
            });
        }
        Ok(Self { mode, width, height, data, clipped: false })
    }

    /// Converts an image of the crate `image` like Pillow's `convert(mode)`: 16-bit colour keeps
    /// its high byte, but 16-bit grey without alpha (Pillow's mode `I;16`) and floats are clipped
    /// to 0 to 255.
    ///
    /// # Errors
    /// [`ImageSizeError`] if a side is zero.
    pub fn from_dynamic(image: &DynamicImage, mode: ColorMode) -> Result<Self, ImageSizeError> {
        Raster::from(image).into_image(mode)
    }

    /// The same picture in another mode, converted like Pillow's `convert(mode)`.
    pub fn convert(self, mode: ColorMode) -> Self {
        if self.mode == mode {
            return self;
        }
        let samples = match self.mode {
            ColorMode::L => Samples::Grey(self.data),
            ColorMode::Rgb => Samples::Rgb(self.data),
            ColorMode::Rgba => Samples::Rgba(self.data),
        };
        let data = Raster::new(self.width, self.height, samples).into_data(mode);
        Self { mode, data, ..self }
    }

    pub(super) fn with_clipped(mut self, clipped: bool) -> Self {
        self.clipped = clipped;
        self
    }

    /// Whether the file held grey levels above 255 (with 16 or more bits, or as floats), which
    /// became white, as in Pillow. It is better to scale such a picture to 8 bits first.
    pub fn is_clipped(&self) -> bool {
        self.clipped
    }

    /// What the channels are.
    pub fn mode(&self) -> ColorMode {
        self.mode
    }

    /// Number of channels, 1, 3 or 4.
    pub fn channels(&self) -> usize {
        self.mode.channels()
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The bytes, `(height, width, channels)`.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The bytes, `(height, width, channels)`, without a copy.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({} {}x{})", self.mode, self.width, self.height)
    }
}

/// An image after resize and crop, ready to be normalized: `(height, width, channels)` u8, with a
/// transform's input size. Only [`EvalTransform::pixels`](super::EvalTransform::pixels) makes it.
#[derive(Clone, PartialEq)]
pub struct Pixels {
    channels: usize,
    width: usize,
    height: usize,
    data: Vec<u8>,
    /// The values before rounding to bytes, if the network takes them unrounded.
    exact: Option<Vec<f32>>,
    clipped: bool,
}

impl Pixels {
    /// Pixels of an image, with a transform's size.
    pub(super) fn new(image: &Image, width: usize, height: usize, data: Vec<u8>) -> Self {
        let channels = image.channels();
        debug_assert_eq!(data.len(), width * height * channels);
        Self { channels, width, height, data, exact: None, clipped: image.clipped }
    }

    /// The same, with the values before rounding to bytes.
    pub(super) fn with_exact(self, exact: Vec<f32>) -> Self {
        Self { exact: Some(exact), ..self }
    }

    /// The same with these rows and columns in one colour.
    pub(crate) fn covered(&self, rows: Range<usize>, columns: Range<usize>, colour: &[u8]) -> Self {
        let mut covered = self.clone();
        for row in rows {
            let row = (row * self.width + columns.start) * self.channels;
            let values = row..row + columns.len() * self.channels;
            for pixel in covered.data[values.clone()].chunks_exact_mut(self.channels) {
                pixel.copy_from_slice(colour);
            }
            if let Some(exact) = &mut covered.exact {
                for pixel in exact[values].chunks_exact_mut(self.channels) {
                    let values = pixel.iter_mut().zip(colour);
                    values.for_each(|(value, &level)| *value = f32::from(level));
                }
            }
        }
        covered
    }

    /// The values before rounding to bytes, if the network takes them.
    pub(crate) fn exact(&self) -> Option<&[f32]> {
        self.exact.as_deref()
    }

    /// Whether the image's grey levels were clipped: see [`Image::is_clipped`].
    pub fn is_clipped(&self) -> bool {
        self.clipped
    }

    /// Number of channels, 1, 3 or 4.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The bytes, `(height, width, channels)`.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The bytes, `(height, width, channels)`, without a copy.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }
}

impl fmt::Debug for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pixels({}x{}x{})", self.width, self.height, self.channels)
    }
}
