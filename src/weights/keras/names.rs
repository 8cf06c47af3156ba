//! Keras 3's names for the datasets of a file, which gives them in one of two ways.

use std::collections::{HashMap, HashSet};

use super::KerasError;
use crate::weights::hdf5::{Dataset, Group, Tree};

/// The group of the weights in an older file of a whole model.
const MODEL_WEIGHTS: &str = "model_weights/";
/// The attribute of a layer's group in older files; below that group, paths are names.
const WEIGHT_NAMES: &str = "weight_names";
/// Where layers are in newer files, and the group of a layer's variables.
const LAYERS: [&str; 2] = ["layers/", "_layer_checkpoint_dependencies/"];
const VARS: &str = "vars";
/// The variables of these networks' layers, in Keras's order: newer files number them. A norm
/// without scale or center has fewer, so its numbers would mean something else.
const VARIABLES: [(&str, usize, &[&str]); 5] = [
    ("conv2d", 1, &["kernel", "bias"]),
    ("depthwise_conv2d", 1, &["kernel", "bias"]),
    ("dense", 1, &["kernel", "bias"]),
    ("batch_normalization", 4, &["gamma", "beta", "moving_mean", "moving_variance"]),
    (NORMALIZATION, 3, &["mean", "variance", "count"]),
];
/// A layer before the network with statistics of images and a count.
const NORMALIZATION: &str = "normalization";
/// The layer with the state of a layer that draws random numbers.
const SEED_GENERATOR: &str = "seed_generator";

/// What a dataset is.
#[derive(Debug, PartialEq)]
pub(super) enum Name {
    Tensor(String),
    /// A statistic of images: the layer's name and the variable's.
    Statistic(String, String),
    /// The state of a layer that draws random numbers.
    Seed,
    /// A tensor of the optimizer or a metric.
    Optimizer,
}

/// What each of `datasets` is; `layers` gives names by path, for files without names.
pub(super) fn of(
    tree: &Tree<'_>,
    datasets: &[(String, Dataset)],
    layers: &HashMap<String, String>,
) -> Result<Vec<Name>, KerasError> {
    let mut older = HashSet::new();
    for group in &tree.groups {
        if group.has(WEIGHT_NAMES)? {
            older.insert(group.path.as_str());
        }
    }
    if !older.is_empty() {
        let whole =
            tree.groups.iter().any(|group| group.path == MODEL_WEIGHTS.trim_end_matches('/'));
        let root = if whole { MODEL_WEIGHTS } else { "" };
        return Ok(datasets.iter().map(|(path, _)| older_name(&older, root, path)).collect());
    }
    let groups: HashMap<&str, &Group<'_>> =
        tree.groups.iter().map(|group| (group.path.as_str(), group)).collect();
    if !LAYERS.iter().any(|layers| groups.contains_key(layers.trim_end_matches('/'))) {
        return Err(KerasError::NotKeras);
    }
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for (path, _) in datasets {
        *counts.entry(split(path).0).or_default() += 1;
    }
    let levels = levels(datasets);
    let name = |(path, _): &(String, Dataset)| {
        let (vars, variable) = split(path);
        let (layer, last) = split(vars);
        if last != VARS || !LAYERS.iter().any(|layers| path.starts_with(layers)) {
            return Ok(Name::Optimizer);
        }
        let class = unnumbered(split(layer).1);
        if class == SEED_GENERATOR {
            return Ok(Name::Seed);
        }
        let named = match groups.get(vars) {
            Some(group) => tree.text(group, "name")?,
            None => None,
        };
        // Before Keras 3.6 a file of weights alone had no names: a group's name is the class and a
        // number.
        let named = named.or_else(|| layers.get(layer).cloned()).unwrap_or_else(|| {
            let (level, own) = split(layer);
            if levels.get(own) == Some(&level) { own.to_owned() } else { layer.to_owned() }
        });
        let count = counts.get(vars).copied().unwrap_or_default();
        let known = VARIABLES.iter().find(|known| known.0 == class && known.1 <= count);
        let number = variable.parse::<usize>().ok();
        let variable = match (known, number) {
            (Some((.., variables)), Some(number)) => variables.get(number).copied(),
            _ => None,
        }
        .unwrap_or(variable);
        Ok(match class {
            NORMALIZATION => Name::Statistic(named, variable.to_owned()),
            _ => Name::Tensor(format!("{named}/{variable}")),
        })
    };
    datasets.iter().map(name).collect()
}

/// For each name of a layer's group in a file without names, the model that it belongs to. Of
/// several nested models it is the one with the most variables, which is the network.
fn levels(datasets: &[(String, Dataset)]) -> HashMap<&str, &str> {
    let place = |path| split(split(split(path).0).0);
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for (path, _) in datasets {
        *counts.entry(place(path).0).or_default() += 1;
    }
    let mut levels: HashMap<&str, &str> = HashMap::new();
    for (path, _) in datasets {
        let (level, own) = place(path);
        let kept = levels.entry(own).or_insert(level);
        if counts.get(level) > counts.get(kept) {
            *kept = level;
        }
    }
    levels
}

/// The name of a dataset in an older file. Below a layer's group its path is the variable's path
/// when the model was built, perhaps including the surrounding models.
fn older_name(layers: &HashSet<&str>, root: &str, path: &str) -> Name {
    let Some(inside) = path.strip_prefix(root) else {
        return Name::Optimizer;
    };
    let mut group = path;
    while !layers.contains(group) {
        match group.rsplit_once('/') {
            Some((outer, _)) => group = outer,
            None => return Name::Optimizer,
        }
    }
    let layer = group.strip_prefix(root).unwrap_or_default();
    let inside = inside.strip_prefix(layer).unwrap_or(inside).trim_start_matches('/');
    // Keras 2 appends `:0`, and gives the kernel of a depthwise convolution another name.
    let inside = inside.rsplit_once(':').map_or(inside, |(inside, _)| inside);
    let (owner, variable) = split(inside);
    let variable = if variable == "depthwise_kernel" { "kernel" } else { variable };
    // The name of a layer in a nested model comes last; Keras 2 allowed slashes in names.
    let is_own = owner.is_empty()
        || owner == layer
        || owner.strip_suffix(layer).is_some_and(|outer| outer.ends_with('/'));
    let layer = if is_own { layer.replace('/', "_") } else { split(owner).1.to_owned() };
    match unnumbered(&layer) {
        NORMALIZATION => Name::Statistic(layer, variable.to_owned()),
        SEED_GENERATOR => Name::Seed,
        _ => Name::Tensor(format!("{layer}/{variable}")),
    }
}

/// A path's last part, and what comes before it.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// `conv2d_5` without its number.
fn unnumbered(name: &str) -> &str {
    match name.rsplit_once('_') {
        Some((class, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => class,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_files_name_their_layers_in_four_ways() {
        let layers = HashSet::from([
            "stem_conv",
            "model_weights/stem_conv",
            "model_weights/inner",
            "model_weights/dense",
            "Conv",
            "Conv/BatchNorm",
            "normalization_1",
        ]);
        let tensor = |name: &str| Name::Tensor(name.to_owned());
        for (root, path, expected) in [
            ("", "stem_conv/stem_conv/kernel:0", tensor("stem_conv/kernel")),
            ("", "stem_conv/stem_conv/depthwise_kernel:0", tensor("stem_conv/kernel")),
            ("model_weights/", "model_weights/stem_conv/stem_conv/bias", tensor("stem_conv/bias")),
            // A model inside the model, by Keras 3 and by Keras 2.
            ("model_weights/", "model_weights/inner/inner/bn/gamma", tensor("bn/gamma")),
            ("model_weights/", "model_weights/inner/bn/gamma:0", tensor("bn/gamma")),
            ("model_weights/", "model_weights/dense/seq/dense/kernel", tensor("dense/kernel")),
            // Slashes in names, as MobileNetV3 had them in Keras 2.
            ("", "Conv/Conv/kernel:0", tensor("Conv/kernel")),
            ("", "Conv/BatchNorm/Conv/BatchNorm/beta:0", tensor("Conv_BatchNorm/beta")),
            (
                "",
                "normalization_1/normalization_1/mean:0",
                Name::Statistic("normalization_1".to_owned(), "mean".to_owned()),
            ),
            ("model_weights/", "optimizer_weights/adam/iteration", Name::Optimizer),
            ("", "elsewhere", Name::Optimizer),
        ] {
            assert_eq!(older_name(&layers, root, path), expected, "{path}");
        }
    }
}
