//! Answers for any number of images, one after the other.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use effnet::Error;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyIterator;

use crate::answer;
use crate::image::{Image, Reader};
use crate::job::{Answer, Job};
use crate::wait::{self, Notes};
use crate::{error, process};

/// How many batches are read ahead: one is in the network, one is decoded, one waits.
const AHEAD: usize = 3;

/// What takes the place of an image that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Errors {
    /// Nothing: the exception is raised.
    Raise,
    /// The exception.
    Return,
}

impl Errors {
    pub(crate) fn new(name: &str) -> PyResult<Self> {
        match name {
            "raise" => Ok(Self::Raise),
            "return" => Ok(Self::Return),
            _ => {
                let message = format!("errors is \"raise\" or \"return\", not {name:?}");
                Err(PyValueError::new_err(message))
            }
        }
    }

    /// A result, or what takes its place. Ctrl-C and the like are always raised.
    pub(crate) fn settle<'py>(
        self,
        py: Python<'py>,
        result: PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match result {
            Err(error) if self == Self::Return && error.is_instance_of::<PyException>(py) => {
                Ok(error.into_value(py).into_bound(py).into_any())
            }
            result => result,
        }
    }
}

/// Pairs of an image and its result, in the order of the images.
///
/// The images are taken from their iterable on the thread that asks for results. Another thread
/// decodes them and runs the network.
#[pyclass(module = "effnet._effnet")]
pub(crate) struct Results {
    images: Py<PyIterator>,
    reader: Reader,
    errors: Errors,
    notes: Notes,
    /// The process in which the other thread is.
    process: u32,
    /// The images without a result, and what is known to be wrong with them.
    pending: VecDeque<(Py<PyAny>, Option<PyErr>)>,
    /// How many images the other thread has, and may have.
    given: usize,
    most: usize,
    /// `None` when the last image was given.
    to_thread: Option<Sender<Image>>,
    from_thread: Mutex<Receiver<Result<Answer, Error>>>,
    /// An error of the iterable, whose turn comes after the images before it.
    ended_by: Option<PyErr>,
}

impl Results {
    pub(crate) fn new(
        images: &Bound<'_, PyIterator>,
        job: Job,
        batch_size: usize,
        reader: Reader,
        errors: Errors,
        notes: Notes,
    ) -> PyResult<Self> {
        if batch_size == 0 {
            return Err(PyValueError::new_err("batch_size is at least 1"));
        }
        let (to_thread, given) = channel();
        let (answers, from_thread) = channel();
        wait::start(move || {
            // Fails if nobody wants answers any more.
            let _ = job.each(given, batch_size, |answer| answers.send(answer));
        })?;
        Ok(Self {
            images: images.clone().unbind(),
            reader,
            errors,
            notes,
            process: std::process::id(),
            pending: VecDeque::new(),
            given: 0,
            most: batch_size.saturating_mul(AHEAD),
            to_thread: Some(to_thread),
            from_thread: Mutex::new(from_thread),
            ended_by: None,
        })
    }

    /// The next image with its answer. An error of the iterable itself is the outer one.
    pub(crate) fn advance(
        &mut self,
        py: Python<'_>,
    ) -> PyResult<Option<(Py<PyAny>, PyResult<Answer>)>> {
        process::check(py, self.process)?;
        // Images that are wrong from the start are not waited for.
        py.check_signals()?;
        self.fill(py)?;
        let Some((image, wrong)) = self.pending.pop_front() else {
            return self.ended_by.take().map_or(Ok(None), Err);
        };
        let answer = match wrong {
            Some(wrong) => Err(wrong),
            None => {
                let answer = wait::next(py, &self.from_thread, &self.notes)?;
                self.given -= 1;
                answer.map_err(|error| error::exception(py, &error))
            }
        };
        Ok(Some((image, answer)))
    }

    /// Takes images until enough are on their way.
    fn fill(&mut self, py: Python<'_>) -> PyResult<()> {
        while self.given < self.most && self.pending.len() < self.most {
            let Some(to_thread) = &self.to_thread else { break };
            let image = match self.images.bind(py).clone().next() {
                Some(Ok(image)) => image,
                // Ctrl-C has no turn.
                Some(Err(error)) if !error.is_instance_of::<PyException>(py) => return Err(error),
                ended => {
                    self.ended_by = ended.and_then(Result::err);
                    self.to_thread = None;
                    break;
                }
            };
            let wrong = match self.reader.one(&image) {
                Ok(image) => {
                    // If the thread has ended, waiting for its answer says so.
                    let _ = to_thread.send(image);
                    self.given += 1;
                    None
                }
                Err(error) => Some(error),
            };
            self.pending.push_back((image.unbind(), wrong));
        }
        Ok(())
    }
}

#[pymethods]
impl Results {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(
        &mut self,
        py: Python<'py>,
    ) -> PyResult<Option<(Py<PyAny>, Bound<'py, PyAny>)>> {
        let Some((image, answer)) = self.advance(py)? else { return Ok(None) };
        let result = answer.and_then(|answer| answer::one(py, answer));
        Ok(Some((image, self.errors.settle(py, result)?)))
    }
}
