//! The commands of `docs/fine-tuned.md`, run by the real program on files that
//! `tests/parity/fine_tuned` made with the libraries. The tests compare labels and probabilities
//! with the libraries'.

#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const DATA: &str = "tests/data/fine_tuned";
const PHOTOS: [&str; 2] = ["chelsea.png", "coffee.png"];
const CONVERT: &str = "effnet convert flowers.pth flowers --to timm --folder --labels classes.txt";

/// A command of the document, and its expected answer.
struct Case {
    /// The folder with its files.
    library: &'static str,
    command: &'static str,
    /// The key of the answers in `goldens.json`.
    golden: &'static str,
    /// What standard error contains.
    notes: &'static [&'static str],
}

const CASES: [Case; 13] = [
    Case {
        library: "timm",
        command: "effnet classify photos -m flowers.pth --labels classes.txt",
        golden: "timm/flowers.pth",
        notes: &["recognised as lcnet_050"],
    },
    Case {
        library: "timm",
        command: "effnet classify photos -m model_best.pth.tar --labels class_to_idx.json",
        golden: "timm/model_best.pth.tar",
        notes: &[
            "says that it is efficientnet_lite0",
            "the weights are those under `state_dict_ema`",
        ],
    },
    Case {
        library: "timm",
        command: "effnet classify photos -m flowers",
        golden: "timm/flowers",
        notes: &[],
    },
    Case {
        library: "torchvision",
        command: "effnet classify photos -m flowers.pth --labels classes.txt",
        golden: "torchvision/flowers.pth",
        notes: &["mobilenet_v3_small of torchvision"],
    },
    Case {
        library: "torchvision",
        command: "effnet classify photos -m flowers_b0.pth --labels classes.txt",
        golden: "torchvision/flowers_b0.pth",
        notes: &[
            "efficientnet_b0 of torchvision",
            "the classifier is `classifier.2`, of 5 classes",
        ],
    },
    Case {
        library: "torchvision",
        command: "effnet classify photos -m model_9.pth --labels classes.txt",
        golden: "torchvision/model_9.pth",
        notes: &["mobilenet_v3_small of torchvision"],
    },
    Case {
        library: "transformers",
        command: "effnet classify photos -m flowers",
        golden: "transformers/flowers",
        notes: &[],
    },
    Case {
        library: "transformers",
        command: "effnet classify photos -m flowers-timm",
        golden: "transformers/flowers-timm",
        notes: &[],
    },
    Case {
        library: "keras",
        command: "effnet classify photos -m flowers.keras --labels class_names.json",
        golden: "keras/flowers.keras, Resizing",
        notes: &[
            "MobileNet-0.25 of keras",
            "the classifier is `dense`, of 5 classes",
            "images are normalized as its layers do",
            "images are resized as keras does for networks with your own classes (squash, \
             bilinear-no-antialias); --crop-mode, --crop-pct and --interpolation change that",
        ],
    },
    Case {
        library: "keras",
        command: "effnet classify photos -m flowers.keras --labels class_names.json --interpolation nearest",
        golden: "keras/flowers.keras",
        notes: &[],
    },
    Case {
        library: "lightning",
        command: "effnet classify photos -m flowers.ckpt",
        golden: "lightning/flowers.ckpt",
        notes: &[
            "says that it is efficientnet_b0",
            "the classifier is `head`, of 5 classes",
            "the classes are named as its `hyper_parameters.class_names` says",
            "inference does not use `criterion.weight`",
        ],
    },
    Case {
        library: "timm",
        command: "effnet classify photos -m efficientnet_lite0 --weights model_best.pth.tar --labels class_to_idx.json",
        golden: "timm/model_best.pth.tar",
        notes: &[],
    },
    Case {
        library: "torchvision",
        command: "effnet classify photos -m flowers",
        golden: "torchvision/flowers.pth",
        notes: &[],
    },
];

/// A folder like that of the document's reader: the library's files, and the photographs in
/// `photos`.
fn folder(library: &str) -> tempfile::TempDir {
    let root = Path::new(ROOT);
    let folder = tempfile::tempdir().unwrap();
    copy(&root.join(DATA).join(library), folder.path());
    let photos = folder.path().join("photos");
    std::fs::create_dir(&photos).unwrap();
    for name in PHOTOS {
        std::fs::copy(root.join("examples/images").join(name), photos.join(name)).unwrap();
    }
    folder
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, target).unwrap();
        }
    }
}

/// Runs a line of the document in `folder`, with `more` arguments.
fn run(folder: &Path, line: &str, more: &[&str]) -> (String, String) {
    let arguments = line.strip_prefix("effnet ").unwrap().split(' ');
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_effnet"))
        .args(arguments)
        .args(more)
        .current_dir(folder)
        .env("HF_HUB_OFFLINE", "1")
        .env("HF_HOME", folder.join("no-cache"))
        .output()
        .unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(status.success(), "{line}: {stderr}");
    (String::from_utf8(stdout).unwrap(), stderr)
}

fn goldens() -> Value {
    let text = std::fs::read_to_string(Path::new(ROOT).join(DATA).join("goldens.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Compares a classification as JSON with the library's answers.
fn compare(line: &str, json: &str, golden: &Value) {
    let images: Vec<Value> = serde_json::from_str(json).unwrap();
    assert_eq!(images.len(), PHOTOS.len(), "{line}");
    for (image, photo) in images.iter().zip(PHOTOS) {
        assert!(image["image"].as_str().unwrap().ends_with(photo), "{line}");
        let golden = &golden[photo];
        let expected = golden["probabilities"].as_object().unwrap();
        let predictions = image["predictions"].as_array().unwrap();
        assert_eq!(predictions.len(), expected.len(), "{line}");
        let logits: Option<Vec<f64>> = golden["logits"]
            .as_array()
            .map(|logits| logits.iter().map(|logit| logit.as_f64().unwrap()).collect());
        for prediction in predictions {
            let theirs = expected[prediction["label"].as_str().unwrap()].as_f64().unwrap();
            let ours = prediction["probability"].as_f64().unwrap();
            assert!((ours - theirs).abs() < 1e-3, "{line}, {photo}: {prediction} {theirs}");
            // If logits were recorded, the pixels are equal.
            if let Some(logits) = &logits {
                let largest = logits.iter().fold(0f64, |max, logit| max.max(logit.abs()));
                let theirs =
                    logits[usize::try_from(prediction["index"].as_u64().unwrap()).unwrap()];
                let off = (prediction["logit"].as_f64().unwrap() - theirs).abs();
                assert!(off <= 1e-4 * largest, "{line}, {photo}: {prediction} {theirs}");
            }
        }
    }
}

#[test]
fn each_command_answers_as_the_library_does() {
    let goldens = goldens();
    for Case { library, command, golden, notes } in CASES {
        let folder = folder(library);
        if !folder.path().join("flowers").exists() && command.ends_with("-m flowers") {
            run(folder.path(), CONVERT, &[]);
        }
        let (table, stderr) = run(folder.path(), command, &[]);
        for note in notes {
            assert!(stderr.contains(note), "{command}: {stderr}");
        }
        let (json, _) = run(folder.path(), command, &["--format", "json"]);
        compare(command, &json, &goldens[golden]);
        // The first class of the first image.
        let first: Vec<Value> = serde_json::from_str(&json).unwrap();
        let label = first[0]["predictions"][0]["label"].as_str().unwrap();
        assert!(table.lines().nth(1).unwrap().contains(label), "{table}");
    }
    // Another way in which Keras reads a file: `load_img` with Pillow's bilinear filter.
    let folder = folder("keras");
    let line = "effnet classify photos -m flowers.keras --labels class_names.json --interpolation bilinear";
    let (json, _) = run(folder.path(), line, &["--format", "json"]);
    compare(line, &json, &goldens["keras/flowers.keras, bilinear"]);
}

#[test]
fn the_documents_commands_are_those_that_the_test_runs() {
    let document = std::fs::read_to_string(Path::new(ROOT).join("docs/fine-tuned.md")).unwrap();
    let (mut library, mut is_shell, mut found) = (String::new(), false, Vec::new());
    for line in document.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            library = title.to_ascii_lowercase();
        } else if line.trim_start().starts_with("```") {
            is_shell = line.trim_start() == "```sh";
        } else if is_shell {
            found.push((library.clone(), line.trim_start().to_owned()));
        }
    }
    for (library, line) in &found {
        let is_run = line == CONVERT
            || CASES.iter().any(|case| {
                // Sections about all libraries use the files of one.
                let is_library = CASES.iter().any(|other| other.library == library);
                case.command == line && (!is_library || case.library == library)
            });
        assert!(is_run, "no test runs `{line}` of section {library}");
    }
    for case in &CASES {
        assert!(found.iter().any(|(_, line)| line == case.command), "not told: {}", case.command);
    }
}
