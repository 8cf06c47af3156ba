use super::FILES;
use super::template::{FillError, TemplateError};

/// timm's words for its block kinds: depthwise separable (without and with a second activation),
/// inverted residual, edge residual (fused), convolution with norm and activation, universal inverted
/// residual, mobile attention.
pub(super) const KINDS: [&str; 8] = ["ds", "dsa", "ir", "er", "cn", "uir", "mqa", "mha"];

/// What can be wrong with a naming convention, or with applying it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConventionError {
    /// No convention of that name.
    #[error("no convention is named `{name}`: there are {}{}", FILES.map(|(n, _)| n).join(", "), nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    Unknown {
        /// The name asked for.
        name: String,
        /// The nearest of the known ones.
        nearest: Option<String>,
    },
    /// The file is not TOML as the grammar prescribes it.
    #[error("convention file {file}: {reason}")]
    Toml {
        /// The file.
        file: String,
        /// What the parser said, with line and column.
        reason: String,
    },
    /// A table for a block kind that does not exist.
    #[error("convention file {file}: `{kind}` is not a block kind: expected one of {}", KINDS.join(", "))]
    Kind {
        /// The file.
        file: String,
        /// The table's name.
        kind: String,
    },
    /// A covered architecture that is impossible.
    #[error("convention file {file}: architecture `{architecture}`: {reason}")]
    Architecture {
        /// The file.
        file: String,
        /// The library's name.
        architecture: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A shell pattern of ignored tensors is malformed.
    #[error("convention file {file}: `{pattern}` is not a shell pattern: {reason}")]
    Ignored {
        /// The file.
        file: String,
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A rule is malformed.
    #[error("convention file {file}, table [{table}]: {source}")]
    Template {
        /// The file.
        file: String,
        /// The table.
        table: String,
        /// What is wrong.
        source: Box<TemplateError>,
    },
    /// The convention does not cover the architecture.
    #[error("the convention `{convention}` does not cover `{architecture}`: it covers {}", covered.join(", "))]
    NotCovered {
        /// The convention.
        convention: String,
        /// timm's name of the architecture.
        architecture: String,
        /// The architectures that it covers, by timm's names.
        covered: Vec<String>,
    },
    /// A canonical tensor for which the convention has no rule.
    #[error("the convention `{convention}` has no name for `{tensor}` ({table})")]
    NoRule {
        /// The convention.
        convention: String,
        /// The canonical name.
        tensor: String,
        /// The table that was searched.
        table: String,
    },
    /// A rule yields no name at this place in the network.
    #[error("the convention `{convention}` has no name for `{tensor}`: {source}")]
    NoName {
        /// The convention.
        convention: String,
        /// The canonical name.
        tensor: String,
        /// What is wrong.
        source: FillError,
    },
    /// A layout that has no place for an axis of the tensor.
    #[error(
        "the convention `{convention}` stores `{tensor}` in a layout that loses part of its shape {shape:?}"
    )]
    Layout {
        /// The convention.
        convention: String,
        /// The canonical name.
        tensor: String,
        /// The canonical shape.
        shape: Vec<usize>,
    },
    /// A tensor of a block that the architecture does not have.
    #[error("`{tensor}` belongs to no block of the architecture")]
    NoBlock {
        /// The canonical name.
        tensor: String,
    },
    /// Two canonical names become one.
    #[error(
        "the convention `{convention}` gives `{first}` and `{second}` the same name, `{foreign}`"
    )]
    Collision {
        /// The convention.
        convention: String,
        /// A canonical name.
        first: String,
        /// Another one.
        second: String,
        /// What both become.
        foreign: String,
    },
}
