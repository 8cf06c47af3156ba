//! Folders with a `config.json` give exactly the same answers before and after `convert`.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::path::Path;

use effnet::conventions::{Convention, Conversion, Dtype, LibraryModel, library_models, recognize};
use effnet::labels::{ClassifierActivation, LabelNames};
use effnet::pretrained::{ModelConfig, SizeChoice};
use effnet::weights::Checkpoint;
use effnet::{Classifier, Model, Predictions};
use serde_json::{Value, json};

use generated::generated;

#[path = "weights_support/generated.rs"]
#[allow(dead_code, reason = "other programs use the rest")]
mod generated;

const COFFEE: &str = "examples/images/coffee.png";
const CLASSES: usize = 4;
/// A small model of each convention, with timm's name.
const SMALL: [&str; 6] = [
    "test_efficientnet",
    "mobilenetv3_small_100",
    "tf_mobilenetv3_small_100",
    "mobilenetv2_035",
    "tf_efficientnet_lite0",
    "efficientnet_b0",
];

/// Writes generated values with the names of a library's model as the weights of a folder.
fn write_weights(folder: &Path, model: LibraryModel<'_>) {
    let names = (model.family.convention(), &*model.covered.name);
    let file = generated(folder, names, CLASSES, str::to_owned);
    std::fs::rename(file, folder.join("model.safetensors")).unwrap();
}

/// A configuration in which no field has its default.
fn config(architecture: &str) -> Value {
    json!({
        "architecture": architecture,
        "num_classes": CLASSES,
        "problem_type": "multi_label_classification",
        "label_names": ["ham", "spam", "egg", "bacon"],
        "label_descriptions": {"ham": "a", "spam": "b", "egg": "c", "bacon": "d"},
        "model_args": {"bn_eps": 0.03, "act_layer": "gelu", "pad_type": "same", "drop_rate": 0.3},
        "pretrained_cfg": {
            "tag": "mine",
            "input_size": [3, 90, 110],
            "test_input_size": [3, 96, 120],
            "min_input_size": [3, 64, 64],
            "fixed_input_size": true,
            "interpolation": "lanczos",
            "crop_pct": 0.77,
            "test_crop_pct": 0.83,
            "crop_mode": "border",
            "mean": [0.31, 0.42, 0.53],
            "std": [0.19, 0.28, 0.37],
            "license": "cc-by-4.0",
        },
    })
}

fn load(folder: &Path, size: SizeChoice) -> Classifier {
    let builder = Model::builder().model(folder.to_str().unwrap()).size(size);
    builder.build_classifier().unwrap()
}

fn convert(input: &Path, output: &Path, labels: Option<LabelNames>) {
    let config = ModelConfig::from_file(&input.join("config.json")).unwrap();
    let checkpoint = Checkpoint::open(input).unwrap();
    let found = recognize(&checkpoint, None, Some(config.architecture)).unwrap();
    let found = found.with_config(&config).unwrap();
    let mut conversion = Conversion::new(&checkpoint, &found, "timm").unwrap().with_config(&config);
    if let Some(labels) = labels {
        conversion = conversion.with_labels(labels);
    }
    conversion.write_folder(output, Dtype::F32).unwrap();
}

#[test]
fn a_folder_of_every_convention_keeps_every_field() {
    for name in Convention::names() {
        let convention = Convention::named(name).unwrap();
        let mut models: Vec<_> = library_models(&convention)
            .filter(|model| model.covered.channel_multiplier.is_none())
            .collect();
        let rank = |model: &LibraryModel<'_>| {
            SMALL.iter().position(|small| *small == model.covered.timm).unwrap_or(SMALL.len())
        };
        models.sort_by_key(rank);
        let model = models[0];
        let folder = tempfile::tempdir().unwrap();
        let (input, output) = (folder.path().join("in"), folder.path().join("out"));
        std::fs::create_dir(&input).unwrap();
        write_weights(&input, model);
        let text = config(&model.covered.timm).to_string();
        std::fs::write(input.join("config.json"), text).unwrap();
        convert(&input, &output, None);
        for size in [SizeChoice::Test, SizeChoice::Train] {
            let (before, after) = (load(&input, size), load(&output, size));
            let what = format!("{name}: {}", model.covered.name);
            assert_eq!(before.logits(COFFEE).unwrap(), after.logits(COFFEE).unwrap(), "{what}");
            let predictions = |c: &Classifier| -> Predictions { c.classify(COFFEE, 9).unwrap() };
            assert_eq!(predictions(&before), predictions(&after), "{what}");
            assert!(predictions(&after)[0].label.is_some());
            assert_eq!(
                before.provenance().preprocessing,
                after.provenance().preprocessing,
                "{what}"
            );
            let input_size = after.provenance().preprocessing.input_size.value;
            let expected = if size == SizeChoice::Train { [3, 90, 110] } else { [3, 96, 120] };
            assert_eq!(input_size, expected);
            let activation = after.provenance().activation.value;
            assert_eq!(activation, ClassifierActivation::Sigmoid, "{what}");
        }
        let read = |folder: &Path| ModelConfig::from_file(&folder.join("config.json")).unwrap();
        let (before, after) = (read(&input), read(&output));
        assert_eq!(after.model_args.bn_eps, Some(0.03));
        let (old, new) = (before.pretrained_cfg, after.pretrained_cfg);
        assert_eq!(
            (old.tag, old.license, old.label_names),
            (new.tag, new.license, new.label_names)
        );
        assert_eq!(old.label_descriptions, new.label_descriptions);
        assert_eq!(
            (old.min_input_size, old.fixed_input_size),
            (new.min_input_size, new.fixed_input_size)
        );
    }
}

#[test]
fn a_folder_of_transformers_becomes_one_of_timms_that_answers_alike() {
    let convention = Convention::named("transformers").unwrap();
    let model =
        library_models(&convention).find(|model| model.covered.timm == "mobilenetv2_035").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    std::fs::create_dir(&input).unwrap();
    write_weights(&input, model);
    for file in ["config.json", "preprocessor_config.json"] {
        let from = Path::new("tests/data/transformers/mobilenet_v2_lanczos").join(file);
        let text = std::fs::read_to_string(from).unwrap();
        let mut json: Value = serde_json::from_str(&text).unwrap();
        if file == "config.json" {
            json["id2label"] = json!({"0": "ham", "1": "spam", "2": "egg", "3": "bacon"});
        }
        std::fs::write(input.join(file), json.to_string()).unwrap();
    }
    convert(&input, &output, None);
    let (before, after) = (load(&input, SizeChoice::Test), load(&output, SizeChoice::Test));
    for image in [COFFEE, "tests/data/images/exif_6.jpg"] {
        assert_eq!(before.classify(image, 4).unwrap(), after.classify(image, 4).unwrap());
    }
    assert_eq!(after.provenance().activation.value, ClassifierActivation::None);

    // The user's own names replace those of the folder.
    let names = LabelNames::parse("a\nb\nc\nd").unwrap();
    convert(&input, &output, Some(names));
    let best = &load(&output, SizeChoice::Test).classify(COFFEE, 1).unwrap()[0];
    assert_eq!(best.label.as_deref(), ["a", "b", "c", "d"].get(best.index).copied());
}

/// What a checkpoint says about itself is kept too: the size, crop, mean and std that timm's and
/// torchvision's scripts store in it, the input of Keras's first layer, Lightning's class names.
#[test]
fn a_folder_made_of_a_checkpoint_answers_as_the_checkpoint() {
    let data = Path::new("tests/data/fine_tuned");
    for (file, size) in [
        ("timm/model_best.pth.tar", 192),
        ("torchvision/model_9.pth", 208),
        ("torchvision/flowers_b0.pth", 224),
        ("lightning/flowers.ckpt", 224),
    ] {
        let output = tempfile::tempdir().unwrap();
        let checkpoint = Checkpoint::open(data.join(file)).unwrap();
        let found = recognize(&checkpoint, None, None).unwrap();
        let conversion = Conversion::new(&checkpoint, &found, "timm").unwrap();
        conversion.write_folder(output.path(), Dtype::F32).unwrap();
        let before = Model::builder().model(data.join(file)).build_classifier().unwrap();
        let after = Model::builder().model(output.path()).build_classifier().unwrap();
        let values = |classifier: &Classifier| {
            let values = &classifier.provenance().preprocessing;
            format!(
                "{:?} {} {} {} {:?} {:?}",
                values.input_size.value,
                values.interpolation.value,
                values.crop_pct.value,
                values.crop_mode.value,
                values.mean.value,
                values.std.value
            )
        };
        assert!(values(&before).starts_with(&format!("[3, {size}, {size}]")), "{file}");
        assert_eq!(values(&after), values(&before), "{file}");
        let coffee = "examples/images/coffee.png";
        assert_eq!(after.logits(coffee).unwrap(), before.logits(coffee).unwrap(), "{file}");
        let label = |classifier: &Classifier| {
            classifier.classify(coffee, 1).unwrap().classes.remove(0).label
        };
        assert_eq!(label(&after), label(&before), "{file}");
    }
}
