//! Keras files with weights alone, of whole networks followed by a user's layers.
//! `tests/parity/keras/alone.py` had Keras save them and compute the answers.

#![allow(clippy::unwrap_used)]

use std::io::Read;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use effnet::conventions::{ConvertError, recognize};
use effnet::models::EfficientNet;
use effnet::weights::{Checkpoint, load, seeded::Uniform};
use serde::Deserialize;

#[derive(Deserialize)]
struct Goldens {
    input: [usize; 4],
    logits: std::collections::BTreeMap<String, Vec<f32>>,
}

fn open(name: &str) -> Checkpoint {
    let name = format!("{name}.weights.h5");
    let packed =
        std::fs::File::open(Path::new("tests/data/keras/alone").join(format!("{name}.gz")));
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed.unwrap()).read_to_end(&mut bytes).unwrap();
    Checkpoint::from_bytes(name, bytes).unwrap()
}

#[test]
fn a_batch_norm_before_the_classifier_is_folded_and_told_of() {
    let text = std::fs::read_to_string("tests/data/keras/alone/goldens.json").unwrap();
    let goldens: Goldens = serde_json::from_str(&text).unwrap();
    let uniform = Uniform::new(0, "input");
    let count = goldens.input.iter().product();
    let values: Vec<f32> = (0..count).map(|i| (2.0 * uniform.at(i)) as f32).collect();
    let input = Tensor::from_vec(values, &goldens.input, &Device::Cpu).unwrap();
    for (name, norm) in [
        ("nested", "batch_normalization"),
        ("flat", "batch_normalization"),
        ("unnamed", "batch_normalization_27"),
        ("unnamed_nested", "layers/batch_normalization"),
    ] {
        let checkpoint = open(name);
        let found = recognize(&checkpoint, None, None).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(found.model.name.starts_with("MobileNet-0.25"), "{name}: {}", found.model.name);
        assert_eq!(found.network.num_classes, 5);
        let notes = found.notes.join("\n");
        let note = format!("`{norm}` was folded into the classifier, with the epsilon 1e-3");
        // Keras numbers the layers of a process.
        let note = if name.starts_with("unnamed") { note } else { "was folded into".to_owned() };
        assert!(notes.contains(&note), "{name}: {notes}");
        let build = |vb: candle_nn::VarBuilder<'_>| EfficientNet::new(&found.network, &vb);
        let (network, _) =
            load(&checkpoint, Some(&found.renaming), DType::F32, &Device::Cpu, build).unwrap();
        let logits = network.forward(&input, false).unwrap().flatten_all().unwrap();
        let logits: Vec<f32> = logits.to_vec1().unwrap();
        let expected = &goldens.logits[name];
        assert_eq!(logits.len(), expected.len());
        let largest = expected.iter().fold(0f32, |most, logit| most.max(logit.abs()));
        for (ours, theirs) in logits.iter().zip(expected) {
            assert!((ours - theirs).abs() <= 1e-4 * largest, "{name}: {ours} {theirs}");
        }
    }
}

/// A norm that may be before or after the classifier, and a norm of another kind.
#[test]
fn what_such_a_file_does_not_say_is_asked_of_a_whole_one() {
    for (name, shown) in [("square", "[256, 256]"), ("layer_norm", "`layer_normalization")] {
        let error = recognize(&open(name), None, None).unwrap_err();
        assert!(matches!(error, ConvertError::LeftOver { .. }), "{error}");
        let error = error.to_string();
        assert!(
            error.contains(shown) && error.ends_with("save the whole model, as .keras"),
            "{error}"
        );
    }
}
