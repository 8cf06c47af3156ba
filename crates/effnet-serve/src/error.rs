use std::path::PathBuf;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use effnet::batcher::BatchError;
use effnet::unstable::file_name;
use effnet::{Error, ErrorKind};
use serde::Serialize;

use crate::models::LoadError;
use crate::openapi::ErrorBody;

/// What clients are told of a panic, and of what never happens.
pub(crate) const FAULT: &str = "a fault of the server stopped the work on this request";

/// What errors of the library advise, and what a client of HTTP or the server's configuration has
/// instead. `tests/structure.rs` finds what is missing here.
const SETTINGS: [(&str, &str); 24] = [
    ("raise `Limits::max_pixels` if the file is to be trusted", "send a smaller image"),
    ("raise `Limits::max_alloc` if the file is to be trusted", "send a smaller image"),
    (
        "get the whole file, or set `DecodeOptions::lenient` to keep what is there",
        "send the whole file",
    ),
    ("`DecodeOptions::lenient`", "`lenient` of the model"),
    ("`ModelBuilder::model(folder)`", "`model` with the folder"),
    ("`ModelBuilder::weights`", "`weights` of the model"),
    ("`ModelBuilder::num_classes`", "`num-classes` of the model"),
    ("`ModelBuilder::labels`", "`labels` of the model"),
    ("`ModelBuilder::activation`", "`activation` of the model"),
    ("`AnswerOptions::calibration`", "`calibration` of the model"),
    ("`AnswerOptions::coverage`", "`coverage` of the model"),
    ("`AnswerOptions::min_probability`", "`min-probability` of the model"),
    ("`AnswerOptions::roll_up`", "`roll-up` of the model"),
    ("`ModelBuilder::crop_mode`", "`crop-mode` of the model"),
    ("`ModelBuilder::crop_pct`", "`crop-pct` of the model"),
    ("`ModelBuilder::interpolation`", "`interpolation` of the model"),
    ("`ModelBuilder::mean`", "`mean` of the model"),
    ("`ModelBuilder::std`", "`std` of the model"),
    ("`Limits::max_pixels`", "`max-pixels` of the model"),
    ("`Limits::max_alloc`", "the memory for decoding"),
    ("`Model::embed` returns them", "POST /embed returns them"),
    ("`Model::run` takes tensors", "POST /v2/models/MODEL/infer takes tensors"),
    ("`HubBuilder::cache_dir`", "the hub's folder"),
    ("`HubBuilder::offline`", "the hub's offline mode"),
];

/// A message in the words of HTTP, without paths of the server.
fn for_clients(message: &str) -> String {
    let mut message = message.to_owned();
    for (setting, words) in SETTINGS {
        if message.contains(setting) {
            message = message.replace(setting, words);
        }
    }
    let words = message.split(' ').map(|word| {
        let start = word.find(|c: char| !matches!(c, '"' | '\'' | '`' | '(')).unwrap_or(0);
        let (open, word) = word.split_at(start);
        match word.rsplit_once('/') {
            Some((_, last)) if word.starts_with('/') && !is_route(word) => format!("{open}{last}"),
            _ => format!("{open}{word}"),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Whether a word is a route of this server.
fn is_route(word: &str) -> bool {
    ["/embed", "/models", "/v2/"].iter().any(|route| word.starts_with(route))
}

/// A message with the last parts of these paths in place of the paths.
fn without_paths(message: &str, files: &[PathBuf]) -> String {
    let mut message = message.to_owned();
    for file in files {
        if let Some(last) = file.file_name() {
            message = message.replace(&file_name(file), &file_name(last.as_ref()));
        }
    }
    message
}

/// The most bytes of a message: what it quotes may be as long as a body.
const LONGEST: usize = 2048;

/// A message, or a part of it, that is not too long.
pub(crate) fn clipped(mut message: String) -> String {
    if message.len() > LONGEST {
        message.truncate(message.floor_char_boundary(LONGEST));
        message.push_str("...");
    }
    message
}

/// Why a request has no answer: a status, and one line that says what was wrong.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// What was wrong, and what to do.
    pub message: String,
    /// When to try again, if that helps.
    pub retry_after: Option<Duration>,
}

impl ApiError {
    /// An error of this status.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: clipped(message.into()), retry_after: None }
    }

    /// The request itself is wrong.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The work on the request panicked, or did what it never should; the log may say more.
    pub(crate) fn fault() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, FAULT)
    }

    /// What the request names does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }
}

/// The status of an error about this.
pub(crate) fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Image => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Model => StatusCode::BAD_REQUEST,
        ErrorKind::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Deadline => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<BatchError> for ApiError {
    fn from(error: BatchError) -> Self {
        Self::from(&error)
    }
}

impl From<&BatchError> for ApiError {
    fn from(error: &BatchError) -> Self {
        let status = match error {
            BatchError::Overloaded { .. } => StatusCode::TOO_MANY_REQUESTS,
            error => status(error.kind()),
        };
        let message = match error {
            // What a panic says is for those who can read the source.
            BatchError::Panicked(_) => FAULT.to_owned(),
            error => for_clients(&error.to_string()),
        };
        Self { status, retry_after: error.retry_after(), message }
    }
}

impl From<LoadError> for ApiError {
    fn from(error: LoadError) -> Self {
        Self::from(&error)
    }
}

impl From<&LoadError> for ApiError {
    fn from(error: &LoadError) -> Self {
        let message = for_clients(&error.to_string());
        match error {
            LoadError::Unknown { .. } => Self::not_found(message),
            LoadError::Draining => Self::new(StatusCode::SERVICE_UNAVAILABLE, message),
            LoadError::Memory { .. } => Self::new(StatusCode::CONFLICT, message),
            LoadError::Model { error, files } => {
                Self::new(status(error.kind()), without_paths(&message, files))
            }
            LoadError::Batcher(error) => Self::from(error),
            LoadError::Name(_) => Self::bad_request(message),
            LoadError::Panicked { .. } => Self::new(StatusCode::INTERNAL_SERVER_ERROR, message),
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        BatchError::Model(error).into()
    }
}

impl ApiError {
    /// An answer with this error's status and headers, and another body.
    pub(crate) fn with_body(&self, body: impl Serialize) -> Response {
        let mut response = (self.status, Json(body)).into_response();
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.with_body(ErrorBody::new(self.message.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_read_what_they_can_do() {
        for (message, says) in [
            (
                "image: the header announces 9x9 pixels, more than the limit of 9; raise \
                 `Limits::max_pixels` if the file is to be trusted",
                "image: the header announces 9x9 pixels, more than the limit of 9; send a smaller image",
            ),
            (
                "m has one output: `ModelBuilder::activation` takes sigmoid",
                "m has one output: `activation` of the model takes sigmoid",
            ),
            ("\"/srv/models/a.pth\": no such file", "\"a.pth\": no such file"),
            (
                "timm/b0 is on https://huggingface.co/timm/b0",
                "timm/b0 is on https://huggingface.co/timm/b0",
            ),
            (
                "m has no classifier; `Model::embed` returns them",
                "m has no classifier; POST /embed returns them",
            ),
        ] {
            assert_eq!(for_clients(message), says);
        }
        let files = [PathBuf::from("models/flowers.pth")];
        let says = without_paths("models/flowers.pth: not a checkpoint", &files);
        assert_eq!(says, "flowers.pth: not a checkpoint");
    }
}
