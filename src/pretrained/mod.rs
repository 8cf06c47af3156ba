//! Which models there are, where their weights are, and how their images are prepared.
//!
//! ```text
//! "efficientnet_b0"  -> ModelName -> find()      -> PretrainedCfg -> resolve() -> ResolvedPreprocessing
//! "org/repo", folder -> ModelName -> ModelConfig -> PretrainedCfg -> resolve() -> ResolvedPreprocessing
//! ```
//!
//! A [`PretrainedCfg`] has the fields of timm's `PretrainedCfg` (`timm/models/_pretrained.py`). It
//! comes from the table in the program ([`find`]) or from a `config.json` ([`ModelConfig`]).

mod args;
mod cfg;
mod config;
mod error;
mod name;
mod preprocessing;
mod said;
mod table;
mod transformers;

pub use args::ModelArgs;
pub use cfg::{CfgOrigin, OneOrMany, PretrainedCfg};
pub use config::{ClassFunction, ModelConfig, read_labels};
pub use error::PretrainedError;
pub use name::ModelName;
pub(crate) use preprocessing::PreprocessingOptions;
pub use preprocessing::{Resolved, ResolvedPreprocessing, SizeChoice, ValueSource};
pub(crate) use said::{said_names, said_of_images};
pub use table::{Found, all, architectures, find, glob, retired, timm_version};
