//! What is in the cache: list, verify, remove.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::cache::RepoCache;
use super::metadata::is_commit;
use super::model_files::check_repo;
use super::verify::Checksum;
use super::{Hub, HubError};
use crate::text::file_name;

/// A model repository in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachedModel {
    /// `org/name`.
    pub repo: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Its files at every commit, sorted by commit and name.
    pub files: Vec<CachedFile>,
    /// Bytes on disk, unfinished downloads included; shared contents count once.
    pub size: u64,
}

/// A file of a commit in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachedFile {
    /// The commit.
    pub commit: String,
    /// The name in the repository.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes; 0 if its content is gone.
    pub size: u64,
}

/// What became of a file in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileState {
    /// Its bytes match its checksum.
    Sound,
    /// Its bytes do not match: remove the model and download it again.
    Corrupt,
    /// The content that it links to is gone.
    Missing,
    /// It is a copy without a checksum (on a system without links).
    Unnamed,
}

impl fmt::Display for FileState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sound => "sound",
            Self::Corrupt => "damaged",
            Self::Missing => "missing",
            Self::Unnamed => "no checksum",
        })
    }
}

impl Hub {
    /// The model repositories in the cache, by name, no matter which client downloaded them.
    ///
    /// # Errors
    /// If the cache cannot be read. A cache that does not exist is empty.
    pub fn cached(&self) -> Result<Vec<CachedModel>, HubError> {
        let mut models = Vec::new();
        for folder in entries(self.cache_dir())? {
            let name = folder.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let Some(repo) = name.strip_prefix("models--").map(|r| r.replace("--", "/")) else {
                continue;
            };
            if check_repo(&repo, None).is_ok() {
                models.push(cached_model(repo, folder)?);
            }
        }
        Ok(models)
    }

    /// Reads a cached file to its end and compares it with its checksum.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn verify(&self, file: &CachedFile) -> Result<FileState, HubError> {
        let blob = match file.path.canonicalize() {
            Ok(blob) => blob,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(FileState::Missing),
            Err(error) => return Err(HubError::io(&file.path, error)),
        };
        // The link's direct target names the content; Python may in turn link that to a shared
        // file.
        let named = fs::read_link(&file.path)
            .ok()
            .and_then(|target| Checksum::from_etag(target.file_name()?.to_str()?));
        let Some(checksum) = named else { return Ok(FileState::Unnamed) };
        let found = checksum.of(&blob).map_err(|error| HubError::io(&blob, error))?;
        Ok(if found == checksum.digits() { FileState::Sound } else { FileState::Corrupt })
    }

    /// Removes a repository from the cache, with its unfinished downloads. Returns the bytes freed.
    ///
    /// # Errors
    /// [`HubError::Name`] if it is not in the cache; failures of the file system.
    pub fn remove(&self, repo: &str) -> Result<u64, HubError> {
        let (repo, _) = check_repo(repo, None)?;
        let cache = RepoCache::new(self.cache_dir(), &repo);
        let folder = cache.folder().to_owned();
        if !folder.is_dir() {
            let reason = format!("not in the cache {}", file_name(self.cache_dir()));
            return Err(HubError::Name { name: repo, reason });
        }
        let model = cached_model(repo, folder)?;
        // Snapshots go first: if this is interrupted, nothing points to what is gone.
        for part in ["snapshots", "refs"] {
            remove_folder(&model.folder.join(part))?;
        }
        remove_folder(&model.folder)?;
        remove_folder(&cache.locks())?;
        Ok(model.size)
    }
}

fn remove_folder(folder: &Path) -> Result<(), HubError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(HubError::io(folder, error)),
        _ => Ok(()),
    }
}

fn cached_model(repo: String, folder: PathBuf) -> Result<CachedModel, HubError> {
    let mut files = Vec::new();
    for snapshot in entries(&folder.join("snapshots"))? {
        let commit = snapshot.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
        if is_commit(&commit) {
            snapshot_files(&snapshot, "", &commit, 0, &mut files)?;
        }
    }
    let mut size = 0;
    for blob in entries(&folder.join("blobs"))? {
        size += fs::symlink_metadata(&blob).map_or(0, |m| m.len());
    }
    Ok(CachedModel { repo, folder, files, size })
}

/// Folders in a snapshot are followed this deep; links to folders are not followed.
const DEPTH: usize = 8;

fn snapshot_files(
    folder: &Path,
    prefix: &str,
    commit: &str,
    depth: usize,
    files: &mut Vec<CachedFile>,
) -> Result<(), HubError> {
    for path in entries(folder)? {
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
        let name = format!("{prefix}{name}");
        let is_folder = fs::symlink_metadata(&path).is_ok_and(|m| m.is_dir());
        if is_folder {
            if depth < DEPTH {
                snapshot_files(&path, &format!("{name}/"), commit, depth + 1, files)?;
            }
            continue;
        }
        let size = path.metadata().map_or(0, |m| m.len());
        files.push(CachedFile { commit: commit.to_owned(), name, path, size });
    }
    Ok(())
}

/// The paths in a folder, sorted; none if there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, HubError> {
    let failed = |error| HubError::io(folder, error);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}
