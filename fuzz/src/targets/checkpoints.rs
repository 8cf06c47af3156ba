//! Files of weights.

use std::collections::{BTreeMap, BTreeSet};

use effnet::weights::{Checkpoint, NamedTensor, Values, WeightsError, serialize};

use super::memory::peak;
use super::one_line;

/// How many bytes opening may hold, plus how many times its input, for the table of tensors.
const BESIDE: usize = 32 << 20;
const TIMES: usize = 256;
/// How many values of one file are read at most.
const MOST_READ: usize = 1 << 20;

/// Opens a file and reads its tensors.
///
/// Asserted: no panic; the file's length bounds the memory for opening, the tensor's size that for
/// reading it; a tensor has as many values as its shape says, all finite; written as safetensors,
/// tensors read back the same.
fn open(bytes: &[u8]) {
    let (result, held) = peak(|| Checkpoint::from_bytes("model", bytes.to_vec()));
    let most = BESIDE + TIMES * bytes.len();
    assert!(held <= most, "{held} bytes held to open {} bytes: {result:?}", bytes.len());
    check(result);
}

pub(super) fn check(result: Result<Checkpoint, WeightsError>) {
    let checkpoint = match result {
        Ok(checkpoint) => checkpoint,
        Err(error) => return one_line(&error),
    };
    let names: Vec<&str> = checkpoint.names().collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "a name twice");
    if let Some(note) = checkpoint.note() {
        assert!(!note.is_empty());
    }
    let mut read = Vec::new();
    let mut left = MOST_READ;
    for (number, name) in names.iter().enumerate() {
        let shape = checkpoint.shape(name).unwrap();
        checkpoint.dtype(name).unwrap();
        let count = shape.iter().product::<usize>();
        if count > left {
            continue;
        }
        left -= count;
        let (values, held) = peak(|| checkpoint.read_f32(name));
        assert!(held <= BESIDE + 32 * count, "{held} bytes held to read {shape:?}");
        match values {
            Ok(values) => {
                assert_eq!(values.len(), count);
                assert!(values.iter().all(|value| value.is_finite()));
                read.push((format!("t{number}"), shape, values));
            }
            Err(error) => one_line(&error),
        }
    }
    one_line(&checkpoint.read_f32("no such tensor").unwrap_err());
    let named: Vec<_> = read
        .iter()
        .map(|(name, shape, values)| NamedTensor { name, shape, values: Values::F32(values) })
        .collect();
    let again = serialize(&named, &BTreeMap::new()).unwrap();
    let again = Checkpoint::from_bytes("again", again).unwrap();
    for (name, shape, values) in &read {
        assert_eq!(again.shape(name), Some(*shape));
        assert!(again.read_f32(name).unwrap() == *values, "{name} is read otherwise");
    }
}

/// safetensors.
pub fn safetensors(bytes: &[u8]) {
    open(bytes);
}

/// PyTorch's archives.
pub fn pth(bytes: &[u8]) {
    if bytes.starts_with(b"PK") {
        open(bytes);
    }
}

/// Keras's archives.
pub fn keras(bytes: &[u8]) {
    pth(bytes);
}

/// PyTorch's old files, which are several pickles in a row.
pub fn legacy_pickle(bytes: &[u8]) {
    if bytes.starts_with(b"\x80") {
        open(bytes);
    }
}

/// HDF5, as Keras writes it.
pub fn hdf5(bytes: &[u8]) {
    if bytes.starts_with(b"\x89HDF") {
        open(bytes);
    }
}

/// An index, a zero byte, and a safetensors file that the index may name as `a`; `b` is always the
/// same.
pub fn shards(bytes: &[u8]) {
    let middle = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    put("x.index.json", &bytes[..middle]);
    put("a", bytes.get(middle + 1..).unwrap_or_default());
    let two = NamedTensor { name: "two", shape: &[2], values: Values::F32(&[1.0, 2.0]) };
    put("b", &serialize(&[two], &BTreeMap::new()).unwrap());
    let (result, held) = peak(|| Checkpoint::open(folder.path().join("x.index.json")));
    let most = BESIDE + TIMES * bytes.len();
    assert!(held <= most, "{held} bytes held to open {} bytes: {result:?}", bytes.len());
    check(result);
}
