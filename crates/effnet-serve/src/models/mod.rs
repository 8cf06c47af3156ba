//! The models that a server has, by name.
//!
//! ```text
//! add(spec) -> unloaded -> load(name) -> ready: versions 1, 2, ... -> unload(name) -> unloaded
//!                                        load(name) again: the next versions take their place
//! ```

mod entry;
mod error;
mod memory;
mod spec;

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use effnet::ModelBuilder;
use effnet::batcher::{Batcher, BatcherOptions};
use futures_util::future::join_all;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

pub use entry::{ModelState, ModelStatus};
pub use error::LoadError;
pub use spec::{ModelSpec, NameError};

use self::entry::Entry;
use self::memory::{Budget, Share};
use crate::error::clipped;
use crate::telemetry::note_model;
use crate::{ApiError, meters};

/// What all models share.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ModelsOptions {
    /// What every model begins with: its threads, the hub, who is told its notes.
    pub builder: ModelBuilder,
    /// The models' queues. All take their turns together.
    pub batcher: BatcherOptions,
    /// The most bytes that the weights and maps of all loaded models may take together, as
    /// estimated before a model is read. While a model is loaded anew, both of its versions count.
    pub max_memory: Option<u64>,
}

impl From<BatcherOptions> for ModelsOptions {
    fn from(batcher: BatcherOptions) -> Self {
        Self { batcher, ..Self::default() }
    }
}

/// A version of a model that answers. A request that has it finishes on it, whatever is loaded or
/// unloaded meanwhile; its threads end with the last such request.
#[non_exhaustive]
pub struct Loaded {
    /// Its name in every protocol.
    pub name: String,
    /// Its version: a number that rises with every load under this name.
    pub version: String,
    /// What runs it.
    pub batcher: Batcher,
    /// Its share of the memory for models.
    _share: Option<Share>,
}

/// Without the weights.
impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut loaded = f.debug_struct("Loaded");
        loaded.field("name", &self.name).field("version", &self.version).finish_non_exhaustive()
    }
}

/// The models by name. It is cheap to clone.
#[derive(Debug, Clone)]
pub struct Models(Arc<Inner>);

impl Default for Models {
    fn default() -> Self {
        Self::new(ModelsOptions::default())
    }
}

#[derive(Debug, Default)]
struct Inner {
    builder: ModelBuilder,
    batcher: BatcherOptions,
    budget: Option<Budget>,
    table: RwLock<Table>,
    /// Held while a model is loaded or unloaded: one at a time.
    changes: Arc<Mutex<()>>,
}

#[derive(Debug, Default)]
struct Table {
    entries: BTreeMap<String, Entry>,
    /// The name that was added first.
    default: Option<String>,
    is_draining: bool,
}

impl Models {
    /// No models yet.
    #[must_use]
    pub fn new(options: impl Into<ModelsOptions>) -> Self {
        let ModelsOptions { builder, batcher, max_memory } = options.into();
        // Meters belong to the recorder that is there when they are made.
        meters::install();
        let budget = max_memory.map(Budget::new);
        Self(Arc::new(Inner { builder, batcher, budget, ..Inner::default() }))
    }

    fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.0.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn table_mut(&self) -> RwLockWriteGuard<'_, Table> {
        self.0.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a model without loading it, and returns its name. The first is the default; a name that
    /// is there already gets one more version. Without a name in the spec, this finds the model's
    /// own: it reads the model's configuration, from the hub if need be, and blocks meanwhile.
    ///
    /// # Errors
    ///
    /// A model that does not exist, or a name that a URL could not carry.
    pub fn add(&self, spec: ModelSpec) -> Result<String, LoadError> {
        let name = spec.full_name(&self.0.builder)?;
        let mut table = self.table_mut();
        table.default.get_or_insert_with(|| name.clone());
        table.entries.entry(name.clone()).or_default().specs.push(spec);
        Ok(name)
    }

    /// Loads all models that are not for later, one after the other. One that fails does not stop
    /// the others.
    ///
    /// # Errors
    ///
    /// The first failure.
    pub async fn load_all(&self) -> Result<(), LoadError> {
        let entries: Vec<String> = {
            let table = self.table();
            let at_start = table.entries.iter().filter(|(_, entry)| entry.is_for_start());
            at_start.map(|(name, _)| name.clone()).collect()
        };
        let mut result = Ok(());
        for name in entries {
            result = result.and(self.load(&name).await.map(drop));
        }
        result
    }

    /// Loads a model, or loads it anew: reads what its spec names once more, and lets the new
    /// versions take the place of the old ones, which answer until then. If that fails, they go on.
    /// Loads wait for each other, on threads of their own; dropping the future stops none.
    ///
    /// # Errors
    ///
    /// A name that was not [added](Self::add), a model that cannot be loaded, too little memory.
    pub async fn load(&self, name: &str) -> Result<Vec<Arc<Loaded>>, LoadError> {
        let change = Arc::clone(&self.0.changes).lock_owned().await;
        let (specs, last) = {
            let mut table = self.table_mut();
            if table.is_draining {
                return Err(LoadError::Draining);
            }
            let entry = table.entry_mut(name)?;
            entry.is_loading = true;
            (entry.specs.clone(), entry.last_version)
        };
        let (models, owned) = (self.clone(), name.to_owned());
        let load = spawn_blocking(move || {
            let _change = change;
            let read = AssertUnwindSafe(|| models.read(&owned, &specs, last));
            let read =
                catch_unwind(read).unwrap_or(Err(LoadError::Panicked { name: owned.clone() }));
            models.swap(&owned, read)
        });
        load.await.unwrap_or(Err(LoadError::Panicked { name: name.to_owned() }))
    }

    /// Reads the versions of a model.
    fn read(
        &self,
        name: &str,
        specs: &[ModelSpec],
        last: u64,
    ) -> Result<Vec<Arc<Loaded>>, LoadError> {
        let Inner { builder, batcher, budget, .. } = &*self.0;
        let numbered = specs.iter().zip(last + 1..);
        let loaded = numbered.map(|(spec, number)| {
            let builder = spec.builder(builder)?.name(name);
            let share = match budget {
                None => None,
                Some(budget) => {
                    let description = builder.clone().describe().map_err(|e| spec.error(e))?;
                    let most = batcher.max_batch_size;
                    let bytes = memory::needs(&description, spec.engine, most);
                    Some(budget.share(name, bytes.map_err(|e| spec.error(e))?)?)
                }
            };
            let model = builder.build().map_err(|error| spec.error(error))?;
            let batcher = Batcher::new(&model, batcher.clone())?;
            let (name, version) = (name.to_owned(), number.to_string());
            Ok(Arc::new(Loaded { name, version, batcher, _share: share }))
        });
        loaded.collect()
    }

    /// Puts what was read in place of what was there.
    fn swap(
        &self,
        name: &str,
        read: Result<Vec<Arc<Loaded>>, LoadError>,
    ) -> Result<Vec<Arc<Loaded>>, LoadError> {
        let mut table = self.table_mut();
        let is_draining = table.is_draining;
        let entry = table.entry_mut(name)?;
        entry.is_loading = false;
        let read = read.and_then(|loaded| match is_draining {
            true => Err(LoadError::Draining),
            false => Ok(loaded),
        });
        match &read {
            Ok(loaded) => {
                let old = entry.replace(loaded.clone());
                // The last handle of a model frees its memory: not while others wait.
                drop(table);
                drop(old);
                for new in loaded {
                    for note in &new.batcher.model().provenance().notes {
                        tracing::info!(model = name, version = new.version, "{note}");
                    }
                    tracing::info!(model = name, version = new.version, "loaded");
                }
            }
            Err(error) => {
                entry.fail(error);
                tracing::error!(model = name, %error, "not loaded");
            }
        }
        read
    }

    /// Takes a model out of service. Requests that have it finish; it can be loaded again.
    ///
    /// # Errors
    ///
    /// A name that was not [added](Self::add).
    pub async fn unload(&self, name: &str) -> Result<(), LoadError> {
        let _change = self.0.changes.lock().await;
        let old = self.table_mut().entry_mut(name)?.unload();
        drop(old);
        tracing::info!(model = name, "unloaded");
        Ok(())
    }

    /// The model of this name and version; without a name the default, without a version the latest.
    ///
    /// # Errors
    ///
    /// A model that is not there, or not ready.
    pub fn get(&self, name: Option<&str>, version: Option<&str>) -> Result<Arc<Loaded>, ApiError> {
        let table = self.table();
        let Some(name) = name.or(table.default.as_deref()) else {
            return Err(ApiError::not_found("the server was started without models"));
        };
        let entry = table.entry(name)?;
        // Clients can invent names, which must not fill the log.
        note_model(name);
        entry.get(name, version)
    }

    /// The versions of all models that answer, by name and version.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Loaded>> {
        let table = self.table();
        table.entries.values().flat_map(|entry| entry.loaded.iter().map(Arc::clone)).collect()
    }

    /// All models in all their versions, whatever their state.
    #[must_use]
    pub fn status(&self) -> Vec<ModelStatus> {
        let table = self.table();
        let status = |(name, entry): (&String, &Entry)| {
            entry.status(name, table.default.as_ref() == Some(name))
        };
        table.entries.iter().flat_map(status).collect()
    }

    /// Whether all models that are loaded at the start have been loaded, and the server does not
    /// shut down.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let table = self.table();
        !table.is_draining && table.entries.values().all(Entry::has_started)
    }

    /// From now on the server is not ready, and loads no models; requests are still answered.
    pub fn begin_drain(&self) {
        self.table_mut().is_draining = true;
    }

    /// Ends all models: they take no more requests, and answer those that wait.
    pub async fn drain(&self) {
        self.begin_drain();
        let all = self.all();
        join_all(all.iter().map(|loaded| loaded.batcher.shutdown())).await;
    }
}

impl Table {
    fn unknown(&self, name: &str) -> LoadError {
        let known = self.entries.keys().cloned().collect();
        LoadError::Unknown { name: clipped(name.to_owned()), known }
    }

    fn entry(&self, name: &str) -> Result<&Entry, LoadError> {
        self.entries.get(name).ok_or_else(|| self.unknown(name))
    }

    fn entry_mut(&mut self, name: &str) -> Result<&mut Entry, LoadError> {
        if !self.entries.contains_key(name) {
            return Err(self.unknown(name));
        }
        Ok(self.entries.entry(name.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Takes what is logged.
    struct Lines(Sender<String>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(String::from_utf8_lossy(bytes).into_owned()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_name_that_no_model_has_is_not_logged() {
        let (sender, lines) = channel();
        let log = tracing_subscriber::fmt().with_writer(move || Lines(sender.clone())).finish();
        tracing::subscriber::with_default(log, || {
            let span = tracing::error_span!("request", model = tracing::field::Empty);
            let _entered = span.enter();
            Models::default().get(Some("invented"), None).unwrap_err();
            tracing::info!("answered");
        });
        let text: String = lines.try_iter().collect();
        assert!(text.contains("answered") && !text.contains("invented"), "{text}");
    }
}
