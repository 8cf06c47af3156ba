use std::path::PathBuf;

use crate::model::{AsInput, Input};

/// One image of a source.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Sample {
    /// What results call it: the file, `ARCHIVE/MEMBER`, or `TABLE#ROW` with rows from 0.
    pub name: String,
    /// The image.
    pub image: SampleImage,
    /// What it shows, if the source says so and was asked for it.
    pub label: Option<Label>,
    /// The number of the file, archive or table that it is in, from 0.
    pub entry: u64,
}

/// Where a sample's image is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SampleImage {
    /// A file.
    File(PathBuf),
    /// A part of a file.
    Part {
        /// The file.
        path: PathBuf,
        /// Where the image begins, in bytes.
        offset: u64,
        /// How many bytes it has.
        len: u64,
    },
    /// The bytes of a file.
    Encoded(Vec<u8>),
    /// It cannot be read.
    Unreadable {
        /// Why.
        reason: String,
    },
}

/// What an image shows, as its source says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Label {
    /// The class's number.
    pub index: Option<usize>,
    /// The class's name.
    pub name: Option<String>,
}

impl Label {
    /// A label as text: a number is an index, anything else a name.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        Some(match text.parse() {
            Ok(index) => Self { index: Some(index), name: None },
            Err(_) => Self { index: None, name: Some(text.to_owned()) },
        })
    }
}

impl Sample {
    pub(super) fn new(name: String, image: SampleImage) -> Self {
        Self { name, image, label: None, entry: 0 }
    }

    /// What takes the place of something that cannot be read.
    #[allow(clippy::needless_pass_by_value, reason = "callers hand errors over")]
    pub(super) fn unreadable(name: impl Into<String>, reason: impl ToString) -> Self {
        Self::new(name.into(), SampleImage::Unreadable { reason: reason.to_string() })
    }
}

impl AsInput for Sample {
    fn as_input(&self) -> Input<'_> {
        let name = &self.name;
        match &self.image {
            SampleImage::File(path) => Input::Path(path),
            &SampleImage::Part { ref path, offset, len } => Input::Part { name, path, offset, len },
            SampleImage::Encoded(bytes) => Input::Named { name, bytes },
            SampleImage::Unreadable { reason } => Input::Unreadable { name, reason },
        }
    }
}
