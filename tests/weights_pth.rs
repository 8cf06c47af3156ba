//! PyTorch files: read as the same tensors stored as safetensors are, and nothing in them is run.

#![allow(clippy::unwrap_used)]

#[path = "weights_support/difference.rs"]
mod difference;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use difference::difference;
use effnet::weights::{Checkpoint, WeightsError};

fn path(name: &str) -> PathBuf {
    Path::new("tests/data/pth").join(name)
}

fn refusal(name: &str) -> String {
    let started = Instant::now();
    let error = Checkpoint::open(path(name)).unwrap_err();
    // A bound against hanging, far above what any takes.
    assert!(started.elapsed() < Duration::from_secs(1), "{name}");
    assert!(matches!(error, WeightsError::Torch { .. } | WeightsError::Zip { .. }), "{error}");
    assert!(error.to_string().contains(name), "{error}");
    error.to_string()
}

#[test]
fn every_layout_holds_the_values_of_the_safetensors_file() {
    let expected = Checkpoint::open(path("plain.safetensors")).unwrap();
    for (name, dtype, note) in [
        ("plain.pth", "F32", None),
        ("legacy.pth", "F32", None),
        ("half.pth", "F16", None),
        ("legacy_half.pth", "F16", None),
        ("bf16.pth", "BF16", None),
        ("parameter.pth", "F32", None),
        ("view.pth", "F32", None),
        ("legacy_view.pth", "F32", None),
        ("shared.pth", "F32", None),
        ("ema.pth", "F32", Some("`state_dict_ema`")),
        ("no_ema.pth", "F32", Some("`state_dict`")),
    ] {
        let found = Checkpoint::open(path(name)).unwrap();
        assert_eq!(difference(&found, &expected), None, "{name}");
        assert_eq!(found.dtype("conv.weight").as_deref(), Some(dtype), "{name}");
        match note {
            None => assert_eq!(found.note(), None),
            Some(key) => {
                let note = found.note().unwrap();
                assert!(note.contains(key) && note.contains("3 names"), "{note}");
            }
        }
    }
}

#[test]
fn the_comparison_notices_a_wrong_value_and_wrong_strides() {
    let expected = Checkpoint::open(path("plain.safetensors")).unwrap();
    for (name, from, to) in [
        // One value of the first tensor; the strides (3, 1, 6) of the view made (1, 2, 6).
        ("plain.pth", 0.5_f32.to_le_bytes().to_vec(), 0.75_f32.to_le_bytes().to_vec()),
        ("view.pth", b"K\x03K\x01K\x06\x87".to_vec(), b"K\x01K\x02K\x06\x87".to_vec()),
    ] {
        let mut bytes = std::fs::read(path(name)).unwrap();
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
        bytes[at..at + to.len()].copy_from_slice(&to);
        let found = Checkpoint::from_bytes(name, bytes).unwrap();
        assert!(difference(&found, &expected).is_some(), "{name}");
    }
}

#[test]
fn nothing_a_pickle_names_is_run() {
    for (name, named) in [
        ("system.pth", "`posix.system`"),
        ("system4.pth", "`posix.system`"),
        ("eval.pth", "`builtins.eval`"),
    ] {
        let error = refusal(name);
        assert!(error.contains(named), "{error}");
    }
    assert!(!Path::new("effnet-pickle-was-run").exists());
}

#[test]
fn every_hostile_file_is_refused_at_once_and_by_name() {
    for (name, message) in [
        ("truncated.pth", "a zip archive's last record is missing"),
        ("legacy_truncated.pth", "a storage ends beyond the file"),
        ("compressed.pth", "is compressed"),
        ("huge.pth", "tensor `w` of shape [1099511627776] reaches beyond its storage of 2 values"),
        ("huge_storage.pth", "storage `0` has 8 bytes where its pickle says 4398046511104"),
        ("huge_repeated.pth", "tensor `w` of shape [1099511627776] reaches beyond"),
        ("overflow.pth", "tensor `w` of shape [4611686018427387904, 4611686018427387904]"),
        ("stride.pth", "tensor `w` of shape [2] reaches beyond its storage"),
        ("offset.pth", "tensor `w` of shape [2] reaches beyond its storage"),
        ("negative.pth", "a tensor's size is negative"),
        ("no_storage.pth", "storage `0` is missing"),
        ("deep.pth", "too many nested containers: more than 64"),
        ("memo.pth", "too many remembered values"),
        ("pairs.pth", "too many pairs"),
        ("laughs.pth", "no dictionary of tensors"),
        ("not_torch.zip", "0 entries `*/data.pkl`"),
    ] {
        let error = refusal(name);
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn a_type_that_holds_no_weights_is_refused_when_it_is_asked_for() {
    let checkpoint = Checkpoint::open(path("types.pth")).unwrap();
    assert_eq!(checkpoint.read_f32("bn.weight").unwrap(), [1.0, -2.0, 0.5]);
    assert_eq!(checkpoint.read_f32("f64").unwrap(), [0.0, 0.0]);
    let error = checkpoint.read_f32("int8").unwrap_err();
    assert!(matches!(error, WeightsError::UnsupportedDtype { .. }), "{error}");
    let error = error.to_string();
    assert!(error.contains("int8") && error.contains("I8"), "{error}");
}

/// No change of a byte and no cut makes the reader panic, take long, or read outside the file.
#[test]
fn damage_anywhere_is_an_error_or_other_values() {
    for name in ["view.pth", "legacy_view.pth"] {
        let whole = std::fs::read(path(name)).unwrap();
        let read = |bytes: Vec<u8>| {
            if let Ok(checkpoint) = Checkpoint::from_bytes(name, bytes) {
                for tensor in checkpoint.names() {
                    // The values may be any.
                    let _ = checkpoint.read_f32(tensor);
                }
            }
        };
        for at in 0..whole.len() {
            read(whole[..at].to_vec());
            for flip in [0x01, 0x10, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                read(bytes);
            }
        }
    }
}

#[test]
fn a_dict_made_of_pairs_as_python_2_did_is_read() {
    let checkpoint = Checkpoint::open(path("python2.pth")).unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(checkpoint.read_f32("b").unwrap(), [0.0, 0.0]);
}
