use super::LeftOver;
use crate::arch::ArchError;
use crate::conventions::ConventionError;
use crate::labels::LabelError;
use crate::pretrained::PretrainedError;
use crate::text::file_name;
use crate::weights::{Mismatch, WeightsError};

/// What can go wrong when a checkpoint is recognised or converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// Names that no convention has.
    #[error(
        "{file}: not a network of this family: by no convention ({}) does it have the names of one; it has {}",
        conventions.join(", "),
        if names.is_empty() { "no tensors".to_owned() } else { format!("`{}`, ...", names.join("`, `")) }
    )]
    Unrecognized {
        /// The file.
        file: String,
        /// The conventions tried.
        conventions: Vec<String>,
        /// Its first names.
        names: Vec<String>,
    },
    /// Something near to a network that cannot be run.
    #[error("{file}: this is {what}: {remedy}")]
    NoNetwork {
        /// The file.
        file: String,
        /// What it is.
        what: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// Names of a known convention, and of no model that it covers.
    #[error(
        "of {tried} models that begin alike the nearest is {model}, by the convention \
         {convention}: {mismatch}"
    )]
    NoModel {
        /// The nearest convention.
        convention: String,
        /// The library's name of the nearest model.
        model: String,
        /// How many models begin alike.
        tried: usize,
        /// What differs.
        mismatch: Box<Mismatch>,
    },
    /// Tensors that are those of several models.
    #[error(
        "{file}: its tensors are those of {} models, which compute differently: name one of {}",
        candidates.len(),
        candidates.join(", ")
    )]
    Ambiguous {
        /// The file.
        file: String,
        /// `ARCHITECTURE (MODEL, CONVENTION)` of each.
        candidates: Vec<String>,
    },
    /// A network with layers beside it that are not one linear classifier.
    #[error("{file}: {left_over}")]
    LeftOver {
        /// The file.
        file: String,
        /// The layers.
        left_over: LeftOver,
    },
    /// A file of a model that computes in another way than the one asked for.
    #[error(
        "{file}: these are the weights of {model}, which computes as {timm}, not as {asked}: name {timm}, or no model"
    )]
    OtherModel {
        /// The file.
        file: String,
        /// The library's model.
        model: String,
        /// timm's architecture that computes the same.
        timm: String,
        /// The one that was asked for.
        asked: String,
    },
    /// An architecture that is neither timm's nor a library's.
    #[error("no model is named `{name}`: expected timm's name of an architecture or a library's of a model{}", nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    UnknownModel {
        /// The name.
        name: String,
        /// The nearest name.
        nearest: Option<String>,
    },
    /// A convention that has no model with these tensors.
    #[error(
        "the convention `{convention}` covers no model with the tensors of {architecture}: it covers {}",
        some(covered)
    )]
    NotCovered {
        /// The convention.
        convention: String,
        /// timm's name of the architecture.
        architecture: String,
        /// timm's names of what it covers.
        covered: Vec<String>,
    },
    /// Numbers that no `config.json` of timm's can say.
    #[error(
        "{model} is not a model of timm's: {reason}; write the file alone, with `Conversion::write`"
    )]
    NoTimmModel {
        /// The library's name of the model.
        model: String,
        /// Why.
        reason: String,
    },
    /// A MobileNet V3 whose classifier reads the pooled features, which no library builds by a name.
    #[error(
        "{model} without the layer `conv_head` is not a model of {convention}'s: it cannot be converted, \
         only run as it is"
    )]
    NoConvHead {
        /// The library's name of the whole model.
        model: String,
        /// The convention that was asked for.
        convention: String,
    },
    /// Class names that do not fit the checkpoint's classes.
    #[error("`Conversion::with_labels`: {0}")]
    Labels(#[from] LabelError),
    /// How a library prepares images.
    #[error(transparent)]
    Preprocessing(#[from] PretrainedError),
    /// A row that cannot be built.
    #[error(transparent)]
    Arch(#[from] ArchError),
    /// A convention.
    #[error(transparent)]
    Convention(#[from] ConventionError),
    /// Reading or writing tensors.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// An argument of a convention's that this program does not apply.
    #[error("{model}: {key}: {reason}")]
    ModelArg {
        /// The library's name of the model.
        model: String,
        /// The argument.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A configuration that cannot be written as JSON.
    #[error("the configuration cannot be written: {0}")]
    Json(#[from] serde_json::Error),
    /// A file of the folder that cannot be written.
    #[error("{}: cannot write: {source}", file_name(path))]
    Write {
        /// The file or folder.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// How many names an error lists.
const LISTED: usize = 40;

fn some(names: &[String]) -> String {
    match names.len().saturating_sub(LISTED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..LISTED].join(", ")),
    }
}
