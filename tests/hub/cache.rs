//! The cache: what it saves, what it survives, and how processes share it.

use effnet::hub::FileState;

use super::*;
use test_hub::{Access, At, Fault};

#[test]
fn the_layout_is_pythons() {
    let scene = Scene::new();
    let files = scene.files().unwrap();
    let repo = Repo::model(MODEL, SIZE);
    let folder = scene.cache.path().join("models--org--b0");
    let snapshot = folder.join("snapshots").join(repo.commit());
    assert_eq!(
        (files.config, files.weights),
        (snapshot.join("config.json"), snapshot.join(WEIGHTS))
    );
    assert_eq!(std::fs::read_to_string(folder.join("refs/main")).unwrap(), repo.commit());
    for file in &repo.files {
        assert_eq!(std::fs::read(folder.join("blobs").join(file.etag())).unwrap(), file.bytes);
        let lock = scene.cache.path().join(format!(".locks/models--org--b0/{}.lock", file.etag()));
        assert!(lock.is_file());
        #[cfg(unix)]
        assert_eq!(
            std::fs::read_link(snapshot.join(&file.name)).unwrap(),
            Path::new("../../blobs").join(file.etag())
        );
    }
}

#[test]
fn a_cached_model_costs_one_request_or_none() {
    let scene = Scene::new();
    let first = scene.files().unwrap();
    scene.server.take_log();
    let again = scene.files().unwrap();
    assert_eq!(again, first);
    let log = scene.server.take_log();
    // One request; a small file's answer comes after a redirect.
    let asked = log.iter().filter(|seen| seen.path.contains("/resolve/")).count();
    assert_eq!((asked, log.iter().all(|seen| seen.method == "HEAD")), (1, true), "{log:?}");

    let by_commit = scene.hub().model_files(MODEL, Some(&first.commit)).unwrap();
    assert_eq!(by_commit.weights, first.weights);
    let offline = scene.builder().offline(true).build().unwrap();
    assert_eq!(offline.model_files(MODEL, None).unwrap(), first);
    assert_eq!(scene.server.take_log(), []);
}

#[test]
fn offline_and_not_cached_names_the_command() {
    let scene = Scene::new();
    let hub = scene.builder().offline(true).build().unwrap();
    let error = hub.model_files(MODEL, None).unwrap_err();
    assert!(error.to_string().contains("`effnet download org/b0`"), "{error}");
    let error = hub.model_files(MODEL, Some("v1")).unwrap_err();
    assert!(error.to_string().contains("`effnet download org/b0@v1`"), "{error}");
    assert_eq!(scene.server.take_log(), []);
}

#[test]
fn a_hub_that_cannot_be_reached_leaves_the_cache() {
    let faults = [
        Fault::Status(500, vec![]),
        Fault::Status(429, vec![("retry-after", "60")]),
        Fault::Page,
        Fault::Redirect("/org/b0/resolve/main/config.json".to_owned()),
    ];
    for fault in faults {
        let scene = Scene::new();
        let first = scene.files().unwrap();
        assert_eq!(first.note, None);
        scene.server.fault(At::Head, "", fault, usize::MAX);
        scene.server.take_log();
        let files = scene.files().unwrap();
        assert_eq!(files.weights, first.weights);
        let note = files.note.unwrap();
        assert!(note.ends_with("using the copy in the cache"), "{note}");
        // The hub is not asked repeatedly when the cache has an answer.
        assert!(scene.server.take_log().len() < 10);
    }
}

#[test]
fn a_refusal_leaves_the_cache() {
    for access in [Access::Private, Access::Gated] {
        let scene = Scene::new();
        let first = scene.files().unwrap();
        scene.server.add(Repo::model(MODEL, SIZE).access(access));
        let files = scene.files().unwrap();
        assert_eq!(files.weights, first.weights);
        let note = files.note.unwrap();
        assert!(note.contains(MODEL) && note.contains("log in"), "{note}");
    }
    // What the hub says does not exist is not taken from the cache.
    let scene = Scene::new();
    let hub = scene.hub();
    hub.model_files(MODEL, Some("release/1")).unwrap();
    let mut repo = Repo::model(MODEL, SIZE);
    repo.branch = "release/2".to_owned();
    scene.server.add(repo);
    let error = hub.model_files(MODEL, Some("release/1")).unwrap_err();
    assert!(matches!(error, HubError::NoRevision { .. }), "{error}");
}

#[test]
fn a_new_commit_is_taken_only_as_a_whole() {
    let scene = Scene::new();
    let first = scene.files().unwrap();
    let config = br#"{"architecture": "efficientnet_b0", "num_classes": 3}"#;
    scene.server.add(Repo::model(MODEL, SIZE + 1).with("config.json", config));
    scene.server.fault(At::Storage, WEIGHTS, Fault::Drop(0), usize::MAX);
    assert!(scene.files().is_err());
    // The branch still points to the old commit, whose files belong together.
    let offline = scene.builder().offline(true).build().unwrap();
    assert_eq!(offline.model_files(MODEL, None).unwrap(), first);
    scene.server.heal();
    let second = scene.files().unwrap();
    assert_ne!(second.commit, first.commit);
    assert_eq!(offline.model_files(MODEL, None).unwrap(), second);
}

#[test]
fn a_damaged_file_is_found_and_named() {
    let scene = Scene::new();
    let files = scene.files().unwrap();
    let hub = scene.hub();
    let model = hub.cached().unwrap().remove(0);
    assert_eq!((model.repo.as_str(), model.files.len()), (MODEL, 2));
    for file in &model.files {
        assert_eq!(hub.verify(file).unwrap(), FileState::Sound);
    }
    let blob = files.weights.canonicalize().unwrap();
    let mut bytes = scene.weights();
    bytes[1000] ^= 1;
    std::fs::write(&blob, bytes).unwrap();
    let state = |name: &str| {
        let file = model.files.iter().find(|file| file.name == name).unwrap();
        hub.verify(file).unwrap()
    };
    assert_eq!((state("config.json"), state(WEIGHTS)), (FileState::Sound, FileState::Corrupt));
    std::fs::remove_file(&blob).unwrap();
    assert_eq!(state(WEIGHTS), FileState::Missing);
    scene.assert_complete(&scene.files().unwrap());
}

#[test]
fn a_file_of_the_wrong_size_is_downloaded_again() {
    let scene = Scene::new();
    let files = scene.files().unwrap();
    std::fs::write(files.config.canonicalize().unwrap(), "{").unwrap();
    scene.assert_complete(&scene.files().unwrap());
    assert!(std::fs::read_to_string(files.config).unwrap().contains("efficientnet_b0"));
}

#[test]
fn what_is_removed_is_gone_and_nothing_else_is() {
    let scene = Scene::new();
    scene.files().unwrap();
    scene.server.add(Repo::model("org/other", 1000));
    let hub = scene.hub();
    let other = hub.model_files("org/other", None).unwrap();
    assert!(hub.remove(MODEL).unwrap() > SIZE as u64);
    let left: Vec<_> = hub.cached().unwrap().into_iter().map(|model| model.repo).collect();
    assert_eq!(left, ["org/other"]);
    assert!(other.weights.exists());
    assert!(hub.remove(MODEL).unwrap_err().to_string().contains("not in the cache"));
    assert!(hub.remove("../x").is_err());
    scene.assert_complete(&scene.files().unwrap());
}

/// Root can write there anyway; the model is served in either case.
#[cfg(unix)]
#[test]
fn a_read_only_cache_still_serves() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::new();
    let first = scene.files().unwrap();
    let folders = ["refs", "snapshots", "blobs", ""]
        .map(|f| first.config.ancestors().nth(3).unwrap().join(f));
    let set = |mode: u32| {
        for folder in &folders {
            std::fs::set_permissions(folder, PermissionsExt::from_mode(mode)).unwrap();
        }
    };
    set(0o555);
    let again = scene.files();
    set(0o755);
    assert_eq!(again.unwrap(), first);
}

#[test]
fn several_share_one_download() {
    let scene = Scene::new();
    scene.server.fault(At::Storage, WEIGHTS, Fault::Trickle(30_000, SHORT / 25), 1);
    std::thread::scope(|scope| {
        let downloads: Vec<_> = (0..4).map(|_| scope.spawn(|| scene.files())).collect();
        for download in downloads {
            assert_eq!(
                std::fs::read(download.join().unwrap().unwrap().weights).unwrap(),
                scene.weights()
            );
        }
    });
    let log = scene.server.take_log();
    assert_eq!(log.iter().filter(|seen| seen.storage).count(), 1, "{log:?}");
    assert!(scene.events.count("waiting") >= 1);
}

#[test]
fn a_lock_that_nobody_lets_go_of_is_named() {
    let scene = Scene::new();
    let etag = Repo::model(MODEL, SIZE).file(WEIGHTS).unwrap().etag();
    let path = scene.cache.path().join(format!(".locks/models--org--b0/{etag}.lock"));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let lock = std::fs::File::create(&path).unwrap();
    lock.lock().unwrap();
    let hub = scene.builder().lock_timeout(SHORT).build().unwrap();
    let error = hub.model_files(MODEL, None).unwrap_err();
    assert!(matches!(&error, HubError::Locked { lock, .. } if *lock == path), "{error}");
    // The lock file of a process that has ended locks nobody out.
    drop(lock);
    scene.assert_complete(&scene.files().unwrap());
}

#[test]
fn a_future_leaves_the_runtime_free_and_stops_when_it_is_dropped() {
    let scene = Scene::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        scene.server.fault(At::Storage, WEIGHTS, Fault::Stall(100_000), 1);
        let hub = scene.builder().stall_timeout(SHORT).build().unwrap();
        let mut download = std::pin::pin!(hub.model_files_async(MODEL, None));
        let mut ticks = 0;
        let files = loop {
            tokio::select! {
                files = &mut download => break files.unwrap(),
                () = tokio::time::sleep(SHORT / 20) => ticks += 1,
            }
        };
        assert!(ticks >= 2, "the only thread of the runtime was blocked");
        scene.assert_complete(&files);
    });

    let scene = Scene::new();
    scene.server.fault(At::Storage, WEIGHTS, Fault::Trickle(1, SHORT / 50), usize::MAX);
    let download = scene.hub().model_files_async(MODEL, None);
    scene.server.wait_until(|log| log.iter().any(|seen| seen.storage));
    drop(download);
    // It releases its lock long before the 300001 bytes are there.
    scene.server.heal();
    scene.assert_complete(&scene.files().unwrap());
}
