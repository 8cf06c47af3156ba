//! The Python package `effnet`: the library and the command as a module.
//!
//! ```text
//! paths, bytes, Pillow, numpy -> Image -> Job on another thread -> Answer -> lists, numpy
//!   image.rs                              job.rs, results.rs        answer.rs
//! ```
//!
//! `python/effnet` is what its users import.

mod answer;
mod classifier;
mod error;
mod image;
mod job;
mod process;
mod results;
mod settings;
mod wait;

use std::ffi::OsString;

use effnet::{arch, pretrained};
use pyo3::prelude::*;

/// The compiled part of the package `effnet`.
#[pymodule]
mod _effnet {
    #[pymodule_export]
    use super::classifier::{Classifier, load};
    #[pymodule_export]
    use super::results::Results;
    #[pymodule_export]
    use super::{command, models};

    /// The package's version.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}

/// The models of timm that can be created: architecture, tag, and whether there are weights.
#[pyfunction]
fn models() -> Vec<(&'static str, &'static str, bool)> {
    let built = |name: &str| arch::find(name).is_some();
    let models = pretrained::all().filter_map(|cfg| {
        let architecture = cfg.architecture.as_deref().filter(|name| built(name))?;
        Some((architecture, cfg.tag.as_deref().unwrap_or_default(), cfg.has_weights()))
    });
    models.collect()
}

/// Runs the command `effnet`, and returns its exit code.
#[pyfunction]
fn command(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(move || effnet_cli::run(&arguments))
}
