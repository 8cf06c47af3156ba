//! Bad input: one line that names the file and the remedy, the documented exit code, no panic, no
//! partial output.

use effnet::weights::{NamedTensor, Values, bundled, write_safetensors};

use super::{effnet, fixture, str, write};

const COFFEE: &str = "examples/images/coffee.png";
/// Some inputs failed.
const FAILED: i32 = 1;
const USAGE: i32 = 2;
const NO_MODEL: i32 = 3;

#[test]
fn broken_images_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let empty_folder = folder.path().join("nothing");
    std::fs::create_dir(&empty_folder).unwrap();
    let cases = [
        ("no-such-file.jpg".to_owned(), "No such file"),
        (str(&empty_folder).to_owned(), "no images in this folder"),
        ("examples/images/*.xyz".to_owned(), "no file matches"),
        (fixture("empty.png"), "empty"),
        (fixture("text.jpg"), "not"),
        (fixture("truncated_50.jpg"), "truncated"),
        (fixture("bomb_60000x60000.png"), "60000"),
    ];
    for (image, expected) in cases {
        let run = effnet(["classify", &image]);
        assert_eq!(run.code, FAILED, "{image}: {}", run.stderr);
        let error = run.only_error();
        assert!(error.contains(&image) && error.contains(expected), "{image}: {error}");
    }
}

#[test]
fn lenient_takes_what_a_truncated_image_holds() {
    let run = effnet(["classify", &fixture("truncated_50.jpg"), "--lenient"]);
    assert_eq!((run.code, &*run.stderr), (0, ""));
    assert_eq!(run.stdout.lines().count(), 6);
}

#[test]
fn limits_can_be_set() {
    let run = effnet(["classify", COFFEE, "--max-pixels", "1000"]);
    assert_eq!(run.code, FAILED);
    assert!(run.only_error().contains("coffee.png"));
    assert!(run.only_error().contains("raise --max-pixels"), "{}", run.stderr);
    assert!(!run.stderr.contains("Limits::"), "{}", run.stderr);
    let run = effnet(["classify", &fixture("truncated_50.jpg"), "--format", "json"]);
    assert!(run.only_error().contains("set --lenient"), "{}", run.stderr);
    assert!(run.stdout.contains("set --lenient"), "{}", run.stdout);
}

#[test]
fn the_thing_that_is_wrong_is_named_and_its_cause_said_once() {
    let run = effnet(["forward", "-i", "no.safetensors", "-o", "out.safetensors"]);
    assert_eq!(run.code, FAILED);
    let error = run.only_error();
    assert_eq!(error.matches("os error 2").count(), 1, "{error}");
    assert!(error.contains("no.safetensors") && !error.contains("weights"), "{error}");
}

#[test]
fn broken_weights_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut four_gigabytes = (4u64 << 30).to_le_bytes().to_vec();
    four_gigabytes.extend_from_slice(b"{}");
    let header = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#;
    let mut overlap = (header.len() as u64).to_le_bytes().to_vec();
    overlap.extend_from_slice(header.as_bytes());
    overlap.extend_from_slice(&[0; 12]);
    let cases = [
        (write(&folder, "header.safetensors", four_gigabytes), "header"),
        (write(&folder, "overlap.safetensors", overlap), "overlap"),
        (write(&folder, "empty.safetensors", ""), "empty"),
        (write(&folder, "text.safetensors", "hello, I am text"), "not"),
        (folder.path().join("absent.safetensors"), "No such file"),
        (folder.path().to_owned(), "in this folder"),
    ];
    for (file, expected) in cases {
        let run = effnet(["classify", COFFEE, "--weights", str(&file)]);
        assert_eq!(run.code, NO_MODEL, "{}: {}", file.display(), run.stderr);
        let error = run.only_error();
        assert!(error.contains(str(&file)) && error.contains(expected), "{expected}: {error}");
        assert_eq!(run.stdout, "");
    }
}

/// The bundled weights, with `edit` applied to each tensor; if it returns `None`, the tensor is
/// left out.
fn rewrite(
    folder: &tempfile::TempDir,
    edit: impl Fn(&str, Vec<f32>) -> Option<Vec<f32>>,
) -> std::path::PathBuf {
    let bundled = bundled().unwrap();
    let tensors: Vec<(&str, Vec<f32>)> = bundled
        .names()
        .filter_map(|name| Some((name, edit(name, bundled.read_f32(name).unwrap())?)))
        .collect();
    let named: Vec<NamedTensor<'_>> = tensors
        .iter()
        .map(|(name, values)| NamedTensor {
            name,
            shape: bundled.shape(name).unwrap(),
            values: Values::F32(values),
        })
        .collect();
    let path = folder.path().join("model.safetensors");
    write_safetensors(&path, &named, &Default::default()).unwrap();
    path
}

#[test]
fn a_nan_and_a_missing_tensor_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = rewrite(&folder, |name, mut values| {
        if name == "blocks.1.0.bn2.bias" {
            values[3] = f32::NAN;
        }
        Some(values)
    });
    let model = "tf_efficientnet_lite0";
    let run = effnet(["classify", COFFEE, "-m", model, "--weights", str(&file)]);
    assert_eq!(run.code, NO_MODEL);
    let error = run.only_error();
    assert!(error.contains("blocks.1.0.bn2.bias") && error.contains(str(&file)), "{error}");

    let file = rewrite(&folder, |name, values| (name != "conv_head.weight").then_some(values));
    let run = effnet(["classify", COFFEE, "--weights", str(&file)]);
    assert_eq!(run.code, NO_MODEL);
    assert!(run.stderr.contains("conv_head.weight") && run.stderr.contains(str(&file)));
}

/// A model folder with the bundled weights.
fn model_folder(num_classes: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    rewrite(&folder, |_, values| Some(values));
    let config = format!(
        r#"{{"architecture": "tf_efficientnet_lite0", "num_classes": {num_classes},
        "num_features": 1280, "pretrained_cfg": {{"tag": "mine", "input_size": [3, 224, 224],
        "interpolation": "bicubic", "crop_pct": 0.875, "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5], "num_classes": {num_classes}}}}}"#
    );
    write(&folder, "config.json", config);
    folder
}

#[test]
fn a_model_folder_works_and_one_that_lies_is_refused() {
    let folder = model_folder(1000);
    let run = effnet(["classify", COFFEE, "-k", "1", "-m", str(folder.path())]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("espresso"));

    let folder = model_folder(999);
    let run = effnet(["classify", COFFEE, "-m", str(folder.path())]);
    assert_eq!(run.code, NO_MODEL);
    let error = run.only_error();
    assert!(error.contains("999") && error.contains("1000") && error.contains("num_classes"));
    assert!(error.contains(str(folder.path())), "{error}");
}

#[test]
fn a_folder_with_only_a_pickle_is_read() {
    let folder = model_folder(1000);
    std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let run = effnet(["classify", COFFEE, "-m", str(folder.path())]);
    assert_eq!(run.code, NO_MODEL);
    assert!(
        run.only_error()
            .contains("neither model.safetensors, alone or with an index, nor pytorch_model.bin")
    );
    // A valid file of another network: its names are shown.
    write(&folder, "pytorch_model.bin", include_bytes!("../../../../tests/data/pth/ema.pth"));
    let run = effnet(["classify", COFFEE, "-m", str(folder.path())]);
    assert_eq!(run.code, NO_MODEL);
    let error = &run.stderr;
    assert!(error.contains("pytorch_model.bin") && error.contains("of this family"), "{error}");
    assert!(error.contains("bn.weight"), "{error}");
}

#[test]
fn models_that_are_not_there_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 8] = [
        (&["-m", "efficientnet_b9"], "did you mean"),
        (&["-m", "efficientnet_b0.ra_in2k"], "ra_in1k"),
        (&["-m", "efficientnet_b0"], "timm/efficientnet_b0.ra_in1k"),
        (&["-m", "timm/efficientnet_b0.ra_in1k"], "timm/efficientnet_b0.ra_in1k"),
        (&["-m", "efficientnet_b8"], "seeded:"),
        (&["--weights", "seeded:x"], "seeded:0"),
        (&["--device", "cuda"], "feature `cuda`"),
        (&["-m", str(folder.path())], "neither model.safetensors"),
    ];
    for (args, expected) in cases {
        let run = effnet(["classify", COFFEE].iter().chain(args));
        assert_eq!(run.code, NO_MODEL, "{args:?}: {}", run.stderr);
        assert!(run.only_error().contains(expected), "{args:?}: {}", run.stderr);
    }
}

#[test]
fn usage_errors_exit_with_2() {
    for args in [
        &["classify"][..],
        &["classify", COFFEE, "--format", "xml"],
        &["classify", COFFEE, "--threads", "0"],
        &["classify", COFFEE, "--batch-size", "0"],
        &["classify", COFFEE, "-k", "0"],
        &["nonsense"],
        &["forward"],
    ] {
        assert_eq!(effnet(args).code, USAGE, "{args:?}");
    }
}
