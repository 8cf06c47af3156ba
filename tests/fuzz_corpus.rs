//! Runs each fuzz target over its corpus, and over every fault that was found and fixed.

#![cfg(all(feature = "hub", feature = "bundled"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    unsafe_code,
    unreachable_pub,
    reason = "the targets are those of fuzz/, with its counting allocator"
)]

#[path = "../fuzz/src/targets/mod.rs"]
mod targets;

use std::path::{Path, PathBuf};

/// The files of a target's folder, in order.
fn files(kind: &str, target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(kind).join(target);
    let entries = std::fs::read_dir(&folder).into_iter().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Runs a target; a failure names its file.
fn run(target: &str, body: fn(&[u8])) {
    let corpus = files("corpus", target);
    assert!(!corpus.is_empty(), "fuzz/corpus/{target} is missing or empty");
    let mut failed = Vec::new();
    for file in corpus.into_iter().chain(files("regressions", target)) {
        let bytes = std::fs::read(&file).unwrap();
        if std::panic::catch_unwind(|| body(&bytes)).is_err() {
            failed.push(file);
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name), targets::$name);
        })*

        /// Every target has a test, and every folder has a target.
        #[test]
        fn every_target_is_run() {
            let names = [$(stringify!($name)),*];
            let manifest = include_str!("../fuzz/Cargo.toml");
            let bins = manifest.split("[[bin]]").skip(1);
            let bins: Vec<_> = bins.map(|bin| bin.split('"').nth(1).unwrap()).collect();
            assert_eq!(bins, names);
            for kind in ["corpus", "regressions"] {
                for folder in files(kind, "") {
                    let name = folder.file_name().unwrap().to_str().unwrap();
                    assert!(names.contains(&name), "fuzz/{kind}/{name} belongs to no target");
                }
            }
        }
    };
}

targets! {
    jpeg jpeg2000 png gif webp bmp ico tiff pnm qoi tga
    safetensors shards pth legacy_pickle hdf5 keras
    config preprocessor_config labels calibration blocks conventions hub recognition
}
