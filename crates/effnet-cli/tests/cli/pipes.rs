//! Standard output that is closed or full, and a machine that starts no threads.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::ROOT;

const COFFEE: &str = "examples/images/coffee.png";

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_effnet"));
    command.args(args).current_dir(ROOT).env("HF_HUB_OFFLINE", "1");
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

/// The exit code and standard error of a program that ends by itself.
fn end(mut child: Child) -> (Option<i32>, String) {
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("still running");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Commands that print, and a `classify` that would wait forever for its second image.
fn with_commands(check: impl Fn(&[&str])) {
    let folder = tempfile::tempdir().unwrap();
    let endless = folder.path().join("endless.png");
    assert!(Command::new("mkfifo").arg(&endless).status().unwrap().success());
    let endless = endless.to_str().unwrap();
    let forms = ["classify table", "classify json", "classify jsonl", "classify csv"];
    for form in forms.into_iter().chain(["embed json", "embed jsonl", "embed csv"]) {
        let (command, format) = form.split_once(' ').unwrap();
        // One image at a time: the second is not read before the first is written.
        let one = ["--batch-size", "1", "--threads", "1", "--format", format];
        check(&[&[command, COFFEE, endless], &one[..]].concat());
    }
    for args in [
        &["models"][..],
        &["models", "--format", "json"],
        &["map", "efficientnet_b0"],
        &["map", "efficientnet_b0", "--format", "json"],
        &["summary", "efficientnet_b0"],
        &["summary", "efficientnet_b0", "--format", "json"],
        &["summary", "efficientnet_b0", "--format", "svg"],
        &["summary", "efficientnet_b0", "--format", "dot"],
        &["doctor"],
        &["doctor", "--format", "json"],
        &["bench", "--seconds", "0.01"],
        &["bench", "--seconds", "0.01", "--format", "json"],
        &["--help"],
        &["--version"],
    ] {
        check(args);
    }
}

#[test]
fn a_full_disk_ends_the_run_with_one_error() {
    with_commands(|args| {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (code, stderr) = end(command(args).stdout(full).spawn().unwrap());
        assert_eq!(code, Some(1), "{args:?}");
        assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
        let expected = "error: cannot write to standard output: No space left on device";
        assert!(stderr.starts_with(expected), "{args:?}: {stderr}");
        assert_eq!(stderr.matches("os error").count(), 1, "{args:?}: {stderr}");
    });
}

#[test]
fn a_reader_that_goes_away_ends_the_run_in_silence() {
    with_commands(|args| {
        let mut child = command(args).stdout(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(end(child), (Some(0), String::new()), "{args:?}");
    });
}

#[test]
fn threads_that_do_not_start_are_fewer_threads() {
    let folder = tempfile::tempdir().unwrap();
    let root = std::path::Path::new(ROOT);
    let program = folder.path().join("effnet");
    std::fs::copy(env!("CARGO_BIN_EXE_effnet"), &program).unwrap();
    let images = folder.path().join("images");
    std::fs::create_dir(&images).unwrap();
    for name in ["a.png", "b.png", "c.png"] {
        std::fs::copy(root.join(COFFEE), images.join(name)).unwrap();
    }
    for open in [folder.path(), &images] {
        std::fs::set_permissions(open, PermissionsExt::from_mode(0o755)).unwrap();
    }
    for engine in ["cpu", "candle"] {
        let mut command = Command::new("prlimit");
        command.arg("--nproc=1").arg(&program).current_dir(&images);
        command.args(["classify", ".", "--format", "csv", "-k", "1", "--batch-size", "2"]);
        command.args(["--engine", engine, "--threads", "4"]).env("HF_HOME", folder.path());
        if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
            // The limit does not apply to root.
            command.uid(65_534).gid(65_534);
        }
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        assert!(!stderr.contains("panicked"), "{stderr}");
        match engine {
            "cpu" => {
                assert_eq!((output.status.code(), &*stderr), (Some(0), ""));
                assert_eq!(stdout.matches("espresso").count(), 3, "{stdout}");
            }
            // Candle cannot work without threads.
            _ => assert!(stderr.starts_with("error: cannot start 4 threads"), "{stderr}"),
        }
    }
}
