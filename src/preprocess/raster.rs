//! An image as a file stores it, in one of Pillow's modes, and Pillow's conversions of each mode
//! (`src/libImaging/Convert.c`, `Image.convert`).

use image::DynamicImage;

use super::error::ImageSizeError;
use super::image::{ColorMode, Image};

/// A decoded file before its conversion to the requested mode.
pub(super) struct Raster {
    width: u32,
    height: u32,
    samples: Samples,
    /// The one colour of a grey or RGB image that is transparent (Pillow's `info["transparency"]`).
    transparent: Option<[u8; 3]>,
}

/// Samples, pixel after pixel, one variant for each of Pillow's modes.
pub(super) enum Samples {
    /// `L`, and `1` as 0 and 255.
    Grey(Vec<u8>),
    /// `LA`: grey, alpha.
    GreyAlpha(Vec<u8>),
    /// `I;16` and `I`.
    Wide(Vec<i32>),
    /// `F`.
    Float(Vec<f32>),
    /// `P`: indices into 256 colours with alpha.
    Palette(Vec<u8>, Box<[[u8; 4]; 256]>),
    /// `RGB`.
    Rgb(Vec<u8>),
    /// `RGBA`.
    Rgba(Vec<u8>),
    /// `CMYK`, 255 for full ink.
    Cmyk(Vec<u8>),
    /// `YCbCr`.
    YCbCr(Vec<u8>),
}

impl Raster {
    pub(super) fn new(width: u32, height: u32, samples: Samples) -> Self {
        Self { width, height, samples, transparent: None }
    }

    /// The same, with one transparent colour, for grey and RGB.
    pub(super) fn with_transparent(mut self, colour: Option<[u8; 3]>) -> Self {
        self.transparent = colour;
        self
    }

    /// As RGBA with this alpha, one byte per pixel, if there is one.
    pub(super) fn with_alpha(self, alpha: Option<Vec<u8>>) -> Self {
        let Some(alpha) = alpha else {
            return self;
        };
        let (width, height) = (self.width, self.height);
        let mut data = self.into_data(ColorMode::Rgba);
        for (pixel, alpha) in data.as_chunks_mut::<4>().0.iter_mut().zip(alpha) {
            pixel[3] = alpha;
        }
        Self::new(width, height, Samples::Rgba(data))
    }

    /// The same, with left and right swapped.
    pub(super) fn mirrored(mut self) -> Self {
        let width = self.width as usize;
        fn mirror(data: &mut [u8], row: usize, pixel: usize) {
            for row in data.chunks_exact_mut(row * pixel) {
                row.reverse();
                row.chunks_exact_mut(pixel).for_each(<[u8]>::reverse);
            }
        }
        match &mut self.samples {
            Samples::Wide(data) => data.chunks_exact_mut(width).for_each(<[i32]>::reverse),
            Samples::Float(data) => data.chunks_exact_mut(width).for_each(<[f32]>::reverse),
            Samples::Grey(data) | Samples::Palette(data, _) => mirror(data, width, 1),
            Samples::GreyAlpha(data) => mirror(data, width, 2),
            Samples::Rgb(data) | Samples::YCbCr(data) => mirror(data, width, 3),
            Samples::Rgba(data) | Samples::Cmyk(data) => mirror(data, width, 4),
        }
        self
    }

    pub(super) fn into_image(self, mode: ColorMode) -> Result<Image, ImageSizeError> {
        let (width, height) = (self.width, self.height);
        let clipped = match &self.samples {
            Samples::Wide(data) => data.iter().any(|level| *level > 255),
            Samples::Float(data) => data.iter().any(|level| *level >= 256.0),
            _ => false,
        };
        Ok(Image::new(mode, width, height, self.into_data(mode))?.with_clipped(clipped))
    }

    pub(super) fn into_data(self, mode: ColorMode) -> Vec<u8> {
        let transparent = self.transparent;
        let data = match mode {
            ColorMode::L => to_grey(self.samples),
            ColorMode::Rgb => to_rgb(self.samples),
            ColorMode::Rgba => to_rgba(self.samples),
        };
        match (mode, transparent) {
            (ColorMode::Rgba, Some(colour)) => with_alpha_of(data, colour),
            _ => data,
        }
    }
}

/// The bytes of pixels. Knowing the count keeps the loops simple.
fn flat<const N: usize>(pixels: impl ExactSizeIterator<Item = [u8; N]>) -> Vec<u8> {
    pixels.collect::<Vec<_>>().into_flattened()
}

fn to_grey(samples: Samples) -> Vec<u8> {
    match samples {
        Samples::Grey(data) => data,
        Samples::GreyAlpha(data) => data.as_chunks::<2>().0.iter().map(|p| p[0]).collect(),
        Samples::Wide(data) => data.into_iter().map(clip).collect(),
        // `as` truncates and clips.
        Samples::Float(data) => data.into_iter().map(|value| value as u8).collect(),
        Samples::Palette(data, colours) => {
            let greys = colours.map(|[r, g, b, _]| luma([r, g, b]));
            data.into_iter().map(|index| greys[usize::from(index)]).collect()
        }
        Samples::Rgb(data) => data.as_chunks::<3>().0.iter().copied().map(luma).collect(),
        Samples::Rgba(data) => {
            data.as_chunks::<4>().0.iter().map(|[r, g, b, _]| luma([*r, *g, *b])).collect()
        }
        Samples::YCbCr(data) => data.as_chunks::<3>().0.iter().map(|p| p[0]).collect(),
        // By way of RGB.
        Samples::Cmyk(_) => to_grey(Samples::Rgb(to_rgb(samples))),
    }
}

fn to_rgb(samples: Samples) -> Vec<u8> {
    match samples {
        Samples::Rgb(data) => data,
        Samples::Rgba(data) => flat(data.as_chunks::<4>().0.iter().map(|p| [p[0], p[1], p[2]])),
        Samples::Palette(data, colours) => {
            let colours = colours.map(|[r, g, b, _]| [r, g, b]);
            flat(data.into_iter().map(|index| colours[usize::from(index)]))
        }
        Samples::Cmyk(data) => cmyk_to_rgb(&data),
        Samples::YCbCr(data) => ycbcr_to_rgb(&data),
        grey => flat(to_grey(grey).into_iter().map(|level| [level; 3])),
    }
}

fn to_rgba(samples: Samples) -> Vec<u8> {
    match samples {
        Samples::Rgba(data) => data,
        Samples::GreyAlpha(data) => {
            flat(data.as_chunks::<2>().0.iter().map(|p| [p[0], p[0], p[0], p[1]]))
        }
        Samples::Palette(data, colours) => {
            flat(data.into_iter().map(|index| colours[usize::from(index)]))
        }
        Samples::Grey(_) | Samples::Wide(_) | Samples::Float(_) => {
            flat(to_grey(samples).into_iter().map(|level| [level, level, level, 255]))
        }
        Samples::Rgb(_) | Samples::Cmyk(_) | Samples::YCbCr(_) => {
            let rgb = to_rgb(samples);
            flat(rgb.as_chunks::<3>().0.iter().map(|p| [p[0], p[1], p[2], 255]))
        }
    }
}

/// Makes the pixels of one colour transparent.
fn with_alpha_of(mut rgba: Vec<u8>, colour: [u8; 3]) -> Vec<u8> {
    for [r, g, b, alpha] in rgba.as_chunks_mut::<4>().0 {
        if [*r, *g, *b] == colour {
            *alpha = 0;
        }
    }
    rgba
}

fn clip(value: i32) -> u8 {
    value.clamp(0, 255) as u8
}

/// The luma of ITU-R 601, computed in 1/65536, rounded.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let sum = u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471;
    ((sum + 0x8000) >> 16) as u8
}

/// CMYK to RGB, without a colour profile: `255 - K`, minus the share of it that the ink absorbs.
fn cmyk_to_rgb(cmyk: &[u8]) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(cmyk.len() / 4 * 3);
    for pixel in cmyk.as_chunks::<4>().0 {
        let [cyan, magenta, yellow, black] = pixel.map(u32::from);
        let white = 255 - black;
        rgb.extend([cyan, magenta, yellow].map(|ink| (white - share(ink, white)) as u8));
    }
    rgb
}

/// `a * b / 255`, rounded, in Pillow's whole numbers (`MULDIV255`).
pub(super) fn share(a: u32, b: u32) -> u32 {
    let product = a * b + 128;
    ((product >> 8) + product) >> 8
}

/// JFIF's YCbCr to RGB, in Pillow's whole numbers of 1/64
/// (`src/libImaging/ConvertYCbCr.c`: each product plus a half, cut towards zero, then shifted).
fn ycbcr_to_rgb(ycbcr: &[u8]) -> Vec<u8> {
    let part = |factor: f64, value: u8| {
        let exact = factor * 64.0 * (f64::from(value) - 128.0);
        (exact + 0.5) as i32
    };
    let mut rgb = Vec::with_capacity(ycbcr.len());
    for &[y, cb, cr] in ycbcr.as_chunks::<3>().0 {
        let light = i32::from(y);
        let red = light + (part(1.402, cr) >> 6);
        let green = light + ((part(-0.34414, cb) + part(-0.71414, cr)) >> 6);
        let blue = light + (part(1.772, cb) >> 6);
        rgb.extend([red, green, blue].map(clip));
    }
    rgb
}

impl From<&DynamicImage> for Raster {
    /// Takes the mode in which Pillow reads such an image: 16-bit colour keeps its high byte,
    /// 16-bit grey and floats keep their values.
    fn from(image: &DynamicImage) -> Self {
        let high = |data: &[u16]| data.iter().map(|value| (value >> 8) as u8).collect();
        let samples = match image {
            DynamicImage::ImageLuma8(image) => Samples::Grey(image.as_raw().clone()),
            DynamicImage::ImageLumaA8(image) => Samples::GreyAlpha(image.as_raw().clone()),
            DynamicImage::ImageRgb8(image) => Samples::Rgb(image.as_raw().clone()),
            DynamicImage::ImageRgba8(image) => Samples::Rgba(image.as_raw().clone()),
            DynamicImage::ImageLuma16(image) => {
                Samples::Wide(image.as_raw().iter().map(|value| i32::from(*value)).collect())
            }
            DynamicImage::ImageLumaA16(image) => Samples::GreyAlpha(high(image.as_raw())),
            DynamicImage::ImageRgb16(image) => Samples::Rgb(high(image.as_raw())),
            DynamicImage::ImageRgba16(image) => Samples::Rgba(high(image.as_raw())),
            DynamicImage::ImageRgb32F(image) => {
                Samples::Rgb(image.as_raw().iter().map(|value| *value as u8).collect())
            }
            other => Samples::Rgba(
                other.to_rgba32f().as_raw().iter().map(|value| *value as u8).collect(),
            ),
        };
        Self::new(image.width(), image.height(), samples)
    }
}
