//! What the command and `fuzz/` need of the library beyond its public surface. None of it is
//! stable.

use serde_json::Value;

use crate::conventions::{self, ConvertError, MatchedConvention};
use crate::engine::{Device, Isa};
use crate::labels::LabelNames;
use crate::pretrained::ModelConfig;
use crate::weights::Checkpoint;

#[cfg(feature = "cuda")]
pub use crate::cuda::{CudaFacts, GpuFacts, facts as cuda_facts};
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

/// Whether this program can run networks on `device`.
///
/// # Errors
/// Why not: a device that the program was not built for, or that does not answer.
pub fn check_device(device: Device) -> Result<(), String> {
    crate::model::check_device(device)
}

/// The threads that the engine `cpu` asks for by itself: one for each physical core that the process
/// may use.
pub fn cpu_threads() -> usize {
    crate::engine::cpu_threads()
}

/// The bfloat16 kernels that go with those of `isa` on this machine; `None` without any.
pub fn bf16_kernels(isa: Isa) -> Option<&'static str> {
    isa.bf16()
}

/// What a hub is set to, without its token.
#[cfg(feature = "hub")]
#[derive(Debug, Clone)]
pub struct HubSettings {
    /// Where the hub is.
    pub endpoint: String,
    /// Whether it makes no request.
    pub offline: bool,
    /// Whether it has an access token.
    pub has_token: bool,
}

/// What a hub is set to.
#[cfg(feature = "hub")]
pub fn hub_settings(builder: &crate::hub::HubBuilder) -> HubSettings {
    builder.settings()
}
