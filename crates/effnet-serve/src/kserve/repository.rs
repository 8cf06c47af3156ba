//! The models that there are, and their coming and going: Triton's model repository extension.

use axum::http::StatusCode;
use serde::Serialize;

use super::parameters::{Parameters, refuse_rest, take_bool};
use crate::{ApiError, Server};

/// A model in the index.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) version: String,
    /// By Triton's names: `READY`, `LOADING`, `UNAVAILABLE`.
    pub(super) state: &'static str,
    /// Why the model is in that state; empty if it is ready.
    pub(super) reason: String,
}

/// All models, or only those that are ready.
pub(super) fn index(server: &Server, _ready: bool) -> Vec<Entry> {
    let all = server.models().all();
    let entry = |loaded: &std::sync::Arc<crate::Loaded>| Entry {
        name: loaded.name.clone(),
        version: loaded.version.clone(),
        state: "READY",
        reason: String::new(),
    };
    all.iter().map(entry).collect()
}

/// Loads a model, or loads it anew.
pub(super) async fn load(
    _server: &Server,
    name: &str,
    parameters: Parameters,
) -> Result<(), ApiError> {
    // Triton takes a configuration and files here.
    refuse_rest(&parameters, &format!("loading {name:?}"), &[])?;
    Err(not_here("load", name))
}

/// Unloads a model.
pub(super) async fn unload(
    _server: &Server,
    name: &str,
    mut parameters: Parameters,
) -> Result<(), ApiError> {
    let owner = format!("unloading {name:?}");
    // No model here depends on another.
    take_bool(&mut parameters, "unload_dependents", &owner)?;
    refuse_rest(&parameters, &owner, &["unload_dependents"])?;
    Err(not_here("unload", name))
}

fn not_here(what: &str, name: &str) -> ApiError {
    let message = format!("{name:?}: this server does not {what} models by request");
    ApiError::new(StatusCode::NOT_IMPLEMENTED, message)
}
