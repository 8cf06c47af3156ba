//! Names that are not UTF-8, and names that would control a terminal.

#![cfg(target_os = "linux")]

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use serde_json::Value;

use super::{Run, effnet};

/// The bytes of names, and how each is shown.
const NAMES: [(&[u8], &str); 5] = [
    (b"a\\xFF.png", r"a\x5CxFF.png"),
    (b"a\x1b]0;title\x07.png", r"a\x1B]0;title\x07.png"),
    (b"a\nb.png", r"a\x0Ab.png"),
    (b"a\xfe.png", r"a\xFE.png"),
    (b"a\xff.png", r"a\xFF.png"),
];

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, _) in NAMES {
        // The files are not images, so that each name is in an error too.
        std::fs::write(folder.path().join(OsStr::from_bytes(name)), "text").unwrap();
    }
    folder
}

fn assert_shown(run: &Run, prefix: &str) {
    for text in [&run.stdout, &run.stderr] {
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        for (_, shown) in NAMES {
            assert!(text.contains(&format!("{prefix}{shown}")), "{shown}: {text}");
        }
    }
}

#[test]
fn names_stay_apart_and_harmless_in_every_format() {
    let folder = folder();
    let named: Vec<OsString> =
        NAMES.iter().map(|(name, _)| folder.path().join(OsStr::from_bytes(name)).into()).collect();
    let prefix = format!("{}/", folder.path().display());
    for format in ["table", "csv"] {
        for images in [vec![folder.path().into()], named.clone()] {
            let run = effnet(
                [OsString::from("classify"), "--format".into(), format.into()]
                    .into_iter()
                    .chain(images),
            );
            assert_eq!(run.code, 1);
            assert_shown(&run, &prefix);
        }
    }
    for format in ["json", "jsonl"] {
        let run = effnet([
            OsString::from("classify"),
            "--format".into(),
            format.into(),
            folder.path().into(),
        ]);
        let list: Vec<Value> = match format {
            "json" => serde_json::from_str(&run.stdout).unwrap(),
            _ => run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        };
        for (_, shown) in NAMES {
            let name = format!("{prefix}{shown}");
            assert_eq!(
                list.iter().filter(|row| row["image"] == *name).count(),
                1,
                "{name}: {list:?}"
            );
        }
    }
}

#[test]
fn every_command_takes_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &[u8]| folder.path().join(OsStr::from_bytes(name)).into_os_string();
    let image = path(b"\xff.png");
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/images/coffee.png"), &image)
        .unwrap();
    let (input, output) = (path(b"in\xff"), path(b"out\xff"));
    let run = effnet(["preprocess".into(), image, "-o".into(), input.clone()]);
    assert_eq!((run.code, &*run.stderr), (0, ""));
    let run = effnet(["forward".into(), "-i".into(), input.clone(), "-o".into(), output.clone()]);
    assert_eq!((run.code, &*run.stderr), (0, ""));
    let run = effnet(["forward".into(), "-i".into(), path(b"no\xff"), "-o".into(), output]);
    assert!(run.only_error().contains(r"no\xFF: "), "{}", run.stderr);
    let run = effnet(["convert".into(), input, path(b"x"), "--to".into(), OsString::from("timm")]);
    assert!(run.only_error().contains(r"in\xFF: "), "{}", run.stderr);
}

#[test]
fn what_the_user_types_is_not_obeyed_by_the_terminal() {
    for args in [
        &["classify", "x", "--format", "\x1b[31m"][..],
        &["classify", "x", "-m", "\x1b[31m"],
        &["classify", "x", "--weights", "\x1b[31m"],
        &["summary", "\x1b[31m"],
        &["models", "\x1b[31m"],
        &["map", "efficientnet_b0", "--to", "\x1b[31m"],
        &["download", "a/\x1b[31m"],
        &["convert", "\x1b[31m", "x", "--to", "timm"],
    ] {
        let run = effnet(args);
        assert_ne!(run.code, 0, "{args:?}");
        assert!(!run.stderr.contains('\x1b'), "{args:?}: {:?}", run.stderr);
    }
}
