//! Weights: from a file to the tensors a model asks for.
//!
//! ```text
//! file or bundled bytes -> Checkpoint -> (Renaming) -> load -> model + LoadReport
//!                          name -> tensor  foreign names  strict
//! ```
//!
//! Nothing is initialised silently: [`load`] gives a model whose every tensor came from the
//! checkpoint and that left no tensor of it unused, or one error that lists all differences.
//! The model is handed over as a closure, so this room knows no architecture.
//!
//! ```
//! use candle_core::{DType, Device};
//! use effnet::weights::{Checkpoint, NamedTensor, Values, load, serialize};
//! use std::collections::BTreeMap;
//!
//! let bytes = serialize(
//!     &[NamedTensor { name: "bn1.weight", shape: &[3], values: Values::F32(&[1.0, 2.0, 0.5]) }],
//!     &BTreeMap::new(),
//! )?;
//! let checkpoint = Checkpoint::from_bytes("three.safetensors", bytes)?;
//! let (tensor, report) = load(&checkpoint, None, DType::F32, &Device::Cpu, |vb| {
//!     vb.pp("bn1").get(3, "weight")
//! })?;
//! assert_eq!(tensor.to_vec1::<f32>().unwrap(), [1.0, 2.0, 0.5]);
//! assert_eq!(report.applied, ["bn1.weight"]);
//! # Ok::<(), effnet::weights::WeightsError>(())
//! ```

#[cfg(feature = "bundled")]
mod bundled;
mod checkpoint;
mod convention;
mod declared;
mod entry;
mod error;
mod format;
mod hdf5;
mod header;
mod keras;
mod load;
mod pickle;
mod report;
pub mod seeded;
mod shards;
mod source;
mod values;
mod wrappers;
mod write;
mod zip;

#[cfg(feature = "bundled")]
pub use bundled::{BUNDLED_MODEL, bundled};
pub use checkpoint::Checkpoint;
pub use convention::{
    Convention, ConventionError, Covered, Family, FillError, MappedTensor, Renaming, TemplateError,
};
pub use declared::{Declared, Said};
pub use error::WeightsError;
pub use hdf5::Hdf5Error;
pub use header::HeaderError;
pub(crate) use keras::into_linear;
pub use keras::{KerasError, Normalization};
pub use load::{check, load, tensor_shapes};
pub use pickle::TorchError;
pub(crate) use report::nearest;
pub use report::{LoadReport, Mismatch, Misshapen, Missing, Unexpected};
pub use shards::ShardsError;
pub use source::{CheckpointSource, TensorSource};
pub use write::{NamedTensor, Values, serialize, write_safetensors};
pub use zip::ZipError;
