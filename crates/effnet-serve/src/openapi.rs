//! The description of the HTTP API, as OpenAPI 3.1.

use std::sync::OnceLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use effnet::{EmbeddingRecord, Record};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::kserve;

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
    Own::openapi().merge_from(kserve::document())
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
