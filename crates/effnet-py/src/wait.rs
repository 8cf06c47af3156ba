//! Work on threads without Python, for which Python's thread waits with the GIL released.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;

use crate::error;

/// How often a waiting thread looks for signals, such as Ctrl-C, and for notes.
const TICK: Duration = Duration::from_millis(100);

/// What a user may want to know. Threads without Python add notes, and Python's thread logs them.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub(crate) fn add(&self, note: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(note.to_owned());
    }

    /// Logs the notes that have been added, as warnings of the logger `effnet`.
    pub(crate) fn log(&self, py: Python<'_>) -> PyResult<()> {
        let notes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if !notes.is_empty() {
            let logger = py.import("logging")?.call_method1("getLogger", ("effnet",))?;
            for note in notes {
                logger.call_method1("warning", ("%s", error::in_python(&note)))?;
            }
        }
        Ok(())
    }
}

/// Waits for the next value of another thread.
pub(crate) fn next<T: Send>(
    py: Python<'_>,
    values: &Mutex<Receiver<T>>,
    notes: &Notes,
) -> PyResult<T> {
    loop {
        // Also if no wait is ever long: the caller may run no code of Python in between.
        py.check_signals()?;
        let value =
            py.detach(|| values.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(TICK));
        notes.log(py)?;
        match value {
            Ok(value) => return Ok(value),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let message = "the thread that did the work has ended: a fault of effnet";
                return Err(error::new(py, "EffnetError", message));
            }
        }
    }
}

/// Starts a thread for `work`.
pub(crate) fn start(work: impl FnOnce() + Send + 'static) -> PyResult<()> {
    std::thread::Builder::new().name("effnet".to_owned()).spawn(work)?;
    Ok(())
}

/// Does `work` on a thread, so that Ctrl-C ends the wait for it.
pub(crate) fn interruptible<T: Send + 'static>(
    py: Python<'_>,
    notes: &Notes,
    work: impl FnOnce() -> T + Send + 'static,
) -> PyResult<T> {
    let (done, values) = channel();
    start(move || {
        // Fails if nobody waits any more.
        let _ = done.send(work());
    })?;
    next(py, &Mutex::new(values), notes)
}
