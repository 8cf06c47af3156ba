//! Unreliable answers of the hub about a file.

use super::*;
use test_hub::{At, Fault};

/// The error when a header of the hub's answers has this value.
fn with_header(name: &'static str, value: &str) -> HubError {
    let scene = Scene::new();
    let fault = Fault::Header(name, value.to_owned());
    scene.server.fault(At::Head, "", fault, usize::MAX);
    let error = scene.files().unwrap_err();
    scene.assert_no_weights();
    let files = all_files(scene.cache.path());
    assert!(files.iter().all(|path| !path.ends_with("config.json")), "{files:?}");
    scene.assert_next_run_completes();
    error
}

#[test]
fn without_a_commit_or_a_checksum_nothing_is_downloaded() {
    for (name, value) in [
        ("x-repo-commit", ""),
        ("x-repo-commit", "../../../../tmp/x"),
        ("x-linked-etag", "\"../../../../tmp/x\""),
        ("x-linked-etag", "\"0123456789abcdef-5\""),
        ("x-linked-size", "-1"),
        ("x-linked-size", "many"),
    ] {
        let error = with_header(name, value);
        assert!(matches!(error, HubError::NotAHub { .. }), "{name} {value}: {error}");
    }
}

#[test]
fn a_file_without_the_linked_headers_is_found_by_the_plain_ones() {
    let scene = Scene::new();
    for name in ["x-linked-etag", "x-linked-size"] {
        scene.server.fault(At::Head, "config.json", Fault::Header(name, String::new()), 1);
    }
    scene.assert_complete(&scene.files().unwrap());
}

#[test]
fn a_size_or_checksum_that_is_not_the_files() {
    for (name, value) in
        [("x-linked-size", "40".to_owned()), ("x-linked-etag", format!("\"{}\"", "a".repeat(40)))]
    {
        let error = with_header(name, &value);
        assert!(matches!(error, HubError::Mismatch { .. }), "{name}: {error}");
    }
}

#[test]
fn xet_storage_is_reached_by_plain_http() {
    let scene = Scene::new();
    let hash = Fault::Header("x-xet-hash", "a".repeat(64));
    scene.server.fault(At::Head, WEIGHTS, hash, 1);
    scene.assert_complete(&scene.files().unwrap());
}
