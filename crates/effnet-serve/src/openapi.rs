//! The description of the HTTP API, as OpenAPI 3.1.

use std::sync::OnceLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use effnet::{EmbeddingRecord, Record};
use serde::Serialize;
use utoipa::{IntoResponses, OpenApi, ToSchema};

use crate::{guard, kserve};

/// An image for examples: four pixels as PNG, in base64.
pub(crate) const IMAGE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR42mM4UWEDRAwQCgArzgXxOHtC1QAAAABJRU5ErkJggg==";

/// Why there is no answer. An error about a request's only image is the record of that image.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// What the image is called, if the error is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    /// The model, if the error is about an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// One line: what was wrong, where, what to do.
    error: String,
}

impl ErrorBody {
    /// An error that concerns no image.
    pub(crate) fn new(error: String) -> Self {
        Self { image: None, model: None, error }
    }
}

/// One record, or a list of them.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "the schema of an answer")]
pub(crate) enum Records {
    One(Record),
    Many(Vec<Record>),
}

/// One record, or a list of them.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "the schema of an answer")]
pub(crate) enum EmbeddingRecords {
    One(EmbeddingRecord),
    Many(Vec<EmbeddingRecord>),
}

/// Why a request about images has no answer.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the description of answers")]
pub(crate) enum ImageErrors {
    /// A request that is not as described here
    #[response(status = 400)]
    Wrong(ErrorBody),
    /// No such model or version, or it is not loaded
    #[response(status = 404)]
    Unknown(ErrorBody),
    /// Too many bytes, images or pixels
    #[response(status = 413)]
    TooLarge(ErrorBody),
    /// Not an image
    #[response(status = 422)]
    NoImage(ErrorBody),
    /// Too many requests wait, or the key's rate is used up; see Retry-After
    #[response(status = 429)]
    Overloaded(ErrorBody),
    /// A fault of the server
    #[response(status = 500)]
    Fault(ErrorBody),
    /// The model is not ready, or the bodies of all requests together are too large; see Retry-After
    #[response(status = 503)]
    NotReady(ErrorBody),
    /// Not ready in time
    #[response(status = 504)]
    Late(ErrorBody),
}

#[derive(OpenApi)]
#[openapi(
    info(title = "effnet", description = "EfficientNet-family image classifiers", license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")),
    servers((url = ".")),
    tags(
        (name = "images", description = "Classes and embeddings of images"),
        (name = "server", description = "The server and its models"),
    ),
    paths(
        crate::api::classify, crate::api::embed, crate::api::models, crate::api::info,
        crate::api::live, crate::api::ready, crate::meters::metrics, json,
    ),
)]
struct Own;

/// The whole description.
fn document() -> utoipa::openapi::OpenApi {
    let mut document = Own::openapi().merge_from(kserve::document());
    guard::describe(&mut document);
    document
}

/// This description
#[utoipa::path(get, path = "/openapi.json", tag = "server", responses(
    (status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = Object),
))]
pub(crate) async fn json() -> Response {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| serde_json::to_string(&document()).unwrap_or_default());
    ([(CONTENT_TYPE, "application/json")], text.as_str()).into_response()
}
