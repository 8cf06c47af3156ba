//! From a repository on the Hugging Face hub to files on disk.
//!
//! ```text
//! org/name@revision -> HEAD config.json -> commit -> cache? -> GET, resume, verify -> cache -> ModelFiles
//!                      (none for a commit that is cached, none offline)
//! ```
//!
//! The cache is shared with Python's `huggingface_hub`: each uses what the other has downloaded. A
//! file enters it only once its size and checksum match what the hub announced. The settings are
//! also those of Python's client, see [`HubBuilder::from_env`]; `docs/hub.md` lists every fault,
//! what a user sees of it and what it leaves behind.
//!
//! ```no_run
//! use effnet::hub::Hub;
//! let files = Hub::from_env()?.model_files("timm/efficientnet_b0.ra_in1k", None)?;
//! println!("{} {}", files.commit, files.weights.display());
//! # Ok::<(), effnet::hub::HubError>(())
//! ```

mod builder;
mod cache;
mod client;
mod dataset;
mod env;
mod error;
mod inventory;
mod lock;
mod metadata;
mod model_files;
mod progress;
mod resolver;
mod task;
mod transfer;
mod url;
mod verify;

pub use builder::HubBuilder;
pub use error::HubError;
pub use inventory::{CachedFile, CachedModel, FileState};
pub use model_files::{ConfigFiles, Hub, ModelFiles};
pub use progress::{Progress, ProgressEvent};
pub use task::Download;
