//! Checkpoints of other libraries: which network a file holds, and the same file under other names.
//!
//! ```text
//! Checkpoint -> recognize -> MatchedConvention -> Conversion::new(.., to) -> write, write_folder
//!               names, shapes  convention, model, classes
//! ```
//!
//! [`recognize`] compares a file's names and shapes with those of every model in every convention.
//! Its result names timm's row and says how the library's arithmetic differs from it.
//!
//! ```
//! # #[cfg(feature = "bundled")] {
//! use effnet::conventions::{Conversion, recognize};
//!
//! let checkpoint = effnet::weights::bundled()?;
//! let found = recognize(&checkpoint, Some("timm"), Some("tf_efficientnet_lite0"))?;
//! let conversion = Conversion::new(&checkpoint, &found, "tensorflow")?;
//! let stem = conversion.moved().find(|moved| moved.from == "conv_stem.weight").unwrap();
//! assert_eq!(stem.to, "efficientnet-lite0/stem/conv2d/kernel");
//! assert_eq!((stem.from_shape, stem.to_shape), (vec![32, 3, 3, 3], vec![3, 3, 3, 32]));
//! # }
//! # Ok::<(), effnet::conventions::ConvertError>(())
//! ```

mod candidate;
mod conversion;
mod error;
mod folder;
mod head;
mod library_model;
mod naming;
mod recognize;
mod telltale;

pub use conversion::{Conversion, Dtype, Moved};
pub use error::ConvertError;
pub use head::LeftOver;
pub use library_model::{LibraryModel, library_models};
pub use naming::{Convention, ConventionError, Covered, Family};
#[doc(hidden)]
pub use naming::{FillError, TemplateError};
pub use recognize::{MatchedConvention, recognize};

pub(crate) use folder::config as folder_config;
pub(crate) use recognize::{Identified, identify};
