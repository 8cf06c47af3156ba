//! `effnet convert` and `effnet map`.

use effnet::weights::{Checkpoint, NamedTensor, Values, bundled, write_safetensors};

use super::{effnet, str};

const COFFEE: &str = "examples/images/coffee.png";

/// The bundled weights as a separate file.
fn lite0(folder: &tempfile::TempDir) -> std::path::PathBuf {
    let bundled = bundled().unwrap();
    let tensors: Vec<_> =
        bundled.names().map(|name| (name, bundled.read_f32(name).unwrap())).collect();
    let named: Vec<_> = tensors
        .iter()
        .map(|(name, values)| {
            let shape = bundled.shape(name).unwrap();
            NamedTensor { name, shape, values: Values::F32(values) }
        })
        .collect();
    let path = folder.path().join("lite0.safetensors");
    write_safetensors(&path, &named, &Default::default()).unwrap();
    path
}

#[test]
fn convert_says_what_went_where_and_the_result_classifies_alike() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (lite0(&folder), folder.path().join("out.safetensors"));
    let arch = ["--arch", "tf_efficientnet_lite0"];
    let run = effnet(["convert", str(&file), str(&out), "--to", "tensorflow"].iter().chain(&arch));
    assert_eq!(run.code, 0, "{}", run.stderr);
    let lines: Vec<Vec<&str>> =
        run.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["FROM", "SHAPE", "TO", "SHAPE"]);
    assert_eq!(lines.len(), 1 + bundled().unwrap().names().len());
    let moved = [
        "blocks.0.0.conv_dw.weight",
        "32x1x3x3",
        "efficientnet-lite0/blocks_0/depthwise_conv2d/depthwise_kernel",
        "3x3x32x1",
    ];
    assert!(lines.iter().any(|line| line[..] == moved), "{}", run.stdout);
    assert!(run.stderr.contains("tf_efficientnet_lite0 of timm"), "{}", run.stderr);

    let classify = |args: &[&str]| {
        let run = effnet([&["classify", COFFEE, "--format", "json"], args].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
        let list: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        list[0]["predictions"].clone()
    };
    let expected = classify(&["-m", "tf_efficientnet_lite0", "--weights", str(&file)]);
    assert_eq!(classify(&["--weights", str(&out)]), expected);
    assert_eq!(classify(&["-m", "tf_efficientnet_lite0", "--weights", str(&out)]), expected);

    // A folder that is a complete model, from the foreign file.
    let model = folder.path().join("model");
    let run = effnet(["convert", str(&out), str(&model), "--to", "timm", "--folder"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(classify(&["-m", str(&model)]), expected);
    let names: Vec<_> = std::fs::read_dir(&model)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");

    let half = folder.path().join("half.safetensors");
    let run = effnet(["convert", str(&out), str(&half), "--to", "timm", "--dtype", "bf16"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let half = Checkpoint::open(&half).unwrap();
    assert_eq!(half.dtype("conv_stem.weight").as_deref(), Some("BF16"));
}

#[test]
fn what_cannot_be_converted_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (lite0(&folder), folder.path().join("out"));
    for (args, code, message) in [
        (&["--to", "timn"][..], 3, "did you mean `timm`"),
        (&["--to", "timm"], 3, "name one of efficientnet_lite0, tf_efficientnet_lite0"),
        (&["--to", "timm", "--from", "torchvision"], 3, "not a network of this family"),
        (&["--to", "timm", "--arch", "tf_efficientnet_lite1"], 3, "missing, "),
        (
            &["--to", "torchvision", "--arch", "tf_efficientnet_lite0"],
            3,
            "`torchvision` covers no model with the tensors of tf_efficientnet_lite0",
        ),
        (&["--to", "tensorflow", "--folder"], 1, "it goes with --to timm"),
        (&["--to", "timm", "--dtype", "int8"], 2, "expected f32, f16 or bf16"),
    ] {
        let run = effnet([&["convert", str(&file), str(&out)], args].concat());
        assert_eq!(run.code, code, "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(message), "{args:?}: {}", run.stderr);
        assert!(!out.exists() && run.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn map_prints_names_side_by_side() {
    let run = effnet(["map", "efficientnet_b5", "--to", "torchvision"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let find = |text: &str, name: &str| -> Vec<String> {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(find(&run.stdout, "TIMM"), ["TIMM", "SHAPE", "TORCHVISION", "(efficientnet_b5)"]);
    assert_eq!(
        find(&run.stdout, "blocks.2.0.conv_dw.weight"),
        ["blocks.2.0.conv_dw.weight", "240x1x5x5", "features.3.0.block.1.0.weight"]
    );
    assert_eq!(run.stdout.lines().count(), 739);

    let run = effnet(["map", "tf_efficientnet_b0", "--format", "json"]);
    let list: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 311);
    let classifier = list
        .as_array()
        .unwrap()
        .iter()
        .find(|tensor| tensor["name"] == "classifier.weight")
        .unwrap();
    assert_eq!(classifier["shape"], serde_json::json!([1000, 1280]));
    let dense = &classifier["names"]["tensorflow"];
    assert_eq!(dense["name"], "efficientnet-b0/head/dense/kernel");
    assert_eq!(dense["shape"], serde_json::json!([1280, 1000]));
    assert_eq!(classifier["names"]["transformers"]["model"], "google/efficientnet-b0");

    let run = effnet(["map", "mixnet_s", "--to", "torchvision"]);
    assert_eq!(run.code, 1);
    assert!(run.only_error().contains("`torchvision` does not cover mixnet_s: it covers "));
    let run = effnet(["map", "efficientnet_b00"]);
    assert_eq!(run.code, 3);
    assert!(run.only_error().contains("did you mean"));
}

#[test]
fn a_folder_is_converted_with_its_configuration_and_labels() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    std::fs::create_dir(&input).unwrap();
    std::fs::rename(lite0(&folder), input.join("model.safetensors")).unwrap();
    let config = r#"{"architecture": "tf_efficientnet_lite0", "num_classes": 1000,
        "pretrained_cfg": {"input_size": [3, 192, 192], "crop_pct": 0.75, "crop_mode": "squash",
        "mean": [0.4, 0.5, 0.6], "std": [0.5, 0.5, 0.5]}}"#;
    std::fs::write(input.join("config.json"), config).unwrap();
    let names: Vec<String> = (0..1000).map(|i| format!("class {i}")).collect();
    let labels = folder.path().join("labels.txt");
    std::fs::write(&labels, names.join("\n")).unwrap();
    // Two architectures have these tensors; the folder says which one it is.
    let args = ["convert", str(&input), str(&output), "--to", "timm", "--folder"];
    let run = effnet(args.iter().chain(&["--labels", str(&labels)]));
    assert_eq!(run.code, 0, "{}", run.stderr);
    let best = |model: &std::path::Path| {
        let run = effnet(["classify", COFFEE, "-k", "1", "--format", "json", "-m", str(model)]);
        assert_eq!((run.code, &*run.stderr), (0, ""));
        let list: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        list[0]["predictions"][0].clone()
    };
    let (before, after) = (best(&input), best(&output));
    assert_eq!((&before["label"], &after["label"]), (&"espresso".into(), &"class 967".into()));
    assert_eq!(before["logit"], after["logit"]);

    for (more, code, expected) in [
        (
            &["--arch", "efficientnet_lite0"][..],
            1,
            "says tf_efficientnet_lite0, not efficientnet_lite0",
        ),
        (&["--labels", "no/such.txt"], 3, "--labels: cannot read no/such.txt"),
    ] {
        let run = effnet(args.iter().chain(more));
        assert_eq!(run.code, code, "{}", run.stderr);
        assert!(run.stderr.contains(expected), "{}", run.stderr);
    }
    std::fs::write(&labels, "ham\nspam").unwrap();
    let run = effnet(args.iter().chain(&["--labels", str(&labels)]));
    assert!(
        run.stderr.contains("--labels: 2 label names, but the model has 1000"),
        "{}",
        run.stderr
    );
    let run =
        effnet(["convert", str(&input), str(&output), "--to", "timm", "--labels", str(&labels)]);
    assert!(run.only_error().contains("it goes with --folder"));
}
