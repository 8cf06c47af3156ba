//! What the command and `fuzz/` need of the library beyond its public surface. None of it is
//! stable.

use serde_json::Value;

use crate::conventions::{self, ConvertError, MatchedConvention};
use crate::labels::LabelNames;
use crate::pretrained::ModelConfig;
use crate::weights::Checkpoint;

pub use crate::replace::Replacement;
pub use crate::text::{escape, file_name, is_obeyed};

/// A checkpoint of names and shapes only; its values cannot be read.
pub fn checkpoint_of(tensors: Vec<(String, Vec<usize>)>) -> Checkpoint {
    Checkpoint::of_shapes(tensors)
}

/// Checks that a checkpoint belongs to an architecture.
///
/// # Errors
/// Those of loading a classifier.
pub fn identify(checkpoint: &Checkpoint, architecture: &str) -> Result<(), ConvertError> {
    conventions::identify(checkpoint, architecture).map(drop)
}

/// The `config.json` that [`Conversion::write_folder`](crate::conventions::Conversion::write_folder) writes.
///
/// # Errors
/// Those of that method.
pub fn folder_config(
    checkpoint: &Checkpoint,
    source: &MatchedConvention,
    own: Option<&ModelConfig>,
    labels: Option<&LabelNames>,
) -> Result<Value, ConvertError> {
    conventions::folder_config(checkpoint, source, own, labels)
}
