//! Files: what is read exactly, what is refused and how, and that a file is written whole or not at
//! all.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device};
use effnet::weights::{
    Checkpoint, NamedTensor, SafetensorsError, Values, WeightsError, serialize, write_safetensors,
};
use half::{bf16, f16};

/// A file with the given header and `data` zero bytes.
fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn entry(name: &str, dtype: &str, shape: &str, start: usize, end: usize) -> String {
    format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{start},{end}]}}"#)
}

/// One tensor `w` of the stored type, from raw bytes.
fn raw(dtype: &str, bytes: &[u8], count: usize) -> Checkpoint {
    let header = format!("{{{}}}", entry("w", dtype, &format!("[{count}]"), 0, bytes.len()));
    let mut whole = file(&header, 0);
    whole.extend(bytes);
    Checkpoint::from_bytes("raw", whole).unwrap()
}

fn parse(bytes: Vec<u8>) -> WeightsError {
    Checkpoint::from_bytes("bad", bytes).unwrap_err()
}

#[test]
fn every_malformed_header_is_refused_with_the_tensors_name() {
    let a = entry("a", "F32", "[2]", 0, 8);
    let one = |e: &str, data| file(&format!("{{{e}}}"), data);
    let two = |b: &str, data| file(&format!("{{{a},{b}}}"), data);
    assert!(Checkpoint::from_bytes("good", two(&entry("b", "F16", "[2]", 8, 12), 12)).is_ok());
    let mut four_gb = (4u64 << 30).to_le_bytes().to_vec();
    four_gb.extend([b' '; 100]);
    let cases = [
        (vec![1, 2, 3], "only 3 bytes"),
        (four_gb, "header claims 4294967296 bytes, the file has 108"),
        (u64::MAX.to_le_bytes().to_vec(), "header claims 18446744073709551615 bytes"),
        (file(&" ".repeat((16 << 20) + 1), 0), "more than 16777216 are refused"),
        (file("[]", 0), "an object of tensors"),
        (file("{} x", 0), "trailing characters"),
        (file(&"[".repeat(100_000), 0), "its header is not as it should be"),
        (file(&format!(r#"{{"a":{}"#, "[".repeat(100_000)), 0), "`a`: "),
        (file(r#"{"__metadata__":{"a":1}}"#, 0), "`__metadata__`: invalid type"),
        (
            two(&entry("b", "F32", "[2]", 4, 12), 12),
            "tensor `b` starts at byte 4, where the one before it ends at 8",
        ),
        (two(&entry("b", "F32", "[1]", 12, 16), 16), "tensor `b` starts at byte 12"),
        (two(&entry("b", "F32", "[2]", 0, 8), 8), "tensor `b` starts at byte 0"),
        (two(&entry("a", "F32", "[1]", 8, 12), 12), "the name `a` occurs twice"),
        (one(&entry("b", "F32", "[0]", 8, 0), 0), "tensor `b` starts at byte 8"),
        (
            one(&entry("b", "F32", "[3]", 0, 8), 8),
            "tensor `b` has 8 bytes, but its shape and type need 12",
        ),
        (
            one(&entry("b", "F32", "[1099511627776]", 0, 8), 8),
            "tensor `b` has 8 bytes, but its shape and type need 4398046511104",
        ),
        (
            one(&entry("b", "U8", "[1099511627776]", 0, 1 << 40), 8),
            "need 1099511627776 bytes, only 8 are there",
        ),
        (
            one(&entry("b", "F32", "[4294967296,4294967296,2]", 0, 8), 8),
            "tensor `b` has the impossible shape [4294967296, 4294967296, 2]",
        ),
        (one(&entry("b", "F4", "[3]", 0, 1), 1), "tensor `b` has the impossible shape [3]"),
        (one(&entry("b", "F32", "[-1]", 0, 8), 8), "`b`: invalid value"),
        (one(&entry("b", "Q4", "[1]", 0, 8), 8), "`b`: unknown variant `Q4`"),
        (one(&entry(&"n".repeat(257), "F32", "[2]", 0, 8), 8), "nnn` is not a name for a tensor"),
        (
            one(&entry(r"a\u001b[31m", "F32", "[2]", 0, 8), 8),
            "`a\u{fffd}[31m` is not a name for a tensor",
        ),
        (one(&a, 7), "need 8 bytes, only 7 are there"),
        (one(&a, 9), "1 bytes follow the last tensor"),
    ];
    for (bytes, message) in cases {
        let error = parse(bytes);
        assert!(matches!(error, WeightsError::Safetensors { .. }), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("bad: not a sound safetensors file: "), "{text}");
        assert!(text.contains(message), "expected {message:?} in {text:?}");
        assert!(!text.contains('\n') && text.len() < 700, "{text}");
    }
}

#[test]
fn every_cut_of_a_sound_file_is_refused() {
    let whole = file(&format!("{{{}}}", entry("a", "F32", "[2]", 0, 8)), 8);
    assert!(Checkpoint::from_bytes("whole", whole.clone()).is_ok());
    for length in 0..whole.len() {
        parse(whole[..length].to_vec());
    }
}

#[test]
fn paths_and_other_formats_are_refused_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        Checkpoint::open(&path).unwrap_err().to_string()
    };
    let missing = Checkpoint::open(folder.path().join("none")).unwrap_err();
    assert!(matches!(missing, WeightsError::Read { .. }) && missing.to_string().contains("none"));
    let error = Checkpoint::open(folder.path()).unwrap_err();
    assert!(matches!(error, WeightsError::NoneInFolder { .. }), "{error}");
    #[cfg(unix)]
    assert!(matches!(Checkpoint::open("/dev/zero").unwrap_err(), WeightsError::NotAFile { .. }));
    for (name, bytes, message) in [
        ("empty", &b""[..], "this is an empty file"),
        ("text", b"hello, this is a text file", "was cut off, or is another format"),
        ("x.pth", b"PK\x03\x04..........", "a zip archive's last record is missing"),
        ("old.pth", b"\x80\x02\x8a\x0a.....", "pickle"),
        ("x.h5", b"\x89HDF\r\n\x1a\n", "its superblock lies beyond its 8 bytes"),
        ("lfs", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("page", b"<!doctype html>", "web page"),
        ("config.json", b"{\"architecture\": 1}", "JSON"),
    ] {
        let error = open(name, bytes);
        assert!(error.contains(name) && error.contains(message), "{error}");
    }
}

#[test]
fn headers_whose_length_looks_like_another_format_are_read() {
    // 60 and 123 are the codes of `<` and `{`.
    for length in [60, 123] {
        let mut header = format!("{{{}}}", entry("a", "F32", "[0]", 0, 0));
        header.push_str(&" ".repeat(length - header.len()));
        assert!(Checkpoint::from_bytes("a", file(&header, 0)).is_ok());
    }
}

#[test]
fn every_f16_and_bf16_is_read_exactly() {
    let finite = |is_finite: fn(u16) -> bool| (0..=u16::MAX).filter(move |&b| is_finite(b));
    let bytes = |bits: &[u16]| bits.iter().flat_map(|b| b.to_le_bytes()).collect::<Vec<u8>>();

    let halves: Vec<u16> = finite(|b| f16::from_bits(b).is_finite()).collect();
    let read = raw("F16", &bytes(&halves), halves.len()).read_f32("w").unwrap();
    assert!(
        read.iter().zip(&halves).all(|(v, &b)| v.to_bits() == f16::from_bits(b).to_f32().to_bits())
    );
    assert_eq!(read.len(), 63488);

    let brains: Vec<u16> = finite(|b| bf16::from_bits(b).is_finite()).collect();
    let read = raw("BF16", &bytes(&brains), brains.len()).read_f32("w").unwrap();
    assert!(read.iter().zip(&brains).all(|(v, &b)| v.to_bits() == u32::from(b) << 16));

    let singles: Vec<f32> = (0..10_000).map(|i| f32::from_bits(i * 211_000 + 1)).collect();
    let stored: Vec<u8> = singles.iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(raw("F32", &stored, singles.len()).read_f32("w").unwrap(), singles);
}

#[test]
fn values_that_are_not_finite_are_found_wherever_they_are() {
    for (dtype, nan, infinity) in [
        ("F32", f32::NAN.to_le_bytes().to_vec(), f32::NEG_INFINITY.to_le_bytes().to_vec()),
        ("F16", f16::NAN.to_le_bytes().to_vec(), f16::NEG_INFINITY.to_le_bytes().to_vec()),
        ("BF16", bf16::NAN.to_le_bytes().to_vec(), bf16::NEG_INFINITY.to_le_bytes().to_vec()),
    ] {
        let width = nan.len();
        for at in [0usize, 1, 4095, 4096, 8191, 8999] {
            for (planted, word) in [(&nan, "NaN"), (&infinity, "-inf")] {
                let mut bytes = vec![0; 9000 * width];
                assert!(raw(dtype, &bytes, 9000).read_f32("w").is_ok());
                bytes[at * width..][..width].copy_from_slice(planted);
                let error = raw(dtype, &bytes, 9000).read_f32("w").unwrap_err();
                let expected = format!("raw: tensor `w` holds {word} at index {at}: ");
                assert!(error.to_string().starts_with(&expected), "{error}");
            }
        }
    }
}

#[test]
fn types_that_hold_no_weights_are_refused_by_name() {
    for (dtype, width) in [("I8", 1), ("U8", 1), ("I64", 8), ("BOOL", 1), ("F8_E4M3", 1)] {
        let error = raw(dtype, &vec![0; width * 3], 3).read_f32("w").unwrap_err();
        let expected =
            format!("raw: tensor `w` is stored as {dtype}: store it as F32, F16, BF16 or F64");
        assert_eq!(error.to_string(), expected);
    }
    let doubles = [0.1_f64, -1e-50, 16777217.0, 3.0e38];
    let bytes: Vec<u8> = doubles.iter().flat_map(|value| value.to_le_bytes()).collect();
    let rounded = [0.1_f32, -0.0, 16777216.0, 3.0e38];
    assert_eq!(raw("F64", &bytes, 4).read_f32("w").unwrap(), rounded);
    let error = raw("F64", &1e39_f64.to_le_bytes(), 1).read_f32("w").unwrap_err();
    assert!(matches!(error, WeightsError::NonFinite { index: 0, .. }), "{error}");
    let file = raw("F32", &[0; 12], 3);
    let error = file.tensor("w", DType::U8, &Device::Cpu).unwrap_err();
    assert!(matches!(error, WeightsError::TargetDtype { dtype: "u8" }), "{error}");
    let error = file.read_f32("v").unwrap_err();
    assert!(matches!(error, WeightsError::NoTensor { .. }), "{error}");
}

#[test]
fn narrowing_rounds_and_refuses_what_does_not_fit() {
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let file = raw("F32", &bytes(&[1.0, 65504.0, 65519.0, 1e-9]), 4);
    let tensor = file.tensor("w", DType::F16, &Device::Cpu).unwrap();
    assert_eq!(tensor.dims(), [4]);
    let expected = [1.0, 65504.0, 65504.0, 0.0].map(f16::from_f32);
    assert_eq!(tensor.to_vec1::<f16>().unwrap(), expected);

    let file = raw("F32", &bytes(&[1.0, 65520.0]), 2);
    let error = file.tensor("w", DType::F16, &Device::Cpu).unwrap_err();
    assert_eq!(
        error.to_string(),
        "raw: tensor `w` holds 65520 at index 1, beyond the range of f16: load it as f32"
    );
    assert!(file.tensor("w", DType::BF16, &Device::Cpu).is_ok());
    let file = raw("F32", &bytes(&[f32::MAX]), 1);
    assert!(matches!(
        file.tensor("w", DType::BF16, &Device::Cpu),
        Err(WeightsError::Overflow { .. })
    ));
}

#[test]
fn the_digest_is_sha256() {
    let empty = Checkpoint::from_bytes("empty", file("{}", 0)).unwrap();
    // printf '\2\0\0\0\0\0\0\0{}' | sha256sum
    let digest = "411a485216e432ece6b9af94fa32154cf79a2a56d4f81266baa50063f45092bd";
    assert_eq!(empty.digest(), digest);
}

const VALUES: [f32; 6] = [0.0, -0.0, 1.5, -2.25, 1e-40, 3e38];

#[test]
fn what_is_written_is_read_by_us_and_by_the_reference_crate() {
    let pixels: Vec<u8> = (0..12).collect();
    let halves = [f16::from_f32(0.1), f16::MAX];
    let tensors = [
        NamedTensor { name: "pixels", shape: &[1, 2, 2, 3], values: Values::U8(&pixels) },
        NamedTensor { name: "a \"quoted\" näme", shape: &[2, 3], values: Values::F32(&VALUES) },
        NamedTensor { name: "halves", shape: &[2], values: Values::F16(&halves) },
        NamedTensor { name: "scalar", shape: &[], values: Values::F32(&[7.0]) },
        NamedTensor { name: "none", shape: &[0, 3], values: Values::F32(&[]) },
    ];
    let metadata =
        BTreeMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), "\"1\"".to_owned())]);
    let bytes = serialize(&tensors, &metadata).unwrap();
    let mut turned = tensors;
    turned.reverse();
    assert_eq!(serialize(&turned, &metadata).unwrap(), bytes);

    let theirs = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(theirs.len(), 5);
    assert_eq!(theirs.tensor("pixels").unwrap().data(), pixels);
    assert_eq!(theirs.tensor("pixels").unwrap().shape(), [1, 2, 2, 3]);
    let (length, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(length % 8, 0);
    assert_eq!(header.metadata().as_ref().unwrap()["a"], "\"1\"");

    let ours = Checkpoint::from_bytes("ours", bytes).unwrap();
    assert_eq!(ours.metadata(), &metadata);
    let widest_first = ["a \"quoted\" näme", "none", "scalar", "halves", "pixels"];
    assert!(ours.names().eq(widest_first));
    assert_eq!(ours.shape("pixels"), Some(&[1, 2, 2, 3][..]));
    assert_eq!(ours.dtype("pixels").as_deref(), Some("U8"));
    let read = ours.read_f32("a \"quoted\" näme").unwrap();
    assert!(read.iter().zip(VALUES).all(|(a, b)| a.to_bits() == b.to_bits()));
    assert_eq!(ours.read_f32("halves").unwrap(), halves.map(f16::to_f32));
    assert_eq!(ours.read_f32("scalar").unwrap(), [7.0]);
    assert_eq!(ours.read_f32("none").unwrap(), [0f32; 0]);
}

#[test]
fn what_the_reference_crate_writes_is_read() {
    let bytes: Vec<u8> = VALUES.iter().flat_map(|v| v.to_le_bytes()).collect();
    let view =
        safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![3, 2], &bytes).unwrap();
    let written = safetensors::serialize([("w", view)], None).unwrap();
    let read = Checkpoint::from_bytes("theirs", written).unwrap();
    assert_eq!(read.read_f32("w").unwrap(), VALUES);
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn writing_replaces_whole_files_and_leaves_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.safetensors");
    let write = |values: &[f32], shape: &[usize]| {
        let tensor = NamedTensor { name: "w", shape, values: Values::F32(values) };
        write_safetensors(&path, &[tensor], &BTreeMap::new())
    };
    write(&[1.0, 2.0], &[2]).unwrap();
    let old = Checkpoint::open(&path).unwrap();
    write(&[3.0], &[1]).unwrap();
    // The older memory map still shows the older file.
    assert_eq!(old.read_f32("w").unwrap(), [1.0, 2.0]);
    assert_eq!(Checkpoint::open(&path).unwrap().read_f32("w").unwrap(), [3.0]);
    assert_eq!(names_in(folder.path()), ["out.safetensors"]);

    let error = write(&[3.0], &[2]).unwrap_err();
    assert!(matches!(error, WeightsError::WriteShape { values: 1, .. }), "{error}");
    let error = write(&[3.0], &[usize::MAX, 2]).unwrap_err();
    assert!(matches!(error, WeightsError::WriteShape { .. }), "{error}");
    assert_eq!(Checkpoint::open(&path).unwrap().read_f32("w").unwrap(), [3.0]);
}

#[test]
fn writing_where_no_file_can_be_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &Path| {
        let tensor = NamedTensor { name: "w", shape: &[], values: Values::U8(&[1]) };
        write_safetensors(path, &[tensor], &BTreeMap::new())
    };
    let taken = folder.path().join("folder");
    std::fs::create_dir(&taken).unwrap();
    for path in [taken.clone(), folder.path().join("none/out"), taken.join("..")] {
        assert!(matches!(write(&path), Err(WeightsError::Write { .. })), "{path:?}");
    }
    assert_eq!(names_in(folder.path()), ["folder"]);
    #[cfg(unix)]
    {
        // Takes the place of /dev/null, which a rename would replace.
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(matches!(write(&socket), Err(WeightsError::Write { .. })));
        assert!(!socket.metadata().unwrap().is_file());
    }
    assert!(names_in(&taken).is_empty());
}

#[test]
fn names_that_are_taken_are_refused() {
    let w = NamedTensor { name: "w", shape: &[], values: Values::U8(&[1]) };
    let metadata = NamedTensor { name: "__metadata__", ..w };
    for (tensors, name) in [(vec![w, w], "w"), (vec![metadata], "__metadata__")] {
        let error = serialize(&tensors, &BTreeMap::new()).unwrap_err();
        assert!(matches!(&error, WeightsError::WriteTwice { tensor } if tensor == name), "{error}");
    }
}

#[test]
fn header_errors_are_typed() {
    let error = parse(vec![0; 4]);
    assert!(matches!(
        error,
        WeightsError::Safetensors { source: SafetensorsError::TooShort { size: 4 }, .. }
    ));
}
