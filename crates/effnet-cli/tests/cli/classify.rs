use effnet::weights::{NamedTensor, Values, write_safetensors};
use serde_json::Value;

use super::{ROOT, effnet, effnet_with_stdin, fixture, str, write};

const COFFEE: &str = "examples/images/coffee.png";
const CHELSEA: &str = "examples/images/chelsea.png";

#[test]
fn the_readmes_first_command_answers_espresso() {
    let run = effnet(["classify", COFFEE]);
    assert_eq!((run.code, &*run.stderr), (0, ""));
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines[0], "examples/images/coffee.png  (tf_efficientnet_lite0.in1k)");
    assert_eq!(lines[1], "  1  967  n07920052  espresso         95.1%  ███████████████████");
    assert_eq!(lines.len(), 6);
}

#[test]
fn json_is_a_list_and_jsonl_one_object_a_line() {
    let json = effnet(["classify", COFFEE, CHELSEA, "-k", "2", "--format", "json"]);
    let list: Value = serde_json::from_str(&json.stdout).unwrap();
    let jsonl = effnet(["classify", COFFEE, CHELSEA, "-k", "2", "--format", "jsonl"]);
    let lines: Vec<Value> =
        jsonl.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(list, Value::Array(lines.clone()));
    assert_eq!(lines[0]["image"], COFFEE);
    assert_eq!(lines[0]["model"], "tf_efficientnet_lite0.in1k");
    let best = &lines[0]["predictions"][0];
    assert_eq!(best["index"], 967);
    assert_eq!(best["synset"], "n07920052");
    assert_eq!(best["label"], "espresso");
    assert!((best["probability"].as_f64().unwrap() - 0.951).abs() < 1e-3);
    assert!(best["logit"].as_f64().unwrap() > 5.0);
    assert_eq!(lines[1]["predictions"].as_array().unwrap().len(), 2);
}

#[test]
fn an_image_that_fails_keeps_its_place_and_the_others_go_on() {
    let text = fixture("text.jpg");
    for format in ["table", "json", "jsonl", "csv"] {
        let run = effnet(["classify", COFFEE, &text, CHELSEA, "--format", format]);
        assert_eq!(run.code, 1, "{format}");
        assert!(run.only_error().contains("text.jpg"));
        let (first, failed, last) = (
            run.stdout.find("espresso").unwrap(),
            run.stdout.find("text.jpg").unwrap(),
            run.stdout.find("tiger cat").unwrap(),
        );
        assert!(first < failed && failed < last, "{format}: {}", run.stdout);
    }
    let run = effnet(["classify", COFFEE, &text, "--format", "json"]);
    let list: Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(list[1]["error"].as_str().unwrap().contains("text.jpg"));
    assert!(list[1].get("predictions").is_none());
}

#[test]
fn csv_has_the_documented_columns() {
    let run = effnet(["classify", COFFEE, &fixture("empty.png"), "-k", "1", "--format", "csv"]);
    let mut csv = csv::Reader::from_reader(run.stdout.as_bytes());
    let header: Vec<String> = csv.headers().unwrap().iter().map(str::to_owned).collect();
    let expected =
        ["image", "model", "rank", "index", "synset", "label", "probability", "logit", "error"];
    assert_eq!(header, expected);
    let rows: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    assert_eq!((&rows[0][2], &rows[0][3], &rows[0][5]), ("1", "967", "espresso"));
    assert_eq!(&rows[1][3], "");
    assert!(rows[1][8].contains("empty.png"));
}

#[test]
fn folders_patterns_and_standard_input_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("below")).unwrap();
    for (name, from) in [("b.png", COFFEE), ("below/a.PNG", CHELSEA)] {
        let from = std::path::Path::new(ROOT).join(from);
        std::fs::copy(from, folder.path().join(name)).unwrap();
    }
    write(&folder, "notes.txt", "no image");
    let run = effnet(["classify", str(folder.path()), "-k", "1", "--format", "jsonl"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let images: Vec<Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let labels: Vec<&str> =
        images.iter().map(|i| i["predictions"][0]["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["espresso", "tiger cat"]);

    let run = effnet(["classify", "examples/images/c*a.png", "-k", "1"]);
    assert!(run.stdout.contains("camera.png") && run.stdout.contains("chelsea.png"));
    assert!(!run.stdout.contains("coffee.png"));

    let bytes =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/images/coffee.png"));
    let run = effnet_with_stdin(["classify", "-", "-k", "1"], &bytes.unwrap());
    assert!(run.stdout.starts_with("-  (") && run.stdout.contains("espresso"));
}

#[test]
fn batch_size_and_threads_do_not_change_the_answers() {
    let args = |rest: [&'static str; 4]| {
        ["classify", "examples/images", "--format", "jsonl", "-k", "1"].into_iter().chain(rest)
    };
    let labels = |run: super::Run| -> Vec<Value> {
        let lines = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| line["predictions"][0]["label"].clone()).collect()
    };
    let one = labels(effnet(args(["--batch-size", "1", "--threads", "1"])));
    assert_eq!(one.len(), 7);
    assert_eq!(one, labels(effnet(args(["--batch-size", "3", "--threads", "2"]))));
}

#[test]
fn verbose_says_where_every_value_comes_from() {
    let run = effnet(["classify", COFFEE, "--verbose"]);
    for expected in [
        "tf_efficientnet_lite0.in1k (architecture tf_efficientnet_lite0)",
        "weights       bundled",
        "sha256        35e0a61f",
        "engine        cpu on cpu",
        "interpolation bicubic",
        "crop_pct      0.875",
    ] {
        assert!(run.stderr.contains(expected), "{expected}: {}", run.stderr);
    }
    assert!(run.stdout.contains("espresso"));
}

#[test]
fn generated_weights_and_other_class_counts_are_explicit() {
    let args = ["classify", COFFEE, "-m", "efficientnet_lite0", "--weights", "seeded:0"];
    let run = effnet(args.into_iter().chain(["--num-classes", "7", "--format", "json"]));
    assert_eq!(run.code, 0, "{}", run.stderr);
    let list: Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(list[0]["predictions"][0]["label"].is_null());
    assert_eq!(list[0]["predictions"].as_array().unwrap().len(), 5);
}

#[test]
fn a_retired_name_is_noted() {
    let args = ["classify", COFFEE, "-m", "efficientnet_b2a", "--weights", "seeded:0"];
    let run = effnet(args);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.starts_with("note: ") && run.stderr.contains("efficientnet_b2"));
}

#[test]
fn both_engines_agree() {
    let run = |engine| {
        let run = effnet(["classify", COFFEE, "--format", "json", "--engine", engine]);
        assert_eq!((run.code, &*run.stderr), (0, ""), "{engine}");
        let list: Value = serde_json::from_str(&run.stdout).unwrap();
        let best = &list[0]["predictions"][0];
        (best["index"].clone(), best["probability"].as_f64().unwrap())
    };
    let (cpu, candle) = (run("cpu"), run("candle"));
    assert_eq!(cpu.0, candle.0);
    assert!((cpu.1 - candle.1).abs() < 1e-5);
}

#[test]
fn auto_is_the_cpu_engine_on_a_cpu() {
    for name in ["test_efficientnet_gn", "test_efficientnet_ln", "test_efficientnet_evos"] {
        let model = ["classify", COFFEE, "-m", name, "--weights", "seeded:0", "--device", "cpu"];
        let run = |engine| effnet(model.into_iter().chain(["--engine", engine]));
        let (auto, cpu) = (run("auto"), run("cpu"));
        assert_eq!((auto.code, &*auto.stderr), (0, ""), "{name}");
        assert_eq!(auto.stdout, cpu.stdout);
    }
}

/// The predictions of one image with generated weights.
fn predictions(args: &[&str]) -> Vec<Value> {
    let model = ["classify", COFFEE, "-m", "test_efficientnet", "--weights", "seeded:0"];
    let run = effnet([&model[..], &["--format", "json"], args].concat());
    assert_eq!((run.code, &*run.stderr), (0, ""));
    let list: Value = serde_json::from_str(&run.stdout).unwrap();
    list[0]["predictions"].as_array().unwrap().clone()
}

#[test]
fn one_output_is_two_classes_in_every_format() {
    let pair = predictions(&["--num-classes", "1"]);
    assert_eq!(pair.len(), 2);
    let logit = |index: usize| {
        let of = |p: &&Value| p["index"] == index;
        pair.iter().find(of).unwrap()["logit"].as_f64().unwrap()
    };
    assert_eq!(logit(0), -logit(1));
    for p in &pair {
        let expected = 1.0 / (1.0 + (-p["logit"].as_f64().unwrap()).exp());
        assert!((p["probability"].as_f64().unwrap() - expected).abs() < 1e-6, "{pair:?}");
    }
    assert!(pair[0]["probability"].as_f64() >= pair[1]["probability"].as_f64());

    let model = ["classify", COFFEE, "-m", "test_efficientnet", "--weights", "seeded:0"];
    let run = |args: &[&str]| effnet([&model[..], &["--num-classes", "1"], args].concat());
    assert_eq!(run(&["--format", "jsonl"]).stdout.matches("\"probability\"").count(), 2);
    let table = run(&[]).stdout;
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(!table.contains("100.0%"), "{table}");
    assert_eq!(run(&["--format", "csv"]).stdout.lines().count(), 3);

    let verbose = run(&["--verbose"]).stderr;
    assert!(verbose.contains("activation    sigmoid (the network has one output)"), "{verbose}");
    let softmax = run(&["--activation", "softmax"]);
    assert_eq!(softmax.code, 3);
    assert!(softmax.only_error().contains("has one output, whose softmax is always 1"));
}

#[test]
fn an_activation_can_be_asked_for() {
    let args = |activation| predictions(&["--num-classes", "3", "--activation", activation]);
    let sum =
        |list: &[Value]| -> f64 { list.iter().map(|p| p["probability"].as_f64().unwrap()).sum() };
    assert!((sum(&args("softmax")) - 1.0).abs() < 1e-6);
    let sigmoid = args("sigmoid");
    for p in &sigmoid {
        let expected = 1.0 / (1.0 + (-p["logit"].as_f64().unwrap()).exp());
        assert!((p["probability"].as_f64().unwrap() - expected).abs() < 1e-6);
    }
    let none = args("none");
    assert!(none.iter().all(|p| p["probability"].is_null()));
    let order = |list: &[Value]| list.iter().map(|p| p["index"].clone()).collect::<Vec<_>>();
    assert_eq!(order(&none), order(&sigmoid));
    assert_eq!(predictions(&["--num-classes", "1", "--activation", "none"]).len(), 1);

    let run = effnet(["classify", COFFEE, "--activation", "relu"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("expected softmax, sigmoid or none"), "{}", run.stderr);
}

#[test]
fn features_are_not_shown_as_classes() {
    let model = ["-m", "test_efficientnet", "--weights", "seeded:0", "--num-classes", "0"];
    let run = effnet(["classify", COFFEE].iter().chain(&model));
    assert_eq!((run.code, &*run.stdout), (3, ""));
    let error = run.only_error();
    assert!(error.contains("has no classifier") && error.contains("`effnet embed`"), "{error}");
    let run = effnet(["embed", COFFEE].iter().chain(&model));
    assert_eq!(run.code, 0, "{}", run.stderr);
    let line: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(line["embedding"].as_array().unwrap().len(), 256);
}

#[test]
fn labels_of_ones_own_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let labels = write(&folder, "labels.txt", "cat\ndog\nbird\n");
    let found = predictions(&["--num-classes", "3", "--labels", str(&labels)]);
    for p in &found {
        let expected = ["cat", "dog", "bird"][p["index"].as_u64().unwrap() as usize];
        assert_eq!(p["label"], expected);
    }
    let pair = write(&folder, "pair.json", r#"{"ham": 0, "spam": 1}"#);
    let found = predictions(&["--num-classes", "1", "--labels", str(&pair)]);
    let label = |index: usize| found.iter().find(|p| p["index"] == index).unwrap()["label"].clone();
    assert_eq!((label(0), label(1)), ("ham".into(), "spam".into()));

    let model = ["-m", "test_efficientnet", "--weights", "seeded:0", "--num-classes", "3"];
    let bad = write(&folder, "bad.txt", "0 cat\n0 dog\n");
    for (file, expected) in [
        (str(&pair), "2 label names, but the model has 3 classes"),
        (str(&bad), "line 2: index 0 is \"cat\" and \"dog\""),
        ("no/such.txt", "cannot read no/such.txt"),
    ] {
        let run = effnet(["classify", COFFEE, "--labels", file].iter().chain(&model));
        assert_eq!(run.code, 3);
        let error = run.only_error();
        assert!(error.contains(expected) && error.contains("--labels"), "{error}");
    }
}

#[test]
fn preprocessing_can_be_asked_for() {
    let args = ["--img-size", "96x64", "--crop-pct", "0.5", "--crop-mode", "squash"];
    let more =
        ["--interpolation", "nearest", "--mean", "0.1", "0.2", "0.3", "--std", "0.4,0.5,0.6"];
    let run = effnet(["classify", COFFEE, "--verbose"].iter().chain(&args).chain(&more));
    assert_eq!(run.code, 0, "{}", run.stderr);
    for expected in [
        "input_size    [3, 96, 64] (as asked for)",
        "interpolation nearest (as asked for)",
        "crop_pct      0.5 (as asked for)",
        "crop_mode     squash (as asked for)",
        "mean          [0.1, 0.2, 0.3] (as asked for)",
        "std           [0.4, 0.5, 0.6] (as asked for)",
    ] {
        assert!(run.stderr.contains(expected), "{expected}: {}", run.stderr);
    }
    for (args, code, expected) in [
        (&["--img-size", "0"][..], 2, "expected a side in pixels, or HEIGHTxWIDTH"),
        (&["--img-size", "9999"], 3, "8192"),
        (&["--crop-mode", "centre"], 2, "center, squash, border"),
        (&["--interpolation", "random"], 2, "for training"),
        (
            &["--mean", "0.5,0.5"],
            3,
            "mean has 2 values and the network takes 3 channels: set --mean and --std",
        ),
        (&["--std", "0"], 3, "std"),
        (&["--mean", "0.5", COFFEE], 2, "put images before this option"),
    ] {
        let run = effnet(["classify", COFFEE].iter().chain(args));
        assert_eq!(run.code, code, "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(expected), "{args:?}: {}", run.stderr);
    }
}

#[test]
fn a_configuration_of_three_channels_is_made_to_fit_one() {
    let folder = tempfile::tempdir().unwrap();
    let config = r#"{"architecture": "test_efficientnet", "num_classes": 2, "model_args": {"in_chans": 1},
        "pretrained_cfg": {"input_size": [1, 96, 96], "mean": [0.2, 0.4, 0.6], "std": [0.1, 0.2, 0.3]}}"#;
    write(&folder, "config.json", config);
    let model = ["-m", str(folder.path()), "--weights", "seeded:0", "--verbose"];
    let run = effnet(["classify", COFFEE].iter().chain(&model));
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(
        run.stderr.contains("note: mean [0.2, 0.4, 0.6] (mean in config.json) is for 3 channels")
    );
    assert!(run.stderr.contains("--mean and --std set others"), "{}", run.stderr);
    assert!(run.stderr.contains("input_size    [1, 96, 96]"), "{}", run.stderr);
    let run = effnet(["classify", COFFEE, "--mean", "0.5", "--std", "0.5"].iter().chain(&model));
    assert!(!run.stderr.contains("note:"), "{}", run.stderr);
    assert!(run.stderr.contains("mean          [0.5] (as asked for)"), "{}", run.stderr);
}

#[test]
fn labels_that_the_weights_file_has_are_taken() {
    let bundled = effnet::weights::bundled().unwrap();
    let values: Vec<Vec<f32>> =
        bundled.names().map(|name| bundled.read_f32(name).unwrap()).collect();
    let tensors: Vec<NamedTensor<'_>> = bundled
        .names()
        .zip(&values)
        .map(|(name, values)| NamedTensor {
            name,
            shape: bundled.shape(name).unwrap(),
            values: Values::F32(values),
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.safetensors");
    let names: Vec<String> = (0..1000).map(|i| format!("class {i}")).collect();
    let metadata = [
        ("arch".to_owned(), "tf_efficientnet_lite0".to_owned()),
        ("class_names".to_owned(), serde_json::to_string(&names).unwrap()),
    ];
    write_safetensors(&path, &tensors, &metadata.into()).unwrap();
    let args = ["classify", COFFEE, "-k", "1", "--format", "json", "-m", "tf_efficientnet_lite0"];
    let run = effnet(args.iter().chain(&["--weights", str(&path)]));
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("class_names` says"), "{}", run.stderr);
    let list: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(list[0]["predictions"][0]["label"], "class 967");
}

/// A PGM with 16 bits per sample. Pillow makes its levels beyond 255 white.
#[test]
fn levels_that_become_white_are_told_of_once_an_image() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("deep.pgm");
    let mut bytes = b"P5 8 8 65535\n".to_vec();
    bytes.extend([0x40, 0x00].repeat(64));
    std::fs::write(&deep, bytes).unwrap();
    let run = effnet(["classify", str(&deep), COFFEE, "--format", "jsonl"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let notes: Vec<_> = run.stderr.lines().collect();
    let note = format!("note: {}: levels beyond 255 became white, as in Pillow", deep.display());
    assert_eq!(notes, [note]);
}
