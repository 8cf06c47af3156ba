//! What a file's table of contents becomes, whatever the format.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use safetensors::Dtype;

use super::Normalization;
use super::declared::Declared;
use super::hdf5::Chunks;

/// One tensor of a file.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) body: Body,
    /// Which of a sharded checkpoint's files it is in; 0 where there is one.
    pub(super) shard: usize,
}

/// Where in the file the values are. Every range has been checked against the file.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// In row-major order.
    Plain(Range<usize>),
    /// So many values from one index to the next in each dimension.
    Strided(Range<usize>, Vec<usize>),
    /// In pieces.
    Chunked(Chunks),
}

impl Body {
    /// Moves all positions by the bytes that precede the tensor's file in another.
    pub(super) fn shift(&mut self, by: usize) {
        match self {
            Self::Plain(bytes) | Self::Strided(bytes, _) => {
                *bytes = bytes.start + by..bytes.end + by;
            }
            Self::Chunked(chunks) => chunks.shift(by),
        }
    }
}

/// A file's tensors.
#[derive(Debug, Default)]
pub(super) struct Header {
    /// In the order in which the file stores them.
    pub(super) entries: Vec<Entry>,
    /// Name to position in `entries`.
    pub(super) index: HashMap<String, usize>,
    pub(super) metadata: BTreeMap<String, String>,
    /// What the model does to images, where the file says it.
    pub(super) normalization: Option<Normalization>,
    pub(super) declared: Declared,
    /// What the file has where a tensor could be and is none that can be read: by its name, the end of
    /// a sentence about it.
    pub(super) unreadable: BTreeMap<String, String>,
}

impl Header {
    /// Adds a tensor, or gives its name back if that is taken.
    pub(super) fn add(&mut self, entry: Entry) -> Result<(), String> {
        if self.index.contains_key(&entry.name) {
            return Err(entry.name);
        }
        self.index.insert(entry.name.clone(), self.entries.len());
        self.entries.push(entry);
        Ok(())
    }
}
