//! From a model's name through the hub to an answer, by the command and by the library.

#![cfg(feature = "bundled")]

use effnet::weights::{NamedTensor, Values, bundled, write_safetensors};
use effnet::{Classifier, Error};

use super::*;

const LITE0: &str = "org/lite0";
const COFFEE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/images/coffee.png");
/// Files as transformers writes them.
const TRANSFORMERS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/transformers/mobilenet_v2_lanczos");

/// A repository with the weights that are inside the program, under a name of its own.
fn lite0(num_classes: usize) -> Repo {
    let bundled = bundled().unwrap();
    let tensors: Vec<(&str, Vec<f32>)> =
        bundled.names().map(|name| (name, bundled.read_f32(name).unwrap())).collect();
    let named: Vec<NamedTensor<'_>> = tensors
        .iter()
        .map(|(name, values)| NamedTensor {
            name,
            shape: bundled.shape(name).unwrap(),
            values: Values::F32(values),
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    write_safetensors(folder.path().join(WEIGHTS), &named, &Default::default()).unwrap();
    let config = format!(
        r#"{{"architecture": "tf_efficientnet_lite0", "num_classes": {num_classes},
        "pretrained_cfg": {{"tag": "mine", "input_size": [3, 224, 224], "crop_pct": 0.875,
        "interpolation": "bicubic", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}}}}"#
    );
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    Repo::from_folder(LITE0, folder.path())
}

#[test]
fn a_repository_is_downloaded_once_and_classifies() {
    let scene = Scene::new();
    let repo = lite0(1000);
    scene.server.add(repo.clone());
    for run in 0..2 {
        let classifier = Classifier::builder().model(LITE0).hub(scene.hub()).build().unwrap();
        let best = &classifier.classify(COFFEE, 1).unwrap()[0];
        assert_eq!(best.label.as_deref(), Some("espresso"));
        assert_eq!(classifier.provenance().revision.as_deref(), Some(&*repo.commit()));
        let transfers = scene
            .server
            .take_log()
            .iter()
            .filter(|seen| seen.storage && seen.method == "GET")
            .count();
        assert_eq!(transfers, if run == 0 { 1 } else { 0 });
    }
    let offline = scene.builder().offline(true).build().unwrap();
    let classifier = Classifier::builder().model(LITE0).hub(offline).build().unwrap();
    assert_eq!(classifier.classify(COFFEE, 1).unwrap()[0].index, 967);
    assert_eq!(scene.server.take_log(), []);
}

#[test]
fn a_repository_whose_configuration_lies_is_refused() {
    let scene = Scene::new();
    scene.server.add(lite0(10));
    let error = Classifier::builder().model(LITE0).hub(scene.hub()).build().unwrap_err();
    assert!(matches!(error, Error::Weights(_)), "{error:?}");
    assert!(error.to_string().contains("num_classes"), "{error}");
}

#[cfg(feature = "cli")]
#[test]
fn the_command_downloads_on_first_use() {
    let scene = Scene::new();
    scene.server.add(lite0(1000));
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_effnet"));
        command.args(["classify", COFFEE, "-k", "1", "-m", LITE0]).args(arguments).env_clear();
        command.env("HF_ENDPOINT", scene.server.url()).env("HF_HUB_CACHE", scene.cache.path());
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, _, err) = run(&["--offline"]);
    assert_eq!(code, Some(3));
    assert!(err.contains("effnet download org/lite0"), "{err}");
    let (code, out, err) = run(&[]);
    assert_eq!((code, &*err), (Some(0), ""));
    assert!(out.contains("espresso"), "{out}");
    assert_eq!(run(&["--offline"]), (Some(0), out, String::new()));
}

#[test]
fn images_are_prepared_by_the_configuration_alone() {
    let scene = Scene::new();
    let config = |name: &str| std::fs::read(Path::new(TRANSFORMERS).join(name)).unwrap();
    let weights: &[u8] = b"not asked for";
    let repo = Repo::new("org/v2")
        .with("config.json", &config("config.json"))
        .with("preprocessor_config.json", &config("preprocessor_config.json"))
        .with(WEIGHTS, weights);
    scene.server.add(repo);
    scene.server.add(Repo::model("org/b0", 1000));
    let preprocessor = |repo: &str| {
        let builder = Classifier::builder().model(repo).hub(scene.hub());
        builder.build_preprocessor().unwrap()
    };
    assert_eq!(preprocessor("org/b0").values().input_size.value, [3, 224, 224]);
    let of_timm = scene.server.take_log();
    assert!(of_timm.iter().all(|seen| !seen.path.contains("preprocessor")), "{of_timm:?}");
    // transformers' own values, which are in its second file.
    let values = preprocessor("org/v2").values().clone();
    assert_eq!(values.interpolation.value, "lanczos");
    assert_eq!(values.input_size.value, [3, 96, 128]);
    let log = scene.server.take_log();
    assert!(log.iter().any(|seen| seen.path.ends_with("preprocessor_config.json")), "{log:?}");
    assert!(of_timm.iter().chain(&log).all(|seen| !seen.path.contains(WEIGHTS)), "{log:?}");
    // And a second time without the network.
    let offline = scene.builder().offline(true).build().unwrap();
    let builder = Classifier::builder().model("org/v2").hub(offline);
    assert_eq!(builder.build_preprocessor().unwrap().values(), &values);
}
