//! One download of a file at a time, across all processes, including Python's.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, thread};

use super::task::Cancel;
use super::{HubError, Progress, ProgressEvent};

const POLL: Duration = Duration::from_millis(50);

/// Takes the lock at `path`: an advisory lock of the system, which ends with its process. `None` if
/// the file system has no locks.
///
/// Waits while others hold it, as long as their downloads change: the files in `blobs` whose names
/// start with `stem`.
///
/// # Errors
/// [`HubError::Locked`] after `timeout` without a change, and failures of the file system.
pub(super) fn acquire(
    path: &Path,
    (blobs, stem): (&Path, &str),
    timeout: Duration,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Option<File>, HubError> {
    let failed = |source| HubError::io(path, source);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    let mut told = false;
    let mut last = (Instant::now(), sizes(blobs, stem));
    loop {
        cancel.check()?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) if is_at(&file, path) => return Ok(Some(file)),
            // Its owner removed the file before letting go: others no longer see this lock.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
                return Ok(None);
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        if !told {
            progress.event(&ProgressEvent::Waiting { lock: path });
            told = true;
        }
        let now = sizes(blobs, stem);
        if now != last.1 {
            last = (Instant::now(), now);
        } else if last.0.elapsed() >= timeout {
            return Err(HubError::Locked { lock: path.to_owned(), waited: timeout });
        }
        thread::sleep(POLL);
    }
}

fn sizes(blobs: &Path, stem: &str) -> Vec<(std::ffi::OsString, u64)> {
    let Ok(entries) = fs::read_dir(blobs) else { return Vec::new() };
    let mut sizes: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(stem))
        .filter_map(|entry| Some((entry.file_name(), entry.metadata().ok()?.len())))
        .collect();
    sizes.sort();
    sizes
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// On these systems an open file cannot be removed.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}
