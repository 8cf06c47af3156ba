//! Keras files give the same tensors as safetensors files, or are refused in one line.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "weights_support/difference.rs"]
mod difference;

use std::path::{Path, PathBuf};

use difference::difference;
use effnet::labels::ClassifierActivation;
use effnet::weights::{Checkpoint, WeightsError, seeded::Uniform};

fn path(name: &str) -> PathBuf {
    Path::new("tests/data/keras").join(name)
}

fn open(name: &str) -> Checkpoint {
    Checkpoint::open(path(name)).unwrap_or_else(|error| panic!("{error}"))
}

/// Why a file is refused.
fn refusal(name: &str) -> String {
    let error = match Checkpoint::open(path(name)) {
        Err(error) => error,
        // Chunks are read only when they are needed.
        Ok(file) => file.read_f32("layer/kernel").unwrap_err(),
    };
    let error = error.to_string();
    assert!(error.contains(name) && error.len() < 400 && !error.contains('\n'), "{error}");
    error
}

#[test]
fn every_kind_of_file_holds_the_tensors_of_the_safetensors_file() {
    let expected = open("plain.safetensors");
    assert_eq!(expected.names().len(), 14);
    for (name, dtype, note) in [
        ("plain.keras", "F32", Some("tensors of the optimizer were left out")),
        ("plain.weights.h5", "F32", Some("tensors of the optimizer were left out")),
        ("unnamed.keras", "F32", Some("tensors of the optimizer were left out")),
        ("whole.h5", "F32", Some("tensors of the optimizer were left out")),
        ("weights.h5", "F32", None),
        ("keras2.h5", "F32", None),
        ("chunked.h5", "F32", None),
        ("gzip.h5", "F32", None),
        ("half.h5", "F16", None),
    ] {
        let found = open(name);
        assert_eq!(difference(&found, &expected), None, "{name}");
        assert_eq!(found.dtype("stem_conv/kernel").as_deref(), Some(dtype), "{name}");
        match note {
            None => assert_eq!(found.note(), None, "{name}"),
            Some(note) => assert!(found.note().unwrap().contains(note), "{:?}", found.note()),
        }
    }
    let latest = open("latest.h5");
    assert_eq!(latest.names().len(), 2);
    for name in latest.names() {
        assert_eq!(latest.read_f32(name).unwrap(), expected.read_f32(name).unwrap());
    }
}

#[test]
fn a_network_inside_another_keeps_its_layers_names() {
    let expected = open("nested.safetensors");
    for name in ["nested.keras", "nested.weights.h5", "nested.h5"] {
        let found = open(name);
        assert_eq!(difference(&found, &expected), None, "{name}");
        // Its layers divide by 255 and normalize, with stored variances.
        let normalization = found.normalization().unwrap();
        assert_eq!(normalization.mean.map(|mean| mean as f32), [0.5, 0.25, 0.125], "{name}");
        assert_eq!(normalization.std.map(|std| std as f32), [0.5, 0.25, 1.0], "{name}");
    }
    assert_eq!(open("plain.keras").normalization(), None);
    assert!(expected.shape("mine/kernel").is_some() && expected.shape("stem_bn/beta").is_some());
}

/// Before Keras 3.6, such a file named its layers only by their groups.
#[test]
fn layers_without_names_go_by_their_groups() {
    let (named, numbered) = (open("plain.weights.h5"), open("unnamed_plain.weights.h5"));
    for (name, group) in [
        ("stem_conv/kernel", "conv2d/kernel"),
        ("top_conv/bias", "conv2d_1/bias"),
        ("block1a_dwconv/kernel", "depthwise_conv2d/kernel"),
        ("block1a_bn/moving_variance", "batch_normalization_1/moving_variance"),
        ("predictions/kernel", "dense/kernel"),
    ] {
        assert_eq!(named.read_f32(name).unwrap(), numbered.read_f32(group).unwrap(), "{name}");
    }
    assert_eq!(named.names().len(), numbered.names().len());
}

#[test]
fn the_comparison_notices_a_wrong_value_and_wrong_chunks() {
    let expected = open("plain.safetensors");
    let changed = |name: &str, from: &[u8], to: &[u8]| {
        let mut bytes = std::fs::read(path(name)).unwrap();
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to);
        Checkpoint::from_bytes(name, bytes).unwrap()
    };
    let floats = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let kernel = expected.read_f32("stem_conv/kernel").unwrap();
    let (from, mut to) = (floats(&kernel[..8]), floats(&kernel[..8]));
    to[0] ^= 1;
    let found = changed("plain.weights.h5", &from, &to);
    assert_eq!(difference(&found, &expected).as_deref(), Some("stem_conv/kernel"));
    // The start of a second chunk, changed to that of the first.
    let (from, to) = ([2_u64, 0].map(u64::to_le_bytes), [0_u64, 0].map(u64::to_le_bytes));
    let mut bytes = std::fs::read(path("chunked.h5")).unwrap();
    let at = bytes.windows(16).position(|window| window == from.as_flattened()).unwrap();
    bytes[at..at + 16].copy_from_slice(to.as_flattened());
    let error = Checkpoint::from_bytes("chunked.h5", bytes).unwrap_err().to_string();
    assert!(error.contains("has chunks that overlap or leave a gap"), "{error}");
}

#[test]
fn every_hostile_file_is_refused_at_once_and_by_name() {
    for (name, message) in [
        ("cyclic.h5", "its group `layer/again` was met before, or shares its members"),
        ("cyclic_latest.h5", "its group `layer/again` was met before, or shares its members with"),
        ("deep.h5", "too many groups in groups: more than 32"),
        ("int8.h5", "tensor `layer/kernel` is stored as I8: store it as F32, F16, BF16 or F64"),
        ("big_endian.h5", "tensor `layer/layer/kernel` is stored as big-endian numbers"),
        ("lzf.h5", "the compression filter 32000"),
        ("other.h5", "an HDF5 file without layers as Keras writes them"),
        ("never.h5", "tensor `layer/kernel` was never given values"),
        (
            "huge.h5",
            "tensor `layer/layer/kernel` has 12 bytes, but its shape and type need 4398046511104",
        ),
        (
            "huge_layout.h5",
            "tensor `layer/layer/kernel` needs 4398046511104 bytes, only 12 are there",
        ),
        ("huge_chunked.h5", "needs 4398046511104 bytes; more than 268435456 are refused"),
        ("large_chunk.h5", "tensor `layer/kernel` has chunks of the impossible shape [67108864]"),
        ("long_chunk.h5", "tensor `layer/layer/kernel` has a chunk that is longer packed"),
        ("bombs.h5", "its tensors have 83886080 bytes and the file "),
        ("unwritten.h5", "tensor `layer/kernel` has 0 chunks of 1024"),
        ("heap.h5", "a group with a fractal heap"),
        ("truncated.h5", "it was cut off"),
        ("truncated.keras", "a zip archive's last record is missing"),
        ("packed.keras", "its entry `model.weights.h5` is compressed"),
    ] {
        let error = refusal(name);
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn doubles_are_converted() {
    let file = open("double.h5");
    assert_eq!(file.dtype("layer/kernel").as_deref(), Some("F64"));
    assert_eq!(file.read_f32("layer/kernel").unwrap(), [0.0, 0.0]);
}

#[test]
fn a_small_file_of_a_large_tensor_is_read_when_it_is_asked_for() {
    let bomb = open("bomb.h5");
    assert_eq!(bomb.shape("layer/kernel"), Some(&[1 << 22][..]));
    assert!(bomb.read_f32("layer/kernel").unwrap().iter().all(|&value| value == 0.0));
}

/// Opens a file and reads all of it; whatever the result, it must not panic.
fn read_all(bytes: Vec<u8>) {
    if let Ok(file) = Checkpoint::from_bytes("damaged", bytes) {
        for name in file.names() {
            let _ = file.read_f32(name);
        }
    }
}

#[test]
fn every_cut_is_survived() {
    for name in ["keras2.h5", "gzip.h5", "latest.h5", "plain.keras"] {
        let whole = std::fs::read(path(name)).unwrap();
        for length in (0..whole.len()).step_by(61) {
            read_all(whole[..length].to_vec());
        }
    }
}

/// No change of a few bytes makes the reader panic, take long, or read outside the file.
#[test]
fn damage_anywhere_is_an_error_or_other_values() {
    for (seed, name) in
        ["plain.weights.h5", "keras2.h5", "gzip.h5", "chunked.h5", "latest.h5", "nested.keras"]
            .into_iter()
            .enumerate()
    {
        let whole = std::fs::read(path(name)).unwrap();
        let random = Uniform::new(seed as u64, name);
        let below = |i: usize, n: usize| ((random.at(i) + 1.0) / 2.0 * n as f64) as usize;
        for round in 0..1500 {
            let mut bytes = whole.clone();
            for change in 0..1 + round % 3 {
                let i = 10 * round + 3 * change;
                // The tables are near the beginning, where bytes are not zero.
                let at = below(i, if round % 2 == 0 { bytes.len() } else { 4096 });
                bytes[at] = match below(i + 1, 3) {
                    0 => bytes[at] ^ (1 << below(i + 2, 8)),
                    1 => 0xff,
                    _ => below(i + 2, 256) as u8,
                };
            }
            read_all(bytes);
        }
    }
}

#[test]
fn refusals_are_typed() {
    for (name, is_zip) in [("truncated.keras", true), ("truncated.h5", false)] {
        let error = Checkpoint::open(path(name)).unwrap_err();
        assert_eq!(matches!(error, WeightsError::Zip { .. }), is_zip, "{error}");
        assert_eq!(matches!(error, WeightsError::Keras { .. }), !is_zip, "{error}");
    }
}

/// The classifier of a file, with the layers between it and the features, is the linear map that
/// Keras computes.
#[test]
fn what_stands_between_features_and_classes_is_folded_into_the_classifier() {
    let expected = open("heads/expected.safetensors");
    for (name, dense_only, activation, size) in [
        ("norm.keras", false, ClassifierActivation::Softmax, [3, 8, 8]),
        ("norm.h5", false, ClassifierActivation::Softmax, [3, 8, 8]),
        ("bare_norm.keras", false, ClassifierActivation::None, [3, 8, 8]),
        ("bare_norm.h5", false, ClassifierActivation::None, [3, 8, 8]),
        ("one.keras", true, ClassifierActivation::Sigmoid, [3, 8, 8]),
        ("one.h5", true, ClassifierActivation::Sigmoid, [3, 8, 8]),
        ("resized.keras", true, ClassifierActivation::Softmax, [3, 10, 12]),
    ] {
        let file = open(&format!("heads/{name}"));
        let case = name.split('.').next().unwrap();
        for variable in ["kernel", "bias"] {
            let found = file.read_f32(&format!("mine/{variable}")).unwrap();
            let wanted = expected.read_f32(&format!("{case}/{variable}")).unwrap();
            assert_eq!(found.len(), wanted.len(), "{name}");
            for (found, wanted) in found.iter().zip(wanted) {
                assert!((found - wanted).abs() < 2e-6, "{name}: {found} and {wanted}");
            }
        }
        let mut names: Vec<_> = file.names().filter(|name| !name.starts_with("stem_")).collect();
        names.sort_unstable();
        assert_eq!(names, ["mine/bias", "mine/kernel"], "{name}");
        let note = file.note().unwrap_or_default();
        assert_eq!(note.contains("`features_bn` was folded into"), !dense_only, "{name}: {note}");
        assert_eq!(note.contains("has no bias, which is 0"), case == "bare_norm", "{name}: {note}");
        let declared = file.declared();
        assert_eq!(declared.activation.as_ref().unwrap().value, activation, "{name}");
        assert_eq!(declared.input_size.as_ref().unwrap().value, size, "{name}");
        let classes = declared.num_classes.as_ref().unwrap();
        let bias = file.shape("mine/bias").unwrap();
        assert_eq!((&[classes.value][..], &*classes.place), (bias, "layer `mine`"), "{name}");
    }
    for (name, activation) in [
        ("softmax.h5", ClassifierActivation::Softmax),
        ("sigmoid.h5", ClassifierActivation::Sigmoid),
    ] {
        let said = open(&format!("heads/{name}")).declared().activation.clone().unwrap();
        assert_eq!((said.value, &*said.place), (activation, "layer `mine`"), "{name}");
    }
    assert_eq!(open("plain.weights.h5").declared().activation, None);
    // The file does not say which of two layers is the classifier.
    let two = open("heads/two.h5");
    assert_eq!(two.declared().num_classes, None);
    assert!(two.shape("hidden/kernel").is_some() && two.shape("mine/kernel").is_some());
}

#[test]
fn a_head_that_is_not_one_linear_layer_is_refused_by_name() {
    for (name, message) in [
        ("largest.h5", "its layer `largest` is a GlobalMaxPooling2D: only the mean"),
        ("layer_norm.h5", "its layer `norm` is a LayerNormalization: after the network's"),
        ("relu.h5", "its layer `relu` is a ReLU: after the network's features"),
        ("tanh.h5", "its layer `mine` is a Dense: its activation \"tanh\" is not computed"),
    ] {
        let error = refusal(&format!("heads/{name}"));
        assert!(error.contains(message), "{error}");
    }
}
