//! Compares transformers' folders with transformers' pipeline, recorded by
//! `tests/parity/transformers`.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use effnet::labels::ClassifierActivation;
use effnet::preprocess::Pipeline;
use effnet::pretrained::{ModelConfig, SizeChoice, ValueSource};
use effnet::{Model, ModelBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn folder(name: &str) -> PathBuf {
    Path::new("tests/data/transformers").join(name)
}

fn goldens() -> serde_json::Map<String, Value> {
    let text = std::fs::read_to_string(folder("goldens.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn classifier(name: &str) -> ModelBuilder {
    Model::builder().model(folder(name).to_str().unwrap()).weights("seeded:0")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn folders_answer_as_transformers_pipeline() {
    let goldens = goldens();
    assert_eq!(goldens.len(), 6);
    for (name, images) in &goldens {
        let classifier = classifier(name).build_classifier().unwrap();
        let preprocessor = classifier_preprocessor(name);
        for golden in images.as_array().unwrap() {
            let image = golden["image"].as_str().unwrap();
            let what = format!("{name}: {image}");
            let pixels = classifier.pixels(image).unwrap();
            if let Some(expected) = golden["pixels"].as_str() {
                let mut digest = String::new();
                Sha256::digest(pixels.data())
                    .iter()
                    .for_each(|b| write!(digest, "{b:02x}").unwrap());
                assert_eq!(digest, expected, "{what}: the bytes before normalization");
            }
            let shape: Vec<usize> = serde_json::from_value(golden["shape"].clone()).unwrap();
            assert_eq!(shape, [3, pixels.height(), pixels.width()], "{what}");
            let input = preprocessor.input(image).unwrap();
            let (h, w) = (shape[1], shape[2]);
            let at = [0, (h + 5) * w + 7, 3 * h * w - 1];
            for (index, expected) in at.into_iter().zip(numbers(&golden["input"])) {
                let off = (f64::from(input[index]) - expected).abs();
                assert!(
                    off < 1e-5 * expected.abs().max(1.0),
                    "{what}: {} {expected}",
                    input[index]
                );
            }
            let expected = numbers(&golden["logits"]);
            let logits = classifier.logits(image).unwrap();
            let largest = expected.iter().fold(0f64, |max, v| max.max(v.abs()));
            assert_eq!(logits.len(), expected.len());
            for (ours, theirs) in logits.iter().zip(&expected) {
                let off = (f64::from(*ours) - theirs).abs();
                assert!(off <= 1e-4 * largest, "{what}: {logits:?} {expected:?}");
            }
            let regression = classifier.provenance().activation.value == ClassifierActivation::None;
            for prediction in classifier.classify(image, 5).unwrap() {
                let label = prediction.label.unwrap();
                let Some(score) = golden["scores"][&label].as_f64() else {
                    assert_eq!(label, "not spam");
                    continue;
                };
                let ours = if regression { Some(prediction.logit) } else { prediction.probability };
                assert!((f64::from(ours.unwrap()) - score).abs() < 1e-3, "{what}: {label}");
            }
        }
    }
}

fn classifier_preprocessor(name: &str) -> effnet::Preprocessor {
    classifier(name).build_preprocessor().unwrap()
}

#[test]
fn the_rows_and_values_are_found() {
    let read = |name: &str| ModelConfig::from_file(&folder(name).join("config.json")).unwrap();
    let b1 = read("efficientnet_other");
    assert_eq!(b1.architecture, "tf_efficientnet_b1");
    assert_eq!(b1.model_args.bn_eps, Some(0.01));
    assert_eq!(b1.model_args.act_layer.as_deref(), Some("relu"));
    assert_eq!(b1.activation.unwrap().value, ClassifierActivation::Sigmoid);
    assert_eq!(b1.labels().unwrap().unwrap().get(2).unwrap().label, "cup of coffee");
    let values = b1.pretrained_cfg.resolve(SizeChoice::Test);
    assert_eq!(values.pipeline, Pipeline::Transformers);
    assert_eq!(values.mean.source, ValueSource::PreprocessorConfig);
    assert_eq!(values.input_size.value, [3, 240, 240]);
    let v2 = read("mobilenet_v2_lanczos");
    assert_eq!((v2.architecture, v2.model_args.pad_type.as_deref()), ("mobilenetv2_035", Some("")));
    let v1 = read("mobilenet_v1");
    assert_eq!((v1.architecture, v1.channel_multiplier), ("mobilenetv1_100", Some(0.5)));
    // The training size, which transformers uses.
    let wrapper = read("timm_wrapper").pretrained_cfg.resolve(SizeChoice::Test);
    assert_eq!((wrapper.input_size.value, wrapper.crop_pct.value), ([3, 96, 96], 0.9));
}

/// The result of reading a folder's files with one value changed.
fn changed(name: &str, file: &str, key: &str, value: &Value) -> Result<ModelConfig, String> {
    let temporary = tempfile::tempdir().unwrap();
    for each in ["config.json", "preprocessor_config.json"] {
        let text = std::fs::read_to_string(folder(name).join(each)).unwrap();
        let mut json: Value = serde_json::from_str(&text).unwrap();
        if each == file {
            json[key] = value.clone();
        }
        std::fs::write(temporary.path().join(each), json.to_string()).unwrap();
    }
    let config = ModelConfig::from_file(&temporary.path().join("config.json"));
    config.map_err(|error| error.to_string())
}

#[test]
fn what_no_row_has_is_refused_by_name() {
    let (config, processor) = ("config.json", "preprocessor_config.json");
    for (name, file, key, value) in [
        ("efficientnet_published", config, "width_coefficient", json!(1.7)),
        ("efficientnet_published", config, "kernel_sizes", json!([3, 3, 3, 3, 3, 3, 3])),
        ("efficientnet_published", config, "hidden_dim", json!(1536)),
        ("efficientnet_published", config, "hidden_act", json!("celu")),
        ("efficientnet_published", config, "pooling_type", json!("max")),
        ("efficientnet_published", config, "depthwise_padding", json!([1])),
        ("efficientnet_published", config, "batch_norm_eps", json!(-1.0)),
        ("efficientnet_published", config, "num_labels", json!(7)),
        (
            "efficientnet_published",
            config,
            "architectures",
            json!(["EfficientNetForObjectDetection"]),
        ),
        ("efficientnet_published", config, "image_size", json!("large")),
        ("efficientnet_published", processor, "image_processor_type", json!("ViTImageProcessor")),
        ("efficientnet_published", processor, "resample", json!(5)),
        ("efficientnet_published", processor, "do_resize", json!(false)),
        ("efficientnet_published", processor, "size", json!({"longest_edge": 224})),
        ("efficientnet_published", processor, "size", json!({"shortest_edge": 224})),
        ("efficientnet_published", processor, "rescale_factor", json!(0.0)),
        ("efficientnet_other", processor, "crop_size", json!({"height": 240, "width": 120})),
        ("mobilenet_v2", config, "depth_multiplier", json!(0.6)),
        ("mobilenet_v2", config, "output_stride", json!(16)),
        ("mobilenet_v2_lanczos", config, "finegrained_output", json!(false)),
        ("mobilenet_v1", config, "depth_multiplier", json!(0.0)),
    ] {
        let error = changed(name, file, key, &value).unwrap_err();
        assert!(error.contains(file) && error.contains(key), "{key} = {value}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
    // At 288 pixels all maps are even, as the list says; at 300 one is odd.
    let size = |side: usize| json!({"height": side, "width": side});
    let read = |side| changed("efficientnet_published", processor, "size", &size(side));
    assert_eq!(read(288).unwrap().pretrained_cfg.input_size, Some([3, 288, 288]));
    assert!(read(300).unwrap_err().contains("depthwise_padding"));
    // One number is a square for EfficientNet; a headless model has no classes.
    let square = changed("efficientnet_published", processor, "size", &json!(256)).unwrap();
    assert_eq!(square.pretrained_cfg.input_size, Some([3, 256, 256]));
    let headless =
        changed("efficientnet_published", config, "architectures", &json!(["EfficientNetModel"]));
    assert_eq!(headless.unwrap().num_classes, 0);
    // Older files name the class that existed then.
    let fast = json!("EfficientNetImageProcessorFast");
    assert!(changed("efficientnet_published", processor, "image_processor_type", &fast).is_ok());
}

#[test]
fn without_a_processor_images_are_prepared_as_for_the_published_models() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("config.json");
    std::fs::copy(folder("mobilenet_v1").join("config.json"), &file).unwrap();
    let config = ModelConfig::from_file(&file).unwrap();
    assert!(config.notes[0].contains("no preprocessor_config.json beside it"));
    let values = config.pretrained_cfg.resolve(SizeChoice::Test);
    assert_eq!((values.input_size.value, values.mean.value), ([3, 160, 160], vec![0.5]));
}
