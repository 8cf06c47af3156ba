//! `effnet preprocess` and `effnet forward`, which other people's checks use.

use effnet::weights::{Checkpoint, NamedTensor, Values, seeded, write_safetensors};
use effnet::{Model, preprocess};

use super::{ROOT, effnet, fixture, str};

const COFFEE: &str = "examples/images/coffee.png";

#[test]
fn preprocess_writes_pixels_and_input() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.safetensors");
    let args = ["preprocess", COFFEE, "examples/images/chelsea.png", "-o", str(&out)];
    let run = effnet(args.into_iter().chain(["--model", "tf_efficientnet_lite0"]));
    assert_eq!((run.code, &*run.stderr, &*run.stdout), (0, "", ""));
    let bytes = std::fs::read(&out).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let (pixels, input) = (file.tensor("pixels").unwrap(), file.tensor("input").unwrap());
    assert_eq!((pixels.dtype(), pixels.shape()), (safetensors::Dtype::U8, &[2, 224, 224, 3][..]));
    assert_eq!((input.dtype(), input.shape()), (safetensors::Dtype::F32, &[2, 3, 224, 224][..]));
    let classifier = Model::builder().build().unwrap();
    let expected: preprocess::Pixels =
        classifier.pixels(std::path::Path::new(ROOT).join(COFFEE)).unwrap();
    assert_eq!(&pixels.data()[..224 * 224 * 3], expected.data());
    // Lite's mean and std are 0.5: a byte of 0 is -1, 255 is 1.
    let first = f32::from_le_bytes(input.data()[..4].try_into().unwrap());
    assert_eq!(first, (f32::from(expected.data()[0]) / 255.0 - 0.5) / 0.5);
}

#[test]
fn preprocess_needs_the_configuration_alone() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.safetensors");
    // There is neither a network nor a cache here.
    let run = effnet(["preprocess", COFFEE, "-m", "efficientnet_b1", "-o", str(&out)]);
    assert_eq!((run.code, &*run.stderr), (0, ""));
    assert_eq!(Checkpoint::open(&out).unwrap().shape("input"), Some(&[1, 3, 288, 288][..]));

    let model = tempfile::tempdir().unwrap();
    let config =
        r#"{"architecture": "efficientnet_b0", "pretrained_cfg": {"input_size": [3, 96, 64]}}"#;
    super::write(&model, "config.json", config);
    let run = effnet(["preprocess", COFFEE, "-m", str(model.path()), "-o", str(&out)]);
    assert_eq!((run.code, &*run.stderr), (0, ""));
    assert_eq!(Checkpoint::open(&out).unwrap().shape("pixels"), Some(&[1, 96, 64, 3][..]));
    // A command that needs the network says that it is missing.
    let run = effnet(["classify", COFFEE, "-m", str(model.path())]);
    assert_eq!(run.code, 3);
}

#[test]
fn preprocess_writes_nothing_if_an_image_fails() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.safetensors");
    let run = effnet(["preprocess", COFFEE, &fixture("text.jpg"), "-o", str(&out)]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("text.jpg") && run.stderr.contains("is not written"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

fn input(folder: &tempfile::TempDir, name: &str, shape: &[usize]) -> std::path::PathBuf {
    let path = folder.path().join("in.safetensors");
    let images = seeded::images(0, shape);
    let tensor = NamedTensor { name, shape, values: Values::F32(&images) };
    write_safetensors(&path, &[tensor], &Default::default()).unwrap();
    path
}

#[test]
fn forward_writes_what_timm_computes() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (input(&folder, "input", &[1, 3, 97, 129]), folder.path().join("out"));
    let args = ["forward", "-m", "efficientnet_b0", "--weights", "seeded:0", "-i", str(&file)];
    let outputs = ["--outputs", "logits,pre_logits,features,stages", "--engine", "candle"];
    let run = effnet(args.into_iter().chain(["-o", str(&out)]).chain(outputs));
    assert_eq!((run.code, &*run.stderr, &*run.stdout), (0, "", ""));
    let (ours, golden) = (
        Checkpoint::open(&out).unwrap(),
        Checkpoint::open(
            std::path::Path::new(ROOT).join("tests/goldens/efficientnet_b0.safetensors"),
        )
        .unwrap(),
    );
    for name in ["logits", "pre_logits"] {
        let (ours, theirs) = (ours.read_f32(name).unwrap(), golden.read_f32(name).unwrap());
        let scale = theirs.iter().fold(0f32, |max, v| max.max(v.abs()));
        assert_eq!(ours.len(), theirs.len());
        assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() <= 1e-4 * scale), "{name}");
    }
    assert_eq!(ours.shape("features"), Some(&[1, 1280, 4, 5][..]));
    // timm's forward_intermediates: the ends of the five resolutions.
    let stages: Vec<&[usize]> =
        (0..5).map(|i| ours.shape(&format!("stages.{i}")).unwrap()).collect();
    let expected: [[usize; 4]; 5] =
        [[1, 16, 49, 65], [1, 24, 25, 33], [1, 40, 13, 17], [1, 112, 7, 9], [1, 320, 4, 5]];
    assert_eq!(stages, expected);
    assert_eq!(ours.shape("stages.5"), None);
}

#[test]
fn forward_names_an_input_that_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.safetensors");
    for (name, shape, expected) in [
        ("images", &[1, 3, 8, 8][..], "no tensor `input`"),
        ("input", &[3, 8, 8], "not (N, C, H, W)"),
        ("input", &[1, 4, 8, 8], "3 channels, not 4"),
    ] {
        let file = input(&folder, name, shape);
        let run = effnet(["forward", "-i", str(&file), "-o", str(&out)]);
        assert_eq!(run.code, 1);
        let error = run.only_error();
        assert!(error.contains(str(&file)) && error.contains(expected), "{error}");
        assert!(!out.exists());
    }
}

#[test]
fn embed_writes_pooled_features() {
    let folder = tempfile::tempdir().unwrap();
    let model = ["-m", "test_efficientnet", "--weights", "seeded:0"];
    let chelsea = "examples/images/chelsea.png";
    let embed = |args: &[&str]| effnet([&["embed", COFFEE, chelsea], &model[..], args].concat());
    let lines: Vec<serde_json::Value> =
        embed(&[]).stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["image"]), (2, &COFFEE.into()));
    assert_eq!(lines[0]["model"], "test_efficientnet.r160_in1k");
    let row = |line: &serde_json::Value| -> Vec<f32> {
        serde_json::from_value(line["embedding"].clone()).unwrap()
    };
    let classifier =
        Model::builder().model("test_efficientnet").weights("seeded:0").build().unwrap();
    let expected = classifier.embed(std::path::Path::new(ROOT).join(chelsea)).unwrap();
    assert_eq!(expected.len(), classifier.network().num_features);
    assert!(expected.iter().zip(row(&lines[1])).all(|(a, b)| (a - b).abs() < 1e-5));

    let list: serde_json::Value =
        serde_json::from_str(&embed(&["--format", "json"]).stdout).unwrap();
    assert_eq!(list, serde_json::Value::Array(lines.clone()));
    let csv = embed(&["--format", "csv"]).stdout;
    assert!(csv.starts_with("image,model,error,0,1,2,"), "{csv}");
    assert_eq!(csv.lines().count(), 3);

    let out = folder.path().join("out.safetensors");
    let run = embed(&["--format", "safetensors", "-o", str(&out)]);
    assert_eq!((run.code, &*run.stderr, &*run.stdout), (0, "", ""));
    let file = Checkpoint::open(&out).unwrap();
    assert_eq!(file.shape("embeddings"), Some(&[2, expected.len()][..]));
    assert_eq!(file.read_f32("embeddings").unwrap()[expected.len()..], row(&lines[1]));
    let images = format!("[{COFFEE:?},{chelsea:?}]");
    assert_eq!(file.metadata().get("images"), Some(&images));
    assert_eq!(embed(&["--format", "safetensors"]).code, 2);

    // An image that fails keeps its place.
    let text = fixture("text.jpg");
    let run = effnet(["embed", COFFEE, &text].iter().chain(&model));
    assert_eq!(run.code, 1);
    assert!(run.only_error().contains("text.jpg"));
    assert!(run.stdout.lines().nth(1).unwrap().contains("\"error\":"), "{}", run.stdout);
}

#[test]
fn a_file_that_stands_is_replaced_by_whole_embeddings_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (out, absent) = (folder.path().join("out.csv"), folder.path().join("absent.pth"));
    std::fs::write(&out, "older").unwrap();
    let embed = |args: &[&str]| {
        let run = effnet([&["embed", COFFEE, "--format", "csv", "-o", str(&out)], args].concat());
        (run.code, std::fs::read_to_string(&out).unwrap())
    };
    assert_eq!(embed(&["--weights", str(&absent)]), (3, "older".to_owned()));
    let (code, csv) = embed(&["-m", "test_efficientnet", "--weights", "seeded:0"]);
    assert_eq!((code, csv.lines().count()), (0, 2));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    // The file would replace the device.
    let run = effnet(["embed", COFFEE, "-o", "/dev/null"]);
    assert_eq!(run.code, 1);
    assert!(run.only_error().contains("/dev/null: it exists and is not a regular file"));
}

#[test]
fn a_network_of_five_channels_takes_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let config = r#"{"architecture": "test_efficientnet", "model_args": {"in_chans": 5}}"#;
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    let model = ["-m", str(folder.path()), "--weights", "seeded:0"];
    let file = input(&folder, "input", &[1, 5, 64, 64]);
    let logits = |engine: &str| {
        let out = folder.path().join("out.safetensors");
        let args = ["forward", "-i", str(&file), "-o", str(&out), "--engine", engine];
        let run = effnet(args.iter().chain(&model));
        assert_eq!(run.code, 0, "{}", run.stderr);
        Checkpoint::open(&out).unwrap().read_f32("logits").unwrap()
    };
    let (fused, modules) = (logits("cpu"), logits("candle"));
    let scale = modules.iter().fold(0f32, |max, v| max.max(v.abs()));
    assert_eq!(fused.len(), 1000);
    assert!(fused.iter().zip(&modules).all(|(a, b)| (a - b).abs() <= 1e-4 * scale));
    // A network with its own number of channels: 5 channels are not 3 and two unused ones.
    let (other, out) = (input(&folder, "input", &[1, 3, 64, 64]), folder.path().join("no"));
    let args = ["forward", "-i", str(&other), "-o", str(&out)];
    assert!(effnet(args.iter().chain(&model)).stderr.contains("5 channels, not 3"));

    for command in ["classify", "embed", "preprocess"] {
        let args: &[&str] = if command == "preprocess" { &["-o", str(&out)] } else { &[] };
        let run = effnet([&[command, COFFEE], args].concat().iter().chain(&model));
        assert_eq!(run.code, 3, "{command}: {}", run.stderr);
        let expected = "has 5 channels, but images are prepared as L, RGB or RGBA";
        assert!(run.stderr.contains(expected), "{command}: {}", run.stderr);
        assert!(run.stderr.contains("`effnet forward` takes tensors"), "{}", run.stderr);
    }
}
