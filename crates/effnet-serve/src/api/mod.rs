//! effnet's own API.

mod classify;
mod embed;
mod form;
mod health;
mod models;
mod records;
mod upload;

pub(crate) use classify::__path_classify;
pub(crate) use embed::__path_embed;
pub(crate) use health::{__path_info, __path_live, __path_ready};
pub(crate) use models::__path_models;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use crate::{Server, meters, openapi};

pub(crate) fn routes(server: &Server) -> Router<Server> {
    Router::new()
        .route("/classify", post(classify::classify))
        .route("/embed", post(embed::embed))
        .route("/models", get(models::models))
        .route("/info", get(health::info))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(meters::metrics))
        .route("/openapi.json", get(openapi::json))
        .layer(DefaultBodyLimit::max(server.limits().max_body))
}
