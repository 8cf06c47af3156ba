//! The models' coming and going over HTTP.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Named, read};
use crate::kserve::parameters::{self, Parameters};
use crate::kserve::repository::{self, Entry};
use crate::openapi::ErrorBody;
use crate::{ApiError, Server};

/// Which models to list.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct IndexRequest {
    /// Only those that are ready.
    ready: bool,
}

/// How to load or unload a model.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RepositoryRequest {
    /// Loading has none; unloading has `unload_dependents`, true or false, which changes nothing.
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "parameters::read")]
    parameters: Option<Parameters>,
}

/// All models and their state
#[utoipa::path(post, path = "/v2/repository/index", tag = "inference", operation_id = "v2_index",
    request_body = Option<IndexRequest>,
    responses(
        (status = 200, description = "By name and version", body = Vec<Entry>),
        (status = 400, description = "A request that is not as described here", body = ErrorBody),
        (status = 413, description = "Too many bytes", body = ErrorBody),
    ))]
pub(super) async fn index(
    State(server): State<Server>,
    body: Body,
) -> Result<Json<Vec<Entry>>, ApiError> {
    let request: IndexRequest = small(&server, body).await?;
    Ok(Json(repository::index(&server, request.ready)))
}

/// Load a model, or load it anew
///
/// Only models that the server was started with can be loaded. Requests that came before finish on
/// the old version.
#[utoipa::path(post, path = "/v2/repository/models/{name}/load", tag = "inference",
    operation_id = "v2_load",
    params(("name" = String, Path, description = "The model", example = "tf_efficientnet_lite0.in1k")),
    request_body = Option<RepositoryRequest>,
    responses(
        (status = 200, description = "It answers in its new version"),
        (status = 400, description = "A request that is not as described here, or a model that cannot be read", body = ErrorBody),
        (status = 404, description = "The server was not started with such a model", body = ErrorBody),
        (status = 409, description = "There is too little memory for it", body = ErrorBody),
        (status = 413, description = "Too many bytes", body = ErrorBody),
        (status = 500, description = "A fault of the server", body = ErrorBody),
        (status = 503, description = "The server shuts down, or cannot start threads", body = ErrorBody),
    ))]
pub(super) async fn load(
    State(server): State<Server>,
    Named { name, .. }: Named,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let request: RepositoryRequest = small(&server, body).await?;
    repository::load(&server, &name, request.parameters.unwrap_or_default()).await?;
    Ok(StatusCode::OK)
}

/// Take a model out of service
///
/// Requests that came before finish on it. It can be loaded again.
#[utoipa::path(post, path = "/v2/repository/models/{name}/unload", tag = "inference",
    operation_id = "v2_unload",
    params(("name" = String, Path, description = "The model", example = "tf_efficientnet_lite0.in1k")),
    request_body = Option<RepositoryRequest>,
    responses(
        (status = 200, description = "It answers no more"),
        (status = 400, description = "A request that is not as described here", body = ErrorBody),
        (status = 404, description = "The server was not started with such a model", body = ErrorBody),
        (status = 413, description = "Too many bytes", body = ErrorBody),
    ))]
pub(super) async fn unload(
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
