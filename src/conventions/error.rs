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
    /// The file's names match no convention.
    #[error(
        "{file}: not a network of this family: its names match no convention ({}); it has {}",
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
    /// Something close to a network, which cannot be run.
    #[error("{file}: this is {what}: {remedy}")]
    NoNetwork {
        /// The file.
        file: String,
        /// What it is.
        what: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The names belong to a known convention, but to no model that it covers.
    #[error(
        "of the {tried} models that begin like it, the nearest is {model}, by the convention \
         {convention}: {mismatch}"
    )]
    NoModel {
        /// The nearest convention.
        convention: String,
        /// The library's name of the nearest model.
        model: String,
        /// How many models begin like the file.
        tried: usize,
        /// What differs.
        mismatch: Box<Mismatch>,
    },
    /// The tensors match several models.
    #[error(
        "{file}: its tensors match {} models, which compute differently: name one of {}",
        candidates.len(),
        candidates.join(", ")
    )]
    Ambiguous {
        /// The file.
        file: String,
        /// `ARCHITECTURE (MODEL of CONVENTION)` of each.
        candidates: Vec<String>,
    },
    /// A network with further layers that are not a single linear classifier.
    #[error("{file}: {left_over}")]
    LeftOver {
        /// The file.
        file: String,
        /// The layers.
        left_over: LeftOver,
    },
    /// The file's model computes differently from the one asked for.
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
    /// A name that is neither timm's for an architecture nor a library's for a model.
    #[error("no model is named `{name}`: expected timm's name of an architecture or a library's name of a model{}", nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    UnknownModel {
        /// The name.
        name: String,
        /// The nearest name.
        nearest: Option<String>,
    },
    /// The convention has no model with these tensors.
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
    /// Numbers that a `config.json` for timm cannot express.
    #[error(
        "{model} is not a timm model: {reason}; write the file alone, with `Conversion::write`"
    )]
    NoTimmModel {
        /// The library's name of the model.
        model: String,
        /// Why.
        reason: String,
    },
    /// A MobileNet V3 whose classifier reads the pooled features; no library has a name for that
    /// model.
    #[error(
        "{model} without the layer `conv_head` is not a {convention} model: it cannot be converted, \
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
    /// An argument of a convention that this program does not apply.
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
