use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::image::{DynamicImage, RgbImage};

use crate::Error;
use crate::preprocess::{ColorMode, DecodeOptions, EvalTransform, Image, Pixels, decode};
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
    /// An RGB image of the `image` crate.
    Rgb(&'a RgbImage),
    /// A decoded image.
    Decoded(&'a Image),
    /// The bytes of a file, and what errors call it.
    Named {
        /// The name.
        name: &'a str,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// A part of a file.
    Part {
        /// What errors call it.
        name: &'a str,
        /// The file.
        path: &'a Path,
        /// Where the image begins, in bytes.
        offset: u64,
        /// How many bytes it has.
        len: u64,
    },
    /// Something that cannot be read, in place of an image.
    Unreadable {
        /// What errors call it.
        name: &'a str,
        /// Why.
        reason: &'a str,
    },
}

/// Anything that can be an image: a path (`str`, `Path`, ...), a file's bytes (`[u8]`, `Vec<u8>`,
/// ...), an image of the crate `image` or of this crate; and references, boxes, `Arc`s and `Cow`s
/// of these.
///
/// ```
/// use effnet::{AsInput, Input};
/// assert!(matches!("a.jpg".as_input(), Input::Path(_)));
/// assert!(matches!([0xFF, 0xD8].as_input(), Input::Encoded(_)));
/// ```
pub trait AsInput {
    /// The image, borrowed.
    fn as_input(&self) -> Input<'_>;
}

macro_rules! as_input {
    ($($from:ty => $variant:ident),* $(,)?) => {
        $(impl AsInput for $from {
            fn as_input(&self) -> Input<'_> {
                Input::$variant(self.as_ref())
            }
        })*
    };
}

as_input!(
    str => Path, String => Path, OsStr => Path, OsString => Path, Path => Path, PathBuf => Path,
    [u8] => Encoded, Vec<u8> => Encoded,
);

#[cfg(feature = "bytes")]
as_input!(bytes::Bytes => Encoded);

impl<const N: usize> AsInput for [u8; N] {
    fn as_input(&self) -> Input<'_> {
        Input::Encoded(self)
    }
}

impl AsInput for DynamicImage {
    fn as_input(&self) -> Input<'_> {
        Input::Image(self)
    }
}

impl AsInput for RgbImage {
    fn as_input(&self) -> Input<'_> {
        Input::Rgb(self)
    }
}

impl AsInput for Image {
    fn as_input(&self) -> Input<'_> {
        Input::Decoded(self)
    }
}

impl AsInput for Input<'_> {
    fn as_input(&self) -> Input<'_> {
        *self
    }
}

macro_rules! as_input_behind {
    ($($pointer:ty),*) => {
        $(impl<T: AsInput + ?Sized> AsInput for $pointer {
            fn as_input(&self) -> Input<'_> {
                (**self).as_input()
            }
        })*
    };
}

as_input_behind!(&T, Box<T>, Arc<T>);

impl<T: AsInput + ToOwned + ?Sized> AsInput for Cow<'_, T> {
    fn as_input(&self) -> Input<'_> {
        (**self).as_input()
    }
}

impl Input<'_> {
    /// What error messages call the image.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Path(path) => file_name(path),
            Self::Named { name, .. } | Self::Part { name, .. } | Self::Unreadable { name, .. } => {
                (*name).to_owned()
            }
            Self::Encoded(_) | Self::Image(_) | Self::Rgb(_) | Self::Decoded(_) => {
                "image".to_owned()
            }
        }
    }

    /// Decodes to the transform's mode, resizes and crops.
    pub(super) fn pixels(
        &self,
        options: &DecodeOptions,
        transform: &EvalTransform,
    ) -> Result<Pixels, Error> {
        let image = self.decode(options, transform.mode())?;
        let error = |source| Error::Transform { image: self.name(), source };
        transform.pixels(&image).map_err(error)
    }

    /// The image in this mode.
    pub(super) fn decode(
        &self,
        options: &DecodeOptions,
        mode: ColorMode,
    ) -> Result<Cow<'_, Image>, Error> {
        let decode = |bytes: &[u8]| {
            let error = |source| Error::Decode { image: self.name(), source };
            decode(bytes, mode, options).map_err(error)
        };
        let size_error = |source| Error::ImageSize { image: self.name(), source };
        let image = match *self {
            Self::Decoded(image) if image.mode() == mode => return Ok(Cow::Borrowed(image)),
            Self::Decoded(image) => image.clone().convert(mode),
            Self::Path(path) => decode(&read(path)?)?,
            Self::Encoded(bytes) | Self::Named { bytes, .. } => decode(bytes)?,
            Self::Part { path, offset, len, .. } => {
                let error = |source| Error::Read { image: self.name(), source };
                decode(&read_part(path, offset, len).map_err(error)?)?
            }
            Self::Unreadable { name, reason } => {
                let (image, reason) = (name.to_owned(), reason.to_owned());
                return Err(Error::Unreadable { image, reason });
            }
            Self::Rgb(image) => {
                let data = image.as_raw().clone();
                Image::new(ColorMode::Rgb, image.width(), image.height(), data)
                    .map_err(size_error)?
                    .convert(mode)
            }
            Self::Image(image) => Image::from_dynamic(image, mode).map_err(size_error)?,
        };
        Ok(Cow::Owned(image))
    }
}

/// Larger files are not useful images, and are not read into memory.
const MAX_FILE: u64 = 1 << 30;

fn read_part(path: &Path, offset: u64, len: u64) -> io::Result<Vec<u8>> {
    if len > MAX_FILE {
        return Err(io::Error::other("it is larger than 1 GiB"));
    }
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(len).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < len {
        return Err(io::Error::other("the file that it is in has become shorter"));
    }
    Ok(bytes)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let error = |source| Error::Read { image: file_name(path), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(error)?;
    if file.metadata().map_err(error)?.is_dir() {
        return Err(error(io::Error::other("this is a folder, not an image")));
    }
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(error)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(error(io::Error::other("the file is larger than 1 GiB")));
    }
    Ok(bytes)
}
