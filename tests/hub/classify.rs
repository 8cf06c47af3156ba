//! From a model's name through the hub to an answer, with the command and with the library.

#![cfg(feature = "bundled")]

use effnet::{Error, Model};

use super::*;

const COFFEE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/images/coffee.png");
/// Files as transformers writes them.
const TRANSFORMERS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/transformers/mobilenet_v2_lanczos");

#[test]
fn a_repository_is_downloaded_once_and_classifies() {
    let scene = Scene::new();
    let repo = lite0(1000);
    scene.server.add(repo.clone());
    for run in 0..2 {
        let classifier = Model::builder().model(LITE0).hub(scene.hub()).build_classifier().unwrap();
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
    let classifier = Model::builder().model(LITE0).hub(offline).build_classifier().unwrap();
    assert_eq!(classifier.classify(COFFEE, 1).unwrap()[0].index, 967);
    assert_eq!(scene.server.take_log(), []);
}

#[test]
fn a_repository_whose_configuration_lies_is_refused() {
    let scene = Scene::new();
    scene.server.add(lite0(10));
    let error = Model::builder().model(LITE0).hub(scene.hub()).build_classifier().unwrap_err();
    assert!(matches!(error, Error::Weights(_)), "{error:?}");
    assert!(error.to_string().contains("num_classes"), "{error}");
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
        let builder = Model::builder().model(repo).hub(scene.hub());
        builder.build_preprocessor().unwrap()
    };
    assert_eq!(preprocessor("org/b0").values().input_size.value, [3, 224, 224]);
    let of_timm = scene.server.take_log();
    assert!(of_timm.iter().all(|seen| !seen.path.contains("preprocessor")), "{of_timm:?}");
    // transformers' own values, from its second file.
    let values = preprocessor("org/v2").values().clone();
    assert_eq!(values.interpolation.value, "lanczos");
    assert_eq!(values.input_size.value, [3, 96, 128]);
    let log = scene.server.take_log();
    assert!(log.iter().any(|seen| seen.path.ends_with("preprocessor_config.json")), "{log:?}");
    assert!(of_timm.iter().chain(&log).all(|seen| !seen.path.contains(WEIGHTS)), "{log:?}");
    // And once more without the network.
    let offline = scene.builder().offline(true).build().unwrap();
    let builder = Model::builder().model("org/v2").hub(offline);
    assert_eq!(builder.build_preprocessor().unwrap().values(), &values);
}
