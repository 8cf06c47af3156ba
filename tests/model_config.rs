//! `config.json`, as fine-tuned models have it.

#![allow(clippy::unwrap_used, clippy::panic)]

use effnet::labels::Label;
use effnet::pretrained::{ModelConfig, PretrainedError, SizeChoice, ValueSource};

fn read(json: &str) -> Result<ModelConfig, PretrainedError> {
    ModelConfig::from_slice(json.as_bytes(), "some/config.json".as_ref())
}

const NESTED: &str = r#"{
    "architecture": "tf_efficientnet_b4",
    "num_classes": 3,
    "num_features": 1792,
    "global_pool": "avg",
    "label_names": {"0": "leaf", "2": "stone", "1": "paper"},
    "label_descriptions": {"leaf": "of a tree", "paper": "of wood", "stone": "of a brook"},
    "model_args": {"bn_eps": 1e-05, "act_layer": "hard_swish", "drop_rate": 0.3, "pad_type": "same", "in_chans": null},
    "pretrained_cfg": {
        "tag": "mine", "custom_load": false, "input_size": [3, 380, 300], "test_input_size": [3, 400, 420],
        "fixed_input_size": false, "interpolation": "bilinear", "crop_pct": 0.922, "test_crop_pct": 0.95,
        "crop_mode": "squash", "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "num_classes": 1000,
        "pool_size": null, "first_conv": "conv_stem", "classifier": "classifier", "license": "mit",
        "paper_ids": ["arXiv:1905.11946"], "written_by": "a newer timm"
    }
}"#;

#[test]
fn nested_form() {
    let config = read(NESTED).unwrap();
    assert_eq!(config.architecture, "tf_efficientnet_b4");
    assert_eq!((config.num_classes, config.in_chans, config.num_features), (3, 3, Some(1792)));
    assert!(config.notes.is_empty());
    assert_eq!(config.model_args.bn_eps, Some(1e-5));
    assert_eq!(config.model_args.act_layer.as_deref(), Some("hard_swish"));
    assert_eq!(config.model_args.drop_rate, Some(0.3));
    assert_eq!(config.model_args.in_chans, None);
    assert_eq!(config.ignored_keys, ["pretrained_cfg.written_by"]);
    assert_eq!(config.pretrained_cfg.license.as_deref(), Some("mit"));
    let labels = config.labels().unwrap().unwrap();
    assert_eq!(
        labels.get(2).unwrap(),
        Label { synset: None, label: "stone", lemmas: "stone", definition: Some("of a brook") }
    );

    let test = config.pretrained_cfg.resolve(SizeChoice::Test);
    assert_eq!(test.input_size.value, [3, 400, 420]);
    assert_eq!(test.input_size.source, ValueSource::ConfigJson("test_input_size"));
    assert_eq!((test.crop_pct.value, test.crop_mode.value.as_str()), (0.95, "squash"));
    assert_eq!((test.mean.value, test.std.value), (vec![0.1, 0.2, 0.3], vec![0.4, 0.5, 0.6]));
    let train = config.pretrained_cfg.resolve(SizeChoice::Train);
    assert_eq!((train.input_size.value, train.crop_pct.value), ([3, 380, 300], 0.922));
}

#[test]
fn legacy_flat_form() {
    let config = read(
        r#"{"num_classes": 2, "input_size": [3, 224, 224], "pool_size": [7, 7], "crop_pct": 0.9,
            "interpolation": "bicubic", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5],
            "first_conv": "conv_stem", "classifier": "classifier", "labels": ["no", "yes"],
            "architecture": "tf_efficientnet_b0_ns", "num_features": 1280, "url": "", "hf_hub": "a/b"}"#,
    )
    .unwrap();
    assert_eq!((config.architecture, config.num_classes), ("tf_efficientnet_b0", 2));
    assert!(config.notes[0].contains("tf_efficientnet_b0_ns"));
    assert_eq!(config.ignored_keys, ["hf_hub"]);
    assert_eq!(config.pretrained_cfg.crop_pct, Some(0.9));
}

#[test]
fn what_is_not_said_has_timms_defaults() {
    let config = read(r#"{"architecture": "efficientnet_b0", "pretrained_cfg": {}}"#).unwrap();
    assert_eq!((config.num_classes, config.in_chans), (1000, 3));
    assert_eq!(config.labels().unwrap().unwrap().get(967).unwrap().label, "espresso");
    let resolved = config.pretrained_cfg.resolve(SizeChoice::Test);
    assert_eq!((resolved.input_size.value, resolved.crop_pct.value), ([3, 224, 224], 0.875));
    assert_eq!(resolved.interpolation.value, "bicubic");
    assert_eq!(resolved.mean.source, ValueSource::Default);
    // Without a classifier, and with an unknown number of classes.
    let config = read(r#"{"architecture": "efficientnet_b0", "num_classes": 0}"#).unwrap();
    assert_eq!(config.num_classes, 0);
    let config = read(r#"{"architecture": "efficientnet_b0", "num_classes": 17}"#).unwrap();
    assert!(config.labels().unwrap().is_none());
}

#[test]
fn input_channels() {
    let json = r#"{"architecture": "efficientnet_b0", "model_args": {"in_chans": 5, "num_classes": 4},
                   "pretrained_cfg": {"input_size": [3, 96, 96], "test_input_size": [3, 128, 128]}}"#;
    let config = read(json).unwrap();
    assert_eq!((config.in_chans, config.num_classes), (5, 4));
    assert_eq!(config.pretrained_cfg.test_input_size, Some([5, 128, 128]));
    assert_eq!(config.pretrained_cfg.resolve(SizeChoice::Test).input_size.value, [5, 128, 128]);
    let config =
        read(r#"{"architecture": "efficientnet_b0", "mean": [0.5], "std": [0.25]}"#).unwrap();
    assert_eq!(config.pretrained_cfg.resolve(SizeChoice::Test).std.value, [0.25]);
}

#[test]
fn bad_files_are_named_with_the_key() {
    let nested = |key: &str| {
        (
            format!(r#"{{"architecture": "efficientnet_b0", "pretrained_cfg": {{{key}}}}}"#),
            "pretrained_cfg.",
        )
    };
    let root = |key: &str| {
        (format!(r#"{{"architecture": "efficientnet_b0", {key}, "pretrained_cfg": {{}}}}"#), "")
    };
    let args = |key: &str| {
        (
            format!(r#"{{"architecture": "efficientnet_b0", "model_args": {{{key}}}}}"#),
            "model_args.",
        )
    };
    for ((json, prefix), key) in [
        (nested(r#""crop_pct": "0.9""#), "crop_pct"),
        (nested(r#""crop_pct": 0"#), "crop_pct"),
        (nested(r#""crop_pct": 1e-9"#), "crop_pct"),
        (nested(r#""test_crop_pct": -1"#), "test_crop_pct"),
        (nested(r#""input_size": [3, 224]"#), "input_size"),
        (nested(r#""input_size": [3, 224, 224, 1]"#), "input_size"),
        (nested(r#""input_size": [3, 0, 224]"#), "input_size"),
        (nested(r#""input_size": [3, 4000000000, 224]"#), "input_size"),
        (nested(r#""test_input_size": [0, 224, 224]"#), "test_input_size"),
        (nested(r#""input_size": [3, -224, 224]"#), "input_size"),
        (nested(r#""mean": 0.5"#), "mean"),
        (nested(r#""mean": []"#), "mean"),
        (nested(r#""std": [0.5, 0.0, 0.5]"#), "std"),
        (nested(r#""interpolation": "box""#), "interpolation"),
        (nested(r#""crop_mode": "middle""#), "crop_mode"),
        (nested(r#""num_classes": 1000000000000"#), "num_classes"),
        (nested(r#""label_offset": 1"#), "label_offset"),
        (nested(r#""custom_load": true"#), "custom_load"),
        (nested(r#""custom_load": "no""#), "custom_load"),
        (nested(r#""label_names": 3"#), "label_names"),
        (nested(r#""label_names": [1, 2]"#), "label_names"),
        (nested(r#""label_descriptions": ["a"]"#), "label_descriptions"),
        (root(r#""num_classes": -5"#), "num_classes"),
        (root(r#""num_classes": 1e12"#), "num_classes"),
        (root(r#""num_classes": 1000000000000"#), "num_classes"),
        (root(r#""num_classes": "ten""#), "num_classes"),
        (root(r#""num_features": {}"#), "num_features"),
        (root(r#""global_pool": 1"#), "global_pool"),
        (root(r#""model_args": []"#), "model_args"),
        (args(r#""bn_eps": 0"#), "bn_eps"),
        (args(r#""bn_eps": "1e-5""#), "bn_eps"),
        (args(r#""act_layer": "sine""#), "act_layer"),
        (args(r#""norm_layer": "groupnorm""#), "norm_layer"),
        (args(r#""pad_type": "valid""#), "pad_type"),
        (args(r#""global_pool": "max""#), "global_pool"),
        (args(r#""output_stride": 16"#), "output_stride"),
        (args(r#""drop_rate": 7"#), "drop_rate"),
        (args(r#""in_chans": 0"#), "input_size"),
    ] {
        let error = read(&json).unwrap_err();
        let message = error.to_string();
        let Value::Bad { key: named } = Value::of(&error) else {
            panic!("{json}: {message}");
        };
        let expected = if prefix == "model_args." && key == "input_size" {
            key.to_owned()
        } else {
            format!("{prefix}{key}")
        };
        assert_eq!(named, expected, "{json}: {message}");
        assert!(message.starts_with("some/config.json: "), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

/// What the table above compares.
enum Value {
    Bad { key: String },
    Other,
}

impl Value {
    fn of(error: &PretrainedError) -> Self {
        match error {
            PretrainedError::Value { key, .. } => Self::Bad { key: key.clone() },
            _ => Self::Other,
        }
    }
}

#[test]
fn arguments_that_are_not_understood_are_refused_by_name() {
    let error = read(r#"{"architecture": "efficientnet_b0", "model_args": {"se_layer": "ecam"}}"#)
        .unwrap_err();
    assert!(
        matches!(&error, PretrainedError::UnknownModelArg { key, .. } if key == "se_layer"),
        "{error}"
    );
    assert!(error.to_string().contains("model_args.se_layer"));
}

#[test]
fn contradictions() {
    let error = read(r#"{"architecture": "efficientnet_b0", "num_classes": 5, "model_args": {"num_classes": 6}, "pretrained_cfg": {}}"#)
        .unwrap_err()
        .to_string();
    assert!(error.contains('5') && error.contains('6'), "{error}");
    let config = read(
        r#"{"architecture": "efficientnet_b0", "num_classes": 5, "label_names": ["a"], "pretrained_cfg": {}}"#,
    );
    let error = config.unwrap().labels().unwrap_err().to_string();
    assert!(
        error.starts_with("some/config.json: ") && error.contains('1') && error.contains('5'),
        "{error}"
    );
}

#[test]
fn what_is_no_config() {
    for json in [
        "",
        "{",
        "nonsense",
        "[]",
        "3",
        "null",
        "{}",
        r#"{"architecture": 3}"#,
        r#"{"architecture": null}"#,
        r#"{"architecture": "efficientnet_b0", "pretrained_cfg": null}"#,
        r#"{"architecture": "efficientnet_b0", "crop_pct": 1e999}"#,
        r#"{"architecture": "efficientnet_b0", "crop_pct": NaN}"#,
    ] {
        let error = read(json).unwrap_err().to_string();
        assert!(error.starts_with("some/config.json"), "{json}: {error}");
    }
    let error = read(r#"{"architecture": "eficientnet_b0"}"#).unwrap_err().to_string();
    assert!(
        error.contains("config.json") && error.contains("did you mean efficientnet_b0"),
        "{error}"
    );
    let error =
        read(&format!(r#"{{"architecture": "{}"}}"#, "x".repeat(1 << 20))).unwrap_err().to_string();
    assert!(error.len() < 200, "{error}");
    // Nesting deep enough to overflow the stack.
    let deep = format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    assert!(matches!(read(&deep).unwrap_err(), PretrainedError::Json { .. }));
    let large = vec![b' '; (8 << 20) + 1];
    let error = ModelConfig::from_slice(&large, "c.json".as_ref()).unwrap_err();
    assert!(matches!(error, PretrainedError::TooLarge { .. }));
}

#[test]
fn from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    let error = ModelConfig::from_file(&file).unwrap_err();
    assert!(matches!(error, PretrainedError::Read { .. }), "{error}");
    assert!(matches!(ModelConfig::from_file(folder.path()), Err(PretrainedError::Read { .. })));
    std::fs::write(&file, NESTED).unwrap();
    assert_eq!(ModelConfig::from_file(&file).unwrap().num_classes, 3);
    std::fs::write(&file, vec![b' '; (8 << 20) + 1]).unwrap();
    assert!(matches!(ModelConfig::from_file(&file), Err(PretrainedError::TooLarge { .. })));
}
