//! The models that a server has, by name.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::{Arc, PoisonError, RwLock};

use effnet::batcher::{BatchError, Batcher, BatcherOptions};
use effnet::weights::WeightsFrom;
use effnet::{Error, Model};

use crate::ApiError;

/// A model to load: what [`effnet::ModelBuilder`] needs.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ModelSpec {
    /// What requests call it; the model's full name if absent.
    pub name: Option<String>,
    /// A name, a folder or a file, as `-m` takes it; the bundled model if absent.
    pub model: Option<OsString>,
    /// A checkpoint in place of the model's own.
    pub weights: Option<WeightsFrom>,
    /// The most threads that work at once.
    pub threads: Option<usize>,
}

/// A model that answers.
#[derive(Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// Its name in every protocol.
    pub name: String,
    /// Its version: a number that rises with every load under this name.
    pub version: String,
    /// What runs it.
    pub batcher: Batcher,
}

/// The models by name.
#[derive(Debug, Default)]
pub struct Models {
    options: BatcherOptions,
    loaded: RwLock<BTreeMap<String, Arc<Loaded>>>,
    default: RwLock<Option<String>>,
}

/// Why a model is not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The model.
    #[error(transparent)]
    Model(#[from] Error),
    /// Its threads.
    #[error(transparent)]
    Batcher(#[from] BatchError),
}

impl Models {
    /// No models yet; those that come share these options, and their turns.
    #[must_use]
    pub fn new(options: BatcherOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// Loads a model. The first is the default.
    ///
    /// # Errors
    ///
    /// A model that cannot be loaded.
    pub fn load(&self, spec: &ModelSpec) -> Result<Arc<Loaded>, LoadError> {
        let mut builder = Model::builder();
        if let Some(model) = &spec.model {
            builder = builder.model(model);
        }
        if let Some(weights) = &spec.weights {
            builder = builder.weights(weights.clone());
        }
        if let Some(name) = &spec.name {
            builder = builder.name(name);
        }
        if let Some(threads) = spec.threads {
            builder = builder.threads(threads);
        }
        let model = builder.build()?;
        let name = model.provenance().model.clone();
        let batcher = Batcher::new(&model, self.options.clone())?;
        let loaded = Arc::new(Loaded { name: name.clone(), version: "1".to_owned(), batcher });
        let mut map = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        map.insert(name.clone(), Arc::clone(&loaded));
        let mut default = self.default.write().unwrap_or_else(PoisonError::into_inner);
        default.get_or_insert(name);
        Ok(loaded)
    }

    /// The model of this name and version; without a name the default, without a version the latest.
    ///
    /// # Errors
    ///
    /// A model that is not there, or not ready.
    pub fn get(&self, name: Option<&str>, version: Option<&str>) -> Result<Arc<Loaded>, ApiError> {
        let default = self.default.read().unwrap_or_else(PoisonError::into_inner).clone();
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        let name = name.map(str::to_owned).or(default);
        let found = name.as_ref().and_then(|name| loaded.get(name));
        match found {
            Some(found) if version.is_none_or(|version| version == found.version) => {
                Ok(Arc::clone(found))
            }
            _ => {
                let names: Vec<&str> = loaded.keys().map(String::as_str).collect();
                let name = name.unwrap_or_default();
                Err(ApiError::not_found(format!(
                    "no model {name:?}: there are {}",
                    names.join(", ")
                )))
            }
        }
    }

    /// All models, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Loaded>> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        loaded.values().map(Arc::clone).collect()
    }
}
