//! Keras's files: `.h5` of old (weights or a whole model), `.weights.h5`, and `.keras`, a zip
//! archive around one of these. What is read is named as Keras 3 names it, `LAYER/VARIABLE`.
//!
//! Layouts: `keras/src/legacy/saving/legacy_h5_format.py` and `keras/src/saving/saving_lib.py`.

mod config;
mod error;
mod names;

use std::collections::HashMap;

use self::names::Name;
use super::entry::{Entry, Header};
use super::hdf5::Tree;
use super::header::MAX_NAME;
use super::zip::Archive;

pub use self::error::KerasError;

/// The entry of a `.keras` archive with the weights, and the one that describes the model.
const WEIGHTS: &str = "model.weights.h5";
const CONFIG: &str = "config.json";

/// Whether an archive is Keras's.
pub(super) fn is_keras(archive: &Archive<'_>) -> bool {
    archive.names().any(|name| name == WEIGHTS)
}

/// The tensors of a `.keras` file, and a note on what was left out.
pub(super) fn parse_zip(
    file: &[u8],
    archive: &Archive<'_>,
) -> Result<(Header, Option<String>), KerasError> {
    let range = |entry| archive.range(entry).map(Option::unwrap_or_default);
    let weights = range(WEIGHTS)?;
    let layers = config::layer_names(&file[range(CONFIG)?])?;
    let (mut header, note) = read(&file[weights.clone()], &layers)?;
    for entry in &mut header.entries {
        entry.body.shift(weights.start);
    }
    Ok((header, note))
}

/// The tensors of an HDF5 file, and a note on what was left out.
pub(super) fn parse(file: &[u8]) -> Result<(Header, Option<String>), KerasError> {
    read(file, &HashMap::new())
}

/// Reads an HDF5 file; `layers` are names by paths, for files that do not hold them.
fn read(
    file: &[u8],
    layers: &HashMap<String, String>,
) -> Result<(Header, Option<String>), KerasError> {
    let mut tree = Tree::parse(file)?;
    let datasets = std::mem::take(&mut tree.datasets);
    let names = names::of(&tree, &datasets, layers)?;
    let mut header = Header::default();
    let mut left_out = 0;
    for ((_, dataset), name) in datasets.into_iter().zip(names) {
        let name = match name {
            Name::Tensor(name) => name,
            Name::Statistic => continue,
            Name::Optimizer => {
                left_out += 1;
                continue;
            }
        };
        if name.len() > MAX_NAME {
            return Err(KerasError::Twice { tensor: name });
        }
        let (dtype, shape, body) = (dataset.dtype, dataset.shape, dataset.body);
        let entry = Entry { name, dtype, shape, body, shard: 0 };
        header.add(entry).map_err(|tensor| KerasError::Twice { tensor })?;
    }
    let note = (left_out > 0).then(|| format!("{left_out} tensors of the optimizer were left out"));
    Ok((header, note))
}
