//! A picture that is drawn on, and its files.

use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use effnet::preprocess::{ColorMode, Image, Interpolation, resize};
use effnet::unstable::{Replacement, file_name};
use libjpeg_turbo_rs::{Encoder, PixelFormat};

use super::colours::{Rgb, mix};
use super::text::Letters;

/// The quality of thumbnails.
const QUALITY: u8 = 85;

/// An RGB picture.
pub(crate) struct Canvas {
    pub(super) width: usize,
    pub(super) height: usize,
    /// (H, W, 3).
    data: Vec<u8>,
}

/// A rectangle in pixels.
#[derive(Clone, Copy)]
pub(super) struct Rect {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize, colour: Rgb) -> Self {
        Self { width, height, data: colour.repeat(width * height) }
    }

    /// An image whose longer side has at least `least` and at most `most` pixels.
    pub(super) fn of(image: Image, least: u32, most: u32) -> Result<Self> {
        let image = image.convert(ColorMode::Rgb);
        let (width, height) = (image.width(), image.height());
        let long = width.max(height);
        let scale = f64::from(long.clamp(least, most)) / f64::from(long);
        let side = |side: u32| (f64::from(side) * scale).round().max(1.0) as u32;
        let (new_width, new_height) = (side(width), side(height));
        let image = if (new_width, new_height) == (width, height) {
            image
        } else {
            resize(&image, new_width, new_height, Interpolation::Bicubic)?
        };
        Ok(Self {
            width: image.width() as usize,
            height: image.height() as usize,
            data: image.into_data(),
        })
    }

    /// Changes every pixel; `change` gets its place.
    pub(super) fn map(&mut self, mut change: impl FnMut(usize, usize, Rgb) -> Rgb) {
        let width = self.width;
        for (at, pixel) in self.data.chunks_exact_mut(3).enumerate() {
            let colour = change(at % width, at / width, [pixel[0], pixel[1], pixel[2]]);
            pixel.copy_from_slice(&colour);
        }
    }

    fn mix(&mut self, x: usize, y: usize, colour: Rgb, share: f32) {
        if x < self.width && y < self.height {
            let pixel = &mut self.data[(y * self.width + x) * 3..][..3];
            let mixed = mix([pixel[0], pixel[1], pixel[2]], colour, share);
            pixel.copy_from_slice(&mixed);
        }
    }

    /// Fills a rectangle, whose colour may depend on the column.
    pub(super) fn fill(&mut self, rect: Rect, colour: impl Fn(usize) -> Rgb) {
        for y in rect.y..rect.y + rect.height {
            for x in 0..rect.width {
                self.mix(rect.x + x, y, colour(x), 1.0);
            }
        }
    }

    /// Draws another picture over this one.
    pub(super) fn paste(&mut self, other: &Self, x: usize, y: usize) {
        let width = other.width.min(self.width.saturating_sub(x)) * 3;
        for (row, pixels) in other.data.chunks_exact(other.width * 3).enumerate() {
            let at = ((y + row) * self.width + x) * 3;
            if let Some(to) = self.data.get_mut(at..at + width) {
                to.copy_from_slice(&pixels[..width]);
            }
        }
    }

    /// Writes a line, whose top left corner is at (x, y).
    pub(super) fn text(&mut self, letters: &Letters, x: usize, y: usize, text: &str, colour: Rgb) {
        letters.draw(text, |dx, dy, share| {
            if let (Ok(x), Ok(y)) = (usize::try_from(x as i64 + dx), usize::try_from(y as i64 + dy))
            {
                self.mix(x, y, colour, share);
            }
        });
    }

    /// Writes a PNG, which appears when it is whole; folders are made.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let shown = || file_name(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| file_name(folder))?;
        }
        let mut file = Replacement::begin(path).with_context(shown)?;
        let mut png = png::Encoder::new(&mut file, self.width as u32, self.height as u32);
        png.set_color(png::ColorType::Rgb);
        png.set_depth(png::BitDepth::Eight);
        let mut writer = png.write_header().with_context(shown)?;
        writer.write_image_data(&self.data).with_context(shown)?;
        writer.finish().with_context(shown)?;
        file.finish().with_context(shown)
    }

    /// As a JPEG inside a URL.
    pub(crate) fn url(&self) -> Result<String> {
        let encoder = Encoder::new(&self.data, self.width, self.height, PixelFormat::Rgb);
        let jpeg = encoder.quality(QUALITY).encode()?;
        Ok(format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(jpeg)))
    }
}
