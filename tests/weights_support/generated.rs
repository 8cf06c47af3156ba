//! Checkpoints with generated values, with the names and layouts of a library.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use effnet::arch::NetworkOptions;
use effnet::conventions::{Convention, library_models};
use effnet::weights::{NamedTensor, Values, seeded, write_safetensors};

/// A library's file with generated values; `rename` changes each name.
pub(crate) fn generated(
    folder: &Path,
    (convention, model): (&str, &str),
    num_classes: usize,
    rename: impl Fn(&str) -> String,
) -> PathBuf {
    with_more(folder, (convention, model), num_classes, rename, &[])
}

/// The same with more tensors, whose values are all 0.
pub(crate) fn with_more(
    folder: &Path,
    (convention, model): (&str, &str),
    num_classes: usize,
    rename: impl Fn(&str) -> String,
    more: &[(&str, &[usize])],
) -> PathBuf {
    let convention = Convention::named(convention).unwrap();
    let model = library_models(&convention).find(|m| m.covered.name == model).unwrap();
    let options = NetworkOptions { num_classes, ..Default::default() };
    let renaming = model.renaming(&model.network(&options).unwrap()).unwrap();
    let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = renaming
        .tensors()
        .iter()
        .map(|tensor| {
            let values = seeded::tensor(0, &tensor.canonical, &tensor.shape);
            let shape = tensor.foreign_shape.clone();
            (rename(&tensor.foreign), shape, tensor.to_foreign(values))
        })
        .collect();
    // A counter, like those that PyTorch saves beside every norm.
    if convention.name() == "torchvision" {
        tensors.push((rename("features.0.1.num_batches_tracked"), vec![], vec![7.0]));
    }
    for (name, shape) in more {
        tensors.push(((*name).to_owned(), shape.to_vec(), vec![0.0; shape.iter().product()]));
    }
    let named: Vec<_> = tensors
        .iter()
        .map(|(name, shape, values)| NamedTensor { name, shape, values: Values::F32(values) })
        .collect();
    let path = folder.join("generated.safetensors");
    write_safetensors(&path, &named, &BTreeMap::new()).unwrap();
    path
}
