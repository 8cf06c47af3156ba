//! Prefixes and classifiers with a user's own names, as fine-tuning leaves them.

#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, clippy::panic)]

use effnet::Model;
use effnet::conventions::{Convention, Conversion, ConvertError, library_models, recognize};
use effnet::weights::Checkpoint;

#[path = "weights_support/generated.rs"]
mod generated;
#[path = "weights_support/sparse.rs"]
mod sparse;

use generated::{generated, with_more};

/// A small model of a convention, with the name and the number of features of its classifier.
struct Library {
    model: (&'static str, &'static str),
    classifier: &'static str,
    num_features: usize,
}

const LIBRARIES: [Library; 5] = [
    Library { model: ("timm", "lcnet_035"), classifier: "classifier", num_features: 1280 },
    Library {
        model: ("torchvision", "mobilenet_v3_small"),
        classifier: "classifier.3",
        num_features: 1024,
    },
    Library {
        model: ("efficientnet-pytorch", "efficientnet-b0"),
        classifier: "_fc",
        num_features: 1280,
    },
    Library {
        model: ("transformers", "google/mobilenet_v2_0.35_96"),
        classifier: "classifier",
        num_features: 1280,
    },
    Library {
        model: ("wzmiaomiao", "efficientnet_b0"),
        classifier: "classifier.1",
        num_features: 1280,
    },
];

fn build(weights: &std::path::Path) -> Result<Model, Box<effnet::Error>> {
    Model::builder().weights(weights.to_str().unwrap()).build().map_err(Box::new)
}

fn logits(classifier: &Model) -> Vec<f32> {
    classifier.logits("examples/images/coffee.png").unwrap()
}

/// Renames what is under `from`, and puts `prefix` before everything else.
fn renamed(name: &str, prefix: &str, from: &str, to: &str) -> String {
    match name.strip_prefix(from).filter(|rest| rest.starts_with('.')) {
        Some(rest) => format!("{to}{rest}"),
        None => format!("{prefix}{name}"),
    }
}

#[test]
fn a_single_linear_layer_is_the_classifier_under_any_name_and_prefix() {
    let folder = tempfile::tempdir().unwrap();
    for Library { model, classifier, .. } in LIBRARIES {
        let plain = build(&generated(folder.path(), model, 5, str::to_owned)).unwrap();
        let expected = logits(&plain);
        assert_eq!(expected.len(), 5);
        for (prefix, head) in [
            // `nn.Sequential(nn.Dropout(), nn.Linear())`, `nn.Sequential(nn.Linear())`, `nn.Linear()`.
            ("", format!("{classifier}.1")),
            ("", format!("{classifier}.0")),
            ("", "head.fc".to_owned()),
            // The network as a field beside the layer, and a wrapper around both.
            ("backbone.", "fc".to_owned()),
            ("net.", format!("net.{classifier}.1")),
            ("timm_model.", "head.1".to_owned()),
            ("network.encoder.", "network.classifier".to_owned()),
        ] {
            let file =
                generated(folder.path(), model, 5, |name| renamed(name, prefix, classifier, &head));
            let found = build(&file).unwrap_or_else(|e| panic!("{model:?} {prefix} {head}: {e}"));
            assert_eq!(logits(&found), expected, "{model:?} {prefix} {head}");
            let notes = found.provenance().notes.join("\n");
            assert!(
                notes.contains(&format!("the classifier is `{head}`, of 5 classes")),
                "{notes}"
            );
            if !prefix.is_empty() {
                assert!(notes.contains(&format!("the prefix {prefix} was taken off")), "{notes}");
            }
            assert_eq!(found.provenance().model, plain.provenance().model);
        }
    }
}

/// If the caller asks for one class fewer than the file has, the file's first is a background
/// class.
#[test]
fn a_background_class_is_left_out_of_a_classifier_by_any_name_and_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let model = ("transformers", "google/mobilenet_v2_0.35_96");
    let own = "mobilenet_v2.";
    for (prefix, without, head) in [
        ("", "", "classifier"),
        ("", "", "head.fc"),
        ("backbone.", "", "fc"),
        // `MobileNetV2Model` as a field.
        ("backbone.", own, "backbone.head"),
    ] {
        let file = generated(folder.path(), model, 6, |name| {
            renamed(name.strip_prefix(without).unwrap_or(name), prefix, "classifier", head)
        });
        let whole = logits(&build(&file).unwrap());
        let builder = Model::builder().weights(file.to_str().unwrap()).num_classes(5);
        let fewer = builder.build().unwrap_or_else(|error| panic!("{prefix} {head}: {error}"));
        assert_eq!(logits(&fewer), whole[1..], "{prefix} {head}");
    }
}

#[test]
fn what_training_keeps_beside_the_network_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let Library { model, classifier, .. } = LIBRARIES[0];
    let plain = logits(&build(&generated(folder.path(), model, 5, str::to_owned)).unwrap());
    let more: &[(&str, &[usize])] = &[("criterion.weight", &[5]), ("val_loss.pos_weight", &[5])];
    let rename = |name: &str| renamed(name, "net.", classifier, "fc");
    let found = build(&with_more(folder.path(), model, 5, rename, more)).unwrap();
    assert_eq!(logits(&found), plain);
    let notes = found.provenance().notes.join("\n");
    let note = "inference does not use `criterion.weight`, `val_loss.pos_weight`";
    assert!(notes.contains(note), "{notes}");
}

#[test]
fn any_other_head_is_refused_by_its_layers() {
    let folder = tempfile::tempdir().unwrap();
    let Library { model, classifier, num_features } = LIBRARIES[1];
    let rename = |name: &str| renamed(name, "", classifier, "classifier.5");
    for (classes, more, shown) in [
        // `Linear(1024, 256), ReLU, Linear(256, 5)` and the like.
        (
            5,
            &[("classifier.3.weight", &[256, 1024][..]), ("classifier.3.bias", &[256])][..],
            "`classifier.3.weight` [256, 1024]",
        ),
        (5, &[("norm.weight", &[1024]), ("norm.bias", &[1024])], "`norm.weight` [1024]"),
        (0, &[("arc.weight", &[5, 1024])], "`arc.weight` [5, 1024]"),
        (0, &[("fc.weight", &[5, 512]), ("fc.bias", &[5])], "`fc.weight` [5, 512]"),
        (0, &[("a.weight", &[5, 1024]), ("b.bias", &[5])], "`a.weight` [5, 1024]"),
        (5, &[("temperature", &[1])], "`temperature` [1]"),
    ] {
        let file = with_more(folder.path(), model, classes, rename, more);
        for architecture in [None, Some("mobilenetv3_small_100")] {
            let checkpoint = Checkpoint::open(&file).unwrap();
            let error = recognize(&checkpoint, None, architecture).unwrap_err();
            assert!(matches!(error, ConvertError::LeftOver { .. }), "{error}");
            let error = error.to_string();
            assert!(error.contains(shown), "{error}");
            let rule =
                format!("one linear layer (weight and bias) on the network's {num_features}");
            assert!(error.contains(&rule), "{error}");
        }
        assert_eq!(
            build(&file).unwrap_err().to_string(),
            recognize(&Checkpoint::open(&file).unwrap(), None, None).unwrap_err().to_string()
        );
    }
}

/// torchvision's MobileNetV3 without the layer before the classifier. If the classifier has kept
/// its place, it is not known which of the layers around the missing one are left.
#[test]
fn a_layer_that_is_gone_is_told_of_where_the_classifier_stayed() {
    let folder = tempfile::tempdir().unwrap();
    let convention = Convention::named("torchvision").unwrap();
    let model = library_models(&convention).find(|m| m.covered.name == "mobilenet_v3_small");
    let model = model.unwrap();
    let renaming = model.renaming(&model.network(&Default::default()).unwrap()).unwrap();
    let body = renaming.tensors().iter().filter(|tensor| !tensor.foreign.contains("classifier"));
    let body = body.map(|tensor| (tensor.foreign.as_str(), tensor.foreign_shape.as_slice()));
    for (head, message) in [
        (
            &[("classifier.3.weight", &[5, 576][..]), ("classifier.3.bias", &[5])][..],
            "`classifier.0.weight`",
        ),
        (
            &[
                ("classifier.0.weight", &[64, 576]),
                ("classifier.0.bias", &[64]),
                ("classifier.2.weight", &[5, 64]),
                ("classifier.2.bias", &[5]),
            ],
            "one linear layer (weight and bias) on the network's 576 features",
        ),
    ] {
        let file = sparse::write(folder.path(), body.clone().chain(head.iter().copied()));
        let checkpoint = Checkpoint::open(file).unwrap();
        let error = recognize(&checkpoint, Some("torchvision"), None).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    // A single layer is read, but the network has no name to convert it to.
    let head = [("fc.weight", [5, 576].as_slice()), ("fc.bias", &[5])];
    let checkpoint = Checkpoint::open(sparse::write(folder.path(), body.chain(head))).unwrap();
    let found = recognize(&checkpoint, Some("torchvision"), None).unwrap();
    assert_eq!((found.network.num_classes, found.network.num_features), (5, 576));
    for convention in ["timm", "torchvision"] {
        let error = Conversion::new(&checkpoint, &found, convention).unwrap_err().to_string();
        assert!(error.contains("mobilenet_v3_small without the layer `conv_head`"), "{error}");
    }
}

/// What `MobileNetV1Model.save_pretrained` of transformers 5.24.0 writes.
#[test]
fn a_base_model_of_transformers_has_features_and_no_classes() {
    let folder = tempfile::tempdir().unwrap();
    let model = ("transformers", "mobilenet_v1_0.25_128");
    let whole = build(&generated(folder.path(), model, 5, str::to_owned)).unwrap();
    let coffee = "examples/images/coffee.png";
    let expected = whole.embed(coffee).unwrap();
    let base = |name: &str| name.strip_prefix("mobilenet_v1.").unwrap().to_owned();
    let file = generated(folder.path(), model, 0, base);
    let alone = build(&file).unwrap();
    std::fs::rename(file, folder.path().join("model.safetensors")).unwrap();
    let config = r#"{"architectures": ["MobileNetV1Model"], "classifier_dropout_prob": 0.999,
        "depth_multiplier": 0.25, "dtype": "float32", "hidden_act": "relu6", "image_size": 128,
        "initializer_range": 0.02, "layer_norm_eps": 0.001, "min_depth": 8,
        "model_type": "mobilenet_v1", "num_channels": 3, "tf_padding": true,
        "transformers_version": "5.24.0"}"#;
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    let in_folder = Model::builder().model(folder.path()).build().unwrap();
    assert_eq!(alone.embed(coffee).unwrap(), expected);
    for classifier in [alone, in_folder] {
        assert_eq!(classifier.num_classes(), 0);
        assert_eq!(classifier.embed(coffee).unwrap().len(), expected.len());
        let error = effnet::Classifier::new(classifier.clone()).unwrap_err().to_string();
        assert!(error.contains("has no classifier"), "{error}");
    }
}

#[test]
fn classes_and_channels_are_the_files_whatever_the_table_says() {
    let folder = tempfile::tempdir().unwrap();
    let Library { model, .. } = LIBRARIES[0];
    let file = generated(folder.path(), model, 7, str::to_owned);
    let builder = Model::builder().model("lcnet_035").weights(file.to_str().unwrap());
    let named = builder.clone().build().unwrap();
    assert_eq!((named.num_classes(), named.labels().is_none()), (7, true));
    assert_eq!(logits(&named), logits(&build(&file).unwrap()));
    let error = builder.num_classes(9).build().unwrap_err().to_string();
    assert!(error.contains("its classifier has 7 classes, the model was built for 9"), "{error}");
}

#[test]
fn several_models_of_the_same_tensors_are_not_guessed() {
    let folder = tempfile::tempdir().unwrap();
    let file = generated(folder.path(), ("timm", "efficientnet_lite0"), 1000, str::to_owned);
    let error = build(&file).unwrap_err().to_string();
    assert!(error.contains("efficientnet_lite0, tf_efficientnet_lite0"), "{error}");
    for name in ["efficientnet_lite0", "tf_efficientnet_lite0"] {
        let builder = Model::builder().model(name).weights(file.to_str().unwrap());
        assert_eq!(builder.build().unwrap().provenance().architecture, name);
    }
}

#[test]
fn the_names_of_the_tensors_decide_the_arithmetic_in_a_folder_too() {
    let folder = tempfile::tempdir().unwrap();
    let Library { model, .. } = LIBRARIES[1];
    let expected = logits(&build(&generated(folder.path(), model, 1000, str::to_owned)).unwrap());
    let timms = folder.path().join("model.safetensors");
    std::fs::rename(folder.path().join("generated.safetensors"), &timms).unwrap();
    let config = r#"{"architecture": "mobilenetv3_small_100"}"#;
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    let found = Model::builder().model(folder.path().to_str().unwrap()).build().unwrap();
    assert_eq!(logits(&found), expected);
    let notes = found.provenance().notes.join("\n");
    assert!(
        notes.contains("of torchvision, which computes as mobilenetv3_small_100 with bn_eps=0.001"),
        "{notes}"
    );

    // What the configuration itself says takes precedence.
    let config = r#"{"architecture": "mobilenetv3_small_100", "model_args": {"bn_eps": 0.1},
        "pretrained_cfg": {"crop_pct": 0.5}}"#;
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    let found = Model::builder().model(folder.path().to_str().unwrap()).build().unwrap();
    assert_eq!(found.network().bn_eps, 0.1);
    let preprocessing = &found.provenance().preprocessing;
    assert_eq!(preprocessing.crop_pct.value, 0.5);
    assert_eq!(
        preprocessing.interpolation.source.to_string(),
        "interpolation in the convention of the weights' names"
    );
}

#[test]
fn a_file_is_a_model_and_the_configuration_beside_it_describes_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = generated(folder.path(), ("timm", "efficientnet_lite0"), 3, str::to_owned);
    let as_model = || Model::builder().model(file.to_str().unwrap());
    // It fits two models.
    assert!(as_model().build().is_err());
    let write = |text: &str| std::fs::write(folder.path().join("config.json"), text).unwrap();
    write(
        r#"{"architecture": "efficientnet_lite0", "num_classes": 3, "label_names": ["a", "b", "c"],
        "pretrained_cfg": {"crop_pct": 0.5}}"#,
    );
    for classifier in [as_model().build().unwrap(), build(&file).unwrap()] {
        assert_eq!(classifier.provenance().architecture, "efficientnet_lite0");
        assert_eq!(classifier.labels().unwrap().get(2).unwrap().label, "c");
        assert_eq!(classifier.provenance().preprocessing.crop_pct.value, 0.5);
        let notes = classifier.provenance().notes.join("\n");
        assert!(notes.contains("config.json beside the weights describes the model"), "{notes}");
    }
    let error = as_model().weights(&file).build().unwrap_err().to_string();
    assert!(error.contains("this is a file of weights, and another is given"), "{error}");

    // Generated weights for the file's model.
    let generated_weights = as_model().weights("seeded:0").build().unwrap();
    assert_eq!(generated_weights.num_classes(), 3);

    // A configuration of another model does not belong to this file.
    for other in [r#"{"architecture": "resnet50"}"#, r#"{"model_type": "bert"}"#, "{"] {
        write(other);
        let file = generated(folder.path(), LIBRARIES[0].model, 3, str::to_owned);
        let notes = build(&file).unwrap().provenance().notes.join("\n");
        assert!(notes.contains("config.json beside the weights is not used: "), "{notes}");
    }
}
