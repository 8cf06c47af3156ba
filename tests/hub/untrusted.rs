//! Repositories may contain anything that their authors chose.

use super::*;

fn files_with(change: impl Fn(Repo) -> Repo) -> (Scene, HubError) {
    let scene = Scene::new();
    scene.server.add(change(Repo::model(MODEL, SIZE)));
    let error = scene.files().unwrap_err();
    // Its weights were not even requested.
    let log = scene.server.take_log();
    assert!(log.iter().all(|seen| !seen.storage), "{log:?}");
    scene.assert_no_weights();
    (scene, error)
}

#[test]
fn another_family_is_refused_before_its_weights() {
    for (config, named) in [
        (r#"{"architecture": "resnet50", "num_classes": 2}"#, "resnet50"),
        (r#"{"architecture": "efficientnet_b9"}"#, "efficientnet_b0"),
        (r#"{"model_type": "bert"}"#, "architecture"),
        ("{", "JSON"),
    ] {
        let (_, error) = files_with(|repo| repo.with("config.json", config.as_bytes()));
        assert!(matches!(error, HubError::NotThisFamily { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(MODEL) && text.contains(named), "{text}");
    }
}

#[test]
fn no_configuration_or_no_weights() {
    let without = |mut repo: Repo, name: &str| {
        repo.files.retain(|file| file.name != name);
        repo
    };
    let (_, error) = files_with(|repo| without(repo, "config.json"));
    assert!(error.to_string().contains("no config.json"), "{error}");
    let (_, error) = files_with(|repo| without(repo, WEIGHTS));
    assert!(matches!(&error, HubError::NoFile { file, .. } if file == WEIGHTS), "{error}");
}

fn only_pickle(bytes: &[u8]) -> Scene {
    let scene = Scene::new();
    let mut repo = Repo::model(MODEL, SIZE);
    repo.files.retain(|file| file.name != WEIGHTS);
    scene.server.add(repo.with("pytorch_model.bin", bytes));
    scene
}

#[test]
fn a_pickle_is_downloaded_where_it_is_all_there_is() {
    let bytes = include_bytes!("../data/pth/plain.pth");
    let scene = only_pickle(bytes);
    let files = scene.files().unwrap();
    assert!(files.weights.ends_with("pytorch_model.bin"), "{files:?}");
    assert_eq!(std::fs::read(&files.weights).unwrap(), bytes);
    let checkpoint = effnet::weights::Checkpoint::open(&files.weights).unwrap();
    assert_eq!(checkpoint.read_f32("bn.weight").unwrap(), [1.0, -2.0, 0.5]);
    // The next run finds it in the cache.
    scene.server.take_log();
    assert_eq!(scene.files().unwrap().weights, files.weights);
    let log = scene.server.take_log();
    assert!(log.len() == 1 && log[0].path.ends_with("config.json"), "{log:?}");
}

#[test]
fn code_in_a_pickle_is_not_run() {
    let scene = only_pickle(include_bytes!("../data/pth/system.pth"));
    let files = scene.files().unwrap();
    let error = effnet::weights::Checkpoint::open(&files.weights).unwrap_err().to_string();
    assert!(error.contains("`posix.system`"), "{error}");
    assert!(!Path::new("effnet-pickle-was-run").exists());
}

#[test]
fn a_huge_configuration_is_not_downloaded() {
    use test_hub::{At, Fault};
    let scene = Scene::new();
    let size = Fault::Header("x-linked-size", (1_u64 << 30).to_string());
    scene.server.fault(At::Head, "config.json", size, usize::MAX);
    let error = scene.files().unwrap_err();
    assert!(matches!(error, HubError::TooLarge { size: 1_073_741_824, .. }), "{error}");
    assert!(scene.server.take_log().iter().all(|seen| seen.method == "HEAD"));

    // Nor if it is announced as a small file.
    scene.server.heal();
    scene.server.fault(At::Get, "config.json", Fault::ExtraUnannounced(64 << 20), usize::MAX);
    assert!(matches!(scene.files().unwrap_err(), HubError::Mismatch { .. }));
    let kept: u64 =
        unfinished(scene.cache.path()).iter().map(|p| p.metadata().unwrap().len()).sum();
    assert!(kept <= 1000, "{kept}");
}

#[test]
fn huge_weights_are_not_downloaded() {
    use test_hub::{At, Fault};
    let scene = Scene::new();
    let size = Fault::Header("x-linked-size", (1_u64 << 50).to_string());
    scene.server.fault(At::Head, WEIGHTS, size, usize::MAX);
    assert!(matches!(scene.files().unwrap_err(), HubError::TooLarge { .. }));
    scene.assert_no_weights();
}

#[test]
fn file_names_stay_inside_the_cache() {
    let scene = Scene::new();
    for name in ["../config.json", "/etc/passwd", "a/../../b", "a\\b", ".git/config", "a//b", ""] {
        let error = scene.hub().file(MODEL, None, name, 100).unwrap_err();
        assert!(matches!(error, HubError::Name { .. }), "{name}: {error}");
    }
    assert!(scene.server.take_log().is_empty());
}

/// A link that leads out of the cache is neither read nor written through.
#[cfg(unix)]
#[test]
fn links_out_of_the_cache_are_not_followed() {
    let scene = Scene::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let victim = elsewhere.path().join("victim");
    std::fs::write(&victim, "mine").unwrap();
    let etag = Repo::model(MODEL, SIZE).file(WEIGHTS).unwrap().etag();
    let commit = Repo::model(MODEL, SIZE).commit();
    let folder = scene.cache.path().join("models--org--b0");
    for at in [format!("blobs/{etag}.effnet.incomplete"), format!("snapshots/{commit}/{WEIGHTS}")] {
        let link = folder.join(at);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(&victim, &link).unwrap();
    }
    scene.assert_complete(&scene.files().unwrap());
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "mine");
}
