//! What can go wrong between a repository's name and its files.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::pretrained::PretrainedError;
use crate::text::file_name;

/// Why a file cannot be fetched from the hub. No message contains a token, nor a URL's query, which
/// on storage hosts is a signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// A variable of the environment, or a setting, has an unusable value.
    #[error("{name}: {reason}")]
    Setting {
        /// The variable or setting.
        name: &'static str,
        /// What is wrong with it, and what is expected.
        reason: String,
    },
    /// There is neither a home folder nor a variable that says where the cache is.
    #[error("cannot tell where the model cache is: set HF_HOME or name a cache folder")]
    NoCacheDir,
    /// A repository, revision or file name that the hub's rules or this program's safety forbid.
    #[error("{name:?}: {reason}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such repository, or it is private and the hub hides it.
    #[error(
        "{repo}: no such repository at {endpoint}{}",
        if *.with_token { ", or the token in use has no access to it" } else { "; if it is private, log in with `hf auth login` or set HF_TOKEN" }
    )]
    NoRepo {
        /// `org/name`.
        repo: String,
        /// The hub.
        endpoint: String,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// The repository has no such branch, tag or commit.
    #[error("{repo}: no branch, tag or commit {revision:?}: see {endpoint}/{repo}/tree/main")]
    NoRevision {
        /// `org/name`.
        repo: String,
        /// The revision.
        revision: String,
        /// The hub.
        endpoint: String,
    },
    /// The repository has no such file.
    #[error("{repo}: there is no file {file} at revision {revision}")]
    NoFile {
        /// `org/name`.
        repo: String,
        /// The file.
        file: String,
        /// The revision.
        revision: String,
    },
    /// The hub rejects the token.
    #[error(
        "{repo}: {endpoint} refuses the token: log in again with `hf auth login` or set HF_TOKEN"
    )]
    BadToken {
        /// `org/name`.
        repo: String,
        /// The hub.
        endpoint: String,
    },
    /// The repository is gated, and its conditions have not been accepted.
    #[error(
        "{repo}: access is restricted: accept its conditions at {endpoint}/{repo}, then {}",
        if *.with_token { "try again" } else { "log in with `hf auth login` or set HF_TOKEN" }
    )]
    Gated {
        /// `org/name`.
        repo: String,
        /// The hub.
        endpoint: String,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// The hub forbids the request for another reason.
    #[error("{repo}: {endpoint} forbids access{}: check the permissions of the token", message.as_ref().map(|m| format!(" ({m})")).unwrap_or_default())]
    Forbidden {
        /// `org/name`.
        repo: String,
        /// The hub.
        endpoint: String,
        /// What the hub said.
        message: Option<String>,
    },
    /// Offline, and the file is not in the cache.
    #[error(
        "{repo}: {file} at revision {revision} is not in the cache {}, and offline mode is on: run `effnet download {repo}{}` where there is a network", file_name(.cache), at(.revision)
    )]
    Offline {
        /// `org/name`.
        repo: String,
        /// The file.
        file: String,
        /// The revision.
        revision: String,
        /// The cache.
        cache: PathBuf,
    },
    /// Nothing answers at the hub's address, or the name has no address: there may be no network.
    #[error(
        "{repo}: {host} cannot be reached ({cause}): check the network, HF_ENDPOINT and the proxy settings; without a network, `HubBuilder::offline` takes a model that is in the cache, and `ModelBuilder::model(folder)` one in a folder with config.json and model.safetensors"
    )]
    Unreachable {
        /// `org/name`.
        repo: String,
        /// The host and port.
        host: String,
        /// What went wrong.
        cause: String,
    },
    /// A connection broke, or its answer never came.
    #[error("{repo}: {host}: {cause}: check the network, HF_ENDPOINT and the proxy settings")]
    Network {
        /// `org/name`.
        repo: String,
        /// The host and port.
        host: String,
        /// What went wrong.
        cause: String,
    },
    /// A secure connection could not be made.
    #[error(
        "{repo}: no secure connection to {host}: {cause}: check the clock, the system's certificates and any proxy between"
    )]
    Tls {
        /// `org/name`.
        repo: String,
        /// The host and port.
        host: String,
        /// What went wrong.
        cause: String,
    },
    /// Something other than the hub answered.
    #[error(
        "{repo}: {host} answered, but not as a model hub ({reason}): a captive portal, a proxy, or a wrong HF_ENDPOINT"
    )]
    NotAHub {
        /// `org/name`.
        repo: String,
        /// The host and port.
        host: String,
        /// What its answer lacks.
        reason: String,
    },
    /// A server failed.
    #[error("{repo}: {host} failed with HTTP status {status}: try again later")]
    Server {
        /// `org/name`.
        repo: String,
        /// The host and port.
        host: String,
        /// The status.
        status: u16,
    },
    /// Too many requests.
    #[error(
        "{repo}: {host} asks to wait{}: try again later; with a token the limits are higher", retry_after.map(|d| format!(" {} seconds", d.as_secs())).unwrap_or_default()
    )]
    RateLimited {
        /// `org/name`.
        repo: String,
        /// The host and port.
        host: String,
        /// How long, if the server said.
        retry_after: Option<Duration>,
    },
    /// A chain of redirects that does not end, or that leads where it must not.
    #[error("{repo}: {host}: {reason}")]
    Redirect {
        /// `org/name`.
        repo: String,
        /// The host and port that redirected.
        host: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A transfer broke again and again.
    #[error(
        "{repo}: {file}: {got} of {size} bytes came, then {attempts} attempts brought no more ({cause}): run it again to go on from there"
    )]
    Interrupted {
        /// `org/name`.
        repo: String,
        /// The file.
        file: String,
        /// Bytes on disk.
        got: u64,
        /// Bytes in all.
        size: u64,
        /// Attempts that brought nothing new.
        attempts: u32,
        /// How the last one ended.
        cause: String,
    },
    /// What was received is not what the hub announced, twice in a row. Nothing was kept.
    #[error(
        "{repo}: {file}: the bytes received have {what} {got}, the hub announced {expected}: nothing was kept; a proxy or mirror may be changing files"
    )]
    Mismatch {
        /// `org/name`.
        repo: String,
        /// The file.
        file: String,
        /// What differs: size or a checksum.
        what: &'static str,
        /// As received.
        got: String,
        /// As announced.
        expected: String,
    },
    /// A file is larger than any file of its kind should be.
    #[error("{repo}: {file} has {size} bytes, more than the {limit} that are read: not downloaded")]
    TooLarge {
        /// `org/name`.
        repo: String,
        /// The file.
        file: String,
        /// Its size.
        size: u64,
        /// The largest size taken.
        limit: u64,
    },
    /// The disk is full.
    #[error(
        "{}: the disk is full: make room (`effnet cache ls` lists models) or choose another cache folder; what has come so far is kept",
        file_name(path)
    )]
    DiskFull {
        /// What could not be written.
        path: PathBuf,
    },
    /// The cache cannot be written.
    #[error(
        "{}: cannot be written ({source}): choose another cache folder by `HubBuilder::cache_dir` or HF_HUB_CACHE",
        file_name(path)
    )]
    ReadOnly {
        /// What could not be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another failure of the file system.
    #[error("{}: {source}", file_name(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has held the lock without any visible progress.
    #[error(
        "{}: another process holds this lock and nothing has moved for {} seconds: end that process", file_name(lock), waited.as_secs()
    )]
    Locked {
        /// The lock file.
        lock: PathBuf,
        /// How long nothing moved.
        waited: Duration,
    },
    /// The repository does not hold a model that this program runs. Its weights were not
    /// downloaded.
    #[error("{repo}: not a model of this family: {source}")]
    NotThisFamily {
        /// `org/name`.
        repo: String,
        /// What its configuration says.
        source: Box<PretrainedError>,
    },
    /// A model's name is wrong.
    #[error(transparent)]
    Pretrained(#[from] PretrainedError),
    /// The download was dropped by its caller.
    #[error("the download was stopped")]
    Cancelled,
    /// No thread could be started.
    #[error("cannot start a thread for the download: {source}")]
    Thread {
        /// What the system said.
        source: io::Error,
    },
}

impl HubError {
    /// The error for a failure of the file system, by its kind.
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::ReadOnly { path, source }
            }
            _ => Self::Io { path, source },
        }
    }

    /// Whether the hub gave no answer about the file, so that the cache's answer is the best there
    /// is. As in Python's client, a refusal is not an answer, but "no such revision" or "no such
    /// file" is.
    pub(super) fn leaves_the_cache(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Network { .. }
                | Self::Tls { .. }
                | Self::NotAHub { .. }
                | Self::Server { .. }
                | Self::RateLimited { .. }
                | Self::Redirect { .. }
                | Self::NoRepo { .. }
                | Self::BadToken { .. }
                | Self::Gated { .. }
                | Self::Forbidden { .. }
        )
    }

    /// Whether the same request may succeed a moment later.
    pub(super) fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Network { .. }
                | Self::Server { .. }
                | Self::RateLimited { .. }
        )
    }
}

/// `@revision` for a command line, empty for the main branch.
fn at(revision: &str) -> String {
    if revision == "main" { String::new() } else { format!("@{revision}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_the_disk_say_what_to_do() {
        let text = |kind: io::ErrorKind| HubError::io(Path::new("/c/x"), kind.into()).to_string();
        assert!(text(io::ErrorKind::StorageFull).contains("/c/x: the disk is full: make room"));
        assert!(text(io::ErrorKind::QuotaExceeded).contains("the disk is full"));
        for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem] {
            assert!(text(kind).contains("/c/x: cannot be written"), "{}", text(kind));
            assert!(text(kind).contains("HubBuilder::cache_dir"));
        }
    }
}
