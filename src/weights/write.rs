use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};
use std::path::Path;

use half::{bf16, f16};
use serde_json::json;

use super::WeightsError;
use super::safetensors::METADATA;
use crate::replace::Replacement;

/// A tensor to be written, row-major.
#[derive(Clone, Copy, Debug)]
pub struct NamedTensor<'a> {
    /// Its name in the file.
    pub name: &'a str,
    /// Its shape, outermost dimension first.
    pub shape: &'a [usize],
    /// Its values, as many as the shape's product.
    pub values: Values<'a>,
}

/// The values of a tensor, which decide the type it is stored in.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// Stored as U8.
    U8(&'a [u8]),
    /// Stored as F16.
    F16(&'a [f16]),
    /// Stored as BF16.
    Bf16(&'a [bf16]),
    /// Stored as F32.
    F32(&'a [f32]),
}

impl Values<'_> {
    fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::F16(values) => values.len(),
            Self::Bf16(values) => values.len(),
            Self::F32(values) => values.len(),
        }
    }

    /// The type's name in safetensors and its bytes per value.
    fn dtype(&self) -> (&'static str, usize) {
        match self {
            Self::U8(_) => ("U8", 1),
            Self::F16(_) => ("F16", 2),
            Self::Bf16(_) => ("BF16", 2),
            Self::F32(_) => ("F32", 4),
        }
    }

    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::U8(values) => to.write_all(values),
            Self::F16(values) => write_each(to, values, |v| v.to_le_bytes()),
            Self::Bf16(values) => write_each(to, values, |v| v.to_le_bytes()),
            Self::F32(values) => write_each(to, values, |v| v.to_le_bytes()),
        }
    }
}

/// Writes values in batches.
fn write_each<T: Copy, const WIDTH: usize>(
    to: &mut impl Write,
    values: &[T],
    bytes: impl Fn(T) -> [u8; WIDTH],
) -> io::Result<()> {
    const AT_ONCE: usize = 4096;
    let mut buffer = Vec::with_capacity(AT_ONCE * WIDTH);
    for values in values.chunks(AT_ONCE) {
        buffer.clear();
        values.iter().for_each(|value| buffer.extend_from_slice(&bytes(*value)));
        to.write_all(&buffer)?;
    }
    Ok(())
}

/// The bytes of a safetensors file with these tensors and metadata.
///
/// The same tensors give the same bytes in any order: they are stored widest type first, which
/// keeps each aligned, then by name.
///
/// # Errors
/// If two tensors have the same name, or a tensor's values do not fill its shape.
pub fn serialize(
    tensors: &[NamedTensor<'_>],
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, WeightsError> {
    let file = Layout::new(tensors, metadata)?;
    let mut bytes = Vec::new();
    // Writing to memory cannot fail.
    let _ = file.write(&mut bytes);
    Ok(bytes)
}

/// Writes a safetensors file: whole, or not at all.
///
/// It is written under a temporary name next to `path` and renamed, so neither a reader nor an
/// interrupted run ever sees half a file, and a memory map of an older file stays valid. The bytes
/// are those of [`serialize`].
///
/// # Errors
/// Those of [`serialize`]; if `path` is a folder, a pipe or a device; or if the system refuses.
pub fn write_safetensors(
    path: impl AsRef<Path>,
    tensors: &[NamedTensor<'_>],
    metadata: &BTreeMap<String, String>,
) -> Result<(), WeightsError> {
    let path = path.as_ref();
    let layout = Layout::new(tensors, metadata)?;
    let write = || {
        let mut file = Replacement::begin(path)?;
        layout.write(&mut file)?;
        file.finish()
    };
    write().map_err(|source| WeightsError::Write { file: path.to_owned(), source })
}

/// A file's header, and its tensors in the order in which they are stored.
struct Layout<'t> {
    header: Vec<u8>,
    tensors: Vec<&'t NamedTensor<'t>>,
}

impl<'t> Layout<'t> {
    fn new(
        tensors: &'t [NamedTensor<'t>],
        metadata: &BTreeMap<String, String>,
    ) -> Result<Self, WeightsError> {
        let mut sorted: Vec<_> = tensors.iter().collect();
        sorted.sort_by_key(|t| (std::cmp::Reverse(t.values.dtype().1), t.name));

        // Written piece by piece: the order of a `serde_json::Map` depends on that crate's features.
        let mut items = Vec::new();
        if !metadata.is_empty() {
            items.push(format!("{}:{}", json!(METADATA), json!(metadata)));
        }
        let mut names = HashSet::new();
        let mut start = 0usize;
        for t in &sorted {
            if t.name == METADATA || !names.insert(t.name) {
                return Err(WeightsError::WriteTwice { tensor: t.name.to_owned() });
            }
            let wanted = t.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
            if wanted != Some(t.values.len()) {
                return Err(WeightsError::WriteShape {
                    tensor: t.name.to_owned(),
                    shape: t.shape.to_owned(),
                    values: t.values.len(),
                });
            }
            let (dtype, width) = t.values.dtype();
            let end = start + t.values.len() * width;
            items.push(format!(
                "{}:{{\"dtype\":\"{dtype}\",\"shape\":{},\"data_offsets\":[{start},{end}]}}",
                json!(t.name),
                json!(t.shape),
            ));
            start = end;
        }
        let mut header = format!("{{{}}}", items.join(",")).into_bytes();
        // Spaces to a multiple of eight keep the tensors aligned in a mapped file.
        header.resize(header.len().next_multiple_of(8), b' ');
        Ok(Self { header, tensors: sorted })
    }

    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&(self.header.len() as u64).to_le_bytes())?;
        to.write_all(&self.header)?;
        self.tensors.iter().try_for_each(|t| t.values.write(to))
    }
}
