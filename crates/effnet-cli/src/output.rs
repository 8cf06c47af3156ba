//! Standard output, which may close or be full at any time, and standard error.

use std::io::{BufWriter, IsTerminal, Result, StdoutLock, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use effnet::unstable::Replacement;
use effnet::unstable::file_name;
use serde::Serialize;

use super::settings;
use super::table::{align, printable_lines};

/// Marks an error as one of standard output.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}")]
struct Unwritable(std::io::Error);

/// Standard output.
pub(super) struct Stdout(BufWriter<StdoutLock<'static>>);

/// Standard output, locked and buffered until `flush`.
pub(super) fn stdout() -> Stdout {
    Stdout(BufWriter::new(std::io::stdout().lock()))
}

impl Stdout {
    /// Writes a value as indented JSON.
    pub(super) fn write_json(&mut self, value: &impl Serialize) -> Result<()> {
        serde_json::to_writer_pretty(&mut *self, value)?;
        writeln!(self)
    }

    /// Writes `rows`, formatted by [`align`], in the terminal's width.
    pub(super) fn write_table(
        &mut self,
        rows: &[impl AsRef<[String]>],
        right: &[usize],
    ) -> Result<()> {
        align(rows, right, width()).iter().try_for_each(|line| writeln!(self, "{line}"))
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.write(bytes).map_err(marked)
    }

    fn flush(&mut self) -> Result<()> {
        self.0.flush().map_err(marked)
    }
}

/// Where a command's rows go: standard output, or a file that appears when it is complete.
pub(super) enum Output {
    Stdout(Stdout),
    File(PathBuf, Replacement),
}

impl Output {
    /// The file at `path`, or standard output.
    pub(super) fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self::Stdout(stdout())) };
        let file = Replacement::begin(path).with_context(|| file_name(path))?;
        Ok(Self::File(path.to_owned(), file))
    }

    /// Ends the output.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Stdout(mut out) => out.flush()?,
            Self::File(path, file) => file.finish().with_context(|| file_name(&path))?,
        }
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::File(_, file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::File(_, file) => file.flush(),
        }
    }
}

fn marked(error: std::io::Error) -> std::io::Error {
    std::io::Error::new(error.kind(), Unwritable(error))
}

/// Whether the reader of standard output went away, as `head` does when it has enough.
pub(super) fn is_closed(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = match cause.downcast_ref::<csv::Error>().map(csv::Error::kind) {
            // csv does not give this error as the source.
            Some(csv::ErrorKind::Io(error)) => Some(error),
            _ => cause.downcast_ref::<std::io::Error>(),
        };
        io.is_some_and(|error| {
            error.kind() == std::io::ErrorKind::BrokenPipe
                && error.get_ref().is_some_and(|inner| inner.is::<Unwritable>())
        })
    })
}

/// How many columns a line of standard output may take; unlimited if it is not a terminal.
pub(super) fn width() -> usize {
    /// Smaller widths are ignored.
    const NARROWEST: usize = 20;
    if !std::io::stdout().is_terminal() {
        return usize::MAX;
    }
    let columns = std::env::var("COLUMNS").ok().and_then(|text| text.trim().parse().ok());
    let terminal = || Some(usize::from(terminal_size::terminal_size()?.0.0));
    let asked = columns.or_else(terminal);
    asked.filter(|&columns| columns > 0).map_or(usize::MAX, |columns| columns.max(NARROWEST))
}

/// Whether the same person sees both outputs, so that one need not repeat the other.
pub(super) fn is_one_terminal() -> bool {
    std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
}

/// Writes lines to standard error, with the command's options in place of settings and without what
/// would control a terminal. If that fails, there is nobody left to tell.
pub(super) fn complain(lines: &str) {
    let _ = writeln!(std::io::stderr(), "{}", printable_lines(&settings::as_options(lines)));
}
