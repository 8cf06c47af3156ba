//! The hub itself: from a repository's name to its files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::builder::Limits;
use super::cache::{RepoCache, check_file_name};
use super::client::Client;
use super::metadata::{Metadata, Target, head};
use super::task::Cancel;
use super::transfer::{Context, fetch, pause};
use super::{Download, HubBuilder, HubError, Progress, lock};
use crate::pretrained::{self, ModelConfig, ModelName, PretrainedError};

const CONFIG: &str = "config.json";
/// The file next to transformers' `config.json`.
const PROCESSOR: &str = "preprocessor_config.json";
const WEIGHTS: &str = "model.safetensors";
const PICKLE: &str = "pytorch_model.bin";

/// The largest `config.json`, in bytes.
const MAX_CONFIG: u64 = 8 << 20;
/// The largest file of weights, in bytes: 8 times EfficientNet-L2's.
const MAX_WEIGHTS: u64 = 16 << 30;

/// The Hugging Face hub and its cache on this machine. Clones share everything.
#[derive(Clone)]
pub struct Hub {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) client: Client,
    pub(super) cache_dir: PathBuf,
    limits: Limits,
    progress: Arc<dyn Progress>,
}

/// The files of a model, all of one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelFiles {
    /// `org/name`.
    pub repo: String,
    /// The revision that was asked for; `main` if none was.
    pub revision: String,
    /// The commit that the revision is at: 40 hexadecimal digits.
    pub commit: String,
    /// Its `config.json`.
    pub config: PathBuf,
    /// Its `model.safetensors`, or `pytorch_model.bin` if there is only that.
    pub weights: PathBuf,
    /// What to tell the user: that the hub could not be asked, and the cache was used.
    pub note: Option<String>,
}

/// The files of a model that say what it is, all of one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigFiles {
    /// `org/name`.
    pub repo: String,
    /// The revision that was asked for; `main` if none was.
    pub revision: String,
    /// The commit that the revision is at: 40 hexadecimal digits.
    pub commit: String,
    /// Its `config.json`.
    pub config: PathBuf,
    /// What to tell the user: that the hub could not be asked, and the cache was used.
    pub note: Option<String>,
}

/// A file of a repository.
struct Found {
    path: PathBuf,
    commit: String,
    note: Option<String>,
}

impl Hub {
    pub(super) fn new(
        client: Client,
        cache_dir: PathBuf,
        limits: Limits,
        progress: Arc<dyn Progress>,
    ) -> Self {
        Self { inner: Arc::new(Inner { client, cache_dir, limits, progress }) }
    }

    /// The hub that the environment describes, see [`HubBuilder::from_env`].
    ///
    /// # Errors
    /// A variable that cannot be used, or no folder for the cache.
    pub fn from_env() -> Result<Self, HubError> {
        HubBuilder::from_env()?.build()
    }

    /// Where files are kept.
    pub fn cache_dir(&self) -> &Path {
        &self.inner.cache_dir
    }

    /// The files of the model in `repo` (`org/name`), at a branch, a tag or a commit; the main
    /// branch if none is given. What is missing is downloaded. This blocks; see also
    /// [`model_files_async`](Self::model_files_async).
    ///
    /// If the model is cached, a commit costs no request and a branch costs one. If that request
    /// fails, the cache answers, with a note.
    ///
    /// # Errors
    /// Any [`HubError`]. A repository that holds no model of this family is refused before its
    /// weights are downloaded.
    pub fn model_files(&self, repo: &str, revision: Option<&str>) -> Result<ModelFiles, HubError> {
        self.inner.model_files(repo, revision, &Cancel::default())
    }

    /// [`model_files`](Self::model_files) as a future, for any async runtime: the work is done on a
    /// separate thread. Dropping the future stops the download.
    pub fn model_files_async(&self, repo: &str, revision: Option<&str>) -> Download<ModelFiles> {
        let inner = self.inner.clone();
        let (repo, revision) = (repo.to_owned(), revision.map(str::to_owned));
        Download::spawn(move |cancel| inner.model_files(&repo, revision.as_deref(), cancel))
    }

    /// The files that say which model is in `repo` and how its images are prepared:
    /// [`model_files`](Self::model_files) without the weights.
    ///
    /// # Errors
    /// As [`model_files`](Self::model_files).
    pub fn config_files(
        &self,
        repo: &str,
        revision: Option<&str>,
    ) -> Result<ConfigFiles, HubError> {
        let files = self.inner.config_files(repo, revision, &Cancel::default())?;
        let cache = RepoCache::new(&self.inner.cache_dir, &files.repo);
        // A known revision stays: it may point to a commit whose weights are here.
        if cache.commit(&files.revision).is_none() {
            cache.note_commit(&files.revision, &files.commit);
        }
        Ok(files)
    }

    /// One file of a repository, at most `limit` bytes long.
    ///
    /// # Errors
    /// As [`model_files`](Self::model_files); [`HubError::Name`] for a file name that is not a plain
    /// relative path.
    pub fn file(
        &self,
        repo: &str,
        revision: Option<&str>,
        file: &str,
        limit: u64,
    ) -> Result<PathBuf, HubError> {
        let (repo, revision) = check_repo(repo, revision)?;
        self.file_of(&repo, &revision, file, limit)
    }

    /// The same, for a repository of any kind.
    pub(super) fn file_of(
        &self,
        repo: &str,
        revision: &str,
        file: &str,
        limit: u64,
    ) -> Result<PathBuf, HubError> {
        check_file_name(file)?;
        let target = Target { repo, file, revision };
        let found = self.inner.file(target, limit, &Cancel::default())?;
        RepoCache::new(&self.inner.cache_dir, repo).note_commit(revision, &found.commit);
        Ok(found.path)
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("endpoint", &self.inner.client.endpoint())
            .field("cache_dir", &self.inner.cache_dir)
            .finish_non_exhaustive()
    }
}

/// `org/name` and a revision, by the hub's rules.
pub(super) fn check_repo(repo: &str, revision: Option<&str>) -> Result<(String, String), HubError> {
    let refuse = || HubError::Name {
        name: repo.to_owned(),
        reason: "not a repository of the hub; expected ORG/NAME".to_owned(),
    };
    if repo.contains('@') {
        return Err(refuse());
    }
    let text = match revision {
        Some(revision) => format!("hf-hub:{repo}@{revision}"),
        None => format!("hf-hub:{repo}"),
    };
    match ModelName::parse(&text)? {
        ModelName::Hub { repo, revision } => {
            Ok((repo, revision.unwrap_or_else(|| "main".to_owned())))
        }
        ModelName::Timm(_) | ModelName::Folder(_) | ModelName::File(_) => Err(refuse()),
    }
}

impl Inner {
    fn config_files(
        &self,
        repo: &str,
        revision: Option<&str>,
        cancel: &Cancel,
    ) -> Result<ConfigFiles, HubError> {
        let (repo, revision) = check_repo(repo, revision)?;
        let target = Target { repo: &repo, file: CONFIG, revision: &revision };
        let config = self.file(target, MAX_CONFIG, cancel).map_err(|error| match error {
            // A repository without a config.json is not a timm model.
            HubError::NoFile { .. } => not_this_family(
                &repo,
                PretrainedError::Name {
                    name: repo.clone(),
                    reason: "its repository has no config.json, so it is not a timm model"
                        .to_owned(),
                },
            ),
            // timm's own names are known here: suggest the one that may be meant.
            HubError::NoRepo { .. } => match repo.strip_prefix("timm/").map(pretrained::find) {
                Some(Err(unknown)) => HubError::Pretrained(unknown),
                _ => error,
            },
            error => error,
        })?;
        let not_read = |error| not_this_family(&repo, error);
        if ModelConfig::has_preprocessor(&config.path).map_err(not_read)? {
            let target = Target { repo: &repo, file: PROCESSOR, revision: &config.commit };
            match self.file(target, MAX_CONFIG, cancel) {
                Ok(_) | Err(HubError::NoFile { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        ModelConfig::from_file(&config.path).map_err(not_read)?;
        Ok(ConfigFiles {
            commit: config.commit,
            config: config.path,
            note: config.note,
            repo,
            revision,
        })
    }

    fn model_files(
        &self,
        repo: &str,
        revision: Option<&str>,
        cancel: &Cancel,
    ) -> Result<ModelFiles, HubError> {
        let ConfigFiles { repo, revision, commit, config, note } =
            self.config_files(repo, revision, cancel)?;
        let fetch = |file| {
            let target = Target { repo: &repo, file, revision: &commit };
            self.file(target, MAX_WEIGHTS, cancel)
        };
        let cache = RepoCache::new(&self.cache_dir, &repo);
        let has = |file| cache.get(&commit, file).is_some();
        let weights = if !has(WEIGHTS) && has(PICKLE) {
            // A commit's files never change: no need to ask again for the one that is missing.
            fetch(PICKLE)
        } else {
            fetch(WEIGHTS).or_else(|error| match error {
                HubError::NoFile { .. } => fetch(PICKLE).map_err(|other| match other {
                    HubError::NoFile { .. } => error,
                    other => other,
                }),
                _ => Err(error),
            })
        };
        let weights = weights.map_err(|error| match error {
            HubError::NoFile { repo, file, .. } => {
                HubError::NoFile { repo, file, revision: revision.clone() }
            }
            HubError::Offline { repo, file, cache, .. } => {
                HubError::Offline { repo, file, cache, revision: revision.clone() }
            }
            error => error,
        })?;
        // Last: a revision must never point to a commit whose files are not all there.
        cache.note_commit(&revision, &commit);
        Ok(ModelFiles {
            commit,
            config,
            weights: weights.path,
            note: note.or(weights.note),
            repo,
            revision,
        })
    }

    /// One file: from the cache if that is certain to be right, otherwise as the hub says.
    fn file(&self, target: Target<'_>, limit: u64, cancel: &Cancel) -> Result<Found, HubError> {
        let cache = RepoCache::new(&self.cache_dir, target.repo);
        let cached = || {
            let commit = cache.commit(target.revision)?;
            Some(Found { path: cache.get(&commit, target.file)?, commit, note: None })
        };
        let is_commit = super::metadata::is_commit(target.revision);
        if is_commit && let Some(found) = cached() {
            return Ok(found);
        }
        if self.limits.offline {
            return cached().ok_or_else(|| HubError::Offline {
                repo: target.repo.to_owned(),
                file: target.file.to_owned(),
                revision: target.revision.to_owned(),
                cache: self.cache_dir.clone(),
            });
        }
        let context = self.context(cancel);
        let metadata = match head(&self.client, target) {
            Ok(metadata) => metadata,
            Err(error) if error.leaves_the_cache() => match cached() {
                Some(found) => {
                    let why = match &error {
                        // Without the error's advice for a missing network: the cache is already in
                        // use.
                        HubError::Unreachable { repo, host, cause } => {
                            format!("{repo}: {host} cannot be reached ({cause})")
                        }
                        other => other.to_string(),
                    };
                    let note = format!("{why}; using the copy in the cache");
                    return Ok(Found { note: Some(note), ..found });
                }
                // Without a network, waiting a moment changes nothing.
                None if matches!(error, HubError::Unreachable { .. }) => return Err(error),
                None => head_again(context, target, error)?,
            },
            Err(error) => return Err(error),
        };
        if metadata.size > limit {
            return Err(HubError::TooLarge {
                repo: target.repo.to_owned(),
                file: target.file.to_owned(),
                size: metadata.size,
                limit,
            });
        }
        let path = match cache.get(&metadata.commit, target.file) {
            Some(path) if path.metadata().is_ok_and(|m| m.len() == metadata.size) => path,
            _ => download(context, &cache, target, &metadata)?,
        };
        Ok(Found { path, commit: metadata.commit, note: None })
    }

    pub(super) fn is_offline(&self) -> bool {
        self.limits.offline
    }

    pub(super) fn context<'a>(&'a self, cancel: &'a Cancel) -> Context<'a> {
        Context {
            client: &self.client,
            limits: &self.limits,
            progress: self.progress.as_ref(),
            cancel,
        }
    }
}

fn not_this_family(repo: &str, error: PretrainedError) -> HubError {
    HubError::NotThisFamily { repo: repo.to_owned(), source: Box::new(error) }
}

/// Repeats a question that could not be answered.
fn head_again(
    context: Context<'_>,
    target: Target<'_>,
    first: HubError,
) -> Result<Metadata, HubError> {
    let mut error = first;
    for attempt in 1..context.limits.attempts {
        if !error.is_transient() {
            break;
        }
        pause(context, &error, attempt)?;
        match head(context.client, target) {
            Ok(metadata) => return Ok(metadata),
            Err(next) => error = next,
        }
    }
    Err(error)
}

/// Downloads a file into the cache.
fn download(
    context: Context<'_>,
    cache: &RepoCache,
    target: Target<'_>,
    metadata: &Metadata,
) -> Result<PathBuf, HubError> {
    let digits = metadata.checksum.digits();
    let blobs = cache.blobs();
    let blob = blobs.join(digits);
    let whole = || blob.metadata().is_ok_and(|m| m.is_file() && m.len() == metadata.size);
    // Before the first blob: Python's client takes a repository without this folder to be damaged.
    let snapshot = cache.snapshot(&metadata.commit);
    fs::create_dir_all(&snapshot).map_err(|source| HubError::io(&snapshot, source))?;
    let watched = (blobs.as_path(), digits);
    let lock_path = cache.locks().join(format!("{digits}.lock"));
    let lock = lock::acquire(
        &lock_path,
        watched,
        context.limits.lock_timeout,
        context.progress,
        context.cancel,
    )?;
    // Whoever held the lock may have downloaded it.
    if !whole() {
        // Without a lock, each process needs a separate file to write to.
        let part = match &lock {
            Some(_) => blobs.join(format!("{digits}.effnet.incomplete")),
            None => blobs.join(format!("{digits}.effnet-{}.incomplete", std::process::id())),
        };
        let again = || {
            let target = Target { revision: &metadata.commit, ..target };
            head(context.client, target).or_else(|error| head_again(context, target, error))
        };
        fetch(context, target, metadata, &part, again)?;
        fs::rename(&part, &blob).map_err(|source| HubError::io(&blob, source))?;
    }
    cache.link(&metadata.commit, target.file, digits)
}
