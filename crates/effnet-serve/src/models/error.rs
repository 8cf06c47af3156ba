use std::path::PathBuf;

use effnet::Error;
use effnet::batcher::BatchError;

use super::NameError;

/// Why a model is not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// No model of this name was given at the start.
    #[error("no model {name:?}: the server was started with {}", known.join(", "))]
    Unknown {
        /// The name.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A name that a URL could not carry.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The server shuts down.
    #[error("the server is shutting down and loads no more models")]
    Draining,
    /// The model would not fit into the memory for models.
    #[error(
        "model {name} needs {:.1} MB, and the other models have {:.1} MB of the limit of {:.1} MB: \
         unload one, or raise the limit", mb(*bytes), mb(*used), mb(*most)
    )]
    Memory {
        /// The model.
        name: String,
        /// Bytes that it needs.
        bytes: u64,
        /// Bytes that the loaded models have.
        used: u64,
        /// The most that all may have.
        most: u64,
    },
    /// The model.
    #[error("{error}")]
    Model {
        /// What is wrong.
        error: Box<Error>,
        /// The server's files that the error may name.
        files: Vec<PathBuf>,
    },
    /// Its threads.
    #[error(transparent)]
    Batcher(#[from] BatchError),
    /// A fault of this program.
    #[error("a fault stopped the load of model {name}; the server's log says more")]
    Panicked {
        /// The model.
        name: String,
    },
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
