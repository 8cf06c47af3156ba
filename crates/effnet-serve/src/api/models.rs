use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Server;
use crate::models::{ModelState, ModelStatus};

/// A model, in one of its versions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelInfo {
    /// Its name in every protocol.
    name: String,
    /// Its version; absent if none answers.
    version: Option<String>,
    state: ModelState,
    /// Whether requests that name no model get it.
    default: bool,
    /// Its architecture in timm's words; absent if it is not loaded, like all that follows.
    architecture: Option<String>,
    /// Its pretrained tag.
    tag: Option<String>,
    /// The number of its outputs.
    classes: Option<usize>,
    /// The length of its embeddings.
    features: Option<usize>,
    /// Channels, height and width of its input.
    input_size: Option<[usize; 3]>,
    /// Whether its classes have names.
    labels: bool,
    /// Why its latest load failed.
    error: Option<String>,
}

impl From<ModelStatus> for ModelInfo {
    fn from(status: ModelStatus) -> Self {
        let model = status.loaded.as_ref().map(|loaded| loaded.batcher.model());
        let provenance = model.map(effnet::Model::provenance);
        Self {
            version: status.loaded.as_ref().map(|loaded| loaded.version.clone()),
            architecture: provenance.map(|from| from.architecture.clone()),
            tag: provenance.and_then(|from| from.tag.clone()),
            classes: model.map(effnet::Model::num_classes),
            features: model.map(|model| model.network().num_features),
            input_size: provenance.map(|from| from.preprocessing.input_size.value),
            labels: model.is_some_and(|model| model.labels().is_some()),
            name: status.name,
            state: status.state,
            default: status.is_default,
            error: status.error,
        }
    }
}

/// All models in all their versions
#[utoipa::path(get, path = "/models", tag = "server", responses(
    (status = 200, description = "By name and version", body = Vec<ModelInfo>),
))]
pub(super) async fn models(State(server): State<Server>) -> Json<Vec<ModelInfo>> {
    Json(server.models().status().into_iter().map(ModelInfo::from).collect())
}
