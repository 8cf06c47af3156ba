//! A hub on this machine, a cache, and what the client reported.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use effnet::hub::{Hub, HubBuilder, HubError, ModelFiles, Progress, ProgressEvent};
use tempfile::TempDir;
use test_hub::{Repo, TestHub};

pub(crate) const MODEL: &str = "org/b0";
pub(crate) const WEIGHTS: &str = "model.safetensors";
/// The size of the weights in most tests: several chunks, and not a round number.
pub(crate) const SIZE: usize = 300_001;
/// A time that no test reaches on any machine, unless something hangs.
pub(crate) const LONG: Duration = Duration::from_secs(120);
/// A timeout that tests wait for.
pub(crate) const SHORT: Duration = Duration::from_millis(250);

/// A hub with one model, a cache, and what the client reported.
pub(crate) struct Scene {
    pub(crate) server: TestHub,
    pub(crate) cache: TempDir,
    pub(crate) events: Arc<Events>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let server = TestHub::start();
        server.add(Repo::model(MODEL, SIZE));
        Self { server, cache: tempfile::tempdir().unwrap(), events: Arc::default() }
    }

    pub(crate) fn builder(&self) -> HubBuilder {
        HubBuilder::new(self.cache.path())
            .endpoint(self.server.url())
            .head_timeout(LONG)
            .stall_timeout(LONG)
            .lock_timeout(LONG)
            .retry(3, Duration::from_millis(1))
            .longest_wait(Duration::from_secs(2))
            .progress(self.events.clone())
    }

    pub(crate) fn hub(&self) -> Hub {
        self.builder().build().unwrap()
    }

    pub(crate) fn files(&self) -> Result<ModelFiles, HubError> {
        self.hub().model_files(MODEL, None)
    }

    /// The model's own weights, as the hub has them.
    pub(crate) fn weights(&self) -> Vec<u8> {
        Repo::model(MODEL, SIZE).file(WEIGHTS).unwrap().bytes.clone()
    }

    /// Asserts that the model is in the cache, byte for byte, and nothing unfinished.
    pub(crate) fn assert_complete(&self, files: &ModelFiles) {
        assert!(std::fs::read(&files.weights).unwrap() == self.weights(), "the weights differ");
        assert_eq!(unfinished(self.cache.path()), Vec::<PathBuf>::new());
    }

    /// Asserts that no file can be taken for the weights. Returns the size of an unfinished
    /// download.
    pub(crate) fn assert_no_weights(&self) -> Option<u64> {
        for path in all_files(self.cache.path()) {
            assert!(!path.ends_with(WEIGHTS), "{}", path.display());
            let name = path.file_name().unwrap().to_str().unwrap();
            assert_ne!(name.len(), 64, "a blob of weights: {}", path.display());
        }
        let parts = unfinished(self.cache.path());
        assert!(parts.len() <= 1, "{parts:?}");
        parts.first().map(|part| part.metadata().unwrap().len())
    }

    /// Asserts that after a fault the next run, on a sound hub, completes.
    pub(crate) fn assert_next_run_completes(&self) {
        self.server.heal();
        self.assert_complete(&self.files().unwrap());
    }
}

/// Every event, as text.
#[derive(Default)]
pub(crate) struct Events(pub(crate) Mutex<Vec<String>>);

impl Progress for Events {
    fn event(&self, event: &ProgressEvent<'_>) {
        let line = match event {
            ProgressEvent::Advanced { .. } => return,
            ProgressEvent::Started { file, size, from, .. } => {
                format!("started {file} {from}/{size}")
            }
            ProgressEvent::Retrying { cause, .. } => format!("retrying: {cause}"),
            ProgressEvent::Waiting { .. } => "waiting".to_owned(),
            other => format!("{other:?}"),
        };
        self.0.lock().unwrap().push(line);
    }
}

impl Events {
    pub(crate) fn count(&self, start: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|line| line.starts_with(start)).count()
    }
}

pub(crate) fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in folder.read_dir().into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.symlink_metadata().unwrap().is_dir() {
            true => files.extend(all_files(&path)),
            false => files.push(path),
        }
    }
    files
}

/// Unfinished downloads and other temporary files.
pub(crate) fn unfinished(cache: &Path) -> Vec<PathBuf> {
    let mut files = all_files(cache);
    files.retain(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.contains("incomplete") || name.ends_with(".tmp")
    });
    files
}

/// The name of a repository with the weights inside the program.
#[cfg(feature = "bundled")]
pub(crate) const LITE0: &str = "org/lite0";

/// A repository with the weights inside the program, under its own name.
#[cfg(feature = "bundled")]
pub(crate) fn lite0(num_classes: usize) -> Repo {
    use effnet::weights::{NamedTensor, Values, bundled, write_safetensors};
    let bundled = bundled().unwrap();
    let tensors: Vec<(&str, Vec<f32>)> =
        bundled.names().map(|name| (name, bundled.read_f32(name).unwrap())).collect();
    let named: Vec<NamedTensor<'_>> = tensors
        .iter()
        .map(|(name, values)| NamedTensor {
            name,
            shape: bundled.shape(name).unwrap(),
            values: Values::F32(values),
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    write_safetensors(folder.path().join(WEIGHTS), &named, &Default::default()).unwrap();
    let config = format!(
        r#"{{"architecture": "tf_efficientnet_lite0", "num_classes": {num_classes},
        "pretrained_cfg": {{"tag": "mine", "input_size": [3, 224, 224], "crop_pct": 0.875,
        "interpolation": "bicubic", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}}}}"#
    );
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    Repo::from_folder(LITE0, folder.path())
}
