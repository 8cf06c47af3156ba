//! What the server and its models say about themselves over HTTP.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::Named;
use crate::kserve::metadata::{EXTENSIONS, PLATFORM, SERVER, Signature, Spec, versions};
use crate::openapi::ErrorBody;
use crate::{ApiError, Server};

/// Whether the server is up.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ServerLive {
    live: bool,
}

/// Whether the models are loaded.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ServerReady {
    ready: bool,
}

/// What the server is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ServerMetadata {
    /// `effnet`.
    name: &'static str,
    version: &'static str,
    /// Extensions of the protocol.
    #[schema(value_type = Vec<String>)]
    extensions: [&'static str; EXTENSIONS.len()],
}

/// A model that answers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelReady {
    name: String,
    ready: bool,
}

/// The tensors of a model.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelMetadata {
    name: String,
    /// The versions that answer.
    versions: Vec<String>,
    /// `effnet`.
    platform: &'static str,
    /// A request has one of them.
    inputs: Vec<TensorMetadata>,
    /// A request that names none gets all.
    outputs: Vec<TensorMetadata>,
}

/// A tensor that a model takes or gives.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TensorMetadata {
    name: &'static str,
    /// `BYTES`, `UINT8` or `FP32`.
    datatype: &'static str,
    /// -1 for a dimension of any size.
    shape: Vec<i64>,
    parameters: TensorParameters,
}

/// What is said about a tensor.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TensorParameters {
    description: &'static str,
}

impl From<Spec> for TensorMetadata {
    fn from(spec: Spec) -> Self {
        Self {
            name: spec.name,
            datatype: spec.datatype.name(),
            shape: spec.shape,
            parameters: TensorParameters { description: spec.description },
        }
    }
}

/// What the server is
#[utoipa::path(get, path = "/v2", tag = "inference", operation_id = "v2_metadata", responses(
    (status = 200, description = "Name, version and extensions of the protocol", body = ServerMetadata),
))]
pub(super) async fn server_metadata() -> Json<ServerMetadata> {
    let (name, version) = SERVER;
    Json(ServerMetadata { name, version, extensions: EXTENSIONS })
}

/// Whether the server is up
#[utoipa::path(get, path = "/v2/health/live", tag = "inference", operation_id = "v2_live", responses(
    (status = 200, description = "It is", body = ServerLive),
))]
pub(super) async fn live() -> Json<ServerLive> {
    Json(ServerLive { live: true })
}

/// Whether the models are loaded
#[utoipa::path(get, path = "/v2/health/ready", tag = "inference", operation_id = "v2_ready", responses(
    (status = 200, description = "They are", body = ServerReady),
    (status = 503, description = "Not yet, or the server shuts down", body = ServerReady),
))]
pub(super) async fn ready(State(server): State<Server>) -> (StatusCode, Json<ServerReady>) {
    let ready = server.models().is_ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ServerReady { ready }))
}

/// Whether a model answers
#[utoipa::path(get, path = "/v2/models/{name}/ready", tag = "inference",
    operation_id = "v2_model_ready",
    params(("name" = String, Path, description = "The model", example = "tf_efficientnet_lite0.in1k")),
    responses(
        (status = 200, description = "It does", body = ModelReady),
        (status = 400, description = "A path that is not UTF-8", body = ErrorBody),
        (status = 404, description = "No such model or version, or it is not loaded", body = ErrorBody),
        (status = 503, description = "Not yet, or it could not be loaded", body = ErrorBody),
    ))]
pub(super) async fn model_ready(
    State(server): State<Server>,
    Named { name, version }: Named,
) -> Result<Json<ModelReady>, ApiError> {
    let loaded = server.models().get(Some(&name), version.as_deref())?;
    Ok(Json(ModelReady { name: loaded.name.clone(), ready: true }))
}

/// The tensors of a model
#[utoipa::path(get, path = "/v2/models/{name}", tag = "inference",
    operation_id = "v2_model_metadata",
    params(("name" = String, Path, description = "The model", example = "tf_efficientnet_lite0.in1k")),
    responses(
        (status = 200, description = "Its inputs and outputs", body = ModelMetadata),
        (status = 400, description = "A path that is not UTF-8", body = ErrorBody),
        (status = 404, description = "No such model or version, or it is not loaded", body = ErrorBody),
        (status = 503, description = "The model is not ready", body = ErrorBody),
    ))]
pub(super) async fn model_metadata(
    State(server): State<Server>,
    Named { name, version }: Named,
) -> Result<Json<ModelMetadata>, ApiError> {
    let loaded = server.models().get(Some(&name), version.as_deref())?;
    let Signature { inputs, outputs } = Signature::of(loaded.batcher.model());
    let tensors = |specs: Vec<Spec>| specs.into_iter().map(TensorMetadata::from).collect();
    Ok(Json(ModelMetadata {
        name: loaded.name.clone(),
        versions: versions(&server, &loaded.name),
        platform: PLATFORM,
        inputs: tensors(inputs),
        outputs: tensors(outputs),
    }))
}
