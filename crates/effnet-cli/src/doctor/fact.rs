//! What is known, or why it is not.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use serde::Serialize;

/// A fact, or the reason why it could not be read. In JSON the value, or `{"unknown": "the reason"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Fact<T> {
    Known(T),
    Unknown { unknown: String },
}

impl<T> Fact<T> {
    pub(super) fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown { unknown: reason.into() }
    }

    pub(super) fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown { .. } => None,
        }
    }

    /// The fact in words: `show` gives those of the value.
    pub(super) fn text(&self, show: impl FnOnce(&T) -> String) -> String {
        match self {
            Self::Known(value) => show(value),
            Self::Unknown { unknown } => format!("unknown ({unknown})"),
        }
    }
}

impl<T, E: Display> From<Result<T, E>> for Fact<T> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(value) => Self::Known(value),
            Err(error) => Self::unknown(error.to_string()),
        }
    }
}

/// The text of one of Linux's files of facts; the error names it.
pub(super) fn read(path: impl AsRef<Path>) -> Result<String, String> {
    let path = path.as_ref();
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(_) if !cfg!(target_os = "linux") => Err("effnet reads this on Linux only".to_owned()),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}
