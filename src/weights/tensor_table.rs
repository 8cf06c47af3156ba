//! A file's table of contents, in any format.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use safetensors::Dtype;

use super::Normalization;
use super::declared::Declared;
use super::hdf5::Chunks;
use super::pickle;

/// The longest name of a tensor, and the most text quoted from the parser: names and values of the
/// file appear in messages.
pub(super) const MAX_NAME: usize = 256;

/// One tensor of a file.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) body: Body,
    /// Which of a sharded checkpoint's files it is in; 0 if there is only one.
    pub(super) shard: usize,
}

/// Where in the file the values are. Every range has been checked against the file.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// In row-major order.
    Plain(Range<usize>),
    /// With this many values from one index to the next in each dimension.
    Strided(Range<usize>, Vec<usize>),
    /// In pieces.
    Chunked(Chunks),
    /// Not in the file, but made from what is.
    Made(Vec<u8>),
}

impl Entry {
    /// The bytes of the values in row-major order, `width` bytes each, out of the whole file.
    ///
    /// # Errors
    /// What is wrong with them, worded to end a sentence about the tensor.
    pub(super) fn bytes<'a>(
        &'a self,
        whole: &'a [u8],
        width: usize,
    ) -> Result<Cow<'a, [u8]>, &'static str> {
        // Every parser has checked that the ranges of its entries lie inside their file.
        Ok(match &self.body {
            Body::Plain(range) => whole[range.clone()].into(),
            Body::Strided(range, strides) => {
                pickle::gather(&whole[range.clone()], &self.shape, strides, width).into()
            }
            Body::Chunked(chunks) => chunks.assemble(whole, &self.shape)?.into(),
            Body::Made(bytes) => bytes.into(),
        })
    }
}

impl Body {
    /// Moves all positions by the number of bytes before the tensor's file inside another.
    pub(super) fn shift(&mut self, by: usize) {
        match self {
            Self::Plain(bytes) | Self::Strided(bytes, _) => {
                *bytes = bytes.start + by..bytes.end + by;
            }
            Self::Chunked(chunks) => chunks.shift(by),
            Self::Made(_) => {}
        }
    }
}

/// A file's tensors.
#[derive(Debug, Default)]
pub(super) struct TensorTable {
    /// In the order in which the file stores them.
    pub(super) entries: Vec<Entry>,
    /// Name to position in `entries`.
    pub(super) index: HashMap<String, usize>,
    pub(super) metadata: BTreeMap<String, String>,
    /// What the model does to images, if the file says so.
    pub(super) normalization: Option<Normalization>,
    pub(super) declared: Declared,
    /// The epsilon of norms, in a file of Keras's weights alone, which does not give it.
    pub(super) undescribed_eps: Option<f64>,
    /// What could be a tensor but cannot be read: by its name, the end of a sentence about it.
    pub(super) unreadable: BTreeMap<String, String>,
}

impl TensorTable {
    /// Adds a tensor, or returns its name if that is taken.
    pub(super) fn add(&mut self, entry: Entry) -> Result<(), String> {
        if self.index.contains_key(&entry.name) {
            return Err(entry.name);
        }
        self.index.insert(entry.name.clone(), self.entries.len());
        self.entries.push(entry);
        Ok(())
    }
}

/// The beginning of a text from the file, safe to print.
pub(super) fn excerpt(text: &str, length: usize) -> String {
    let printable = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().take(length).map(printable).collect()
}
