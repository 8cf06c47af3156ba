//! PyTorch's files: a zip archive (since 1.6) or a sequence of pickles (before), read without
//! running anything. Formats: `torch/serialization.py`.

mod contents;
mod error;
mod machine;
mod objects;
mod torch;

use std::collections::HashMap;
use std::ops::Range;

use self::contents::Contents;
use self::machine::MAX_PICKLE;
use self::objects::{Objects, Value};
use self::torch::View;
use super::tensor_table::excerpt;
use super::tensor_table::{Body, Entry, TensorTable};
use super::zip::Archive;

pub use self::error::TorchError;

/// How the older format starts: its magic number, pickled.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
/// The only version of the older format.
const LEGACY_VERSION: i64 = 1001;
/// Whether `file` starts as PyTorch's older files do.
pub(super) fn is_legacy(file: &[u8]) -> bool {
    file.starts_with(LEGACY)
}

/// The tensors of a PyTorch file that is a zip archive, and what was done to get at them.
pub(super) fn parse_zip(
    file: &[u8],
    archive: &Archive<'_>,
) -> Result<(TensorTable, Option<String>), TorchError> {
    let prefixes: Vec<_> =
        archive.names().filter_map(|name| name.strip_suffix("data.pkl")).collect();
    let &[prefix] = prefixes.as_slice() else {
        return Err(TorchError::NotTorch { count: prefixes.len() });
    };
    let entry = |name: &str| archive.range(&format!("{prefix}{name}")).map_err(TorchError::from);
    if let Some(range) = entry("byteorder")?
        && &file[range.clone()] != b"little"
    {
        return Err(TorchError::BigEndian);
    }
    let pickle = &file[entry("data.pkl")?.unwrap_or_default()];
    if pickle.len() > MAX_PICKLE {
        return Err(TorchError::Limit { what: "bytes", limit: MAX_PICKLE });
    }
    let (value, objects, _) = machine::run(pickle)?;
    header(value, &objects, |key| entry(&format!("data/{key}")))
}

/// The tensors of an older PyTorch file, and what was done to get at them.
pub(super) fn parse_legacy(file: &[u8]) -> Result<(TensorTable, Option<String>), TorchError> {
    let mut at = LEGACY.len();
    let mut next = || {
        let (value, objects, length) = machine::run(&file[at..])?;
        at += length;
        Ok::<_, TorchError>((value, objects, at))
    };
    let (version, _, after) = next()?;
    if !matches!(version, Value::Int(LEGACY_VERSION)) {
        return Err(TorchError::Malformed { at: after, what: "its version is not known" });
    }
    let (Value::Dict(system), described, after) = next()? else {
        return Err(TorchError::Malformed {
            at: after,
            what: "it does not say on what it was made",
        });
    };
    let big = |(key, value): &(Value<'_>, Value<'_>)| {
        matches!((key, value), (Value::Text("little_endian"), Value::Bool(false)))
    };
    if described.dicts[system].iter().any(big) {
        return Err(TorchError::BigEndian);
    }
    let (value, objects, _) = next()?;
    let (Value::Sequence(keys), listed, mut at) = next()? else {
        return Err(TorchError::Malformed { at: after, what: "it does not list its storages" });
    };
    let widths: HashMap<_, _> =
        objects.storages.iter().map(|s| (s.key, s.dtype.bitsize() / 8)).collect();
    let mut ranges = HashMap::new();
    for key in &listed.sequences[keys] {
        let Value::Text(key) = key else {
            return Err(TorchError::Malformed { at, what: "a storage's key is not text" });
        };
        let cut = || TorchError::CutOff { what: "a storage ends beyond the file" };
        let count = file.get(at..).and_then(|rest| rest.first_chunk::<8>()).ok_or_else(cut)?;
        let width = widths.get(key).copied().ok_or_else(|| no_storage(key))?;
        let end = usize::try_from(u64::from_le_bytes(*count))
            .ok()
            .and_then(|count| count.checked_mul(width)?.checked_add(at + 8))
            .filter(|&end| end <= file.len())
            .ok_or_else(cut)?;
        ranges.insert(*key, at + 8..end);
        at = end;
    }
    header(value, &objects, |key| Ok(ranges.get(key).cloned()))
}

fn no_storage(key: &str) -> TorchError {
    TorchError::NoStorage { storage: excerpt(key, 80) }
}

/// The tensors in `top`, by the keys that lead to them, and what the file says about the model.
fn header<'a>(
    top: Value<'a>,
    objects: &Objects<'a>,
    range: impl Fn(&str) -> Result<Option<Range<usize>>, TorchError>,
) -> Result<(TensorTable, Option<String>), TorchError> {
    let header = TensorTable::default();
    let mut contents =
        Contents { objects, range, header, module: None, values: 0, around: Vec::new() };
    contents.add(top, "", 0)?;
    let Contents { mut header, module, .. } = contents;
    if header.entries.is_empty() {
        return Err(match header.unreadable.pop_first() {
            Some((tensor, reason)) if tensor.is_empty() => TorchError::Content { reason },
            Some((tensor, reason)) => TorchError::Tensor { tensor, reason },
            None => TorchError::NoStateDict,
        });
    }
    header.declared = contents::declared(top, objects);
    let note = |class| {
        format!(
            "the tensors are those of a module of the class `{class}`, of which nothing was run"
        )
    };
    Ok((header, module.map(note)))
}

/// Checks one tensor against the storage it is a view of.
fn entry(
    name: String,
    view: &View,
    objects: &Objects<'_>,
    range: impl Fn(&str) -> Result<Option<Range<usize>>, TorchError>,
) -> Result<Entry, TorchError> {
    let storage = &objects.storages[view.storage];
    let bytes = range(storage.key)?.ok_or_else(|| no_storage(storage.key))?;
    let needed = storage.count.saturating_mul(storage.dtype.bitsize() / 8);
    if bytes.len() != needed {
        let storage = excerpt(storage.key, 80);
        return Err(TorchError::StorageSize { storage, found: bytes.len(), needed });
    }
    let width = view.dtype.bitsize() / 8;
    let stored = needed / width;
    let refuse = |name: &str| TorchError::Tensor {
        tensor: name.to_owned(),
        reason: format!("of shape {:?} reaches beyond its storage of {stored} values", view.shape),
    };
    // Views may repeat values; `format.rs` limits how many values all tensors have together.
    let bytes_of = |count: usize| count.checked_mul(width);
    let count = view.shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size));
    let count = count.filter(|&n| bytes_of(n).is_some()).ok_or_else(|| refuse(&name))?;
    let span = if count == 0 { Some(0) } else { reach(view) };
    let end = span.and_then(|span| span.checked_add(view.offset));
    let end = end.filter(|&end| end <= stored).ok_or_else(|| refuse(&name))?;
    let bytes = bytes.start + view.offset * width..bytes.start + end * width;
    let body = match count == 0 || is_contiguous(view) {
        true => Body::Plain(bytes),
        false => Body::Strided(bytes, view.strides.clone()),
    };
    Ok(Entry { name, dtype: view.dtype, shape: view.shape.clone(), body, shard: 0 })
}

/// The number of values from the view's first to its last in the storage, both included.
fn reach(view: &View) -> Option<usize> {
    let mut sizes = view.shape.iter().zip(&view.strides);
    sizes.try_fold(1_usize, |last, (&size, &stride)| {
        last.checked_add(size.checked_sub(1)?.checked_mul(stride)?)
    })
}

fn is_contiguous(view: &View) -> bool {
    let mut expected = 1_usize;
    view.shape.iter().zip(&view.strides).rev().all(|(&size, &stride)| {
        let fits = size == 1 || stride == expected;
        expected = expected.saturating_mul(size);
        fits
    })
}

/// The values of a view in row-major order, `width` bytes each. The view's checked bytes start with
/// its first value.
pub(super) fn gather(bytes: &[u8], shape: &[usize], strides: &[usize], width: usize) -> Vec<u8> {
    let count = shape.iter().product::<usize>();
    let mut out = Vec::with_capacity(count * width);
    let mut index = vec![0; shape.len()];
    for _ in 0..count {
        let at = index.iter().zip(strides).map(|(i, stride)| i * stride).sum::<usize>() * width;
        out.extend_from_slice(&bytes[at..at + width]);
        for (i, &size) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < size {
                break;
            }
            *i = 0;
        }
    }
    out
}
