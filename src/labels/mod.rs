//! Class names and top-k.
//!
//! ```text
//! logits (C) -> top_k -> (index, probability, logit) -> LabelSet::get(index) -> Label
//! ```
//!
//! An ImageNet class is a WordNet 3.0 noun synset: an id (`n` and eight digits), its lemmas, and a
//! definition. A fine-tuned model brings its own names in its `config.json`, and these win.

mod activation;
mod class_map;
mod file;
mod hypernyms;
mod imagenet;
mod set;
mod top_k;
mod valid_labels;

pub use activation::ClassifierActivation;
pub use class_map::ClassMap;
pub use hypernyms::{RollUp, Rolled};
pub use imagenet::Subset;
pub use set::{Label, LabelNames, LabelSet, label_set_for};
pub use top_k::{Scored, top_k};
pub(crate) use top_k::{Softmax, top_k_at};
pub use valid_labels::{PartialImagenet, parse_valid_labels};

/// What can go wrong with class names and scores.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// A name that is not an ImageNet subset's.
    #[error("unknown ImageNet subset {name:?}: expected one of {}", Subset::names())]
    UnknownSubset {
        /// The name as it was given.
        name: String,
    },
    /// The number of label names is not the model's number of classes.
    #[error(
        "{names} label names, but the model has {num_classes} classes: give one name for each class, or none"
    )]
    Count {
        /// How many names there are.
        names: usize,
        /// How many classes the model has.
        num_classes: usize,
    },
    /// A key of an index-to-name map is not a class index.
    #[error("label key {key:?} is not a class index: keys are \"0\", \"1\", ... without gaps")]
    Index {
        /// The key as it was given.
        key: String,
    },
    /// An index-to-name map has the same index twice (`"1"` and `"01"`).
    #[error("the labels give class {index} twice")]
    DuplicateIndex {
        /// The index.
        index: usize,
    },
    /// An index-to-name map leaves an index out.
    #[error(
        "the labels name {names} classes but has no name for class {index}: keys are \"0\", \"1\", ... without gaps"
    )]
    MissingIndex {
        /// The first index without a name.
        index: usize,
        /// How many names there are.
        names: usize,
    },
    /// Descriptions are given, but not for every name.
    #[error("label_descriptions has no entry for label {name:?}")]
    MissingDescription {
        /// The name without a description.
        name: String,
    },
    /// A file of class names in an unknown form.
    #[error("line {line}: {reason}")]
    File {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A name that is not an activation's.
    #[error("unknown activation {name:?}: expected softmax, sigmoid or none")]
    UnknownActivation {
        /// The name as it was given.
        name: String,
    },
    /// A logit is NaN or infinitely large: the scores mean nothing.
    #[error("logit {index} is {value}: the weights or the input hold values that are not finite")]
    NotFinite {
        /// The class index.
        index: usize,
        /// The value, printed.
        value: String,
    },
    /// Names in a data set that are not names of a model's classes.
    #[error(
        "{unknown} of {found} names mean none of the {num_classes} classes, or several: {names}; \
         give a class map"
    )]
    UnknownClasses {
        /// The names, or the first of them.
        names: String,
        /// How many there are.
        unknown: usize,
        /// How many names the data set has.
        found: usize,
        /// How many classes there are.
        num_classes: usize,
    },
    /// An image of a class that is not there.
    #[error("class {class} is not one of the {num_classes} classes")]
    NoSuchClass {
        /// The class.
        class: usize,
        /// How many classes there are.
        num_classes: usize,
    },
    /// A network with more or fewer outputs than classes.
    #[error("{outputs} outputs for {num_classes} classes")]
    Outputs {
        /// How many outputs there are.
        outputs: usize,
        /// How many classes there are.
        num_classes: usize,
    },
    /// A class that WordNet's hypernyms are not known of.
    #[error(
        "class {class} ({name}) is not a synset of ImageNet: there is nothing to roll it up to"
    )]
    NotASynset {
        /// The class's index.
        class: usize,
        /// Its name.
        name: String,
    },
}
