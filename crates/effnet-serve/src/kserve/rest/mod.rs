//! The protocol over HTTP.

mod about;
mod data;
mod openapi;
mod repository;
pub(super) mod request;
mod response;

use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Request, StatusCode, Version, header};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::BytesMut;
use futures_util::StreamExt;
use serde::Deserialize;
use tower::ServiceBuilder;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::decompression::{DecompressionBody, RequestDecompressionLayer};

pub(crate) use openapi::document;

use super::infer::infer;
use crate::guard::{self, Account};
use crate::openapi::{ErrorBody, ImageErrors};
use crate::{ApiError, Server};

/// Bodies above this size are parsed away from the threads that serve connections.
const LARGE: usize = 256 << 10;

pub(crate) fn routes() -> Router<Server> {
    // Clients that accept compression may not expect it of errors: tritonclient does not.
    let succeeded =
        |status: StatusCode, _: Version, _: &HeaderMap, _: &Extensions| status.is_success();
    let compression = ServiceBuilder::new()
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(succeeded))
        // An encoding that is not among these is left to the handler, which refuses it.
        .layer(RequestDecompressionLayer::new().pass_through_unaccepted(true))
        .map_request(|request: Request<DecompressionBody<Body>>| request.map(Body::new));
    Router::new()
        .route("/v2/models/{name}/infer", post(run))
        .route("/v2/models/{name}/versions/{version}/infer", post(run))
        .layer(compression)
        .route("/v2", get(about::server_metadata))
        .route("/v2/health/live", get(about::live))
        .route("/v2/health/ready", get(about::ready))
        .route("/v2/models/{name}", get(about::model_metadata))
        .route("/v2/models/{name}/ready", get(about::model_ready))
        .route("/v2/models/{name}/versions/{version}", get(about::model_metadata))
        .route("/v2/models/{name}/versions/{version}/ready", get(about::model_ready))
        .route("/v2/repository/index", post(repository::index))
        .route("/v2/repository/models/{name}/load", post(repository::load))
        .route("/v2/repository/models/{name}/unload", post(repository::unload))
}

/// The model that a path names.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) version: Option<String>,
}

impl FromRequestParts<Server> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Self, ApiError> {
        let path = Path::<Self>::from_request_parts(parts, server).await;
        let refused = |error: PathRejection| ApiError::bad_request(format!("the path: {error}"));
        Ok(path.map_err(refused)?.0)
    }
}

/// Run a model on images
///
/// The body is JSON. With the binary extension, bytes of tensors follow the JSON, and the header
/// `Inference-Header-Content-Length` says how long the JSON is: an input has the parameter
/// `binary_data_size` in place of `data`, and its bytes come in the order of the inputs. An output
/// with the parameter `binary_data`, or all with the request's `binary_data_output`, is answered
/// the same way. Numbers are little-endian; each element of BYTES follows its length in 4 bytes.
#[utoipa::path(post, path = "/v2/models/{name}/infer", tag = "inference", operation_id = "v2_infer",
    params(
        ("name" = String, Path, description = "The model", example = "tf_efficientnet_lite0.in1k"),
        ("Inference-Header-Content-Length" = Option<usize>, Header, description = "The length of the JSON, if bytes follow it"),
    ),
    request_body(description = "JSON, or JSON and after it bytes of tensors", content(
        (request::Json<'_> = "application/json", example = json!({
            "inputs": [{
                "name": "image", "datatype": "BYTES", "shape": [1], "data": [crate::openapi::IMAGE],
            }],
            "outputs": [{ "name": "probabilities", "parameters": { "classification": 3 } }],
        })),
        ("application/octet-stream"),
    )),
    responses(
        (status = 200, description = "The outputs: JSON, or JSON and after it bytes of tensors",
            content((response::Json<'_> = "application/json"), ("application/octet-stream")),
            headers(("Inference-Header-Content-Length" = usize, description = "The length of the JSON, if bytes follow it"))),
        ImageErrors,
        (status = 415, description = "An encoding that is not gzip or deflate", body = ErrorBody),
    ))]
async fn run(
    State(server): State<Server>,
    named: Named,
    account: Option<Extension<Arc<Account>>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let encoding = headers.get(header::CONTENT_ENCODING);
    if let Some(encoding) = encoding.filter(|encoding| *encoding != "identity") {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("Content-Encoding {encoding:?}: only gzip and deflate are understood"),
        ));
    }
    let body = read(body, server.limits().max_body, account.as_deref()).await?;
    let deadline = server.deadline();
    let max_images = server.limits().max_images;
    let is_large = body.len() > LARGE;
    let parse = move || request::parse(&headers, &body, named, max_images, deadline);
    let request::Parsed { id, request, binary } = if is_large {
        tokio::task::spawn_blocking(parse).await.map_err(|_| ApiError::fault())??
    } else {
        parse()?
    };
    let answer = infer(&server, request).await?;
    response::write(&answer, id.as_deref(), &binary)
}

/// A body of at most this many bytes, after decompression. All of them count in its account.
async fn read(body: Body, most: usize, account: Option<&Arc<Account>>) -> Result<Bytes, ApiError> {
    let too_large = || {
        let message = format!("the body has more than {most} bytes: send fewer images a request");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    };
    let announced = body.size_hint().lower();
    if announced > most as u64 {
        return Err(too_large());
    }
    let (mut bytes, mut body) = (BytesMut::new(), body.into_data_stream());
    while let Some(piece) = body.next().await {
        let wrong = |error| ApiError::bad_request(format!("the body cannot be read: {error}"));
        let piece = piece.map_err(wrong)?;
        if piece.len() > most - bytes.len() {
            return Err(too_large());
        }
        if let Some(account) = account {
            account.hold(bytes.len() + piece.len()).map_err(|_| guard::crowded())?;
        }
        bytes.extend_from_slice(&piece);
    }
    let bytes = bytes.freeze();
    Ok(match account {
        Some(account) => account.keep(bytes),
        None => bytes,
    })
}
