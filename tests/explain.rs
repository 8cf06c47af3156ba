//! Explanations: maps that sum up to the logit, timm's Grad-CAM, and places on the image.

#![cfg(feature = "candle")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use effnet::Classifier;
use effnet::explain::{ExplainError, Explanation, Method, Target};
use effnet::preprocess::{ColorMode, CropMode, Image};
use effnet::{Error, Model, ModelBuilder};
use serde::Deserialize;

fn seeded(name: &str) -> ModelBuilder {
    Model::builder().model(name).weights("seeded:0")
}

/// The image of `tests/parity/explain/record.py`.
fn image(width: u32, height: u32) -> Image {
    let byte = |y: u32, x: u32, c: u32| ((y * 31 + x * 17 + c * 101 + x * y % 97) % 256) as u8;
    let pixel = |at: u32| [0, 1, 2].map(|c| byte(at / width, at % width, c));
    let data = (0..width * height).flat_map(pixel).collect();
    Image::new(ColorMode::Rgb, width, height, data).unwrap()
}

fn explain(classifier: &Classifier, method: &Method, target: Target) -> Explanation {
    let [_, height, width] = classifier.provenance().preprocessing.input_size.value;
    let image = image(width as u32, height as u32);
    classifier.explainer(method).unwrap().explain(&image, target).unwrap()
}

fn close(found: f32, expected: f32, scale: f32) -> bool {
    (found - expected).abs() <= 1e-4 * scale
}

/// Families whose classifier reads the pooled map.
const LINEAR: [&str; 7] = [
    "efficientnet_b0",
    "tf_efficientnet_lite0",
    "tf_efficientnetv2_b0",
    "efficientnet_es",
    "mnasnet_small",
    "tf_mixnet_s",
    "test_efficientnet_evos",
];

#[test]
fn the_mean_of_a_cam_and_the_bias_are_the_logit() {
    for name in LINEAR {
        let classifier = seeded(name).img_size(97, 129).build_classifier().unwrap();
        let logits = classifier.logits(image(129, 97)).unwrap();
        let scale = logits.iter().fold(0.0, |most: f32, logit| most.max(logit.abs()));
        let versus = Target { class: Some(7), versus: Some(3) };
        for target in [Target::default(), Target { class: Some(7), versus: None }, versus] {
            let map = explain(&classifier, &Method::Cam, target);
            let sum = map.mean() + map.bias.unwrap();
            assert!(close(sum, map.score, scale), "{name}: {sum} != {}", map.score);
            let logit = |class: usize| logits[class];
            let expected = logit(map.class.index) - target.versus.map_or(0.0, logit);
            assert!(close(map.score, expected, scale), "{name}: {} != {expected}", map.score);
            assert!(
                map.map.iter().any(|&value| (value - sum).abs() > 0.01 * scale),
                "{name} is flat"
            );
        }
    }
}

#[test]
fn a_cam_is_refused_where_layers_follow_the_pool() {
    for name in ["mobilenetv3_small_050", "mobilenetv4_conv_small_035", "lcnet_035"] {
        let classifier = seeded(name).build_classifier().unwrap();
        let error = classifier.explainer(&Method::Cam).unwrap_err();
        assert!(matches!(error, Error::Explain(ExplainError::NotLinear { .. })), "{error}");
        assert!(error.to_string().ends_with("use the method grad-cam"), "{error}");
        let best = Method::best_for(classifier.network());
        assert_eq!(best, Method::GradCam { stage: "features".into() });
    }
    let linear = seeded("efficientnet_lite0").build_classifier().unwrap();
    assert_eq!(Method::best_for(linear.network()), Method::Cam);
}

/// Where a linear layer reads the mean of the last map, its gradient is its weights: both methods give
/// the same map, but for the number of positions and what is negative.
#[test]
fn grad_cam_of_the_last_map_is_the_positive_cam() {
    let classifier = seeded("tf_efficientnet_lite0").img_size(97, 129).build_classifier().unwrap();
    let target = Target { class: Some(7), versus: Some(3) };
    let cam = explain(&classifier, &Method::Cam, target);
    let grad = Method::GradCam { stage: "features".into() };
    let grad = explain(&classifier, &grad, target);
    assert_eq!((cam.height, cam.width), (grad.height, grad.width));
    let positions = cam.map.len() as f32;
    let most = cam.map.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
    assert!(cam.map.iter().any(|&value| value < 0.0) && cam.map.iter().any(|&value| value > 0.0));
    for (cam, grad) in cam.map.iter().zip(&grad.map) {
        assert!(close(grad * positions, cam.max(0.0), most), "{cam} {grad}");
    }
}

/// A map of `tests/data/explain/grad_cam.json`.
#[derive(Deserialize)]
struct Recorded {
    model: String,
    stage: String,
    class: usize,
    versus: Option<usize>,
    score: f32,
    height: usize,
    width: usize,
    map: Vec<f32>,
}

#[test]
fn grad_cam_equals_timms() {
    let json = include_str!("data/explain/grad_cam.json");
    let recorded: Vec<Recorded> = serde_json::from_str(json).unwrap();
    assert_eq!(recorded.len(), 32);
    for expected in recorded {
        let what = format!("{} {} {:?}", expected.model, expected.stage, expected.versus);
        let builder = seeded(&expected.model).img_size(100, 129).crop_mode(CropMode::Squash);
        let builder = builder.crop_pct(1.0).mean([0.5]).std([0.5]);
        let classifier = builder.build_classifier().unwrap();
        let target = Target { class: Some(expected.class), versus: expected.versus };
        let map = explain(&classifier, &Method::GradCam { stage: expected.stage }, target);
        assert_eq!((map.height, map.width), (expected.height, expected.width), "{what}");
        assert!(close(map.score, expected.score, 10.0), "{what}: {} {}", map.score, expected.score);
        let most = expected.map.iter().copied().fold(0.0, f32::max);
        for (found, value) in map.map.iter().zip(&expected.map) {
            assert!((found - value).abs() <= 1e-3 * most, "{what}: {found} != {value} of {most}");
        }
    }
}

/// A black image with a light square.
fn square(width: u32, height: u32, (x, y): (u32, u32), side: u32) -> Image {
    let inside = |at: u32, begin: u32| (begin..begin + side).contains(&at);
    let level = |at: u32| {
        if inside(at % width, x) && inside(at / width, y) { [230; 3] } else { [8; 3] }
    };
    Image::new(ColorMode::Rgb, width, height, (0..width * height).flat_map(level).collect())
        .unwrap()
}

/// The place of the image at which the map is strongest.
fn peak(map: &Explanation, width: u32, height: u32) -> (f64, f64) {
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let places = places.map(|(x, y)| (f64::from(x) + 0.5, f64::from(y) + 0.5));
    let values = places.filter_map(|(x, y)| Some(((x, y), map.at(x, y)?)));
    values.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0
}

/// Hiding a square changes the answer most where the square is, whatever the transform does.
#[test]
fn occlusion_finds_the_only_thing_in_an_image() {
    let (width, height, at, side) = (300, 200, (170, 90), 24);
    let image = square(width, height, at, side);
    let centre = (f64::from(at.0 + side / 2), f64::from(at.1 + side / 2));
    for mode in [CropMode::Center, CropMode::Squash, CropMode::Border] {
        let builder = seeded("test_efficientnet").crop_mode(mode).crop_pct(0.9).img_size(96, 112);
        let classifier = builder.build_classifier().unwrap();
        let blank = square(width, height, at, 0);
        // The class whose logit the square raises most.
        let [with, without] = [&image, &blank].map(|image| classifier.logits(image).unwrap());
        let rise = |class: &usize| with[*class] - without[*class];
        let class = (0..with.len()).max_by(|a, b| rise(a).total_cmp(&rise(b)));
        let explainer = classifier.explainer(&Method::Occlusion).unwrap();
        let map = explainer.explain(&image, Target { class, versus: None }).unwrap();
        let (x, y) = peak(&map, width, height);
        let (dx, dy) = (x - centre.0, y - centre.1);
        // Half a patch, and a step.
        let reach = (map.region.width / 5.0).max(map.region.height / 5.0) / 2.0 + map.columns.step;
        assert!(dx.abs() <= reach && dy.abs() <= reach, "{mode}: ({x}, {y}), not {centre:?}");
    }
}

/// The positions of a map are where the network looks: gradients of a position with respect to the
/// image have their middle there, for both kinds of padding.
#[test]
fn positions_are_where_their_gradients_are() {
    use candle_core::{DType, Device, Var};
    use effnet::arch;
    use effnet::candle_core;
    use effnet::models::EfficientNet;
    use effnet::weights::seeded;

    for name in ["efficientnet_lite0", "tf_efficientnet_lite0"] {
        let network = arch::find(name).unwrap().network(&Default::default()).unwrap();
        let vb = seeded::var_builder(0, DType::F32, &Device::Cpu);
        let model = EfficientNet::new(&network, &vb).unwrap();
        let graph = network.graph();
        let (height, width) = (192, 256);
        let values = seeded::images(0, &[1, 3, height, width]);
        let xs = Var::from_vec(values, (1, 3, height, width), &Device::Cpu).unwrap();
        let stage = "stages.3";
        let [rows, columns] = graph.grids(graph.tap(stage).unwrap().value, height, width);
        let maps = model.forward_to(stage, &xs, false).unwrap();
        let (mut dx, mut dy, mut count) = (0.0, 0.0, 0.0);
        for (row, column) in [(5, 7), (6, 8), (7, 6)] {
            let position = maps.narrow(2, row, 1).unwrap().narrow(3, column, 1).unwrap();
            let gradients = position.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            let squares = gradients.get(&xs).unwrap().sqr().unwrap().sum(1).unwrap();
            let squares: Vec<f32> = squares.flatten_all().unwrap().to_vec1().unwrap();
            let (mut x, mut y, mut sum) = (0.0, 0.0, 0.0);
            for (at, &square) in squares.iter().enumerate() {
                let square = f64::from(square);
                x += square * ((at % width) as f64 + 0.5);
                y += square * ((at / width) as f64 + 0.5);
                sum += square;
            }
            dx += x / sum - (columns.first + columns.step * column as f64);
            dy += y / sum - (rows.first + rows.step * row as f64);
            count += 1.0;
        }
        // The middle of a position's 16 pixels is 7.5 pixels away, in either direction.
        let (dx, dy): (f64, f64) = (dx / count, dy / count);
        assert!(dx.abs() < 3.0 && dy.abs() < 3.0, "{name}: off by ({dx:.1}, {dy:.1})");
    }
}

#[test]
fn a_region_is_what_the_crop_keeps() {
    let region = |mode, crop_pct, (width, height)| {
        let builder = seeded("efficientnet_lite0").crop_mode(mode).crop_pct(crop_pct);
        let preprocessor = builder.img_size(200, 100).build_preprocessor().unwrap();
        let region = preprocessor.transform().region(width, height).unwrap();
        [region.x, region.y, region.width, region.height]
    };
    // To 200x100 and cut nothing.
    assert_eq!(region(CropMode::Squash, 1.0, (400, 400)), [0.0, 0.0, 400.0, 400.0]);
    // To 400x200 and cut the middle of both.
    assert_eq!(region(CropMode::Squash, 0.5, (400, 400)), [100.0, 100.0, 200.0, 200.0]);
    // 50 rows of border above and below the image.
    assert_eq!(region(CropMode::Border, 1.0, (300, 300)), [0.0, -150.0, 300.0, 600.0]);
    // To a height of 200, and the middle of a width of 400.
    assert_eq!(region(CropMode::Center, 1.0, (800, 400)), [300.0, 0.0, 200.0, 400.0]);
}

#[test]
fn classes_are_found_by_index_synset_and_label() {
    let classifier = seeded("efficientnet_lite0").build_classifier().unwrap();
    assert_eq!(classifier.class("0").unwrap(), 0);
    assert_eq!(classifier.class("n02123045").unwrap(), 281);
    assert_eq!(classifier.class("TABBY").unwrap(), 281);
    assert_eq!(classifier.class("tabby cat").unwrap(), 281);
    let error = |name: &str| classifier.class(name).unwrap_err().to_string();
    assert!(error("crane").contains("give one of the indices 134, 517"), "{}", error("crane"));
    assert!(error("1000").contains("give an index from 0 to 999"), "{}", error("1000"));
    let explainer = classifier.explainer(&Method::Cam).unwrap();
    let same = Target { class: Some(3), versus: Some(3) };
    let error = explainer.explain(image(64, 64), same).unwrap_err().to_string();
    assert_eq!(error, "class 3 is compared with itself: name two classes");
    let none = Target { class: Some(1000), versus: None };
    assert!(explainer.explain(image(64, 64), none).is_err());
    let stage = Method::GradCam { stage: "stages.9".into() };
    let error = classifier.explainer(&stage).unwrap_err().to_string();
    assert!(
        error.ends_with("stages.0, stages.1, stages.2, stages.3, stages.4, features are"),
        "{error}"
    );
}

#[test]
fn one_output_has_two_classes_to_explain() {
    let builder = seeded("efficientnet_lite0").num_classes(1).img_size(97, 97);
    let classifier = builder.build_classifier().unwrap();
    let map =
        |class| explain(&classifier, &Method::Cam, Target { class: Some(class), versus: None });
    let (negative, positive) = (map(0), map(1));
    assert_eq!(positive.score, classifier.logits(image(97, 97)).unwrap()[0]);
    assert_eq!(negative.score, -positive.score);
    assert!(negative.map.iter().zip(&positive.map).all(|(n, p)| *n == -p));
}
