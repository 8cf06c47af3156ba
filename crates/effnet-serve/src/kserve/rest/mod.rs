//! The protocol over HTTP.

mod data;
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
use axum::{Extension, Json, Router};
use bytes::BytesMut;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use tower::ServiceBuilder;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::decompression::{DecompressionBody, RequestDecompressionLayer};

use super::infer::infer;
use super::metadata::{EXTENSIONS, PLATFORM, SERVER, Signature, Spec, versions};
use super::parameters::{self, Parameters};
use super::repository;
use crate::guard::{self, Account};
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
        .route("/v2", get(server_metadata))
        .route("/v2/health/live", get(live))
        .route("/v2/health/ready", get(ready))
        .route("/v2/models/{name}", get(model_metadata))
        .route("/v2/models/{name}/ready", get(model_ready))
        .route("/v2/models/{name}/versions/{version}", get(model_metadata))
        .route("/v2/models/{name}/versions/{version}/ready", get(model_ready))
        .route("/v2/repository/index", post(index))
        .route("/v2/repository/models/{name}/load", post(load))
        .route("/v2/repository/models/{name}/unload", post(unload))
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

async fn live() -> Json<Value> {
    Json(json!({ "live": true }))
}

async fn ready(State(server): State<Server>) -> (StatusCode, Json<Value>) {
    let ready = server.models().is_ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": ready })))
}

async fn server_metadata() -> Json<Value> {
    let (name, version) = SERVER;
    Json(json!({ "name": name, "version": version, "extensions": EXTENSIONS }))
}

async fn model_ready(
    State(server): State<Server>,
    Named { name, version }: Named,
) -> Result<Json<Value>, ApiError> {
    let loaded = server.models().get(Some(&name), version.as_deref())?;
    Ok(Json(json!({ "name": loaded.name, "ready": true })))
}

async fn model_metadata(
    State(server): State<Server>,
    Named { name, version }: Named,
) -> Result<Json<Value>, ApiError> {
    let loaded = server.models().get(Some(&name), version.as_deref())?;
    let Signature { inputs, outputs } = Signature::of(loaded.batcher.model());
    let tensor = |spec: &Spec| {
        json!({
            "name": spec.name,
            "datatype": spec.datatype.name(),
            "shape": spec.shape,
            "parameters": { "description": spec.description },
        })
    };
    let tensors = |specs: &[Spec]| specs.iter().map(tensor).collect::<Vec<_>>();
    Ok(Json(json!({
        "name": loaded.name,
        "versions": versions(&server, &loaded.name),
        "platform": PLATFORM,
        "inputs": tensors(&inputs),
        "outputs": tensors(&outputs),
    })))
}

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
        let fault = |error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}"));
        tokio::task::spawn_blocking(parse).await.map_err(fault)??
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

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct IndexRequest {
    ready: bool,
}

async fn index(
    State(server): State<Server>,
    body: Body,
) -> Result<Json<Vec<repository::Entry>>, ApiError> {
    let request: IndexRequest = small(&server, body).await?;
    Ok(Json(repository::index(&server, request.ready)))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RepositoryRequest {
    #[serde(deserialize_with = "parameters::read")]
    parameters: Option<Parameters>,
}

async fn load(
    State(server): State<Server>,
    Named { name, .. }: Named,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let request: RepositoryRequest = small(&server, body).await?;
    repository::load(&server, &name, request.parameters.unwrap_or_default()).await?;
    Ok(StatusCode::OK)
}

async fn unload(
    State(server): State<Server>,
    Named { name, .. }: Named,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let request: RepositoryRequest = small(&server, body).await?;
    repository::unload(&server, &name, request.parameters.unwrap_or_default()).await?;
    Ok(StatusCode::OK)
}

/// A request that may be left out.
async fn small<T: Default + serde::de::DeserializeOwned>(
    server: &Server,
    body: Body,
) -> Result<T, ApiError> {
    let body = read(body, server.limits().max_body, None).await?;
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad_request(format!("the request's JSON: {error}")))
}
