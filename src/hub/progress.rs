//! What a download tells its caller while it runs.

use std::path::Path;
use std::time::Duration;

/// Receives the events of a download. The library itself prints nothing.
///
/// Called from the thread that transfers: return quickly.
pub trait Progress: Send + Sync {
    /// One event.
    fn event(&self, event: &ProgressEvent<'_>);
}

/// What has just happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProgressEvent<'a> {
    /// A file is about to be transferred.
    Started {
        /// `org/name`.
        repo: &'a str,
        /// Its name in the repository.
        file: &'a str,
        /// Its size in bytes.
        size: u64,
        /// How many of them an earlier attempt has left on disk.
        from: u64,
    },
    /// More of the current file is on disk. The position may go back if a server cannot resume.
    Advanced {
        /// Bytes on disk.
        position: u64,
    },
    /// An attempt failed; another follows.
    Retrying {
        /// What went wrong, in one line.
        cause: &'a str,
        /// The pause before the next attempt.
        wait: Duration,
    },
    /// Another process is downloading the same file: waiting for it to finish.
    Waiting {
        /// The lock file.
        lock: &'a Path,
    },
    /// The current file is complete and its checksum is right.
    Finished,
}

/// Ignores every event.
pub(super) struct Silent;

impl Progress for Silent {
    fn event(&self, _: &ProgressEvent<'_>) {}
}
