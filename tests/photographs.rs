//! Compares real weights on real photographs, from file to probabilities, with timm.
//!
//! `tests/parity/photographs/record.py` recorded the references.

#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use effnet::engine::Dtype;
use effnet::preprocess::{self, DecodeOptions};
use effnet::{Classifier, Model, Prediction, Predictions};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The bar for probabilities.
const TOLERANCE: f64 = 1e-3;

fn folder() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/images")
}

fn goldens() -> Vec<(String, Value)> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/photographs.json");
    let json: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let photographs = json["photographs"].as_object().unwrap();
    photographs.iter().map(|(name, golden)| (name.clone(), golden.clone())).collect()
}

fn classifier() -> Classifier {
    Model::builder().build_classifier().unwrap()
}

fn ranked(golden: &Value) -> Vec<(usize, f64)> {
    let pair = |p: &Value| (p[0].as_u64().unwrap() as usize, p[1].as_f64().unwrap());
    golden.as_array().unwrap().iter().map(pair).collect()
}

/// The largest difference of a probability.
fn worst(ours: &[f32], theirs: &[(usize, f64)]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    theirs.iter().map(|&(i, p)| (f64::from(ours[i]) - p).abs()).fold(0.0, f64::max)
}

fn indices(predictions: &[Prediction]) -> Vec<usize> {
    predictions.iter().map(|p| p.index).collect()
}

#[test]
fn probabilities_and_top_5_are_timms() {
    let classifier = classifier();
    assert!(goldens().len() >= 6);
    for (name, golden) in goldens() {
        let path = folder().join(&name);
        let probabilities = classifier.probabilities(&path).unwrap();
        let difference = worst(&probabilities, &ranked(&golden["bundled"]));
        assert!(difference <= TOLERANCE, "{name}: probabilities differ by {difference}");
        // The order comes from the float32 weights, which the bundled file rounds.
        let top: Vec<usize> = ranked(&golden["float32"]).iter().map(|&(i, _)| i).collect();
        assert_eq!(indices(&classifier.classify(&path, 5).unwrap()), top, "{name}");
    }
}

fn input_digest(classifier: &Classifier, path: &std::path::Path) -> String {
    let transform = classifier.preprocessor().unwrap().transform();
    let mut input = vec![0f32; transform.input_len()];
    transform.normalize(&classifier.pixels(path).unwrap(), &mut input).unwrap();
    let bytes: Vec<u8> = input.iter().flat_map(|v| v.to_le_bytes()).collect();
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn inputs_are_timms_to_the_last_bit() {
    let classifier = classifier();
    for (name, golden) in goldens() {
        let digest = input_digest(&classifier, &folder().join(&name));
        assert_eq!(digest, golden["input_sha256"], "{name}");
    }
}

#[test]
fn one_byte_of_one_image_is_caught() {
    let (name, golden) = goldens().into_iter().find(|(name, _)| name == "coffee.png").unwrap();
    let mut rgb = image::open(folder().join(name)).unwrap().to_rgb8();
    rgb.get_pixel_mut(300, 200).0[1] ^= 0x40;
    let changed = tempfile::Builder::new().suffix(".png").tempfile().unwrap();
    rgb.save(changed.path()).unwrap();
    assert_ne!(input_digest(&classifier(), changed.path()), golden["input_sha256"]);
}

#[test]
fn one_percent_on_one_tensor_is_caught() {
    use effnet::weights::{NamedTensor, Values, bundled, write_safetensors};
    let bundled = bundled().unwrap();
    let folder_of_weights = tempfile::tempdir().unwrap();
    let file = folder_of_weights.path().join("moved.safetensors");
    let tensors: Vec<(String, Vec<usize>, Vec<f32>)> = bundled
        .names()
        .map(|name| {
            let mut values = bundled.read_f32(name).unwrap();
            if name == "blocks.3.1.bn2.weight" {
                values.iter_mut().for_each(|v| *v *= 1.01);
            }
            (name.to_owned(), bundled.shape(name).unwrap().to_vec(), values)
        })
        .collect();
    let named: Vec<NamedTensor<'_>> = tensors
        .iter()
        .map(|(name, shape, values)| NamedTensor { name, shape, values: Values::F32(values) })
        .collect();
    write_safetensors(&file, &named, &Default::default()).unwrap();
    let builder = Model::builder().model("tf_efficientnet_lite0");
    let moved = builder.weights(file.to_str().unwrap()).build_classifier().unwrap();
    let caught = goldens().iter().any(|(name, golden)| {
        let probabilities = moved.probabilities(folder().join(name)).unwrap();
        worst(&probabilities, &ranked(&golden["bundled"])) > TOLERANCE
    });
    assert!(caught, "no photograph shows a tensor moved by 1%");
}

#[test]
fn batches_and_clones_give_the_same_answers() {
    let classifier = classifier();
    let paths: Vec<_> = goldens().iter().map(|(name, _)| folder().join(name)).collect();
    let alone: Vec<Predictions> =
        paths.iter().map(|path| classifier.classify(path, 5).unwrap()).collect();
    let batch = classifier.classify_batch(&paths, 5);
    for (a, b) in alone.iter().zip(&batch) {
        assert_eq!(indices(a), indices(b.as_ref().unwrap()));
    }
    let mut streamed = Vec::new();
    let each = |path: &std::path::PathBuf, result: Result<Predictions, _>| {
        streamed.push((path.clone(), indices(&result.unwrap())));
        Ok::<(), ()>(())
    };
    classifier.classify_each(&paths, 2, 5, each).unwrap();
    let expected: Vec<_> = paths.iter().cloned().zip(alone.iter().map(|p| indices(p))).collect();
    assert_eq!(streamed, expected);
    let answers: Vec<Vec<usize>> = std::thread::scope(|scope| {
        let ask = |clone: Classifier| indices(&clone.classify(&paths[0], 5).unwrap());
        let threads: Vec<_> = (0..4)
            .map(|_| classifier.clone())
            .map(|clone| scope.spawn(move || ask(clone)))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| *answer == indices(&alone[0])));
}

#[test]
fn every_form_of_input_gives_the_same_answer() {
    let classifier = classifier();
    let path = folder().join("chelsea.png");
    let bytes = std::fs::read(&path).unwrap();
    let image = image::load_from_memory(&bytes).unwrap();
    let (width, height) = (image.width(), image.height());
    let rgb = preprocess::Image::new(
        preprocess::ColorMode::Rgb,
        width,
        height,
        image.to_rgb8().into_raw(),
    )
    .unwrap();
    let expected = classifier.logits(&path).unwrap();
    assert_eq!(classifier.logits(&bytes).unwrap(), expected);
    assert_eq!(classifier.logits(&image).unwrap(), expected);
    assert_eq!(classifier.logits(&rgb).unwrap(), expected);
    assert_eq!(classifier.logits(path.to_str().unwrap()).unwrap(), expected);
}

#[test]
fn a_classifier_can_be_shared() {
    fn check<T: Send + Sync + Clone + 'static>() {}
    check::<Classifier>();
}

/// The photographs, and 16 windows of each; both mirrored too.
fn views() -> (Vec<image::DynamicImage>, Vec<image::DynamicImage>) {
    let (mut whole, mut windows) = (Vec::new(), Vec::new());
    for (name, _) in goldens() {
        let bytes = std::fs::read(folder().join(name)).unwrap();
        let decoded =
            preprocess::decode(&bytes, preprocess::ColorMode::Rgb, &DecodeOptions::default())
                .unwrap();
        let (w, h) = (decoded.width(), decoded.height());
        let pixels = image::RgbImage::from_raw(w, h, decoded.into_data()).unwrap();
        let photograph = image::DynamicImage::from(pixels);
        whole.extend([photograph.fliph(), photograph.clone()]);
        for i in 0..16 {
            let (x, y) = (w / 16 * (i % 4), h / 16 * (i / 4));
            let window = photograph.crop_imm(x, y, w / 4 * 3, h / 4 * 3);
            windows.extend([window.fliph(), window]);
        }
    }
    (whole, windows)
}

/// The documented drift of a probability in bfloat16 (docs/performance.md).
const BF16_DRIFT: f32 = 0.025;

/// bfloat16 gives the same class for every photograph, and for every window unless two classes are
/// closer together than the drift.
#[test]
fn bf16_agrees_with_float32_on_the_best_class() {
    let of = |dtype| Model::builder().dtype(dtype).build_classifier().unwrap();
    let (float, bf16) = (of(Dtype::F32), of(Dtype::Bf16));
    let (whole, windows) = views();
    let (mut flips, mut drift) = (0, 0f32);
    for (i, view) in whole.iter().chain(&windows).enumerate() {
        let [theirs, ours] = [&float, &bf16].map(|c| c.probabilities(view).unwrap());
        let ranked = |ps: &[f32]| {
            let mut order: Vec<usize> = (0..ps.len()).collect();
            order.sort_by(|&a, &b| ps[b].total_cmp(&ps[a]));
            order
        };
        let (best, second) = (ranked(&theirs)[0], ranked(&theirs)[1]);
        let worst = ours.iter().zip(&theirs).fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
        drift = drift.max(worst);
        if ranked(&ours)[0] != best {
            assert!(i >= whole.len(), "a photograph changes its class");
            let lead = theirs[best] - theirs[second];
            assert!(lead < BF16_DRIFT, "a class {lead} ahead is overtaken");
            flips += 1;
        }
    }
    println!("{flips} of {} windows change their class; drift {drift}", windows.len());
    assert!(drift <= BF16_DRIFT, "a probability drifts by {drift}");
    assert!(flips * 50 <= windows.len(), "{flips} of {} windows change", windows.len());
}
