//! PyTorch files give the same tensors as safetensors files, and nothing in them is run.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "weights_support/difference.rs"]
mod difference;

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use difference::difference;
use effnet::weights::{Checkpoint, WeightsError};

fn path(name: &str) -> PathBuf {
    Path::new("tests/data/pth").join(name)
}

fn refusal(name: &str) -> String {
    let error = Checkpoint::open(path(name)).unwrap_err();
    let is_typed = matches!(
        error,
        WeightsError::Torch { .. } | WeightsError::Zip { .. } | WeightsError::Repeated { .. }
    );
    assert!(is_typed, "{error}");
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
        // One value of the first tensor; the view's strides (3, 1, 6) become (1, 2, 6).
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
fn every_hostile_file_is_refused_by_name() {
    for (name, message) in [
        ("truncated.pth", "a zip archive's last record is missing"),
        ("legacy_truncated.pth", "a storage ends beyond the file"),
        ("compressed.pth", "is compressed"),
        ("huge.pth", "tensor `w` of shape [1099511627776] reaches beyond its storage of 2 values"),
        ("huge_storage.pth", "storage `0` has 8 bytes where its pickle says 4398046511104"),
        ("huge_repeated.pth", "its tensors have 4398046511104 bytes and the file"),
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

/// A sparse file, as long as 46 million entries: no memory is allocated for what it claims to hold.
#[test]
fn an_archive_that_claims_too_much_is_refused_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("holes.pth");
    let mut file = File::create(&path).unwrap();
    file.write_all(b"PK\x03\x04").unwrap();
    let [begin, end]: [u64; 2] = [2 << 30, 4 << 30];
    let count = (end - begin) / 46;
    let numbers =
        |numbers: &[u64]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>();
    let wide = [&b"PK\x06\x06"[..], &numbers(&[44]), &[45, 0, 45, 0], &[0; 8]].concat();
    let wide = [wide, numbers(&[count, count, end - begin, begin])].concat();
    let locator = [&b"PK\x06\x07\0\0\0\0"[..], &numbers(&[end]), &[1, 0, 0, 0]].concat();
    let last = [&b"PK\x05\x06\0\0\0\0"[..], &[0xff; 12], &[0, 0]].concat();
    file.seek(SeekFrom::Start(end)).unwrap();
    file.write_all(&[wide, locator, last].concat()).unwrap();
    let error = Checkpoint::open(&path).unwrap_err().to_string();
    assert!(error.contains("more than 65536 entries"), "{error}");
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
                    // The values do not matter.
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

fn text(text: &str) -> Vec<u8> {
    [b"X", &u32::try_from(text.len()).unwrap().to_le_bytes()[..], text.as_bytes()].concat()
}

/// A file of the older format around a pickle, with one storage `0` of `count` zero floats, if
/// `count` is not 0.
fn legacy(pickle: &[u8], count: usize) -> Vec<u8> {
    let mut file =
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.".to_vec();
    file.extend([b"\x80\x02", pickle, b"."].concat());
    if count == 0 {
        file.extend(b"\x80\x02].");
        return file;
    }
    file.extend([b"\x80\x02](", &*text("0"), b"e."].concat());
    file.extend((count as u64).to_le_bytes());
    file.resize(file.len() + 4 * count, 0);
    file
}

/// A call that makes a tensor of all `count` floats of the storage; the function is memoized as 1,
/// its arguments as 2.
fn tensor(count: u32) -> Vec<u8> {
    let number = [b"J", &count.to_le_bytes()[..]].concat();
    let storage = [
        b"(",
        &*text("storage"),
        b"ctorch\nFloatStorage\n",
        &text("0"),
        &text("cpu"),
        &number,
        b"tQ",
    ];
    let function = b"ctorch._utils\n_rebuild_tensor_v2\nq\x01(";
    [function, &*storage.concat(), b"K\x00", &number, b"\x85K\x01\x85\x89Ntq\x02R"].concat()
}

/// A dict with `w` and with `more`.
fn dict(count: u32, more: &[u8]) -> Vec<u8> {
    [b"}(", &*text("w"), &tensor(count), more, b"u"].concat()
}

#[test]
fn what_asks_for_much_is_refused_or_costs_little() {
    let many =
        |n: usize, item: &dyn Fn(usize) -> Vec<u8>| (0..n).flat_map(item).collect::<Vec<u8>>();
    let key = |i: usize| text(&format!("{i:06}"));
    let again = b"h\x01h\x02R";
    // A dict with many values, which is many times a value of another dict.
    let wide = [b"}q\x03(", &*many(2000, &|i| [key(i), b"N".to_vec()].concat()), b"u"].concat();
    let shared = many(2000, &|i| [key(i), b"h\x03".to_vec()].concat());
    // One long text, many times in a list of class names.
    let long = [&*text(&"x".repeat(1 << 20)), b"q\x03"].concat();
    let names = [&*text("classes"), b"](", &long, &b"h\x03".repeat(100_000), b"e"].concat();
    // A long key before each of many tensors.
    let long_key = [
        text(&"k".repeat(1 << 20)),
        b"}(".to_vec(),
        many(50_000, &|i| [key(i), again.to_vec()].concat()),
        b"u".to_vec(),
    ]
    .concat();
    let called = b"cos\nsystem\nq\x03".to_vec();
    for (name, pickle, count, refused) in [
        (
            "views",
            dict(1 << 14, &many(1100, &|i| [key(i), again.to_vec()].concat())),
            1 << 14,
            Some("its tensors have 72155136 bytes and the file"),
        ),
        (
            "tensors",
            [dict(1, b""), [again, &b"0"[..]].concat().repeat(140_000)].concat(),
            1,
            Some("too many tensors"),
        ),
        ("values", dict(1, &[key(0), wide, shared].concat()), 1, Some("too many values")),
        ("names", dict(1, &names), 1, None),
        ("keys", dict(1, &long_key), 1, None),
        (
            "length",
            [b"\x8b".to_vec(), u32::MAX.to_le_bytes().to_vec()].concat(),
            1,
            Some("has no end"),
        ),
        (
            "bytes",
            [b"\x8e".to_vec(), u64::MAX.to_le_bytes().to_vec()].concat(),
            1,
            Some("has no end"),
        ),
        ("tuples", [b")".to_vec(), b"\x85".repeat(2_000_000)].concat(), 0, Some("no dictionary")),
        (
            "calls",
            [called, b"0h\x03)R".repeat(500_000)].concat(),
            0,
            Some("what it holds is made by `os.system`"),
        ),
        ("instructions", b"N0".repeat(4_000_000), 0, Some("too many instructions")),
        (
            "objects",
            dict(1, &many(60_000, &|i| [key(i), b"cos\nsystem\n)R".to_vec()].concat())),
            1,
            None,
        ),
    ] {
        let file = Checkpoint::from_bytes("hostile", legacy(&pickle, count));
        match (file, refused) {
            (Ok(file), None) => {
                assert_eq!(file.names().collect::<Vec<_>>(), ["w"], "{name}");
                assert_eq!(file.declared().classes, None, "{name}");
            }
            (Err(error), Some(message)) => {
                assert!(error.to_string().contains(message), "{name}: {error}");
            }
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}
