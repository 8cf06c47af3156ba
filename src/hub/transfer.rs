//! The bytes of one file: resumed, retried, checked.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use ureq::Body;
use ureq::http::{Response, header};

use super::builder::Limits;
use super::client::{Ask, Client, busy, text};
use super::metadata::{Metadata, Target};
use super::task::Cancel;
use super::url::Url;
use super::{HubError, Progress, ProgressEvent};

/// What a download works with.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) client: &'a Client,
    pub(super) limits: &'a Limits,
    pub(super) progress: &'a dyn Progress,
    pub(super) cancel: &'a Cancel,
}

/// How an incomplete attempt ended.
enum Broken {
    /// Worth another attempt.
    Later { cause: HubError, expired: bool },
    /// Not worth one.
    Now(HubError),
}

/// Downloads a file to `part` and checks it. `part` may hold the beginning from an earlier run. On
/// success it holds the file; on failure it holds the beginning, or nothing if the bytes were
/// wrong.
///
/// `again` asks the hub again where the bytes are: addresses on storage hosts expire.
///
/// # Errors
/// [`HubError::Interrupted`], [`HubError::Mismatch`], and the errors of `again` and the file
/// system.
pub(super) fn fetch(
    context: Context<'_>,
    target: Target<'_>,
    metadata: &Metadata,
    part: &Path,
    again: impl Fn() -> Result<Metadata, HubError>,
) -> Result<(), HubError> {
    let size = metadata.size;
    let mut location = metadata.location.clone();
    let (mut best, mut attempts, mut second) = (0, 0, false);
    let started = length(part)?.min(size);
    let event =
        ProgressEvent::Started { repo: target.repo, file: target.file, size, from: started };
    context.progress.event(&event);
    loop {
        context.cancel.check()?;
        let failed = match receive(context, target, metadata, &location, part) {
            Ok(()) => match check(target, metadata, part)? {
                None => {
                    context.progress.event(&ProgressEvent::Finished);
                    return Ok(());
                }
                Some(mismatch) => {
                    remove(part)?;
                    // Wrong bytes may come from an earlier run or a bad connection: try once more.
                    if second {
                        return Err(mismatch);
                    }
                    second = true;
                    best = 0;
                    continue;
                }
            },
            Err(Broken::Now(error)) => return Err(error),
            Err(Broken::Later { cause, expired }) => {
                if expired {
                    let fresh = again()?;
                    if (fresh.size, &fresh.checksum) != (size, &metadata.checksum) {
                        return Err(HubError::NotAHub {
                            repo: target.repo.to_owned(),
                            host: location.host(),
                            reason: "the same commit now has different content".to_owned(),
                        });
                    }
                    location = fresh.location;
                }
                cause
            }
        };
        let got = length(part)?;
        if got > best {
            (best, attempts) = (got, 0);
        }
        attempts += 1;
        if attempts >= context.limits.attempts {
            return Err(give_up(target, failed, got, size, attempts));
        }
        pause(context, &failed, attempts)?;
    }
}

fn give_up(target: Target<'_>, cause: HubError, got: u64, size: u64, attempts: u32) -> HubError {
    match cause {
        HubError::Mismatch { .. } | HubError::RateLimited { .. } => cause,
        cause => HubError::Interrupted {
            repo: target.repo.to_owned(),
            file: target.file.to_owned(),
            got,
            size,
            attempts,
            cause: describe(&cause),
        },
    }
}

/// Only the cause: the surrounding error already names the repository and the remedy.
fn describe(error: &HubError) -> String {
    match error {
        HubError::Unreachable { host, cause, .. }
        | HubError::Network { host, cause, .. }
        | HubError::Tls { host, cause, .. } => {
            format!("{host}: {cause}")
        }
        HubError::Server { host, status, .. } => format!("{host}: HTTP status {status}"),
        HubError::RateLimited { host, .. } => format!("{host}: too many requests"),
        other => other.to_string(),
    }
}

/// Waits before the next attempt: as long as the server asks, or else twice as long each time.
///
/// # Errors
/// [`HubError::RateLimited`] if the server asks for too long, [`HubError::Cancelled`].
pub(super) fn pause(context: Context<'_>, cause: &HubError, attempts: u32) -> Result<(), HubError> {
    let doubled = context.limits.backoff * (1 << attempts.saturating_sub(1).min(3));
    let wait = match cause {
        HubError::RateLimited { repo, host, retry_after: Some(asked) } => {
            if *asked > context.limits.longest_wait {
                let (repo, host) = (repo.clone(), host.clone());
                return Err(HubError::RateLimited { repo, host, retry_after: Some(*asked) });
            }
            *asked
        }
        _ => doubled,
    };
    context.progress.event(&ProgressEvent::Retrying { cause: &describe(cause), wait });
    let end = Instant::now() + wait;
    loop {
        context.cancel.check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(Duration::from_millis(50)));
    }
}

/// One attempt to bring `part` to its full size.
fn receive(
    context: Context<'_>,
    target: Target<'_>,
    metadata: &Metadata,
    location: &Url,
    part: &Path,
) -> Result<(), Broken> {
    let size = metadata.size;
    let now = Broken::Now;
    let io = |source| Broken::Now(HubError::io(part, source));
    let mut file = open(part).map_err(io)?;
    let mut from = file.metadata().map_err(io)?.len();
    if from > size {
        file.set_len(0).map_err(io)?;
        from = 0;
    }
    if from == size {
        return Ok(());
    }
    let (answer, url) = context
        .client
        .follow(target.repo, Ask::Get(from), location, |_, _| false)
        .map_err(|error| match error.is_transient() {
            true => Broken::Later { cause: error, expired: false },
            false => now(error),
        })?;
    let later = |cause: String| Broken::Later {
        cause: HubError::Network { repo: target.repo.to_owned(), host: url.host(), cause },
        expired: false,
    };
    let restart = |file: &File| file.set_len(0).map_err(io);
    match answer.status().as_u16() {
        206 if range_start(&answer) == Some((from, size)) => {}
        206 => {
            restart(&file)?;
            return Err(later(
                "it sent a different part of the file than was asked for".to_owned(),
            ));
        }
        200 => {
            restart(&file)?;
            from = 0;
        }
        416 => {
            restart(&file)?;
            return Err(later("it cannot go on from where the download stopped".to_owned()));
        }
        status => {
            let cause = busy(target.repo, &url, &answer).unwrap_or_else(|| HubError::Network {
                repo: target.repo.to_owned(),
                host: url.host(),
                cause: format!("HTTP status {status}"),
            });
            // These are what storage hosts answer when an address has expired.
            let expired = matches!(status, 400 | 401 | 403 | 404 | 410);
            return Err(Broken::Later { cause, expired });
        }
    }
    if let Some(announced) =
        text(&answer, header::CONTENT_LENGTH.as_str()).and_then(|n| n.parse::<u64>().ok())
        && announced != size - from
    {
        restart(&file)?;
        let cause = mismatch(target, "a size of", (from + announced).to_string(), size.to_string());
        return Err(Broken::Later { cause, expired: false });
    }
    file.seek(SeekFrom::Start(from)).map_err(io)?;
    copy(context, answer, &mut file, part, (from, size), &later)?;
    file.sync_all().map_err(io)
}

/// Copies a body to the file: up to the announced size plus one byte, which reveals a body that is
/// too long.
fn copy(
    context: Context<'_>,
    answer: Response<Body>,
    file: &mut impl Write,
    part: &Path,
    (from, size): (u64, u64),
    later: &impl Fn(String) -> Broken,
) -> Result<(), Broken> {
    let mut body = answer.into_body().into_reader().take(size - from + 1);
    let mut buffer = vec![0; 1 << 16];
    let mut position = from;
    loop {
        context.cancel.check().map_err(Broken::Now)?;
        let n = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(later(body_cause(&error))),
        };
        file.write_all(&buffer[..n]).map_err(|source| Broken::Now(HubError::io(part, source)))?;
        position += n as u64;
        context.progress.event(&ProgressEvent::Advanced { position });
    }
    if position < size {
        return Err(later("the connection ended early".to_owned()));
    }
    Ok(())
}

fn body_cause(error: &io::Error) -> String {
    match error.get_ref().and_then(|e| e.downcast_ref::<ureq::Error>()) {
        Some(ureq::Error::Timeout(_)) => "the transfer stalled".to_owned(),
        _ if error.kind() == io::ErrorKind::TimedOut => "the transfer stalled".to_owned(),
        Some(_) => "the connection broke".to_owned(),
        None => error.to_string(),
    }
}

/// `None` if the file is what the hub announced.
fn check(
    target: Target<'_>,
    metadata: &Metadata,
    part: &Path,
) -> Result<Option<HubError>, HubError> {
    let got = length(part)?;
    if got != metadata.size {
        let (got, expected) = (got.to_string(), metadata.size.to_string());
        return Ok(Some(mismatch(target, "a size of", got, expected)));
    }
    let checksum = &metadata.checksum;
    let got = checksum.of(part).map_err(|source| HubError::io(part, source))?;
    let wrong = got != checksum.digits();
    Ok(wrong.then(|| mismatch(target, checksum.kind(), got, checksum.digits().to_owned())))
}

fn mismatch(target: Target<'_>, what: &'static str, got: String, expected: String) -> HubError {
    HubError::Mismatch {
        repo: target.repo.to_owned(),
        file: target.file.to_owned(),
        what,
        got,
        expected,
    }
}

/// Start and total of `Content-Range: bytes 5-9/10`.
fn range_start(answer: &Response<Body>) -> Option<(u64, u64)> {
    let range = text(answer, header::CONTENT_RANGE.as_str())?.trim().strip_prefix("bytes ")?;
    let (range, total) = range.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.parse().ok()?, total.parse().ok()?))
}

/// Opens the unfinished download. Anything there that is not a plain file, such as a link, is
/// removed first.
fn open(part: &Path) -> io::Result<File> {
    if fs::symlink_metadata(part).is_ok_and(|m| !m.is_file()) {
        fs::remove_file(part)?;
    }
    if let Some(parent) = part.parent() {
        fs::create_dir_all(parent)?;
    }
    OpenOptions::new().create(true).truncate(false).write(true).open(part)
}

/// Bytes in a file, 0 if there is none.
fn length(part: &Path) -> Result<u64, HubError> {
    match fs::symlink_metadata(part) {
        Ok(metadata) if metadata.is_file() => Ok(metadata.len()),
        Ok(_) => Ok(0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(HubError::io(part, error)),
    }
}

fn remove(part: &Path) -> Result<(), HubError> {
    match fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(HubError::io(part, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for this many bytes.
    struct Disk(usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.0.min(bytes.len()) {
                0 => Err(io::ErrorKind::StorageFull.into()),
                n => {
                    self.0 -= n;
                    Ok(n)
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_reported_as_such() {
        let hub = crate::hub::HubBuilder::new("cache").build().unwrap();
        let cancel = Cancel::default();
        let part = Path::new("cache/part");
        let copied = |room: usize| {
            let answer = Response::new(Body::builder().data(vec![1_u8; 100_000]));
            let later = |cause: String| panic!("{cause}");
            copy(hub.inner.context(&cancel), answer, &mut Disk(room), part, (0, 100_000), &later)
        };
        assert!(copied(100_000).is_ok());
        match copied(99_999) {
            Err(Broken::Now(HubError::DiskFull { path })) => assert_eq!(path, part),
            _ => panic!("not reported"),
        }
    }
}
