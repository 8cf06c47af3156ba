//! The models that there are, and their coming and going: Triton's model repository extension.

use serde::Serialize;
use utoipa::ToSchema;

use super::parameters::{Parameters, refuse_rest, take_bool};
use crate::{ApiError, ModelState, ModelStatus, Server};

/// A model in the index.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IndexEntry)]
pub(super) struct Entry {
    pub(super) name: String,
    /// Empty if none answers.
    pub(super) version: String,
    /// By Triton's names: `READY`, `LOADING`, `UNAVAILABLE`.
    pub(super) state: &'static str,
    /// Why the latest load failed; empty if it did not.
    pub(super) reason: String,
}

/// All models, or only those that are ready.
pub(super) fn index(server: &Server, ready: bool) -> Vec<Entry> {
    let entry = |status: ModelStatus| Entry {
        version: status.loaded.map(|loaded| loaded.version.clone()).unwrap_or_default(),
        state: match status.state {
            ModelState::Ready => "READY",
            ModelState::Loading => "LOADING",
            ModelState::Unloaded | ModelState::Failed => "UNAVAILABLE",
        },
        reason: status.error.unwrap_or_default(),
        name: status.name,
    };
    let all = server.models().status().into_iter();
    all.filter(|status| !ready || status.state == ModelState::Ready).map(entry).collect()
}

/// Loads a model, or loads it anew.
pub(super) async fn load(
    server: &Server,
    name: &str,
    parameters: Parameters,
) -> Result<(), ApiError> {
    // Triton takes a configuration and files here.
    refuse_rest(&parameters, &format!("loading {name:?}"), &[])?;
    server.models().load(name).await?;
    Ok(())
}

/// Unloads a model.
pub(super) async fn unload(
    server: &Server,
    name: &str,
    mut parameters: Parameters,
) -> Result<(), ApiError> {
    let owner = format!("unloading {name:?}");
    // No model here depends on another.
    take_bool(&mut parameters, "unload_dependents", &owner)?;
    refuse_rest(&parameters, &owner, &["unload_dependents"])?;
    server.models().unload(name).await?;
    Ok(())
}
