//! The cache on disk, as `huggingface_hub` lays it out.
//!
//! ```text
//! models--org--name/
//!   blobs/{etag}                        the bytes, named by their checksum
//!   blobs/{etag}.effnet.incomplete      an unfinished download of ours
//!   snapshots/{commit}/{file}           a link to the blob
//!   refs/{revision}                     the commit of a branch or tag
//! .locks/models--org--name/{etag}.lock  held while a blob is downloaded
//! ```
//!
//! Every file appears by a rename, so whenever a process dies, every file that is there is whole.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use hf_hub::{Cache, Repo, RepoType};
use tempfile::NamedTempFile;

use super::HubError;
use super::metadata::is_commit;

/// The folders of one repository.
pub(super) struct RepoCache {
    root: PathBuf,
    repo: Repo,
    folder: PathBuf,
}

impl RepoCache {
    /// The folders of `org/name`, or of the dataset `datasets/org/name`.
    pub(super) fn new(root: &Path, repo: &str) -> Self {
        let repo = match repo.strip_prefix("datasets/") {
            Some(dataset) => Repo::new(dataset.to_owned(), RepoType::Dataset),
            None => Repo::new(repo.to_owned(), RepoType::Model),
        };
        let folder = root.join(repo.folder_name());
        Self { root: root.to_owned(), repo, folder }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.folder.join("blobs")
    }

    pub(super) fn locks(&self) -> PathBuf {
        self.root.join(".locks").join(self.repo.folder_name())
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        Cache::new(self.root.clone()).repo(self.repo.clone()).pointer_path(commit)
    }

    /// The commit of a revision, if the cache knows it.
    pub(super) fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let mut text = String::new();
        let file = File::open(self.folder.join("refs").join(revision)).ok()?;
        file.take(64).read_to_string(&mut text).ok()?;
        Some(text.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// A file at a commit, if it is cached. A link that leads out of the cache is not a cached
    /// file.
    pub(super) fn get(&self, commit: &str, file: &str) -> Option<PathBuf> {
        let path = self.snapshot(commit).join(file);
        let real = path.canonicalize().ok().filter(|real| real.is_file())?;
        let inside = |folder: &Path| folder.canonicalize().is_ok_and(|f| real.starts_with(f));
        // People move a model's folder to another disk and leave a link.
        (inside(&self.folder) || inside(&self.root)).then_some(path)
    }

    /// Links a file of a snapshot to its blob.
    pub(super) fn link(&self, commit: &str, file: &str, digits: &str) -> Result<PathBuf, HubError> {
        let pointer = self.snapshot(commit).join(file);
        let failed = |source| HubError::io(&pointer, source);
        let depth = file.split('/').count() + 1;
        let target = Path::new(&"../".repeat(depth)).join("blobs").join(digits);
        let blob = self.blobs().join(digits);
        let temporary = self.temporary(digits, |path| match symlink(&target, path) {
            // No links here (Windows without the privilege): copy, as Python's client does.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                fs::copy(&blob, path).map(drop)
            }
            made => made,
        })?;
        if let Some(parent) = pointer.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        temporary.persist(&pointer).map_err(|error| failed(error.error))?;
        Ok(pointer)
    }

    /// Records which commit a branch or tag is at. A cache that cannot be written keeps its old
    /// record.
    pub(super) fn note_commit(&self, revision: &str, commit: &str) {
        if is_commit(revision) || self.commit(revision).as_deref() == Some(commit) {
            return;
        }
        let path = self.folder.join("refs").join(revision);
        let write = || {
            let create = |path: &Path| File::create_new(path);
            let mut file = self.temporary(commit, create).map_err(|_| io::ErrorKind::Other)?;
            file.write_all(commit.as_bytes())?;
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            file.persist(&path)?;
            Ok(())
        };
        // Failure is harmless: the files are there, only the revision's name cannot be used
        // offline.
        let _: io::Result<()> = write();
    }

    /// Makes what will be renamed to its place. It lies next to the locks, where no other client
    /// looks.
    fn temporary<T>(
        &self,
        name: &str,
        make: impl FnMut(&Path) -> io::Result<T>,
    ) -> Result<NamedTempFile<T>, HubError> {
        let folder = self.locks();
        let failed = |source| HubError::io(&folder, source);
        fs::create_dir_all(&folder).map_err(failed)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(&format!("{name}.")).suffix(".tmp").make_in(&folder, make).map_err(failed)
    }
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}

/// Checks a file's name, which becomes part of URLs and paths.
///
/// # Errors
/// [`HubError::Name`] for a file that is not a plain relative path.
pub(super) fn check_file_name(file: &str) -> Result<(), HubError> {
    let refuse = |reason: &str| HubError::Name { name: file.to_owned(), reason: reason.to_owned() };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if file.len() > 200 || !file.chars().all(allowed) {
        return Err(refuse("not a file name of the hub that is safe to store"));
    }
    // A leading dot covers `.` and `..`; an empty part covers absolute paths.
    if file.split('/').any(|part| part.is_empty() || part.starts_with('.') || part.ends_with('.')) {
        return Err(refuse("leads out of the repository, or to a hidden file"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_stay_inside() {
        for good in ["config.json", "sub/model.safetensors"] {
            assert!(check_file_name(good).is_ok(), "{good}");
        }
        for bad in [
            "../x",
            "a/../../x",
            "/etc/passwd",
            "a//b",
            "",
            ".git",
            "a\\..\\b",
            "a/.",
            "C:x",
            "a\0",
        ] {
            assert!(check_file_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_note_that_is_no_commit_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let cache = RepoCache::new(dir.path(), "o/n");
        fs::create_dir_all(cache.folder().join("refs")).unwrap();
        for text in ["../../../etc", "", &"a".repeat(41), &"G".repeat(40)] {
            fs::write(cache.folder().join("refs/main"), text).unwrap();
            assert_eq!(cache.commit("main"), None);
        }
        cache.note_commit("main", &"b".repeat(40));
        assert_eq!(cache.commit("main"), Some("b".repeat(40)));
        cache.note_commit("a/b", &"c".repeat(40));
        assert_eq!(cache.commit("a/b"), Some("c".repeat(40)));
    }
}
