//! What can go wrong with names and configurations.

use std::path::PathBuf;

use crate::labels::LabelError;
use crate::text::file_name;

/// What can go wrong between a model's name and its configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PretrainedError {
    /// A name that is malformed in every form.
    #[error("model name {name:?}: {reason}")]
    Name {
        /// The name as it was given.
        name: String,
        /// What is wrong with it, and what to write.
        reason: String,
    },
    /// A name that can only be a path, but nothing is there.
    #[error("model {name:?} looks like a path, but there is no such file or folder")]
    NoSuchFolder {
        /// The path as it was given.
        name: String,
    },
    /// An architecture that timm does not have.
    #[error("unknown architecture {name:?}{}", did_you_mean(.suggestions, "`effnet models` lists them all"))]
    UnknownArchitecture {
        /// The name as it was given, without a tag.
        name: String,
        /// The nearest names, best first.
        suggestions: Vec<String>,
    },
    /// A tag that the architecture does not have.
    #[error("architecture {architecture} has no tag {tag:?}{}; its tags are {}", did_you_mean(.suggestions, ""), .tags.join(", "))]
    UnknownTag {
        /// The architecture.
        architecture: String,
        /// The tag as it was given.
        tag: String,
        /// The nearest tags, best first.
        suggestions: Vec<String>,
        /// All of its tags, the default first.
        tags: Vec<String>,
    },
    /// A glob pattern that does not parse.
    #[error("pattern {pattern:?}: {reason}")]
    Pattern {
        /// The pattern as it was given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A configuration file cannot be read.
    #[error("cannot read {}: {source}", file_name(.file))]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A configuration file is larger than any real one would be.
    #[error("{} is larger than {limit} bytes: this is not a configuration or a list of labels", file_name(.file))]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// The largest size that is read.
        limit: u64,
    },
    /// A configuration file is not JSON.
    #[error("{} is not valid JSON: {source}", file_name(.file))]
    Json {
        /// The file.
        file: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A value of a configuration file is missing, of the wrong type, out of range or unknown.
    #[error("{}: {key}: {reason}", file_name(.file))]
    Value {
        /// The file.
        file: PathBuf,
        /// The key, from the root: `pretrained_cfg.crop_pct`.
        key: String,
        /// What is wrong with the value, and what is expected.
        reason: String,
    },
    /// A model argument that changes the network in a way that is not implemented.
    #[error("{}: model_args.{key} is not supported: the model would not compute what timm computes", file_name(.file))]
    UnknownModelArg {
        /// The file.
        file: PathBuf,
        /// The argument.
        key: String,
    },
    /// The architecture of a configuration file is not one of timm's.
    #[error("{}: {source}", file_name(.file))]
    Architecture {
        /// The file.
        file: PathBuf,
        /// Which name, and the nearest ones.
        source: Box<PretrainedError>,
    },
    /// The label names of a file do not fit, or cannot be read.
    #[error("{}: {source}", file_name(.file))]
    Labels {
        /// The file.
        file: PathBuf,
        /// Why.
        source: LabelError,
    },
    /// A requested mean or standard deviation with neither one value nor one per channel.
    #[error(
        "{key} has {values} values and the network takes {channels} channels: set \
         `ModelBuilder::mean` and `ModelBuilder::std` to one value for all, or one per channel"
    )]
    Channels {
        /// `mean` or `std`.
        key: &'static str,
        /// How many values were given.
        values: usize,
        /// Input channels of the network.
        channels: usize,
    },
}

/// The end of a message: the nearest names, or what to do if no name is near.
fn did_you_mean(suggestions: &[String], otherwise: &str) -> String {
    match suggestions {
        [] if otherwise.is_empty() => String::new(),
        [] => format!(": {otherwise}"),
        names => format!(": did you mean {}?", names.join(" or ")),
    }
}
