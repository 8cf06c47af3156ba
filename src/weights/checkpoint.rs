use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use candle_core::{DType, Device, Tensor};
use half::{bf16, f16};
use memmap2::Mmap;
use sha2::{Digest, Sha256};

use super::header::{self, Entry, Header};
use super::pickle;
use super::report::nearest;
use super::values::{self, Stored};
use super::{MappedTensor, WeightsError};

/// A set of named tensors, opened but not read: a safetensors file or a PyTorch
/// one (`.pth`, `.bin`), or the bytes of one; its content tells which, not its name.
///
/// A PyTorch file is read without running anything of it: its pickle may name what tensors need and
/// nothing else. Of a training checkpoint the weights are found where timm looks for them
/// (`state_dict_ema`, `model_ema`, `state_dict`, `model`), without the prefixes `module.` and
/// `_orig_mod.`; [`note`](Self::note) says so. What is no tensor there is ignored.
///
/// Opening parses and checks the header; the values of a tensor are read, converted and checked
/// when it is asked for. Cloning is cheap: clones share the file.
#[derive(Clone)]
pub struct Checkpoint {
    inner: Arc<Inner>,
}

struct Inner {
    file: String,
    bytes: Bytes,
    header: Header,
    note: Option<String>,
    digest: OnceLock<String>,
}

/// Where the bytes live.
enum Bytes {
    Map(Mmap),
    Static(&'static [u8]),
    Owned(Vec<u8>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Map(map) => map,
            Self::Static(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

impl Checkpoint {
    /// Opens a file of weights by mapping it into memory.
    ///
    /// The file must not be changed in place while the checkpoint lives; replacing it by a rename,
    /// as [`write_safetensors`](super::write_safetensors) does, is safe.
    ///
    /// # Errors
    /// If the file cannot be read, is no regular file, is another format or has a malformed header or pickle.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        let read = |source| WeightsError::Read { file: path.to_owned(), source };
        // Looked at before it is opened: opening a pipe waits for a writer.
        if !path.metadata().map_err(read)?.is_file() {
            return Err(WeightsError::NotAFile { file: path.to_owned() });
        }
        let map = map(&File::open(path).map_err(read)?).map_err(read)?;
        Self::new(path.display().to_string(), Bytes::Map(map))
    }

    /// A checkpoint from the bytes of a file of weights; `file` is what errors call it.
    ///
    /// # Errors
    /// If the bytes are another format or the header is malformed.
    pub fn from_bytes(file: impl Into<String>, bytes: Vec<u8>) -> Result<Self, WeightsError> {
        Self::new(file.into(), Bytes::Owned(bytes))
    }

    /// [`from_bytes`](Self::from_bytes) for bytes inside the program, which are not copied.
    ///
    /// # Errors
    /// If the bytes are another format or the header is malformed.
    pub fn from_static(
        file: impl Into<String>,
        bytes: &'static [u8],
    ) -> Result<Self, WeightsError> {
        Self::new(file.into(), Bytes::Static(bytes))
    }

    fn new(file: String, bytes: Bytes) -> Result<Self, WeightsError> {
        if let Some((format, remedy)) = other_format(&bytes) {
            return Err(WeightsError::OtherFormat { file, format, remedy });
        }
        let parsed = if pickle::is_torch(&bytes) {
            pickle::parse(&bytes)
                .map_err(|source| WeightsError::Torch { file: file.clone(), source })
        } else {
            header::parse(&bytes)
                .map(|header| (header, None))
                .map_err(|source| WeightsError::Header { file: file.clone(), source })
        };
        let (header, note) = parsed?;
        let inner = Inner { file, bytes, header, note, digest: OnceLock::new() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Where in the file the weights were found and what was taken off their names, if they were not
    /// simply there.
    pub fn note(&self) -> Option<&str> {
        self.inner.note.as_deref()
    }

    /// The file's path, or the name that the bytes were given.
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

    /// SHA-256 of the whole file, in hexadecimal.
    ///
    /// Computed on the first call, which reads the file to its end, and kept.
    pub fn digest(&self) -> &str {
        self.inner.digest.get_or_init(|| format!("{:x}", Sha256::digest(&*self.inner.bytes)))
    }

    /// Reads the values of a tensor as f32, in row-major order. Exact: every f16 and bf16 is an f32.
    ///
    /// # Errors
    /// If there is no such tensor, it is stored as something other than f32, f16 or bf16, or it
    /// holds a value that is not finite.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let entry = self.entry(name).ok_or_else(|| WeightsError::NoTensor {
            file: self.inner.file.clone(),
            tensor: name.to_owned(),
            nearest: nearest(name, self.names()),
        })?;
        self.read(entry)
    }

    /// Reads a tensor in its stored shape as `dtype` onto `device`.
    ///
    /// # Errors
    /// As [`read_f32`](Self::read_f32); and if `dtype` is not f32, f16, bf16 or f64, a value is
    /// beyond its range, or the device refuses.
    pub fn tensor(
        &self,
        name: &str,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor, WeightsError> {
        let values = self.read_f32(name)?;
        self.place(name, values, self.shape(name).unwrap_or_default(), dtype, device)
    }

    /// Reads a tensor that the file has by its foreign name and in its foreign shape, in timm's
    /// layout.
    pub(super) fn mapped_tensor(
        &self,
        mapped: &MappedTensor,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor, WeightsError> {
        let values = mapped.to_canonical(self.read_f32(&mapped.foreign)?);
        self.place(&mapped.foreign, values, &mapped.shape, dtype, device)
    }

    fn place(
        &self,
        name: &str,
        values: Vec<f32>,
        shape: &[usize],
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor, WeightsError> {
        let overflow = match dtype {
            DType::F16 => values.iter().position(|&v| f16::from_f32(v).is_infinite()),
            DType::BF16 => values.iter().position(|&v| bf16::from_f32(v).is_infinite()),
            DType::F32 | DType::F64 => None,
            other => return Err(WeightsError::TargetDtype { dtype: other.as_str() }),
        };
        if let Some(index) = overflow {
            return Err(WeightsError::Overflow {
                file: self.inner.file.clone(),
                tensor: name.to_owned(),
                index,
                value: values[index],
                dtype: dtype.as_str(),
            });
        }
        Tensor::from_vec(values, shape, &Device::Cpu)
            .and_then(|t| t.to_dtype(dtype)?.to_device(device))
            .map_err(|source| WeightsError::Device {
                file: self.inner.file.clone(),
                tensor: name.to_owned(),
                source: Box::new(source),
            })
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
        // The parser has checked that every entry's range lies inside the file.
        let bytes = &self.inner.bytes[entry.bytes.clone()];
        let values = match &entry.strides {
            None => values::to_f32(stored, bytes),
            Some(strides) => {
                let gathered = pickle::gather(bytes, &entry.shape, strides, stored.width());
                values::to_f32(stored, &gathered)
            }
        };
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

#[allow(unsafe_code)]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the map is private to the checkpoint and only ever read as bytes, for which every
    // bit pattern is valid. That nobody truncates or rewrites the file in place meanwhile cannot
    // be enforced on any system; `Checkpoint::open` states it as its condition.
    unsafe { Mmap::map(file) }
}

/// Recognises what people most often give in place of a file of weights: format and remedy.
fn other_format(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    const FORMATS: [(&[u8], &str, &str); 6] = [
        (b"\x80", "a Python pickle", "save the weights with torch.save or safetensors"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras)", "convert it in Python"),
        (b"GGUF", "a GGUF file", "take the repository's model.safetensors"),
        (
            b"version https://git-lfs",
            "a git-lfs pointer",
            "fetch the file itself with `git lfs pull`",
        ),
        (b"<", "a web page", "fetch the file itself again"),
        (b"{", "JSON", "take the repository's model.safetensors"),
    ];
    if bytes.is_empty() {
        return Some(("an empty file", "fetch it again"));
    }
    // A header of 60 or 123 bytes starts with `<` or `{` too; its length goes on with zeros.
    if bytes.get(4..8) == Some(&[0; 4]) || pickle::is_torch(bytes) {
        return None;
    }
    FORMATS
        .iter()
        .find(|(magic, ..)| bytes.starts_with(magic))
        .map(|&(_, format, remedy)| (format, remedy))
}
