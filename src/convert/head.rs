//! Which tensors of a file are the classifier, and which belong to training alone.

use std::collections::HashSet;
use std::fmt;

use super::candidate::{CLASSIFIER_BIAS, CLASSIFIER_WEIGHT};
use super::model::LibraryModel;
use crate::weights::{Checkpoint, Renaming};

/// How many tensors an error lists.
const LISTED: usize = 8;

/// What the first part of the name of a loss's or a metric's tensor has in it.
const OF_TRAINING: [&str; 4] = ["criterion", "loss", "metric", "accuracy"];

/// The classifier of a file.
#[derive(Debug)]
pub(super) enum Head {
    /// None: the network's last outputs are its features.
    None,
    /// By the names of the convention.
    Own,
    /// A linear layer by another name.
    Other(String),
}

/// Tensors beside those of a whole network that are not one linear classifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOver {
    model: String,
    num_features: usize,
    tensors: Vec<String>,
    more: usize,
}

impl LeftOver {
    pub(super) fn new<'a>(
        checkpoint: &Checkpoint,
        model: LibraryModel<'_>,
        num_features: usize,
        names: impl Iterator<Item = &'a str>,
    ) -> Self {
        let mut tensors: Vec<_> = names
            .filter_map(|name| Some(format!("`{name}` {:?}", checkpoint.shape(name)?)))
            .collect();
        let more = tensors.len().saturating_sub(LISTED);
        tensors.truncate(LISTED);
        Self { model: model.describe(), num_features, tensors, more }
    }
}

impl fmt::Display for LeftOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, num_features, tensors, more } = self;
        write!(f, "it has all tensors of {model}, and beside them {}", tensors.join(", "))?;
        if *more > 0 {
            write!(f, " and {more} more")?;
        }
        write!(
            f,
            ": a classifier is one linear layer (weight and bias) on the network's {num_features} \
             features; save the network with such a layer, or without a classifier to take its features"
        )
    }
}

/// The names of weight and bias of the only linear layer beside the tensors of `body`, whatever it is
/// called, and its number of classes. `own` says how the convention's classifier calls the two.
pub(super) fn only_linear<'a>(
    checkpoint: &'a Checkpoint,
    body: &Renaming,
    own: &Renaming,
) -> Option<(&'a str, &'a str, usize)> {
    let used: HashSet<_> = body.tensors().iter().map(|tensor| tensor.foreign.as_str()).collect();
    let mut beside = checkpoint
        .names()
        .filter(|name| !used.contains(name) && !body.ignores(name) && !is_of_training(name));
    let (Some(first), Some(second), None) = (beside.next(), beside.next(), beside.next()) else {
        return None;
    };
    let is = |name: &str, canonical| own.foreign(canonical).map(parameter) == Some(parameter(name));
    let (weight, bias) =
        if is(first, CLASSIFIER_WEIGHT) { (first, second) } else { (second, first) };
    let is_linear = is(weight, CLASSIFIER_WEIGHT)
        && is(bias, CLASSIFIER_BIAS)
        && module(weight) == module(bias);
    match checkpoint.shape(bias)? {
        &[classes] if is_linear && classes > 0 => Some((weight, bias, classes)),
        _ => None,
    }
}

/// The names of losses' and metrics' tensors, which a module of training keeps beside its network.
pub(super) fn of_training(checkpoint: &Checkpoint) -> HashSet<String> {
    checkpoint.names().filter(|name| is_of_training(name)).map(str::to_owned).collect()
}

fn is_of_training(name: &str) -> bool {
    let first = name.split(['.', '/']).next().unwrap_or_default();
    OF_TRAINING.iter().any(|word| first.contains(word))
}

/// The module of a tensor: its name without the parameter's.
pub(super) fn module(name: &str) -> &str {
    name.rfind(['.', '/']).map_or("", |end| &name[..end])
}

fn parameter(name: &str) -> &str {
    name.rfind(['.', '/']).map_or(name, |end| &name[end + 1..])
}
