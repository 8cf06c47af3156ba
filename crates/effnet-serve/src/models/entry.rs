//! One name's models: what is configured, what answers, and what went wrong.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde::Serialize;

use super::{LoadError, Loaded, ModelSpec};
use crate::ApiError;

/// What a model is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ModelState {
    /// It is loaded for the first time, or after it was unloaded.
    Loading,
    /// It answers.
    Ready,
    /// It can be loaded.
    Unloaded,
    /// It could not be loaded.
    Failed,
}

/// A version of a model, or a model without a version that answers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ModelStatus {
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: ModelState,
    /// Whether requests that name no model get it.
    pub is_default: bool,
    /// Why the latest load failed. A model that is ready was loaded before.
    pub error: Option<String>,
    /// What answers, if it is ready.
    pub loaded: Option<Arc<Loaded>>,
}

#[derive(Debug, Default)]
pub(super) struct Entry {
    /// What is read at a load: one spec for each version.
    pub(super) specs: Vec<ModelSpec>,
    /// The versions that answer, the latest last.
    pub(super) loaded: Vec<Arc<Loaded>>,
    pub(super) is_loading: bool,
    /// The highest version there has been.
    pub(super) last_version: u64,
    /// Why the latest load failed, for clients.
    error: Option<String>,
}

impl Entry {
    /// Whether it is loaded when the server starts.
    pub(super) fn is_for_start(&self) -> bool {
        self.specs.iter().any(|spec| !spec.on_demand)
    }

    /// Whether the start need not wait for it.
    pub(super) fn has_started(&self) -> bool {
        self.last_version > 0 || !self.is_for_start()
    }

    fn state(&self) -> ModelState {
        match (self.loaded.is_empty(), self.is_loading, &self.error) {
            (false, ..) => ModelState::Ready,
            (true, true, _) => ModelState::Loading,
            (true, false, Some(_)) => ModelState::Failed,
            (true, false, None) => ModelState::Unloaded,
        }
    }

    /// Lets these versions answer, and returns those that did.
    pub(super) fn replace(&mut self, loaded: Vec<Arc<Loaded>>) -> Vec<Arc<Loaded>> {
        self.error = None;
        self.last_version += loaded.len() as u64;
        std::mem::replace(&mut self.loaded, loaded)
    }

    pub(super) fn fail(&mut self, error: &LoadError) {
        self.error = Some(ApiError::from(error).message);
    }

    /// Lets no version answer, and returns those that did.
    pub(super) fn unload(&mut self) -> Vec<Arc<Loaded>> {
        self.error = None;
        std::mem::take(&mut self.loaded)
    }

    /// The latest version, or this one.
    pub(super) fn get(&self, name: &str, version: Option<&str>) -> Result<Arc<Loaded>, ApiError> {
        let found = match version {
            None => self.loaded.last(),
            Some(version) => self.loaded.iter().find(|loaded| loaded.version == version),
        };
        if let Some(loaded) = found {
            return Ok(Arc::clone(loaded));
        }
        match (self.state(), version) {
            (ModelState::Ready, version) => {
                let versions: Vec<&str> = self.loaded.iter().map(|l| &*l.version).collect();
                Err(ApiError::not_found(format!(
                    "model {name} has no version {:?}: it has {}",
                    version.unwrap_or_default(),
                    versions.join(", ")
                )))
            }
            (ModelState::Loading, _) => Err(ApiError {
                retry_after: Some(Duration::from_secs(1)),
                ..unavailable(format!("model {name} is still being loaded: try again"))
            }),
            (ModelState::Failed, _) => {
                Err(unavailable(format!("model {name} could not be loaded: GET /models says why")))
            }
            (ModelState::Unloaded, _) => Err(ApiError::not_found(format!(
                "model {name} is not loaded: POST /v2/repository/models/{name}/load loads it"
            ))),
        }
    }

    pub(super) fn status(&self, name: &str, is_default: bool) -> Vec<ModelStatus> {
        let status = |loaded| ModelStatus {
            name: name.to_owned(),
            state: self.state(),
            is_default,
            error: self.error.clone(),
            loaded,
        };
        if self.loaded.is_empty() {
            return vec![status(None)];
        }
        let latest = self.loaded.len() - 1;
        let versions = self.loaded.iter().enumerate().map(|(number, loaded)| ModelStatus {
            is_default: is_default && number == latest,
            ..status(Some(Arc::clone(loaded)))
        });
        versions.collect()
    }
}

fn unavailable(message: String) -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message)
}
