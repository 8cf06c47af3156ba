//! The command with a hub on this machine: its output, and what happens when it is killed.

#![cfg(all(feature = "hub", feature = "bundled"))]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::process::{Command, Output, Stdio};
use std::time::Instant;

#[allow(dead_code, reason = "what only the library's tests use")]
#[path = "../../../../tests/hub/scene.rs"]
mod scene;

use scene::*;
use test_hub::{Access, At, Fault, Repo, TOKEN};

const COFFEE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/images/coffee.png");

/// The command without this machine's environment variables for the hub.
fn effnet(scene: &Scene, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_effnet"));
    command.args(arguments).env_clear();
    command.env("HF_ENDPOINT", scene.server.url()).env("HF_HUB_CACHE", scene.cache.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn download_list_verify_remove() {
    let scene = Scene::new();
    let commit = Repo::model(MODEL, SIZE).commit();
    let (code, out, err) = run(&mut effnet(&scene, &["download", MODEL]));
    let folder = scene.cache.path().join("models--org--b0/snapshots").join(&commit);
    assert_eq!((code, out.trim_end(), err.as_str()), (Some(0), folder.to_str().unwrap(), ""));

    let (code, out, _) = run(&mut effnet(&scene, &["cache", "ls"]));
    assert_eq!(code, Some(0));
    assert!(out.contains(MODEL) && out.contains(&commit[..8]), "{out}");
    let (code, out, _) = run(&mut effnet(&scene, &["models", "--cached"]));
    assert_eq!(code, Some(0));
    assert!(out.contains(MODEL), "{out}");
    assert_eq!(run(&mut effnet(&scene, &["cache", "verify"])).0, Some(0));

    let weights = folder.join(WEIGHTS).canonicalize().unwrap();
    std::fs::write(&weights, vec![0; SIZE]).unwrap();
    let (code, out, err) = run(&mut effnet(&scene, &["cache", "verify", MODEL]));
    assert_eq!(code, Some(1));
    assert!(out.contains("damaged     org/b0 model.safetensors"), "{out}");
    assert!(err.contains("cache rm org/b0"), "{err}");
    assert_eq!(run(&mut effnet(&scene, &["cache", "rm", MODEL])).0, Some(0));
    assert_eq!(run(&mut effnet(&scene, &["cache", "rm", MODEL])).0, Some(3));
    let (code, _, err) = run(&mut effnet(&scene, &["models", "--cached"]));
    assert_ne!(code, Some(0));
    assert!(err.contains("no model in the cache"), "{err}");
}

#[test]
fn flags_win_over_the_environment() {
    let scene = Scene::new();
    let other = tempfile::tempdir().unwrap();
    let dir = other.path().to_str().unwrap();
    let (code, out, _) = run(&mut effnet(&scene, &["download", MODEL, "--cache-dir", dir]));
    assert_eq!(code, Some(0));
    assert!(out.starts_with(dir), "{out}");
    assert!(all_files(scene.cache.path()).is_empty());
    let (code, _, err) = run(&mut effnet(&scene, &["download", MODEL, "--offline"]));
    assert_eq!(code, Some(3));
    assert!(err.contains("effnet download org/b0"), "{err}");
    let mut offline = effnet(&scene, &["download", MODEL, "--cache-dir", dir]);
    scene.server.take_log();
    assert_eq!(run(offline.env("HF_HUB_OFFLINE", "1")).0, Some(0));
    assert_eq!(scene.server.take_log(), []);
}

#[test]
fn the_environment_is_used() {
    let scene = Scene::new();
    scene.server.add(Repo::model(MODEL, SIZE).access(Access::Private));
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("token"), TOKEN).unwrap();
    let mut command = effnet(&scene, &["download", MODEL]);
    command.env_remove("HF_HUB_CACHE").env("HF_HOME", home.path());
    let (code, out, err) = run(&mut command);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with(home.path().join("hub").to_str().unwrap()), "{out}");

    let (code, _, err) = run(effnet(&scene, &["download", MODEL]).env("HF_TOKEN", "hf_wrong123"));
    assert_eq!(code, Some(3));
    assert!(err.contains("refuses the token") && !err.contains("hf_wrong123"), "{err}");

    // A proxy, here one that accepts no connection; and an exception to it.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxied = || {
        let mut command = effnet(&scene, &["download", "org/none"]);
        command.env("HTTP_PROXY", format!("http://user:password@{gone}"));
        command.env("HF_HUB_ETAG_TIMEOUT", "1");
        command
    };
    scene.server.take_log();
    // Without NO_PROXY no request arrives.
    let (code, _, err) = run(&mut proxied());
    assert_eq!((code, scene.server.take_log().len()), (Some(3), 0), "{err}");
    assert!(!err.contains("password"), "{err}");
    let (code, _, err) = run(proxied().env("NO_PROXY", "127.0.0.1"));
    assert_eq!(code, Some(3));
    assert!(err.contains("no such repository") && scene.server.take_log().len() == 1, "{err}");
}

#[test]
fn a_timm_name_is_its_repository() {
    let scene = Scene::new();
    scene.server.add(Repo::model("timm/efficientnet_b0.ra_in1k", SIZE));
    let (code, out, err) = run(&mut effnet(&scene, &["download", "efficientnet_b0"]));
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("models--timm--efficientnet_b0.ra_in1k"), "{out}");
    let (code, _, err) = run(&mut effnet(&scene, &["download", "efficientnet_b00"]));
    assert_eq!(code, Some(3));
    assert!(err.contains("did you mean efficientnet_b0"), "{err}");
}

/// Whenever a download is killed, no partial file is taken for a whole one, and the next run
/// completes the download from what is there.
#[test]
fn killed_at_any_moment_the_next_run_completes() {
    let pause = SHORT / 50;
    // How long an undisturbed run takes, from the first request on.
    let whole = {
        let scene = Scene::new();
        scene.server.fault(At::Storage, WEIGHTS, Fault::Trickle(10_000, pause), usize::MAX);
        let start = Instant::now();
        assert_eq!(run(&mut effnet(&scene, &["download", MODEL])).0, Some(0));
        start.elapsed()
    };
    let etags = Repo::model(MODEL, SIZE).files.iter().map(|f| f.etag()).collect::<Vec<_>>();
    let mut resumed = 0;
    for moment in 0..10 {
        let scene = Scene::new();
        scene.server.fault(At::Storage, WEIGHTS, Fault::Trickle(10_000, pause), usize::MAX);
        let mut child = effnet(&scene, &["download", MODEL]).spawn().unwrap();
        // The moments are spread over the run; the exact times are left to chance.
        std::thread::sleep(whole.mul_f64((f64::from(moment) + 0.5) / 10.0));
        child.kill().unwrap();
        child.wait().unwrap();
        for path in all_files(scene.cache.path()) {
            let name = path.file_name().unwrap().to_str().unwrap();
            if let Some(i) = etags.iter().position(|etag| etag == name) {
                let bytes = std::fs::read(&path).unwrap();
                assert!(bytes == Repo::model(MODEL, SIZE).files[i].bytes, "{}", path.display());
            }
        }
        let hub = scene.hub();
        for model in hub.cached().unwrap() {
            // Python's client considers a repository without this folder damaged.
            assert!(model.folder.join("snapshots").is_dir());
            for file in model.files {
                assert_eq!(hub.verify(&file).unwrap(), effnet::hub::FileState::Sound);
            }
        }
        scene.server.take_log();
        scene.server.heal();
        let files = scene.files().unwrap();
        assert_eq!(std::fs::read(&files.weights).unwrap(), scene.weights());
        resumed += usize::from(scene.server.take_log().iter().any(|seen| seen.range.is_some()));
    }
    assert!(resumed >= 1, "no run went on from where another was killed");
}

#[test]
fn without_a_network_the_command_says_at_once_what_is_left() {
    let scene = Scene::new();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let classify = || {
        let mut command = effnet(&scene, &["classify", COFFEE, "-m", MODEL]);
        let start = Instant::now();
        let (code, out, err) = run(command.env("HF_ENDPOINT", format!("http://{gone}")));
        assert_eq!((code, out.as_str()), (Some(3), ""));
        (start.elapsed(), err)
    };
    // Five attempts at a server that exists take 15 seconds. A busy machine may be late, but not
    // every time.
    let in_time = (0..5).map(|_| classify()).find(|(elapsed, _)| elapsed.as_secs() < 3);
    let Some((_, err)) = in_time else { panic!("no error within three seconds") };
    assert_eq!(err.lines().count(), 1, "{err}");
    for part in ["--offline", "cache", "-m DIR", "HF_ENDPOINT", MODEL] {
        assert!(err.contains(part), "{part}: {err}");
    }
    // What is in the cache is used.
    assert_eq!(run(&mut effnet(&scene, &["download", MODEL])).0, Some(0));
    let mut command = effnet(&scene, &["download", MODEL]);
    let (code, _, err) = run(command.env("HF_ENDPOINT", format!("http://{gone}")));
    assert_eq!(code, Some(0), "{err}");
    assert!(err.starts_with("note: ") && err.contains("using the copy in the cache"), "{err}");
}

#[test]
fn the_command_downloads_on_first_use() {
    let scene = Scene::new();
    scene.server.add(lite0(1000));
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_effnet"));
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

/// A file of a dataset is downloaded once, when its turn comes, and its rows have its URL.
#[test]
fn a_dataset_is_a_source() {
    let scene = Scene::new();
    let data = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/sources");
        std::fs::read(format!("{folder}/{name}")).unwrap()
    };
    let (tar, image) = (data("webdataset.tar"), data("a.png"));
    let dataset = Repo::new("datasets/org/pets")
        .with("README.md", b"# Pets")
        .with("data/one.tar", &tar)
        .with("data/two.tar", &tar)
        .with("data/more/a.png", &image);
    let commit = dataset.commit();
    scene.server.add(dataset);
    let classify = |source: &str, more: &[&str]| {
        let arguments = [&["classify", source, "-k", "1", "--format", "csv"], more].concat();
        run(&mut effnet(&scene, &arguments))
    };
    let names = |out: &str| -> Vec<String> {
        out.lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect()
    };
    let one = "hf://datasets/org/pets/data/one.tar";
    let (code, out, err) = classify(one, &[]);
    assert_eq!(code, Some(1), "{err}");
    let members = ["a.png", "b.jpg", "c.png", "d.png"].map(|name| format!("part/{name}"));
    assert_eq!(names(&out), members.clone().map(|member| format!("{one}/{member}")));
    let folder = scene.cache.path().join("datasets--org--pets/snapshots").join(&commit);
    assert!(folder.join("data/one.tar").exists() && !folder.join("data/two.tar").exists());

    // A pattern asks for the list; the shard of the other archive downloads nothing.
    let pattern = "hf://datasets/org/pets@main/data/*.tar";
    let output = scene.cache.path().join("part.csv");
    let output = output.to_str().unwrap();
    let (code, _, err) = classify(pattern, &["--shard", "1/2", "-o", output]);
    assert_eq!(code, Some(1), "{err}");
    assert!(!folder.join("data/two.tar").exists());
    let (_, out, _) = classify(pattern, &[]);
    assert_eq!(names(&out).len(), 8);
    assert!(names(&out)[4].starts_with("hf://datasets/org/pets@main/data/two.tar/part/a.png"));
    let (code, out, err) = classify("hf://datasets/org/pets/**/*.png", &[]);
    assert_eq!((code, names(&out).len()), (Some(0), 1), "{err}");
    // The cache answers offline.
    let (code, out, err) = classify(one, &["--offline"]);
    assert_eq!((code, names(&out).len()), (Some(1), 4), "{err}");

    for (source, says) in [
        ("hf://datasets/org/pets", "it names no file"),
        ("hf://datasets/org/pets/data/three.tar", "three.tar"),
        ("hf://datasets/org/pets/data/*.zip", "no file of the dataset matches"),
        ("hf://datasets/org/none/a.png", "org/none"),
        ("hf://datasets/org/none/*.png", "org/none"),
        ("hf://datasets/org/pets@v9/data/one.tar", "v9"),
    ] {
        let (code, out, err) = classify(source, &[]);
        assert_eq!((code, names(&out).len()), (Some(1), 1), "{source}: {err}");
        assert!(err.contains(says), "{source}: {err}");
    }
    // Every command that takes images takes datasets.
    let image = "hf://datasets/org/pets/data/more/a.png";
    for arguments in [
        &["embed", image][..],
        &["explain", image, "--format", "jsonl"],
        &["similar", image, image, "--format", "jsonl"],
    ] {
        let (code, out, err) = run(&mut effnet(&scene, arguments));
        assert_eq!((code, out.contains(image)), (Some(0), true), "{arguments:?}: {err}");
    }
    let (code, _, err) = classify("hf://datasets/org/pets/**/*.png", &["--offline"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("the list of files"), "{err}");
}
