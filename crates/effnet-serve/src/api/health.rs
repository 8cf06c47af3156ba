use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::ErrorBody;
use crate::{ApiError, Server};

/// What the server is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Info {
    /// `effnet`.
    name: &'static str,
    version: &'static str,
    /// How long it has been up, in seconds.
    uptime: f64,
    /// The engine of the default model; absent if it is not loaded, like the next three.
    engine: Option<&'static str>,
    /// Where the engine runs.
    device: Option<String>,
    /// The instruction set of its kernels, if it has kernels of its own.
    kernels: Option<&'static str>,
    /// The most threads that work at once.
    threads: Option<usize>,
    limits: LimitsInfo,
}

/// What a request may ask for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LimitsInfo {
    /// Bytes of a body.
    max_body: usize,
    /// Images of a request.
    max_images: usize,
    /// Seconds until an answer must be there.
    timeout: f64,
}

/// The server is up.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `live` or `ready`.
    status: &'static str,
}

/// What the server is
#[utoipa::path(get, path = "/info", tag = "server", responses(
    (status = 200, description = "Version, engine, limits", body = Info),
))]
pub(super) async fn info(State(server): State<Server>) -> Json<Info> {
    let loaded = server.models().get(None, None).ok();
    let engine = loaded.map(|loaded| loaded.batcher.model().engine().capabilities());
    let limits = server.limits();
    Json(Info {
        name: "effnet",
        version: env!("CARGO_PKG_VERSION"),
        uptime: server.uptime().as_secs_f64(),
        engine: engine.as_ref().map(|engine| engine.engine),
        device: engine.as_ref().map(|engine| engine.device.to_string()),
        kernels: engine.as_ref().and_then(|engine| engine.kernels),
        threads: engine.as_ref().map(|engine| engine.threads),
        limits: LimitsInfo {
            max_body: limits.max_body,
            max_images: limits.max_images,
            timeout: limits.timeout.as_secs_f64(),
        },
    })
}

/// Whether the server is up
#[utoipa::path(get, path = "/health/live", tag = "server", responses(
    (status = 200, description = "It is", body = Health),
))]
pub(super) async fn live() -> Json<Health> {
    Json(Health { status: "live" })
}

/// Whether the models are loaded
#[utoipa::path(get, path = "/health/ready", tag = "server", responses(
    (status = 200, description = "They are", body = Health),
    (status = 503, description = "Not yet, or the server shuts down", body = ErrorBody),
))]
pub(super) async fn ready(State(server): State<Server>) -> Result<Json<Health>, ApiError> {
    if server.models().is_ready() {
        return Ok(Json(Health { status: "ready" }));
    }
    let says =
        "not ready: models are being loaded or have failed (GET /models), or the server shuts down";
    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, says))
}
