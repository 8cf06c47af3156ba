//! The log: lines that a thread writes, so that no request waits for a disk or a pipe.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use metrics::counter;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

/// Lines that may wait to be written; further ones are lost.
const WAITING: usize = 8192;
/// The most bytes of lines that are written together.
const TOGETHER: usize = 64 << 10;
/// How long the end of the program waits for the last lines.
const LAST: Duration = Duration::from_secs(1);

/// What is logged, and where.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LogOptions {
    /// The form of lines. Text by default.
    pub format: LogFormat,
    /// The file that gets the lines; standard error if absent.
    pub file: Option<PathBuf>,
    /// The least level of effnet's own lines. INFO by default.
    pub level: LevelFilter,
    /// A collector that gets traces by OTLP over gRPC.
    #[cfg(feature = "otlp")]
    pub otlp: Option<String>,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            file: None,
            level: LevelFilter::INFO,
            #[cfg(feature = "otlp")]
            otlp: None,
        }
    }
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// A line of text an event.
    Text,
    /// A JSON object an event, one a line.
    Json,
}

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The file.
    #[error("cannot open the log {}: {error}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The thread that writes.
    #[error("cannot start the thread of the log: {0}")]
    Thread(io::Error),
    /// The program logs already.
    #[error("the program has a log already")]
    Taken,
    /// The export of traces.
    #[error("cannot export traces to {endpoint}: {wrong}")]
    Export {
        /// The collector.
        endpoint: String,
        /// What is wrong.
        wrong: String,
    },
}

/// The program's log. Dropping it writes what waits.
///
/// Lines that cannot be written are counted (`effnet_log_lines_lost_total`) and dropped: a full disk
/// or a reader that sleeps stops no answer. When writing works again, so does the log.
#[derive(Debug)]
pub struct Log {
    lines: Lines,
    #[cfg(feature = "otlp")]
    export: Option<super::otlp::Export>,
}

impl Log {
    /// Starts the log of this program.
    ///
    /// # Errors
    ///
    /// A file that cannot be opened, a program that logs already.
    pub fn start(options: &LogOptions) -> Result<Self, LogError> {
        let (lines, ansi) = match &options.file {
            None => (Lines::start(io::stderr())?, io::stderr().is_terminal()),
            Some(path) => {
                let opened = LogFile::open(path);
                let file = opened.map_err(|error| LogError::File { path: path.clone(), error })?;
                (Lines::start(file)?, false)
            }
        };
        // Of other crates only what goes wrong is of interest to who runs a server.
        let others = options.level.min(LevelFilter::WARN);
        let filter = Targets::new().with_target("effnet", options.level).with_default(others);
        let layer = layer(options.format, lines.clone(), ansi);
        let registry = Registry::default().with(layer.with_filter(filter));
        #[cfg(feature = "otlp")]
        let (registry, export) = {
            let export = options.otlp.as_deref().map(super::otlp::Export::start).transpose()?;
            (registry.with(export.as_ref().map(super::otlp::Export::layer)), export)
        };
        tracing::subscriber::set_global_default(registry).map_err(|_| LogError::Taken)?;
        Ok(Self {
            lines,
            #[cfg(feature = "otlp")]
            export,
        })
    }

    /// Opens the file of the log again: it may have been moved to make room for a new one.
    pub fn reopen(&self) {
        // If too much waits, the disk has other troubles.
        let _ = self.lines.0.try_send(Message::Reopen);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        #[cfg(feature = "otlp")]
        if let Some(export) = self.export.take() {
            export.end();
        }
        self.lines.flush();
    }
}

/// Writes events in this form.
pub(super) fn layer<S, W>(
    format: LogFormat,
    lines: W,
    ansi: bool,
) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(lines).with_ansi(ansi);
    match format {
        LogFormat::Text => layer.with_target(false).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_span_list(false).boxed(),
    }
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    Reopen,
    Flush(SyncSender<()>),
}

/// Takes lines for the thread that writes them.
#[derive(Debug, Clone)]
struct Lines(SyncSender<Message>);

/// What lines are written to.
trait Target: Write + Send + 'static {
    fn reopen(&mut self) {}
}

impl Target for io::Stderr {}

struct LogFile {
    path: PathBuf,
    file: File,
}

impl LogFile {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self { path: path.to_owned(), file })
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Target for LogFile {
    /// If that fails, the file that is open stays.
    fn reopen(&mut self) {
        match Self::open(&self.path) {
            Ok(file) => *self = file,
            Err(error) => tracing::error!(%error, "cannot open the log again"),
        }
    }
}

impl Lines {
    fn start(target: impl Target) -> Result<Self, LogError> {
        let (sender, receiver) = sync_channel(WAITING);
        let thread = std::thread::Builder::new().name("effnet-log".to_owned());
        let started = thread.spawn(move || write_lines(&receiver, target));
        started.map_err(LogError::Thread)?;
        Ok(Self(sender))
    }

    /// Waits until what was logged is written, but not forever.
    fn flush(&self) {
        let (sender, done) = sync_channel(1);
        if self.0.try_send(Message::Flush(sender)).is_ok() {
            let _ = done.recv_timeout(LAST);
        }
    }
}

fn lost(lines: usize) {
    counter!("effnet_log_lines_lost_total").increment(lines as u64);
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

impl Write for &Lines {
    /// Takes a line; the subscriber writes each at once.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.0.try_send(Message::Line(line.to_owned())).is_err() {
            lost(1);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes what comes, as much at once as waits.
fn write_lines(messages: &Receiver<Message>, mut target: impl Target) {
    let mut text = Vec::new();
    // Whether the last thing written was the beginning of a line.
    let mut is_torn = false;
    while let Ok(first) = messages.recv() {
        let (mut next, mut lines) = (Ok(first), 0);
        while let Ok(Message::Line(line)) = next {
            text.extend_from_slice(&line);
            lines += 1;
            let is_full = text.len() >= TOGETHER;
            next = if is_full { Err(TryRecvError::Empty) } else { messages.try_recv() };
        }
        if lines > 0 {
            if is_torn {
                text.insert(0, b'\n');
            }
            let written = write(&mut target, &text);
            let whole = text[..written].iter().filter(|byte| **byte == b'\n').count();
            lost(lines - whole.saturating_sub(is_torn.into()));
            is_torn = text[..written].last().map_or(is_torn, |last| *last != b'\n');
            text.clear();
        }
        match next {
            Ok(Message::Reopen) => target.reopen(),
            // Nobody may be waiting any more.
            Ok(Message::Flush(done)) => drop(done.try_send(())),
            Ok(Message::Line(_)) | Err(_) => {}
        }
    }
}

/// Writes as much as can be written, and says how much that is.
fn write(target: &mut impl Write, text: &[u8]) -> usize {
    let mut written = 0;
    while written < text.len() {
        match target.write(&text[written..]) {
            Ok(0) => break,
            Ok(bytes) => written += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A disk with room for `room` bytes.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(usize, Vec<u8>)>>);

    impl Disk {
        fn room(&self, room: usize) {
            self.0.lock().unwrap().0 = room;
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().1.clone()).unwrap()
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (room, text) = &mut *self.0.lock().unwrap();
            if *room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let taken = bytes.len().min(*room);
            *room -= taken;
            text.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Target for Disk {}

    #[test]
    fn a_full_disk_costs_lines_until_there_is_room_again() {
        let disk = Disk::default();
        let lines = Lines::start(disk.clone()).unwrap();
        let log = |text: &str| {
            (&lines).write_all(text.as_bytes()).unwrap();
            lines.flush();
        };
        disk.room(9);
        log("first\n");
        log("second\n");
        log("third\n");
        disk.room(100);
        log("fourth\n");
        assert_eq!(disk.text(), "first\nsec\nfourth\n");
    }

    #[test]
    fn a_reader_that_sleeps_stops_nobody() {
        struct Asleep(Receiver<()>);
        impl Write for Asleep {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                // Until the test is over.
                let _ = self.0.recv();
                Ok(0)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        impl Target for Asleep {}
        let (awake, sleep) = sync_channel(1);
        let lines = Lines::start(Asleep(sleep)).unwrap();
        for _ in 0..3 * WAITING {
            (&lines).write_all(b"a line\n").unwrap();
        }
        drop(awake);
    }

    #[test]
    fn a_log_that_was_moved_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("log"), folder.path().join("log.1"));
        let lines = Lines::start(LogFile::open(&path).unwrap()).unwrap();
        (&lines).write_all(b"one\n").unwrap();
        lines.flush();
        std::fs::rename(&path, &old).unwrap();
        (&lines).write_all(b"two\n").unwrap();
        lines.0.try_send(Message::Reopen).unwrap();
        (&lines).write_all(b"three\n").unwrap();
        lines.flush();
        assert_eq!(std::fs::read_to_string(old).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "three\n");
    }
}
