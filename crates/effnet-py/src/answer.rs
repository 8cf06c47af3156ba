//! Answers as Python's objects.

use effnet::Prediction;
use effnet::engine::Array;
use numpy::ndarray::{ArrayD, IxDyn};
use numpy::{Element, PyArray};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyType};

use crate::job::Answer;

/// The answer for one image.
pub(crate) fn one(py: Python<'_>, answer: Answer) -> PyResult<Bound<'_, PyAny>> {
    match answer {
        Answer::Predictions(predictions) => ranked(py, predictions),
        Answer::Array(array) => numpy(py, array.data, &array.shape[1..]),
        Answer::Arrays(arrays) => {
            let arrays = arrays.into_iter().map(|array| numpy(py, array.data, &array.shape[1..]));
            Ok(PyList::new(py, arrays.collect::<PyResult<Vec<_>>>()?)?.into_any())
        }
        Answer::Pixels(pixels) => {
            let shape = [pixels.height(), pixels.width(), pixels.channels()];
            numpy(py, pixels.into_data(), &shape)
        }
    }
}

/// The answers for many images as one object.
pub(crate) enum Many {
    Predictions(Vec<Vec<Prediction>>),
    Array(Array),
    Arrays(Vec<Array>),
    Bytes { data: Vec<u8>, shape: Vec<usize> },
}

impl Many {
    /// No answers yet; they will have the form of this one.
    pub(crate) fn like(answer: &Answer) -> Self {
        let none = |array: &Array| Array {
            data: Vec::new(),
            shape: std::iter::once(0).chain(array.shape[1..].iter().copied()).collect(),
        };
        match answer {
            Answer::Predictions(_) => Self::Predictions(Vec::new()),
            Answer::Array(array) => Self::Array(none(array)),
            Answer::Arrays(arrays) => Self::Arrays(arrays.iter().map(none).collect()),
            Answer::Pixels(pixels) => Self::Bytes {
                data: Vec::new(),
                shape: vec![0, pixels.height(), pixels.width(), pixels.channels()],
            },
        }
    }

    /// Adds an image's answer.
    pub(crate) fn push(&mut self, answer: Answer) {
        let add = |to: &mut Array, from: Array| {
            to.data.extend(from.data);
            to.shape[0] += 1;
        };
        match (self, answer) {
            (Self::Predictions(all), Answer::Predictions(predictions)) => all.push(predictions),
            (Self::Array(to), Answer::Array(from)) => add(to, from),
            (Self::Arrays(to), Answer::Arrays(from)) => {
                to.iter_mut().zip(from).for_each(|(to, from)| add(to, from));
            }
            (Self::Bytes { data, shape }, Answer::Pixels(pixels)) => {
                data.extend_from_slice(pixels.data());
                shape[0] += 1;
            }
            // One task gives answers of one form.
            _ => {}
        }
    }

    /// The object: arrays have the images along their first axis.
    pub(crate) fn finish(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        match self {
            Self::Predictions(all) => {
                let all = all.into_iter().map(|predictions| ranked(py, predictions));
                Ok(PyList::new(py, all.collect::<PyResult<Vec<_>>>()?)?.into_any())
            }
            Self::Array(array) => numpy(py, array.data, &array.shape),
            Self::Arrays(arrays) => {
                let arrays = arrays.into_iter().map(|array| numpy(py, array.data, &array.shape));
                Ok(PyList::new(py, arrays.collect::<PyResult<Vec<_>>>()?)?.into_any())
            }
            Self::Bytes { data, shape } => numpy(py, data, &shape),
        }
    }
}

/// An array that takes over the values.
fn numpy<'py, T: Element>(
    py: Python<'py>,
    data: Vec<T>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyAny>> {
    let array = ArrayD::from_shape_vec(IxDyn(shape), data);
    let array = array.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    Ok(PyArray::from_owned_array(py, array).into_any())
}

/// Predictions, best first.
fn ranked(py: Python<'_>, predictions: Vec<Prediction>) -> PyResult<Bound<'_, PyAny>> {
    let class = py.import("effnet._prediction")?.getattr("Prediction")?.cast_into::<PyType>()?;
    let list = PyList::empty(py);
    for Prediction { index, synset, label, probability, logit } in predictions {
        list.append(class.call1((index, synset, label, probability, logit))?)?;
    }
    Ok(list.into_any())
}
