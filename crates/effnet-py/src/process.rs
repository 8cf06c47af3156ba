//! What a forked process lacks.

use pyo3::prelude::*;

use crate::error;

/// Refuses to go on in a process other than the one that made the threads.
pub(crate) fn check(py: Python<'_>, process: u32) -> PyResult<()> {
    if std::process::id() == process {
        return Ok(());
    }
    let message = format!(
        "this model was made in process {process}, of which this one is a fork, and a fork has none of \
         its threads: make the model in the process that uses it, or start processes by \"spawn\""
    );
    Err(error::new(py, "EffnetError", &message))
}
