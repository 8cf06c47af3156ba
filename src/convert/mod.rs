//! Checkpoints of other libraries: which network a file holds, and the same file by other names.
//!
//! ```text
//! Checkpoint -> recognize -> Recognized -> Conversion::new(.., to) -> write, write_folder
//!               names, shapes  convention, model, classes
//! ```
//!
//! [`recognize`] compares a file's names and shapes with those that every convention of
//! [`weights`](crate::weights) has for every model that it covers. What it finds has a row of timm's
//! and says how the library's arithmetic differs from it.

mod conversion;
mod error;
mod folder;
mod model;
mod recognize;

pub use conversion::{Conversion, Dtype, Moved};
pub use error::ConvertError;
pub use model::{LibraryModel, library_models};
pub use recognize::{Recognized, recognize};

pub(crate) use recognize::Names;
