//! Images on the command line: how they are found, and how they are decoded.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use walkdir::WalkDir;

use crate::Input;
use crate::preprocess::{DecodeOptions, Limits};

/// How images are decoded.
#[derive(Debug, Args)]
pub(super) struct DecodeArgs {
    /// Turn images as their EXIF orientation says (timm and Pillow don't)
    #[arg(long)]
    exif_orientation: bool,
    /// Take what could be decoded of a truncated image
    #[arg(long)]
    lenient: bool,
    /// Refuse images of more pixels than this
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

/// One image to work on: a file, or what came on standard input.
#[derive(Debug)]
pub(super) enum Image {
    File(PathBuf),
    Stdin(Vec<u8>),
}

impl Image {
    /// What results call the image.
    pub(super) fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Stdin(_) => "-".to_owned(),
        }
    }
}

impl<'a> From<&'a Image> for Input<'a> {
    fn from(image: &'a Image) -> Self {
        match image {
            Image::File(path) => path.into(),
            Image::Stdin(bytes) => bytes.into(),
        }
    }
}

/// Endings by which a folder's images are told from its other files. A file that is named itself
/// is read whatever its name is.
const EXTENSIONS: [&str; 18] = [
    "bmp", "gif", "ico", "jfif", "jpe", "jpeg", "jpg", "pbm", "pgm", "png", "pnm", "ppm", "qoi",
    "tga", "tif", "tiff", "webp", "apng",
];

/// Standard input beyond this is no image of any use.
const MAX_STDIN: u64 = 1 << 30;

/// The images that `arguments` stand for, in order: files, folders (all images below them, by
/// name), glob patterns, and `-` for standard input. A file that is not there stays in the list
/// and fails in its turn.
pub(super) fn find(arguments: &[String]) -> Result<Vec<Image>> {
    let mut images = Vec::new();
    let mut stdin_taken = false;
    for argument in arguments {
        let path = Path::new(argument);
        if argument == "-" {
            if std::mem::replace(&mut stdin_taken, true) {
                bail!("- (standard input) can be read only once");
            }
            let mut bytes = Vec::new();
            let read = std::io::stdin().lock().take(MAX_STDIN + 1).read_to_end(&mut bytes);
            read.context("cannot read standard input")?;
            if bytes.len() as u64 > MAX_STDIN {
                bail!("standard input is larger than 1 GiB");
            }
            images.push(Image::Stdin(bytes));
        } else if path.is_dir() {
            let found = in_folder(path);
            if found.is_empty() {
                bail!("{argument}: no images in this folder");
            }
            images.extend(found);
        } else if !path.exists() && argument.contains(['*', '?', '[']) {
            let found = matching(argument)?;
            if found.is_empty() {
                bail!("{argument}: no file matches this pattern");
            }
            images.extend(found);
        } else {
            images.push(Image::File(path.to_owned()));
        }
    }
    Ok(images)
}

fn in_folder(folder: &Path) -> Vec<Image> {
    let is_image = |path: &Path| {
        path.extension().and_then(|e| e.to_str()).is_some_and(|extension| {
            EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension))
        })
    };
    WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_file() && is_image(entry.path()))
        .map(|entry| Image::File(entry.into_path()))
        .collect()
}

fn matching(pattern: &str) -> Result<Vec<Image>> {
    let paths = glob::glob(pattern).with_context(|| format!("{pattern}: not a glob pattern"))?;
    Ok(paths.filter_map(Result::ok).filter(|p| p.is_file()).map(Image::File).collect())
}
