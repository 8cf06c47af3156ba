//! timm's evaluation transform: resize, crop, normalize.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::decode::Limits;
use super::error::TransformError;
use super::image::{ColorMode, Image, Pixels};
use super::normalize::Normalize;
use super::pipeline::Pipeline;
use super::resize::{Interpolation, Window, bilinear, resize_window, rounded};

/// How an image is fitted to the input size (timm's `crop_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CropMode {
    /// Resizes the short side to `input / crop_pct`, keeps the aspect ratio, and cuts out the
    /// centre.
    #[default]
    Center,
    /// Resizes both sides to `input / crop_pct` without keeping the aspect ratio, and cuts out the
    /// centre.
    Squash,
    /// Resizes the long side to `input / crop_pct`, keeps the aspect ratio, and adds a border of
    /// the mean colour.
    Border,
}

impl FromStr for CropMode {
    type Err = TransformError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "center" => Ok(Self::Center),
            "squash" => Ok(Self::Squash),
            "border" => Ok(Self::Border),
            _ => Err(TransformError::UnknownCropMode(name.to_owned())),
        }
    }
}

impl fmt::Display for CropMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Center => "center",
            Self::Squash => "squash",
            Self::Border => "border",
        })
    }
}

/// What a `pretrained_cfg` of timm says about its model's input.
#[derive(Debug, Clone, PartialEq)]
pub struct PreprocessConfig {
    /// The library whose resize and crop are used.
    pub pipeline: Pipeline,
    /// Channels, height, width. 1 channel is grey, 3 are RGB, 4 are RGBA.
    pub input_size: (usize, usize, usize),
    /// The filter of the resize.
    pub interpolation: Interpolation,
    /// The share of the resized image that the crop keeps, above 0, usually 0.875 to 1.
    pub crop_pct: f64,
    /// How the image is fitted to the input size.
    pub crop_mode: CropMode,
    /// Subtracted from values between 0 and 1, one per channel.
    pub mean: Vec<f64>,
    /// Divides the difference, one per channel.
    pub std: Vec<f64>,
}

impl Default for PreprocessConfig {
    /// timm's defaults (`timm/data/config.py`): 224 px, bicubic, 0.875, ImageNet's mean and
    /// standard deviation.
    fn default() -> Self {
        Self {
            pipeline: Pipeline::Timm,
            input_size: (3, 224, 224),
            interpolation: Interpolation::Bicubic,
            crop_pct: 0.875,
            crop_mode: CropMode::Center,
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229, 0.224, 0.225],
        }
    }
}

/// The rectangle of an image that becomes the network's input, in the image's pixels from its top
/// left corner. It is larger than the image where the input has a border.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// Its left edge.
    pub x: f64,
    /// Its top edge.
    pub y: f64,
    /// From its left to its right edge.
    pub width: f64,
    /// From its top to its bottom edge.
    pub height: f64,
}

/// The largest side of the input, so that a wrong configuration file does not take all memory.
const MAX_SIDE: usize = 8192;
/// The largest side of the resize before the crop.
const MAX_SCALE: f64 = 65_535.0;

/// A checked [`PreprocessConfig`]: timm's `transforms_imagenet_eval`.
#[derive(Debug, Clone)]
pub struct EvalTransform {
    config: PreprocessConfig,
    mode: ColorMode,
    /// Height and width that the image is scaled to before the crop.
    scale_size: (usize, usize),
    normalize: Normalize,
}

impl EvalTransform {
    /// Checks the configuration and prepares everything that is the same for every image.
    ///
    /// # Errors
    /// [`TransformError`] names the value that can't be used.
    pub fn new(config: PreprocessConfig) -> Result<Self, TransformError> {
        let (channels, height, width) = config.input_size;
        let Some(mode) = ColorMode::from_channels(channels) else {
            return Err(TransformError::Channels(config.input_size));
        };
        let sides = 1..=MAX_SIDE;
        if !sides.contains(&height) || !sides.contains(&width) {
            return Err(TransformError::InputSize(config.input_size));
        }
        let scale = |side: usize| (side as f64 / config.crop_pct).floor();
        let (scale_height, scale_width) = (scale(height), scale(width));
        let fits = |side: f64| (1.0..=MAX_SCALE).contains(&side);
        if !(config.crop_pct > 0.0 && fits(scale_height) && fits(scale_width)) {
            return Err(TransformError::CropPct(config.crop_pct));
        }
        if config.mean.len() != channels || config.std.len() != channels {
            let PreprocessConfig { mean, std, .. } = config;
            return Err(TransformError::MeanStd { channels, mean, std });
        }
        let normalize = Normalize::new(&config.mean, &config.std)?;
        let scale_size = (scale_height as usize, scale_width as usize);
        Ok(Self { config, mode, scale_size, normalize })
    }

    /// The configuration that this transform was made from.
    pub fn config(&self) -> &PreprocessConfig {
        &self.config
    }

    /// The mode that images must have for this transform.
    pub fn mode(&self) -> ColorMode {
        self.mode
    }

    /// Number of values of one image's input: `channels * height * width`.
    pub fn input_len(&self) -> usize {
        let (channels, height, width) = self.config.input_size;
        channels * height * width
    }

    /// Resizes and crops to the input size.
    ///
    /// Whatever the image's shape, memory is limited to the image, the pixels and a few rows and
    /// columns between them, because only what the crop keeps is computed.
    ///
    /// # Errors
    /// [`TransformError::ResizedSide`] for an image that timm can't resize either,
    /// [`TransformError::Mode`] for an image whose mode is not [`mode`](Self::mode).
    pub fn pixels(&self, image: &Image) -> Result<Pixels, TransformError> {
        if image.mode() != self.mode {
            return Err(TransformError::Mode { expected: self.mode, actual: image.mode() });
        }
        let (channels, height, width) = self.config.input_size;
        let size = self.resized(image.width(), image.height())?;
        let pipeline = self.config.pipeline;
        let crop = |size, crop| Crop::center(size, crop, pipeline);
        let (x, y) = (crop(size.0, width), crop(size.1, height));
        let window = Window { x: x.offset, y: y.offset, width: x.kept, height: y.kept };
        if self.config.interpolation == Interpolation::BilinearNoAntialias
            && (x.kept, y.kept) == (width, height)
        {
            let exact = bilinear(image, size, window);
            return Ok(Pixels::new(image, width, height, rounded(&exact)).with_exact(exact));
        }
        let kept = resize_window(image, size, (pipeline, self.config.interpolation), window);
        if x.kept == width && y.kept == height {
            return Ok(Pixels::new(image, width, height, kept));
        }
        let mut data = self.fill().repeat(width * height);
        let rows = data.chunks_exact_mut(width * channels).skip(y.before);
        for (row, kept) in rows.zip(kept.chunks_exact(x.kept * channels)) {
            row[x.before * channels..][..kept.len()].copy_from_slice(kept);
        }
        Ok(Pixels::new(image, width, height, data))
    }

    /// What of an image of this size becomes the input: see [`Region`].
    ///
    /// # Errors
    /// [`TransformError::ResizedSide`], as [`pixels`](Self::pixels).
    ///
    /// ```
    /// use effnet::preprocess::{EvalTransform, PreprocessConfig};
    /// let transform = EvalTransform::new(PreprocessConfig::default())?; // 256 px, of which 224 are kept
    /// let region = transform.region(1024, 512)?;
    /// assert_eq!((region.x, region.y, region.width, region.height), (288.0, 32.0, 448.0, 448.0));
    /// # Ok::<(), effnet::preprocess::TransformError>(())
    /// ```
    pub fn region(&self, width: u32, height: u32) -> Result<Region, TransformError> {
        let resized = self.resized(width, height)?;
        let (_, input_height, input_width) = self.config.input_size;
        let side = |image: u32, resized: u64, input: usize| {
            let scale = f64::from(image) / resized as f64;
            let crop = Crop::center(resized, input, self.config.pipeline);
            ((crop.offset as f64 - crop.before as f64) * scale, input as f64 * scale)
        };
        let (x, width) = side(width, resized.0, input_width);
        let (y, height) = side(height, resized.1, input_height);
        Ok(Region { x, y, width, height })
    }

    /// Width and height that the image is resized to before the crop.
    fn resized(&self, image_width: u32, image_height: u32) -> Result<(u64, u64), TransformError> {
        let (scale_height, scale_width) = self.scale_size;
        let (width, height) = (f64::from(image_width), f64::from(image_height));
        let (ratio_height, ratio_width) =
            (height / scale_height as f64, width / scale_width as f64);
        // timm's `ResizeKeepRatio` rounds half to even.
        let by =
            |ratio: f64| ((width / ratio).round_ties_even(), (height / ratio).round_ties_even());
        let (new_width, new_height) = match self.config.crop_mode {
            CropMode::Squash => (scale_width as f64, scale_height as f64),
            CropMode::Border => by(ratio_height.max(ratio_width)),
            CropMode::Center if scale_height != scale_width => by(ratio_height.min(ratio_width)),
            // torchvision's `Resize` with one number truncates the long side.
            CropMode::Center => {
                let scale = scale_height as f64;
                if width <= height {
                    (scale, (scale * height / width).trunc())
                } else {
                    ((scale * width / height).trunc(), scale)
                }
            }
        };
        let sides = 1.0..=f64::from(i32::MAX);
        // torchvision resizes the whole image before the crop.
        let is_too_large = self.config.pipeline == Pipeline::Transformers
            && new_width * new_height > Limits::default().max_pixels as f64;
        if !sides.contains(&new_width) || !sides.contains(&new_height) || is_too_large {
            return Err(TransformError::ResizedSide {
                width: image_width,
                height: image_height,
                new_width: new_width as u64,
                new_height: new_height as u64,
            });
        }
        Ok((new_width as u64, new_height as u64))
    }

    /// The colour around an image that is smaller than the crop.
    fn fill(&self) -> Vec<u8> {
        let mean = |mean: &f64| (255.0 * mean).round_ties_even() as u8;
        match self.config.crop_mode {
            CropMode::Border => self.config.mean.iter().map(mean).collect(),
            CropMode::Center | CropMode::Squash => vec![0; self.mode.channels()],
        }
    }

    /// Normalizes into one image's place in a batch: `(channels, height, width)`, values
    /// `(byte / 255 - mean) / std` in f32, equal to torch's to the last bit.
    ///
    /// # Errors
    /// [`TransformError::Length`] if the pixels or the output do not have this transform's size.
    pub fn normalize(&self, pixels: &Pixels, input: &mut [f32]) -> Result<(), TransformError> {
        for (what, actual) in [("the pixels", pixels.data().len()), ("the output", input.len())] {
            if actual != self.input_len() {
                return Err(TransformError::Length { what, expected: self.input_len(), actual });
            }
        }
        match pixels.exact() {
            Some(exact) => self.normalize.values(exact, input),
            None => self.normalize.bytes(pixels.data(), input),
        }
        Ok(())
    }

    /// The normalization from bytes to floats.
    #[must_use]
    pub fn normalization(&self) -> &Normalize {
        &self.normalize
    }
}

/// What one side of a centre crop keeps of a resized image (torchvision's `center_crop`, and the
/// centre crop of transformers' image processors).
struct Crop {
    /// First pixel kept.
    offset: u64,
    /// Number of pixels kept.
    kept: usize,
    /// Number of pixels of padding before the first.
    before: usize,
}

impl Crop {
    fn center(size: u64, crop: usize, pipeline: Pipeline) -> Self {
        match (crop as u64).checked_sub(size) {
            Some(missing) => {
                Self { offset: 0, kept: size as usize, before: (missing / 2) as usize }
            }
            None => {
                let half = (size - crop as u64) as f64 / 2.0;
                let offset = match pipeline {
                    Pipeline::Timm => half.round_ties_even() as u64,
                    Pipeline::Transformers => half as u64,
                };
                Self { offset, kept: crop, before: 0 }
            }
        }
    }
}
