//! How images are decoded.

use clap::Args;
use effnet::preprocess::{DecodeOptions, Limits};

/// How images are decoded.
#[derive(Debug, Args)]
pub(super) struct DecodeArgs {
    /// Turn images as their EXIF orientation says (timm and Pillow don't)
    #[arg(long)]
    exif_orientation: bool,
    /// Keep what could be decoded of a truncated image
    #[arg(long)]
    lenient: bool,
    /// Refuse images with more pixels than this
    #[arg(long, value_name = "N")]
    max_pixels: Option<u64>,
}

impl DecodeArgs {
    pub(super) fn options(&self) -> DecodeOptions {
        let limits = Limits::default();
        DecodeOptions {
            limits: Limits { max_pixels: self.max_pixels.unwrap_or(limits.max_pixels), ..limits },
            lenient: self.lenient,
            exif_orientation: self.exif_orientation,
        }
    }
}
