use axum::extract::{Request, State};
use axum::response::Response;

use super::records::answer;
use super::upload::{File, Form, Images, Upload};
use crate::openapi::{ImageErrors, Records};
use crate::{ApiError, Server};

/// How many classes are named if a request does not say it.
const K: usize = 5;

/// Name what images show
///
/// A raw body or `image` gives one record, whose error decides the status. A form or `images` gives
/// a list of records in the order of the images, each with predictions or an error of its own. The
/// header `Server-Timing` says where the time of the images went that have a result.
#[utoipa::path(post, path = "/classify", tag = "images",
    params(
        ("k" = Option<usize>, Query, minimum = 1, description = "How many classes to name; 5 if absent"),
        ("model" = Option<String>, Query, description = "The model; the default if absent", example = "tf_efficientnet_lite0.in1k"),
    ),
    request_body(description = "An image's file, a form of files, or JSON with base64", content(
        (File = "application/octet-stream"), (File = "image/*"),
        (Form = "multipart/form-data"),
        (Images = "application/json", example = json!({ "image": crate::openapi::IMAGE, "k": 3 })),
    )),
    responses(
        (status = 200, description = "A record, or a list of them", body = Records),
        ImageErrors,
    ))]
pub(super) async fn classify(
    State(server): State<Server>,
    request: Request,
) -> Result<Response, ApiError> {
    let upload = Upload::read(&server, request).await?;
    let loaded = server.models().get(upload.asked.model.as_deref(), None)?;
    let batcher = &loaded.batcher;
    let Some(classifier) = batcher.classifier() else {
        let says =
            format!("model {} has no classifier: POST /embed gives its features", loaded.name);
        return Err(ApiError::bad_request(says));
    };
    let k = upload.asked.k.map_or(K, usize::from);
    let run = |image| batcher.classify(image, k);
    Ok(answer(&server, batcher, upload, run, |name, result| classifier.record(name, result)).await)
}
