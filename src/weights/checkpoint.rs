use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use memmap2::Mmap;
use safetensors::Dtype;
use sha2::{Digest, Sha256};

use super::report::nearest;
use super::tensor_table::{Body, Entry, TensorTable};
use super::values::{self, Stored};
use super::{
    Declared, Hdf5Error, MappedTensor, Normalization, TorchError, WeightsError, format, shards,
    wrappers,
};
use crate::text::file_name;

/// The names of a folder's weights; the first that exists is used.
const IN_FOLDER: [&str; 3] =
    ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"];

/// A set of named tensors, opened but not read: a safetensors file, a PyTorch one (`.pth`, `.bin`),
/// a Keras one (`.keras`, `.weights.h5`, `.h5`), or the bytes of one, recognised by content, not by
/// name. Or several safetensors files with an index (`*.index.json`).
///
/// A PyTorch file is read without running any of its code. A name in its pickle that tensors do not
/// need becomes an object without behaviour; only a tensor that depends on one cannot be read. If
/// the file holds a whole module rather than its state dict, its parameters and buffers are taken.
///
/// In a training checkpoint the weights are found where timm and others put them (`state_dict_ema`,
/// `model_ema`, `ema`, `state_dict`, `model_state_dict`, `model`, ..., averages first), whether
/// these are keys of dictionaries or beginnings of names. The prefixes `module.` and `_orig_mod.`
/// are removed, and what optimizers, losses and metrics keep is left out. TensorFlow's averages
/// (`/ExponentialMovingAverage`) replace their variables. [`note`](Self::note) says what was done,
/// and [`declared`](Self::declared) what else the file says about the model.
///
/// Tensors of a Keras file have the names that Keras 3 gives them, `LAYER/VARIABLE`
/// (`block2a_expand_conv/kernel`), whichever version of Keras wrote it: Keras 2's `:0` is removed,
/// and the numbers of the newer files become names. The optimizer's tensors are left out. If the
/// file describes its model, a batch norm between the pooled features and the only `Dense` layer is
/// folded into that layer, in f64.
///
/// Opening parses and checks the header; the values of a tensor are read, converted and checked
/// when it is asked for. Cloning is cheap: clones share the file.
#[derive(Clone)]
pub struct Checkpoint {
    inner: Arc<Inner>,
}

struct Inner {
    file: String,
    /// The file, or the files of a sharded checkpoint.
    shards: Vec<Bytes>,
    header: TensorTable,
    note: Option<String>,
    digest: OnceLock<String>,
}

/// Where the bytes live.
enum Bytes {
    Map(Mmap),
    Static(&'static [u8]),
    Owned(Vec<u8>),
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Map(map) => map,
            Self::Static(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

impl Checkpoint {
    /// Opens a file of weights by mapping it into memory; or the files that an index names; or a
    /// folder's `model.safetensors`, index of several files, or `pytorch_model.bin`.
    ///
    /// The file must not be changed in place while the checkpoint lives; replacing it with a
    /// rename, as [`write_safetensors`](super::write_safetensors) does, is safe.
    ///
    /// # Errors
    /// If the file cannot be read, is not a regular file, has another format or is malformed; if a
    /// folder has no such file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        if path.is_dir() {
            let found = IN_FOLDER.iter().map(|name| path.join(name)).find(|file| file.exists());
            let missing = || match format::in_folder(path) {
                Some((format, remedy)) => {
                    WeightsError::OtherFormat { file: file_name(path), format, remedy }
                }
                None => WeightsError::NoneInFolder { folder: path.to_owned() },
            };
            return Self::open(found.filter(|file| !file.is_dir()).ok_or_else(missing)?);
        }
        let file = file_name(path);
        if shards::is_index(path) {
            let (header, shards) = shards::open(path, open_map)?;
            return Ok(Self::new(file, shards, header, None));
        }
        Self::parse(file, open_map(path)?)
    }

    /// A checkpoint from the bytes of a file of weights; `file` is what errors call it.
    ///
    /// # Errors
    /// If the bytes are another format or the header is malformed.
    pub fn from_bytes(file: impl Into<String>, bytes: Vec<u8>) -> Result<Self, WeightsError> {
        Self::parse(file.into(), Bytes::Owned(bytes))
    }

    /// [`from_bytes`](Self::from_bytes) for bytes inside the program, which are not copied.
    ///
    /// # Errors
    /// If the bytes are another format or the header is malformed.
    pub fn from_static(
        file: impl Into<String>,
        bytes: &'static [u8],
    ) -> Result<Self, WeightsError> {
        Self::parse(file.into(), Bytes::Static(bytes))
    }

    /// A checkpoint of names and shapes, whose values cannot be read.
    pub(crate) fn of_shapes(tensors: Vec<(String, Vec<usize>)>) -> Self {
        let mut header = TensorTable::default();
        for (name, shape) in tensors {
            let body = Body::Made(Vec::new());
            // Keeps the first of two equal names.
            let _ = header.add(Entry { name, dtype: Dtype::F32, shape, body, shard: 0 });
        }
        Self::new("names and shapes".to_owned(), Vec::new(), header, None)
    }

    fn parse(file: String, bytes: Bytes) -> Result<Self, WeightsError> {
        let (header, note) = format::parse(&file, bytes.as_ref())?;
        Ok(Self::new(file, vec![bytes], header, note))
    }

    fn new(file: String, shards: Vec<Bytes>, header: TensorTable, note: Option<String>) -> Self {
        let (header, wrappers) = wrappers::strip(header);
        let notes: Vec<_> = note.into_iter().chain(wrappers).collect();
        let note = (!notes.is_empty()).then(|| notes.join("; "));
        let inner = Inner { file, shards, header, note, digest: OnceLock::new() };
        Self { inner: Arc::new(inner) }
    }

    /// Where in the file the weights were found and what was removed from their names, unless they
    /// were simply there.
    pub fn note(&self) -> Option<&str> {
        self.inner.note.as_deref()
    }

    /// The path of the file or index, or the name that the bytes were given.
    pub fn file(&self) -> &str {
        &self.inner.file
    }

    /// The names of all tensors, in the order in which the file stores them.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.inner.header.entries.iter().map(|entry| entry.name.as_str())
    }

    /// The shape of a tensor, outermost dimension first, or `None` if there is no such tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entry(name).map(|entry| entry.shape.as_slice())
    }

    /// The type a tensor is stored in, as safetensors writes it (`F32`, `BF16`, `I64`, ...).
    pub fn dtype(&self, name: &str) -> Option<String> {
        self.entry(name).map(|entry| entry.dtype.to_string())
    }

    /// The free text pairs of the header's `__metadata__`.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.inner.header.metadata
    }

    /// What the file says about its model besides the tensors. None of it has been compared with them.
    pub fn declared(&self) -> &Declared {
        &self.inner.header.declared
    }

    /// How images are normalized, if layers of the model do it and the file says how, as Keras's do.
    pub fn normalization(&self) -> Option<Normalization> {
        self.inner.header.normalization
    }

    /// The epsilon of norms in a file of Keras's weights alone, which does not say what its layers
    /// do.
    pub(crate) fn undescribed_eps(&self) -> Option<f64> {
        self.inner.header.undescribed_eps
    }

    /// SHA-256 of the whole file, in hexadecimal. For a sharded checkpoint it covers the files one
    /// after the other, in the order of their names.
    ///
    /// Computed on the first call, which reads the file to its end, and kept.
    pub fn digest(&self) -> &str {
        self.inner.digest.get_or_init(|| {
            let mut digest = Sha256::new();
            self.inner.shards.iter().for_each(|shard| digest.update(shard));
            format!("{:x}", digest.finalize())
        })
    }

    /// Reads the values of a tensor as f32, in row-major order. Every f16 and bf16 is an f32; an
    /// f64 is rounded to the nearest one.
    ///
    /// # Errors
    /// If there is no such tensor, it is stored as something other than f32, f16, bf16 or f64, or it
    /// holds a value that is not finite or beyond the range of f32.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        match self.entry(name) {
            Some(entry) => self.read(entry),
            None => Err(self.unreadable(name).unwrap_or_else(|| WeightsError::NoTensor {
                file: self.inner.file.clone(),
                tensor: name.to_owned(),
                nearest: nearest(name, self.names()),
            })),
        }
    }

    /// If the file has something by that name that cannot be read as a tensor: why.
    pub(crate) fn unreadable(&self, name: &str) -> Option<WeightsError> {
        let reason = self.inner.header.unreadable.get(name)?.clone();
        let source = TorchError::Tensor { tensor: name.to_owned(), reason };
        Some(WeightsError::Torch { file: self.inner.file.clone(), source })
    }

    /// The names of what the file has but cannot be read as tensors.
    pub(crate) fn unreadable_names(&self) -> impl Iterator<Item = &str> {
        self.inner.header.unreadable.keys().map(String::as_str)
    }

    /// The values, in timm's layout, of a tensor that the file has by its foreign name and in its
    /// foreign shape.
    pub(crate) fn read_canonical(&self, mapped: &MappedTensor) -> Result<Vec<f32>, WeightsError> {
        match mapped.made() {
            Some(values) => Ok(values.to_vec()),
            None => Ok(mapped.to_canonical(self.read_f32(&mapped.foreign)?)),
        }
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        let header = &self.inner.header;
        header.index.get(name).and_then(|&i| header.entries.get(i))
    }

    fn read(&self, entry: &Entry) -> Result<Vec<f32>, WeightsError> {
        let file = || self.inner.file.clone();
        let tensor = || entry.name.clone();
        let stored = Stored::of(entry.dtype).ok_or_else(|| WeightsError::UnsupportedDtype {
            file: file(),
            tensor: tensor(),
            dtype: entry.dtype.to_string(),
        })?;
        let whole = self.inner.shards[entry.shard].as_ref();
        let bytes = entry.bytes(whole, stored.width()).map_err(|reason| WeightsError::Keras {
            file: file(),
            source: Hdf5Error::Tensor { tensor: tensor(), reason: reason.to_owned() }.into(),
        })?;
        let values = values::to_f32(stored, &bytes);
        values.map_err(|found| WeightsError::NonFinite {
            file: file(),
            tensor: tensor(),
            index: found.index,
            value: found.value,
        })
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tensors = self.inner.header.entries.len();
        f.debug_struct("Checkpoint")
            .field("file", &self.inner.file)
            .field("tensors", &tensors)
            .finish_non_exhaustive()
    }
}

/// Maps the file at `path`.
fn open_map(path: &Path) -> Result<Bytes, WeightsError> {
    let read = |source| WeightsError::Read { file: path.to_owned(), source };
    // Checked before it is opened: opening a pipe waits for a writer.
    if !path.metadata().map_err(read)?.is_file() {
        return Err(WeightsError::NotAFile { file: path.to_owned() });
    }
    let file = File::open(path).map_err(read)?;
    map(&file).map(Bytes::Map).map_err(read)
}

#[allow(unsafe_code)]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the map is private to the checkpoint and only ever read as bytes, for which every bit
    // pattern is valid. No system can ensure that nobody truncates or rewrites the file in place
    // meanwhile; `Checkpoint::open` states it as a condition.
    unsafe { Mmap::map(file) }
}
