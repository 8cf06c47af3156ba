//! How images are prepared, if not as the model's configuration says.

use clap::Args;
use effnet::ModelBuilder;
use effnet::preprocess::{CropMode, Interpolation};
use effnet::pretrained::SizeChoice;

/// timm's options with the same names (`validate.py`).
#[derive(Debug, Args)]
#[command(next_help_heading = "Preprocessing, in place of the model's")]
pub(super) struct PreprocessingArgs {
    /// Use the image size that the model was trained at, not the size at which it tests best
    #[arg(long)]
    train_size: bool,
    /// Side of the network's input in pixels, or its height and width
    #[arg(long, value_name = "S|HxW", value_parser = img_size)]
    img_size: Option<(usize, usize)>,
    /// Share of the resized image that the crop keeps
    #[arg(long, value_name = "SHARE")]
    crop_pct: Option<f64>,
    /// How an image is fitted: center, squash or border
    #[arg(long, value_name = "MODE")]
    crop_mode: Option<CropMode>,
    /// Filter of the resize: nearest, bilinear, bilinear-no-antialias, bicubic or lanczos
    #[arg(long, value_name = "FILTER")]
    interpolation: Option<Interpolation>,
    /// Mean of pixels from 0 to 1: one value, or one per channel (0.485,0.456,0.406)
    #[arg(long, value_name = "MEAN", num_args = 1..=4, value_delimiter = ',', value_parser = number, allow_negative_numbers = true)]
    mean: Option<Vec<f64>>,
    /// Standard deviation of pixels from 0 to 1: one value, or one per channel
    #[arg(long, value_name = "STD", num_args = 1..=4, value_delimiter = ',', value_parser = number)]
    std: Option<Vec<f64>>,
}

impl PreprocessingArgs {
    pub(super) fn apply(self, builder: ModelBuilder) -> ModelBuilder {
        let size = if self.train_size { SizeChoice::Train } else { SizeChoice::Test };
        let mut builder = builder.size(size);
        if let Some((height, width)) = self.img_size {
            builder = builder.img_size(height, width);
        }
        if let Some(crop_pct) = self.crop_pct {
            builder = builder.crop_pct(crop_pct);
        }
        if let Some(crop_mode) = self.crop_mode {
            builder = builder.crop_mode(crop_mode);
        }
        if let Some(interpolation) = self.interpolation {
            builder = builder.interpolation(interpolation);
        }
        if let Some(mean) = self.mean {
            builder = builder.mean(mean);
        }
        if let Some(std) = self.std {
            builder = builder.std(std);
        }
        builder
    }
}

fn img_size(text: &str) -> Result<(usize, usize), String> {
    let side = |text: &str| {
        let side = text.parse().ok().filter(|side| *side > 0);
        side.ok_or_else(|| "expected a side in pixels, or HEIGHTxWIDTH".to_owned())
    };
    match text.split_once('x') {
        Some((height, width)) => Ok((side(height)?, side(width)?)),
        None => side(text).map(|side| (side, side)),
    }
}

/// Parses a number. After a list of numbers, an image's name would be taken for another one.
fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "expected a number; put images before this option".to_owned())
}
