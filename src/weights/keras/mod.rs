//! Keras's files: the older `.h5` (weights or a whole model), `.weights.h5`, and `.keras`, a zip
//! archive around a `.weights.h5`. Tensors are named as in Keras 3, `LAYER/VARIABLE`.
//!
//! Layouts: `keras/src/legacy/saving/legacy_h5_format.py` and `keras/src/saving/saving_lib.py`.

mod config;
mod error;
mod fold;
mod head;
mod input;
mod names;

use std::collections::HashMap;

use self::config::Description;
use self::input::Statistics;
use self::names::Name;
use super::Hdf5Error;
use super::declared::Said;
use super::hdf5::{Dataset, Tree};
use super::tensor_table::MAX_NAME;
use super::tensor_table::{Body, Entry, TensorTable};
use super::values::{self, Stored};
use super::zip::Archive;

pub use self::error::KerasError;
pub(crate) use self::fold::into_linear;
pub use self::input::Normalization;

/// The entry of a `.keras` archive with the weights, and the one that describes the model.
const WEIGHTS: &str = "model.weights.h5";
const CONFIG: &str = "config.json";
/// The attribute that describes the model in an older file of a whole model.
const MODEL_CONFIG: &str = "model_config";

/// Whether an archive is Keras's.
pub(super) fn is_keras(archive: &Archive<'_>) -> bool {
    archive.names().any(|name| name == WEIGHTS)
}

/// The tensors of a `.keras` file, and a note on what was left out.
pub(super) fn parse_zip(
    file: &[u8],
    archive: &Archive<'_>,
) -> Result<(TensorTable, Option<String>), KerasError> {
    let range = |entry| archive.range(entry).map(Option::unwrap_or_default);
    let weights = range(WEIGHTS)?;
    let description = Description::parse(&file[range(CONFIG)?])?;
    let (mut header, note) = read(&file[weights.clone()], Some(description))?;
    for entry in &mut header.entries {
        entry.body.shift(weights.start);
    }
    Ok((header, note))
}

/// The tensors of an HDF5 file, and a note on what was left out.
pub(super) fn parse(file: &[u8]) -> Result<(TensorTable, Option<String>), KerasError> {
    read(file, None)
}

/// Reads an HDF5 file; the model's description may be in another file.
fn read(
    file: &[u8],
    description: Option<Description>,
) -> Result<(TensorTable, Option<String>), KerasError> {
    let mut tree = Tree::parse(file)?;
    // An older file needs the description only for what is done to images and after the features.
    let described = || match Description::parse(tree.root_bytes(MODEL_CONFIG).ok()??) {
        Err(KerasError::Config { .. }) => None,
        other => Some(other),
    };
    let description = match description {
        Some(description) => Some(description),
        None => described().transpose()?,
    };
    let layers = description.as_ref().map(|description| &description.names);
    let datasets = std::mem::take(&mut tree.datasets);
    let names = names::of(&tree, &datasets, layers.unwrap_or(&HashMap::new()))?;
    let mut header = TensorTable::default();
    let mut statistics: HashMap<String, Statistics> = HashMap::new();
    let mut left_out = 0;
    for ((_, dataset), name) in datasets.into_iter().zip(names) {
        match name {
            Name::Tensor(name) => add(&mut header, name, dataset)?,
            Name::Statistic(layer, variable) => {
                let of_layer = statistics.entry(layer).or_default();
                match variable.as_str() {
                    "mean" => of_layer.mean = channels(file, &dataset),
                    "variance" => of_layer.variance = channels(file, &dataset),
                    _ => {}
                }
            }
            Name::Seed => {}
            Name::Optimizer => left_out += 1,
        }
    }
    let mut notes = Vec::new();
    if left_out > 0 {
        notes.push(format!("{left_out} tensors of the optimizer were left out"));
    }
    let mut steps = None;
    header.undescribed_eps = description.is_none().then_some(head::EPSILON);
    if let Some(description) = description {
        header.declared = description.declared;
        if let Some((layer, value)) = &description.head.dense {
            let place = format!("layer `{layer}`");
            header.declared.num_classes = (*value > 0).then_some(Said { value: *value, place });
            let norm = description.head.norm.as_ref();
            notes.extend(fold::classifier(file, &mut header, layer, norm)?);
        }
        header.declared.activation = description.head.activation;
        steps = Some(description.steps.unwrap_or_default());
    }
    header.normalization = input::normalization(steps.as_deref(), &statistics);
    Ok((header, (!notes.is_empty()).then(|| notes.join("; "))))
}

fn add(header: &mut TensorTable, name: String, dataset: Dataset) -> Result<(), KerasError> {
    if name.len() > MAX_NAME {
        let limit = MAX_NAME;
        return Err(Hdf5Error::Limit { what: "bytes in a tensor's name", limit }.into());
    }
    let Dataset { dtype, shape, body } = dataset;
    header
        .add(Entry { name, dtype, shape, body, shard: 0 })
        .map_err(|tensor| KerasError::Twice { tensor })
}

/// The values of a statistic: one for all channels, or one for each of three.
fn channels(file: &[u8], dataset: &Dataset) -> Option<[f64; 3]> {
    let (stored, Body::Plain(range)) = (Stored::of(dataset.dtype)?, &dataset.body) else {
        return None;
    };
    let bytes = file[range.clone()].get(..3 * stored.width()).unwrap_or(&file[range.clone()]);
    match values::to_f32(stored, bytes).ok()?[..] {
        [one] => Some([one.into(); 3]),
        [r, g, b] if dataset.shape.iter().product::<usize>() == 3 => Some([r, g, b].map(f64::from)),
        _ => None,
    }
}
