//! Errors of the library as exceptions, in the words of Python's caller.

use effnet::pretrained::PretrainedError;
use effnet::{Error, ErrorKind};
use pyo3::prelude::*;
use pyo3::types::PyType;

/// What errors of the library advise, and what the caller has in Python. `tests/structure.rs` finds
/// what is missing here.
const SETTINGS: [(&str, &str); 19] = [
    ("raise `Limits::max_alloc` if the file is to be trusted", "make the image smaller"),
    ("`Limits::max_pixels`", "`max_pixels`"),
    ("`Limits::max_alloc`", "the memory for decoding"),
    ("set `DecodeOptions::lenient`", "set `lenient`"),
    ("`DecodeOptions::lenient`", "`lenient`"),
    ("`ModelBuilder::model(folder)`", "`name` with the folder"),
    ("`ModelBuilder::weights`", "`weights`"),
    ("`ModelBuilder::num_classes`", "`num_classes`"),
    ("`ModelBuilder::labels`", "`labels`"),
    ("`ModelBuilder::activation`", "`activation`"),
    ("`ModelBuilder::crop_mode`", "`crop_mode`"),
    ("`ModelBuilder::crop_pct`", "`crop_pct`"),
    ("`ModelBuilder::interpolation`", "`interpolation`"),
    ("`ModelBuilder::mean`", "`mean`"),
    ("`ModelBuilder::std`", "`std`"),
    ("`Model::embed` returns them", "`Classifier.embed` returns them"),
    ("`Model::run` takes tensors", "`effnet forward` takes tensors"),
    ("`HubBuilder::cache_dir`", "`cache_dir`"),
    ("`HubBuilder::offline`", "`offline`"),
];

/// A message of the library in the words of Python's caller.
pub(crate) fn in_python(message: &str) -> String {
    let mut message = message.to_owned();
    for (setting, words) in SETTINGS {
        if message.contains(setting) {
            message = message.replace(setting, words);
        }
    }
    message
}

/// An error of the library.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    let class = match error {
        Error::Hub(_) => "HubError",
        Error::Model(
            PretrainedError::Name { .. }
            | PretrainedError::NoSuchFolder { .. }
            | PretrainedError::UnknownArchitecture { .. }
            | PretrainedError::UnknownTag { .. },
        ) => "UnknownModelError",
        error => match error.kind() {
            ErrorKind::Image | ErrorKind::TooLarge => "ImageError",
            ErrorKind::Model => "ModelError",
            ErrorKind::Device => "DeviceError",
            _ => "EffnetError",
        },
    };
    new(py, class, &in_python(&error.to_string()))
}

/// An exception of the package `effnet` with this message.
pub(crate) fn new(py: Python<'_>, class: &str, message: &str) -> PyErr {
    let find = || Ok(py.import("effnet._errors")?.getattr(class)?.cast_into::<PyType>()?);
    match find() {
        Ok(class) => PyErr::from_type(class, (message.to_owned(),)),
        Err(error) => error,
    }
}
