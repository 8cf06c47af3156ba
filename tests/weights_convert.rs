//! Checkpoints of other libraries, from the file to the logits, and from one convention to another.

#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use effnet::conventions::{Convention, Conversion, Dtype, recognize};
use effnet::pretrained::{ModelConfig, ValueSource};
use effnet::weights::{Checkpoint, NamedTensor, Values, bundled, write_safetensors};
use effnet::{Error, Model};

#[path = "weights_support/generated.rs"]
mod generated;

use generated::generated;

const SMALL: (&str, &str) = ("torchvision", "mobilenet_v3_small");

fn logits(classifier: &Model) -> Vec<f32> {
    classifier.logits("examples/images/coffee.png").unwrap()
}

fn classifier(weights: &Path) -> Model {
    Model::builder().weights(weights.to_str().unwrap()).build().unwrap()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn a_torchvision_file_computes_and_prepares_images_as_torchvision_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = generated(folder.path(), SMALL, 1000, str::to_owned);
    let found = classifier(&file);
    let provenance = found.provenance();
    assert_eq!(provenance.model, "mobilenetv3_small_100");
    let note = provenance.notes.last().unwrap();
    assert!(
        note.ends_with(
            "mobilenet_v3_small of torchvision, which computes as mobilenetv3_small_100 with \
             bn_eps=0.001; images are prepared as torchvision does"
        ),
        "{note}"
    );
    let preprocessing = &provenance.preprocessing;
    assert_eq!(preprocessing.crop_pct.value, 0.875);
    assert_eq!(preprocessing.interpolation.value, "bilinear");
    assert_eq!(preprocessing.interpolation.source, ValueSource::Convention("interpolation"));
    assert!(found.labels().is_some());

    // The same from a timm folder, whose config.json says what is different.
    let checkpoint = Checkpoint::open(&file).unwrap();
    let recognized = recognize(&checkpoint, None, None).unwrap();
    let conversion = Conversion::new(&checkpoint, &recognized, "timm").unwrap();
    assert_eq!(conversion.ignored(), ["features.0.1.num_batches_tracked"]);
    assert_eq!(conversion.differences(), ["bn_eps 1e-5 for 1e-3"]);
    let model = folder.path().join("model");
    conversion.write_folder(&model, Dtype::F32).unwrap();
    let config = ModelConfig::from_file(&model.join("config.json")).unwrap();
    assert_eq!(config.architecture, "mobilenetv3_small_100");
    assert_eq!(config.model_args.bn_eps, Some(1e-3));
    assert_eq!(config.pretrained_cfg.pool_size, Some(vec![7, 7]));
    let timm = Model::builder().model(model.to_str().unwrap()).build().unwrap();
    assert_eq!(logits(&timm), logits(&found));
    let ours = timm.provenance().preprocessing.crop_pct.clone();
    assert_eq!((ours.value, ours.source), (0.875, ValueSource::ConfigJson("crop_pct")));

    // Without it the row's own epsilon is used, which shows.
    let bare = Model::builder()
        .model("mobilenetv3_small_100")
        .weights(model.join("model.safetensors").to_str().unwrap())
        .build()
        .unwrap();
    let images = vec![0.5_f32; 3 * 64 * 64];
    let run = |model: &Model| {
        let images = effnet::engine::Images::new(&images, [1, 3, 64, 64]).unwrap();
        model.run(images, &["logits"]).unwrap().take("logits").unwrap().data
    };
    assert_eq!(run(&timm), run(&found));
    let scale = run(&found).iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    assert!(largest_difference(&run(&bare), &run(&found)) > 1e-3 * scale);
}

#[test]
fn an_architecture_is_taken_at_its_word() {
    let folder = tempfile::tempdir().unwrap();
    let file = generated(folder.path(), SMALL, 1000, str::to_owned);
    let build = |model: &str| {
        let builder = Model::builder().model(model).weights(file.to_str().unwrap());
        builder.build().map_err(Box::new)
    };
    let named = build("mobilenetv3_small_100").unwrap();
    assert_eq!(logits(&named), logits(&classifier(&file)));
    let error = build("tf_mobilenetv3_small_100").unwrap_err();
    assert!(matches!(*error, Error::Convert(_)));
    let error = error.to_string();
    assert!(
        error.ends_with(
            "these are the weights of mobilenet_v3_small of torchvision, which computes as \
             mobilenetv3_small_100, not as tf_mobilenetv3_small_100: name mobilenetv3_small_100, \
             or no model"
        ),
        "{error}"
    );
}

#[test]
fn a_classifier_of_another_size_is_told_of_in_any_layout() {
    let folder = tempfile::tempdir().unwrap();
    let file = generated(folder.path(), ("tensorflow", "efficientnet-lite0"), 7, str::to_owned);
    assert_eq!(classifier(&file).num_classes(), 7);
    let build = |builder: effnet::ModelBuilder| {
        let builder = builder.model("tf_efficientnet_lite0").weights(file.to_str().unwrap());
        builder.build().map_err(Box::new)
    };
    // The file says how many classes there are; another number is refused.
    for builder in [Model::builder(), Model::builder().num_classes(7)] {
        assert_eq!(build(builder).unwrap().num_classes(), 7);
    }
    let error = build(Model::builder().num_classes(1000)).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "has 7 classes, the model was built for 1000: set `ModelBuilder::num_classes` to 7"
        ),
        "{error}"
    );
}

#[test]
fn a_background_class_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    for (library, model) in
        [("transformers", "mobilenet_v1_0.25_128"), ("tensorflow", "mobilenet_v1_0.25_224")]
    {
        let file = generated(folder.path(), (library, model), 1001, str::to_owned);
        let without = classifier(&file);
        assert_eq!(without.num_classes(), 1000);
        let checkpoint = Checkpoint::open(&file).unwrap();
        let recognized = recognize(&checkpoint, None, None).unwrap();
        let to = if library == "transformers" { "tensorflow" } else { "transformers" };
        let other = folder.path().join("other.safetensors");
        let conversion = Conversion::new(&checkpoint, &recognized, to).unwrap();
        assert_eq!(conversion.differences(), [""; 0]);
        conversion.write(&other, Dtype::F32).unwrap();
        let other = classifier(&other);
        let images = vec![0.25_f32; 3 * 64 * 64];
        let run = |model: &Model| {
            let images = effnet::engine::Images::new(&images, [1, 3, 64, 64]).unwrap();
            model.run(images, &["logits"]).unwrap().take("logits").unwrap().data
        };
        assert_eq!(run(&other), run(&without));
        // The file's first class is not among the logits; its bias is the background's.
        let name = if library == "transformers" {
            "classifier.bias"
        } else {
            "MobilenetV1/Logits/Conv2d_1c_1x1/biases"
        };
        let bias = checkpoint.read_f32(name).unwrap();
        let kept = recognized.renaming.mapped("classifier.bias").unwrap();
        assert_eq!(kept.to_canonical(bias.clone()), bias[1..]);
    }
}

#[test]
fn wrappers_are_taken_off_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let plain = logits(&classifier(&generated(folder.path(), SMALL, 1000, str::to_owned)));
    for (prefix, notes) in [
        ("module.", &["the prefix module. was taken off 211 names"][..]),
        ("_orig_mod.", &["the prefix _orig_mod. was taken off 211 names"]),
        ("model.", &["the weights are those under `model`"]),
        ("state_dict.model.", &["under `state_dict`", "under `model`"]),
        ("model_ema.module.", &["under `model_ema`", "prefix module."]),
        ("state_dict_ema._orig_mod.module.", &["`state_dict_ema`", "_orig_mod.", "module."]),
    ] {
        let file = generated(folder.path(), SMALL, 1000, |name| format!("{prefix}{name}"));
        let found = classifier(&file);
        assert_eq!(logits(&found), plain, "{prefix}");
        let said = found.provenance().notes.join("\n");
        assert!(notes.iter().all(|note| said.contains(note)), "{prefix}: {said}");
    }
}

fn small_file(folder: &Path, tensors: &[(&str, f32)]) -> Checkpoint {
    let values: Vec<[f32; 1]> = tensors.iter().map(|(_, value)| [*value]).collect();
    let named: Vec<_> = tensors
        .iter()
        .zip(&values)
        .map(|((name, _), value)| NamedTensor { name, shape: &[1], values: Values::F32(value) })
        .collect();
    let path = folder.join("small.safetensors");
    write_safetensors(&path, &named, &BTreeMap::new()).unwrap();
    Checkpoint::open(&path).unwrap()
}

#[test]
fn averages_win_and_what_stands_beside_them_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let file = small_file(
        folder.path(),
        &[("model.a", 1.0), ("model_ema.module.a", 2.0), ("optimizer.a", 3.0)],
    );
    assert_eq!(file.names().collect::<Vec<_>>(), ["a"]);
    assert_eq!(file.read_f32("a").unwrap(), [2.0]);
    let note = file.note().unwrap();
    assert!(note.contains("those under `model_ema`, without 2 tensors beside them"), "{note}");

    let average = "b/gamma/ExponentialMovingAverage";
    let file = small_file(folder.path(), &[("b/gamma", 1.0), (average, 2.0), ("c", 3.0)]);
    assert_eq!(file.read_f32("b/gamma").unwrap(), [2.0]);
    assert_eq!(file.read_f32("c").unwrap(), [3.0]);
    assert_eq!(file.names().len(), 2);
    assert!(file.note().unwrap().contains("in the place of 1 variables"));

    // PyTorch's AveragedModel has a counter beside its module.
    let file = small_file(folder.path(), &[("n_averaged", 9.0), ("module.a", 1.0)]);
    assert_eq!(file.names().collect::<Vec<_>>(), ["a"]);
    // Two names never become the same name.
    let file = small_file(folder.path(), &[("a", 1.0), ("module.a", 2.0)]);
    assert_eq!(file.names().len(), 2);
    assert_eq!(file.note(), None);
}

#[test]
fn real_weights_go_through_every_convention_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let start = bundled().unwrap();
    let mut checkpoint = start.clone();
    let mut visited = 0;
    let all: Vec<_> = Convention::names().filter(|name| *name != "timm").collect();
    for to in all.into_iter().chain(["timm"]) {
        let recognized = recognize(&checkpoint, None, None).unwrap();
        assert_eq!(recognized.model.timm, "tf_efficientnet_lite0", "before {to}");
        let Ok(conversion) = Conversion::new(&checkpoint, &recognized, to) else { continue };
        assert_eq!(conversion.differences(), [""; 0], "{to}");
        let file = folder.path().join(format!("{to}.safetensors"));
        conversion.write(&file, Dtype::F32).unwrap();
        checkpoint = Checkpoint::open(&file).unwrap();
        visited += 1;
    }
    assert!(visited >= 3);
    assert_eq!(checkpoint.names().len(), start.names().len());
    for name in start.names() {
        assert_eq!(checkpoint.shape(name), start.shape(name));
        assert_eq!(checkpoint.read_f32(name).unwrap(), start.read_f32(name).unwrap(), "{name}");
    }
}

#[test]
fn half_precision_rounds_and_a_value_beyond_it_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = generated(folder.path(), SMALL, 10, str::to_owned);
    let checkpoint = Checkpoint::open(&file).unwrap();
    let recognized = recognize(&checkpoint, None, None).unwrap();
    let conversion = Conversion::new(&checkpoint, &recognized, "timm").unwrap();
    for (dtype, name, bound) in
        [(Dtype::F16, "F16", 1.0 / 2048.0), (Dtype::Bf16, "BF16", 1.0 / 256.0)]
    {
        let out = folder.path().join("half.safetensors");
        conversion.write(&out, dtype).unwrap();
        let half = Checkpoint::open(&out).unwrap();
        assert_eq!(half.dtype("conv_head.weight").as_deref(), Some(name));
        let stored = half.read_f32("conv_head.weight").unwrap();
        let exact = checkpoint.read_f32("classifier.0.weight").unwrap();
        let close = |(a, b): (&f32, &f32)| (a - b).abs() <= bound * b.abs() + 1e-7;
        assert!(stored.iter().zip(&exact).all(close), "{name}");
        assert_ne!(stored, exact);
    }

    let bundled = bundled().unwrap();
    let recognized = recognize(&bundled, None, None).unwrap();
    let conversion = Conversion::new(&bundled, &recognized, "tensorflow").unwrap();
    let out = folder.path().join("lite0.safetensors");
    conversion.write(&out, Dtype::F16).unwrap();
    // A value that f32 can hold and f16 cannot.
    let big = generated(folder.path(), SMALL, 10, str::to_owned);
    let mut bytes = std::fs::read(&big).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&1e30_f32.to_le_bytes());
    std::fs::write(&big, bytes).unwrap();
    let checkpoint = Checkpoint::open(&big).unwrap();
    let recognized = recognize(&checkpoint, None, None).unwrap();
    let conversion = Conversion::new(&checkpoint, &recognized, "timm").unwrap();
    let out = folder.path().join("never.safetensors");
    let error = conversion.write(&out, Dtype::F16).unwrap_err().to_string();
    assert!(error.contains("holds 1") && error.contains("beyond the range of f16"), "{error}");
    assert!(!out.exists());
}
