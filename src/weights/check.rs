use std::collections::HashSet;

use super::report::{LoadReport, Mismatch, Misshapen, Missing, Unexpected};
use super::{Checkpoint, CheckpointSource, Renaming, WeightsError};

/// The suffix of a counter that PyTorch's batch norm saves and inference does not read.
pub(super) const COUNTER: &str = ".num_batches_tracked";

/// Compares a checkpoint's tensors with those of a network, strictly. The returned source reads
/// each tensor only when asked for it.
///
/// `tensors` are timm's names and shapes, as [`Graph::tensors`](crate::arch::Graph::tensors) lists them;
/// with `renaming`, each is looked for under its name in the file.
///
/// # Errors
/// [`WeightsError::Mismatch`] lists every tensor that is missing, unexpected or misshapen.
pub fn check<'a>(
    checkpoint: &'a Checkpoint,
    renaming: Option<&'a Renaming>,
    tensors: &[(String, Vec<usize>)],
) -> Result<(CheckpointSource<'a>, LoadReport), WeightsError> {
    compare(checkpoint, renaming, tensors, true)
}

/// Like [`check`]; with `is_whole`, `tensors` are all tensors of the network.
pub(super) fn compare<'a>(
    checkpoint: &'a Checkpoint,
    renaming: Option<&'a Renaming>,
    tensors: &[(String, Vec<usize>)],
    is_whole: bool,
) -> Result<(CheckpointSource<'a>, LoadReport), WeightsError> {
    let mut mismatch = Mismatch::new(checkpoint.file());
    let mut applied = Vec::new();
    // The file's names of the tensors asked for, whether or not they fit.
    let mut used = HashSet::new();
    let mut unreadable = None;
    for (name, shape) in tensors {
        let mapped = renaming.and_then(|renaming| renaming.mapped(name));
        let in_file = mapped.map_or(name.as_str(), |mapped| mapped.foreign.as_str());
        let has_name = renaming.is_none() || mapped.is_some();
        let Some(stored) = checkpoint.shape(in_file).filter(|_| has_name) else {
            mismatch.missing.push(Missing::new(name, in_file));
            unreadable = unreadable.or_else(|| checkpoint.unreadable(in_file));
            continue;
        };
        used.insert(in_file);
        // The shape that the convention stores it in, or the network's.
        let mapped = mapped.filter(|mapped| mapped.shape == *shape);
        let expected = mapped.map_or(shape, |mapped| &mapped.foreign_shape);
        if stored == expected && (renaming.is_none() || mapped.is_some()) {
            applied.push(name.clone());
        } else {
            mismatch.misshapen.push(Misshapen::new(name, stored, expected));
        }
    }
    if let Some(error) = unreadable {
        return Err(error);
    }
    mismatch.applied = applied.len();
    let mut ignored = Vec::new();
    for name in checkpoint.names().filter(|name| is_whole && !used.contains(name)) {
        let is_ignored = match renaming {
            Some(renaming) => renaming.ignores(name),
            None => name.ends_with(COUNTER),
        };
        if is_ignored {
            ignored.push(name.to_owned());
        } else {
            mismatch.unexpected.push(Unexpected::new(name));
        }
    }
    if mismatch.findings() > 0 {
        mismatch.find_nearest();
        return Err(WeightsError::Mismatch(Box::new(mismatch)));
    }
    let convention = renaming.map(|renaming| renaming.convention().to_owned());
    let report = LoadReport { file: mismatch.file, convention, applied, ignored };
    Ok((CheckpointSource { checkpoint, renaming }, report))
}
