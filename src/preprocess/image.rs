//! The two kinds of 8-bit images of the flow.

use image::DynamicImage;

use super::error::ImageSizeError;

/// A decoded image: 8-bit RGB, row by row from the top, `(height, width, 3)`.
#[derive(Clone, PartialEq, Eq)]
pub struct RgbImage {
    width: u32,
    height: u32,
    data: Vec<u8>,
}

impl RgbImage {
    /// Takes raw RGB bytes, `width * height * 3` of them, row by row from the top.
    ///
    /// # Errors
    /// [`ImageSizeError`] if a side is zero or the length does not fit.
    pub fn new(width: u32, height: u32, data: Vec<u8>) -> Result<Self, ImageSizeError> {
        let expected = u128::from(width) * u128::from(height) * 3;
        if expected == 0 || data.len() as u128 != expected {
            return Err(ImageSizeError {
                width,
                height,
                expected: u64::try_from(expected).unwrap_or(u64::MAX),
                actual: data.len() as u64,
            });
        }
        Ok(Self { width, height, data })
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The bytes, `(height, width, 3)`.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Gives the bytes away, `(height, width, 3)`.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }
}

impl std::fmt::Debug for RgbImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RgbImage({}x{})", self.width, self.height)
    }
}

/// An image after resize and crop, ready to be normalized: 8-bit RGB, `(height, width, 3)`, of a
/// transform's input size. Only [`EvalTransform::pixels`](super::EvalTransform::pixels) makes them.
#[derive(Clone, PartialEq, Eq)]
pub struct Pixels {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

impl Pixels {
    pub(super) fn new(width: usize, height: usize, data: Vec<u8>) -> Self {
        debug_assert_eq!(data.len(), width * height * 3);
        Self { width, height, data }
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The bytes, `(height, width, 3)`.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Gives the bytes away, `(height, width, 3)`.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }
}

impl std::fmt::Debug for Pixels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pixels({}x{})", self.width, self.height)
    }
}

impl TryFrom<DynamicImage> for RgbImage {
    type Error = ImageSizeError;

    /// As Pillow's `convert("RGB")`: see the conversion from a reference. An 8-bit RGB image is
    /// moved, not copied.
    fn try_from(image: DynamicImage) -> Result<Self, Self::Error> {
        match image {
            DynamicImage::ImageRgb8(image) => {
                Self::new(image.width(), image.height(), image.into_raw())
            }
            other => Self::try_from(&other),
        }
    }
}

impl TryFrom<&DynamicImage> for RgbImage {
    type Error = ImageSizeError;

    /// As Pillow's `convert("RGB")`: alpha is dropped, grey is repeated, 16-bit colour keeps its
    /// high byte; but 16-bit grey without alpha (Pillow's mode `I;16`) and floats are clipped to
    /// 0 to 255.
    fn try_from(image: &DynamicImage) -> Result<Self, Self::Error> {
        let high = |value: u16| (value >> 8) as u8;
        let data: Vec<u8> = match image {
            DynamicImage::ImageRgb8(image) => image.as_raw().clone(),
            DynamicImage::ImageRgba8(image) => {
                image.pixels().flat_map(|p| [p[0], p[1], p[2]]).collect()
            }
            DynamicImage::ImageLuma8(image) => image.pixels().flat_map(|p| [p[0]; 3]).collect(),
            DynamicImage::ImageLumaA8(image) => image.pixels().flat_map(|p| [p[0]; 3]).collect(),
            DynamicImage::ImageLuma16(image) => {
                image.pixels().flat_map(|p| [p[0].min(255) as u8; 3]).collect()
            }
            DynamicImage::ImageLumaA16(image) => {
                image.pixels().flat_map(|p| [high(p[0]); 3]).collect()
            }
            DynamicImage::ImageRgb16(image) => image.pixels().flat_map(|p| p.0.map(high)).collect(),
            DynamicImage::ImageRgba16(image) => {
                image.pixels().flat_map(|p| [p[0], p[1], p[2]].map(high)).collect()
            }
            // `as` truncates and clips.
            DynamicImage::ImageRgb32F(image) => {
                image.pixels().flat_map(|p| p.0.map(|v| v as u8)).collect()
            }
            other => other
                .to_rgba32f()
                .pixels()
                .flat_map(|p| [p[0], p[1], p[2]].map(|v| v as u8))
                .collect(),
        };
        Self::new(image.width(), image.height(), data)
    }
}
