//! The real program, used as a user uses it.

#![cfg(feature = "bundled")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod answers;
mod bench;
mod classify;
mod convert;
mod doctor;
mod explain;
mod faults;
mod folders;
mod long_runs;
mod models;
mod names;
mod pipes;
mod similar;
mod summary;
mod tensors;
mod validate;
mod width;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The repository's root.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The result of a run of the program.
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Run {
    /// The run's only error line.
    fn only_error(&self) -> &str {
        let lines: Vec<&str> = self.stderr.lines().collect();
        assert_eq!(lines.len(), 1, "one line was expected: {}", self.stderr);
        assert!(lines[0].starts_with("error: "), "{}", self.stderr);
        lines[0]
    }
}

/// Runs `effnet` in the repository's root.
fn effnet<I, S>(args: I) -> Run
where
    I: IntoIterator<Item = S>,
    S: AsRef<std::ffi::OsStr>,
{
    effnet_with_stdin(args, b"")
}

fn effnet_with_stdin<I, S>(args: I, stdin: &[u8]) -> Run
where
    I: IntoIterator<Item = S>,
    S: AsRef<std::ffi::OsStr>,
{
    let mut child = Command::new(env!("CARGO_BIN_EXE_effnet"))
        .args(args)
        .current_dir(ROOT)
        // Tests use neither the machine's own cache nor the network.
        .env("HF_HUB_OFFLINE", "1")
        .env("HF_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-cache"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read its input closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let stderr = text(output.stderr);
    assert!(!stderr.contains("panicked"), "{stderr}");
    Run { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr }
}

fn fixture(name: &str) -> String {
    format!("tests/data/images/{name}")
}

/// Writes `bytes` to a file of a temporary folder.
fn write(folder: &tempfile::TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn str(path: &Path) -> &str {
    path.to_str().unwrap()
}
