use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ::image::DynamicImage;

use crate::Error;
use crate::preprocess::{DecodeOptions, EvalTransform, Image, Pixels, decode};
use crate::text::file_name;

/// An image in any of the forms that a classifier takes.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Input<'a> {
    /// A file.
    Path(&'a Path),
    /// The bytes of a file.
    Encoded(&'a [u8]),
    /// An image of the `image` crate.
    Image(&'a DynamicImage),
    /// A decoded image.
    Decoded(&'a Image),
}

macro_rules! input_from {
    ($($from:ty => $variant:ident),* $(,)?) => {
        $(impl<'a> From<&'a $from> for Input<'a> {
            fn from(image: &'a $from) -> Self {
                Self::$variant(image.as_ref())
            }
        })*
    };
}

input_from!(Path => Path, PathBuf => Path, str => Path, String => Path, [u8] => Encoded, Vec<u8> => Encoded);

impl<'a> From<&'a &str> for Input<'a> {
    fn from(path: &'a &str) -> Self {
        Self::Path(path.as_ref())
    }
}

impl<'a> From<&'a DynamicImage> for Input<'a> {
    fn from(image: &'a DynamicImage) -> Self {
        Self::Image(image)
    }
}

impl<'a> From<&'a Image> for Input<'a> {
    fn from(image: &'a Image) -> Self {
        Self::Decoded(image)
    }
}

impl Input<'_> {
    /// What error messages call the image.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Path(path) => file_name(path),
            Self::Encoded(_) | Self::Image(_) | Self::Decoded(_) => "image".to_owned(),
        }
    }

    /// Decodes to the transform's mode, resizes and crops.
    pub(super) fn pixels(
        &self,
        options: &DecodeOptions,
        transform: &EvalTransform,
    ) -> Result<Pixels, Error> {
        let decode_error = |source| Error::Decode { image: self.name(), source };
        let mode = transform.mode();
        let decoded;
        let image = match *self {
            Self::Decoded(image) if image.mode() == mode => image,
            Self::Decoded(image) => {
                decoded = image.clone().convert(mode);
                &decoded
            }
            Self::Path(path) => {
                let bytes = read(path)?;
                decoded = decode(&bytes, mode, options).map_err(decode_error)?;
                &decoded
            }
            Self::Encoded(bytes) => {
                decoded = decode(bytes, mode, options).map_err(decode_error)?;
                &decoded
            }
            Self::Image(image) => {
                let size_error = |source| Error::ImageSize { image: self.name(), source };
                decoded = Image::from_dynamic(image, mode).map_err(size_error)?;
                &decoded
            }
        };
        let transform_error = |source| Error::Transform { image: self.name(), source };
        transform.pixels(image).map_err(transform_error)
    }
}

/// Files beyond this are no images of any use, and are not read into memory.
const MAX_FILE: u64 = 1 << 30;

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let error = |source| Error::Read { image: file_name(path), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(error)?;
    if file.metadata().map_err(error)?.is_dir() {
        return Err(error(std::io::Error::other("this is a folder, not an image")));
    }
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(error)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(error(std::io::Error::other("the file is larger than 1 GiB")));
    }
    Ok(bytes)
}
