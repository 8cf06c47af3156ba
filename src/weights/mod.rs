//! Weights: from a file to a network's tensors.
//!
//! ```text
//! file or bundled bytes -> Checkpoint -> (Renaming) -> check -> TensorSource + LoadReport
//!                          name -> tensor  foreign names  strict   get(name, shape) -> values
//! ```
//!
//! Nothing is initialised silently: [`check`] gives a source with exactly the tensors of the
//! network, or one error that lists all differences. For Candle's modules, `var_builder` turns a
//! source into a `VarBuilder`, and `load` does everything at once.
//!
//! ```
//! use effnet::weights::{Checkpoint, NamedTensor, TensorSource, Values, check, serialize};
//! use std::collections::BTreeMap;
//!
//! let bytes = serialize(
//!     &[NamedTensor { name: "bn1.weight", shape: &[3], values: Values::F32(&[1.0, 2.0, 0.5]) }],
//!     &BTreeMap::new(),
//! )?;
//! let checkpoint = Checkpoint::from_bytes("three.safetensors", bytes)?;
//! let (source, report) = check(&checkpoint, None, &[("bn1.weight".to_owned(), vec![3])])?;
//! assert_eq!(source.get("bn1.weight", &[3])?, [1.0, 2.0, 0.5]);
//! assert_eq!(report.applied, ["bn1.weight"]);
//! # Ok::<(), effnet::weights::WeightsError>(())
//! ```

#[cfg(feature = "bundled")]
mod bundled;
#[cfg(feature = "candle")]
mod candle;
mod check;
mod checkpoint;
mod declared;
mod error;
mod format;
mod from;
mod hdf5;
mod keras;
mod layout;
mod pickle;
mod renaming;
mod report;
mod safetensors;
pub mod seeded;
mod shards;
mod source;
mod tensor_table;
mod values;
mod wrappers;
mod write;
mod zip;

#[cfg(feature = "bundled")]
pub use bundled::{BUNDLED_MODEL, bundled};
#[cfg(feature = "candle")]
pub use candle::{load, tensor_shapes, var_builder};
pub use check::check;
pub use checkpoint::Checkpoint;
pub use declared::{Declared, Said};
pub use error::WeightsError;
pub use from::WeightsFrom;
#[doc(hidden)]
pub use hdf5::Hdf5Error;
#[doc(hidden)]
pub use keras::KerasError;
pub use keras::Normalization;
pub(crate) use keras::into_linear;
pub(crate) use layout::Layout;
#[doc(hidden)]
pub use pickle::TorchError;
pub use renaming::{MappedTensor, Renaming};
pub(crate) use report::nearest;
pub use report::{LoadReport, Mismatch, Misshapen, Missing, Unexpected};
#[doc(hidden)]
pub use safetensors::SafetensorsError;
#[doc(hidden)]
pub use shards::ShardsError;
pub use source::{CheckpointSource, TensorSource};
pub use write::{NamedTensor, Values, serialize, write_safetensors};
#[doc(hidden)]
pub use zip::ZipError;
