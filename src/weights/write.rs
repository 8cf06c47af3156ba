use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use serde_json::json;

use super::WeightsError;
use super::header::METADATA;

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

    /// The type's name in safetensors and its bytes a value.
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
            Self::F16(values) => values.iter().try_for_each(|v| to.write_all(&v.to_le_bytes())),
            Self::Bf16(values) => values.iter().try_for_each(|v| to.write_all(&v.to_le_bytes())),
            Self::F32(values) => values.iter().try_for_each(|v| to.write_all(&v.to_le_bytes())),
        }
    }
}

/// The bytes of a safetensors file with these tensors and metadata.
///
/// The same tensors give the same bytes, in whatever order they come: they are stored widest type
/// first, which keeps each aligned, then by name.
///
/// # Errors
/// If two tensors have one name, or a tensor's values do not make its shape.
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
/// It is written under a temporary name beside `path` and renamed, so neither a reader nor an
/// interrupted run ever sees half a file, and a map of an older file stays valid. Bytes as
/// [`serialize`] gives them.
///
/// # Errors
/// As [`serialize`]; if `path` is a folder, a pipe or a device; or if the system refuses.
pub fn write_safetensors(
    path: impl AsRef<Path>,
    tensors: &[NamedTensor<'_>],
    metadata: &BTreeMap<String, String>,
) -> Result<(), WeightsError> {
    let path = path.as_ref();
    let layout = Layout::new(tensors, metadata)?;
    replace(path, |file| layout.write(file))
        .map_err(|source| WeightsError::Write { file: path.to_owned(), source })
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

/// Replaces the file at `path` by what `write` writes, or leaves it untouched.
pub(crate) fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    // A rename would put a file in the place of /dev/null or of a pipe.
    if path.metadata().is_ok_and(|m| !m.is_file()) {
        return Err(io::Error::other("it exists and is not a regular file"));
    }
    let (temporary, file) = create_beside(path)?;
    let written = (|| {
        let mut file = BufWriter::with_capacity(1 << 20, file);
        write(&mut file)?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_data()?;
        std::fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // The error that counts is the first one.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// Creates a new, hidden file in the folder of `path`.
fn create_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    let name = path.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
    let mut attempt = 0u32;
    loop {
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}-{attempt}.tmp", std::process::id()));
        let temporary = path.with_file_name(hidden);
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && attempt < 1000 => attempt += 1,
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_fails_half_way_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        std::fs::write(&path, "old").unwrap();
        let full = |file: &mut BufWriter<File>| {
            file.write_all(b"new, but ")?;
            file.flush()?;
            Err(io::Error::other("no space left"))
        };
        assert_eq!(replace(&path, full).unwrap_err().to_string(), "no space left");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
