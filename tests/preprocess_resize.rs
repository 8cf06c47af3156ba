//! Compares resize, crop and normalize with Pillow 13.0.0 and timm 1.0.31; every bit must be equal.
//! `tests/parity/images/make_resize_goldens.py` made the hashes.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod preprocess_support;

use effnet::preprocess::{
    ColorMode, CropMode, EvalTransform, Image, Interpolation, Pipeline, PreprocessConfig, resize,
};
use preprocess_support::{goldens, noise, sha256};
use serde_json::Value;

fn number(value: &Value) -> u32 {
    value.as_u64().unwrap() as u32
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// Noise in a golden's mode.
fn noise_of(mode: &Value, width: &Value, height: &Value, seed: &Value) -> Image {
    let modes = [ColorMode::L, ColorMode::Rgb, ColorMode::Rgba];
    let mode = modes.into_iter().find(|known| *mode == known.to_string()).unwrap();
    noise(mode, number(width), number(height), u64::from(number(seed)))
}

#[test]
fn resizes_as_pillow_does() {
    let goldens = goldens("resize.json");
    let cases = goldens["resize"].as_array().unwrap();
    assert!(cases.len() >= 420);
    let mut wrong = Vec::new();
    for case in cases {
        let interpolation: Interpolation = case[0].as_str().unwrap().parse().unwrap();
        let image = noise_of(&case[1], &case[3], &case[4], &case[2]);
        let resized = resize(&image, number(&case[5]), number(&case[6]), interpolation).unwrap();
        if sha256(resized.data()) != case[7] {
            wrong.push(case.to_string());
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn transforms_as_timm_does() {
    let goldens = goldens("resize.json");
    let cases = goldens["transform"].as_array().unwrap();
    assert!(cases.len() >= 600);
    let mut wrong = Vec::new();
    for case in cases {
        let size = &case["input_size"];
        let transform = EvalTransform::new(PreprocessConfig {
            pipeline: Pipeline::Timm,
            input_size: (
                numbers(&case["mean"]).len(),
                number(&size[0]) as usize,
                number(&size[1]) as usize,
            ),
            interpolation: case["interpolation"].as_str().unwrap().parse().unwrap(),
            crop_pct: case["crop_pct"].as_f64().unwrap(),
            crop_mode: case["crop_mode"].as_str().unwrap().parse().unwrap(),
            mean: numbers(&case["mean"]),
            std: numbers(&case["std"]),
        })
        .unwrap();
        let size = &case["image"];
        let image = noise_of(&case["mode"], &size[0], &size[1], &case["seed"]);
        let pixels = transform.pixels(&image);
        if case.get("error").is_some() {
            assert!(pixels.is_err(), "timm refuses {case}");
            continue;
        }
        let pixels = pixels.unwrap();
        let mut input = vec![0f32; transform.input_len()];
        transform.normalize(&pixels, &mut input).unwrap();
        let bytes: Vec<u8> = input.iter().flat_map(|value| value.to_le_bytes()).collect();
        if sha256(pixels.data()) != case["pixels"] {
            wrong.push(format!("pixels: {case}"));
        } else if sha256(&bytes) != case["input"] {
            wrong.push(format!("input: {case}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn one_changed_byte_is_caught() {
    let image = noise(ColorMode::Rgb, 320, 240, 0);
    let mut data = image.data().to_vec();
    data[320 * 120 * 3 + 160 * 3] ^= 0x80;
    let changed = Image::new(ColorMode::Rgb, 320, 240, data).unwrap();
    let transform = EvalTransform::new(PreprocessConfig::default()).unwrap();
    assert_ne!(sha256(image.data()), sha256(changed.data()));
    assert_ne!(
        sha256(transform.pixels(&image).unwrap().data()),
        sha256(transform.pixels(&changed).unwrap().data())
    );
}

#[test]
fn extreme_shapes_stay_small() {
    // Resized in full, the first would take 25 GB and the second 11 GB.
    let transform = EvalTransform::new(PreprocessConfig::default()).unwrap();
    for (width, height) in [(1, 200_000), (200_000, 2)] {
        let image =
            Image::new(ColorMode::Rgb, width, height, vec![7; (width * height * 3) as usize])
                .unwrap();
        assert!(transform.pixels(&image).unwrap().data().iter().all(|byte| *byte == 7));
    }
    let image = Image::new(ColorMode::Rgb, 1, 30_000_000, vec![7; 90_000_000]).unwrap();
    let message = transform.pixels(&image).unwrap_err().to_string();
    assert!(message.contains("1x30000000"), "{message}");
}

#[test]
fn configurations_that_cannot_work_are_refused_by_name() {
    let refused = |config: PreprocessConfig| EvalTransform::new(config).unwrap_err().to_string();
    let default = PreprocessConfig::default;
    for (message, word) in [
        (refused(PreprocessConfig { input_size: (2, 224, 224), ..default() }), "2 channels"),
        (refused(PreprocessConfig { input_size: (1, 224, 224), ..default() }), "mean"),
        (refused(PreprocessConfig { input_size: (3, 0, 224), ..default() }), "input_size"),
        (refused(PreprocessConfig { input_size: (3, 224, 1 << 40), ..default() }), "input_size"),
        (refused(PreprocessConfig { crop_pct: 0.0, ..default() }), "crop_pct"),
        (refused(PreprocessConfig { crop_pct: -1.0, ..default() }), "crop_pct"),
        (refused(PreprocessConfig { crop_pct: f64::NAN, ..default() }), "crop_pct"),
        (refused(PreprocessConfig { crop_pct: 1e-9, ..default() }), "crop_pct"),
        (refused(PreprocessConfig { std: vec![1.0, 0.0, 1.0], ..default() }), "std"),
        (refused(PreprocessConfig { mean: vec![f64::INFINITY; 3], ..default() }), "mean"),
        ("random".parse::<Interpolation>().unwrap_err().to_string(), "training"),
        ("cubic".parse::<Interpolation>().unwrap_err().to_string(), "\"cubic\""),
        ("centre".parse::<CropMode>().unwrap_err().to_string(), "\"centre\""),
    ] {
        assert!(message.contains(word), "{message}");
        assert!(!message.contains('\n'));
    }
}

#[test]
fn a_buffer_of_the_wrong_size_is_refused() {
    let transform = EvalTransform::new(PreprocessConfig::default()).unwrap();
    let other = PreprocessConfig { input_size: (3, 240, 240), ..PreprocessConfig::default() };
    let other = EvalTransform::new(other).unwrap();
    let pixels = transform.pixels(&noise(ColorMode::Rgb, 10, 10, 0)).unwrap();
    assert!(transform.normalize(&pixels, &mut vec![0.0; transform.input_len() - 1]).is_err());
    assert!(other.normalize(&pixels, &mut vec![0.0; other.input_len()]).is_err());
    assert!(resize(&noise(ColorMode::Rgb, 3, 3, 0), 0, 3, Interpolation::Nearest).is_err());
    assert!(
        resize(&noise(ColorMode::Rgb, 3, 3, 0), u32::MAX, u32::MAX, Interpolation::Bicubic)
            .is_err()
    );
    assert!(transform.pixels(&noise(ColorMode::L, 10, 10, 0)).is_err());
    assert!(Image::new(ColorMode::Rgb, 2, 2, vec![0; 11]).is_err());
    assert!(Image::new(ColorMode::Rgb, 0, 2, Vec::new()).is_err());
}

/// Bilinear without antialiasing, whose values go into the network unrounded:
/// `tests/parity/keras/resize.py`.
#[test]
fn resizes_as_keras_does() {
    let text = std::fs::read_to_string("tests/data/keras/resize.json").unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    let (height, width) = (number(&golden["image"][0]), number(&golden["image"][1]));
    let pixel =
        |i: u32| ((37 * (i / 3 % width) + 101 * (i / 3 / width) + 59 * (i % 3)) % 256) as u8;
    let data = (0..3 * height * width).map(pixel).collect();
    let image = Image::new(ColorMode::Rgb, width, height, data).unwrap();
    let cases = golden["resized"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let (height, width) =
            (number(&case["size"][0]) as usize, number(&case["size"][1]) as usize);
        let expected = numbers(&case["values"]);
        let transform = EvalTransform::new(PreprocessConfig {
            input_size: (3, height, width),
            interpolation: Interpolation::BilinearNoAntialias,
            crop_pct: 1.0,
            crop_mode: CropMode::Squash,
            mean: vec![0.0; 3],
            std: vec![1.0; 3],
            ..PreprocessConfig::default()
        })
        .unwrap();
        let pixels = transform.pixels(&image).unwrap();
        let mut input = vec![0.0; transform.input_len()];
        transform.normalize(&pixels, &mut input).unwrap();
        for (i, expected) in expected.iter().enumerate() {
            let value = f64::from(input[i % 3 * height * width + i / 3]) * 255.0;
            assert!(
                (value - expected).abs() < 255.0 * 1e-5,
                "{height}x{width}: {value} {expected}"
            );
            let byte = f64::from(pixels.data()[i]);
            assert!((byte - expected).abs() < 0.5 + 1e-3, "{height}x{width}: {byte} {expected}");
        }
    }
}
