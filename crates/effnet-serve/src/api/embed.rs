use axum::extract::{Request, State};
use axum::response::Response;

use super::records::answer;
use super::upload::{File, Form, Images, Upload};
use crate::openapi::{EmbeddingRecords, ImageErrors};
use crate::{ApiError, Server};

/// The pooled features of images: embeddings
///
/// These are the features that the classifier reads (timm's `pre_logits`). Bodies and answers are
/// those of `/classify`, with `embedding` in place of `predictions`; `k` means nothing here and is
/// refused.
#[utoipa::path(post, path = "/embed", tag = "images",
    params(
        ("model" = Option<String>, Query, description = "The model; the default if absent", example = "tf_efficientnet_lite0.in1k"),
    ),
    request_body(description = "An image's file, a form of files, or JSON with base64", content(
        (File = "application/octet-stream"), (File = "image/*"),
        (Form = "multipart/form-data"),
        (Images = "application/json", example = json!({ "image": crate::openapi::IMAGE })),
    )),
    responses(
        (status = 200, description = "A record, or a list of them", body = EmbeddingRecords),
        ImageErrors,
    ))]
pub(super) async fn embed(
    State(server): State<Server>,
    request: Request,
) -> Result<Response, ApiError> {
    let upload = Upload::read(&server, request).await?;
    if upload.asked.k.is_some() {
        return Err(ApiError::bad_request("an embedding has no k: leave it out"));
    }
    let loaded = server.models().get(upload.asked.model.as_deref(), None)?;
    let batcher = &loaded.batcher;
    let run = |image| batcher.embed(image);
    let model = batcher.model();
    Ok(answer(&server, batcher, upload, run, |name, result| model.embedding_record(name, result))
        .await)
}
