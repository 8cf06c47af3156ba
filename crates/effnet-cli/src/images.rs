//! Images on the command line, and how they are decoded.

use std::path::PathBuf;

use clap::Args;
use effnet::preprocess::{DecodeOptions, Limits};
use effnet::unstable::file_name;
use effnet::{AsInput, Input};

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

/// One image: a file, or what came from standard input.
#[derive(Debug)]
pub(super) enum Image {
    File(PathBuf),
    Stdin(Vec<u8>),
}

impl Image {
    /// What results call the image.
    pub(super) fn name(&self) -> String {
        match self {
            Self::File(path) => file_name(path),
            Self::Stdin(_) => "-".to_owned(),
        }
    }
}

impl AsInput for Image {
    fn as_input(&self) -> Input<'_> {
        match self {
            Self::File(path) => path.as_input(),
            Self::Stdin(bytes) => bytes.as_input(),
        }
    }
}
