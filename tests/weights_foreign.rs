//! Compares recorded outputs of other libraries, with generated weights, with ours for the same
//! tensors, mapped by the conventions. Names, shapes and values all come from the library's
//! recording; none is made by a convention.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use effnet::arch::NetworkOptions;
use effnet::conventions::{Convention, ConvertError, Covered, Family, LibraryModel, recognize};
use effnet::engine::{CpuEngine, CpuOptions, Engine, Images};
use effnet::models::EfficientNet;
use effnet::weights::{Checkpoint, NamedTensor, Values, check, load, seeded::Uniform, serialize};
use serde::Deserialize;

/// The largest difference, relative to the largest logit.
const TOLERANCE: f32 = 1e-4;

/// A file of `tests/goldens/foreign`.
#[derive(Deserialize)]
struct Golden {
    seed: u64,
    input: [usize; 4],
    classes: usize,
    /// The input is pixels from 0 to 255, which the library's model normalizes.
    #[serde(default)]
    pixels: bool,
    logits: Vec<f32>,
    /// The groups of Keras's layers in a file without layer names.
    #[serde(default)]
    groups: BTreeMap<String, String>,
    /// Name, shape, center and spread.
    tensors: Vec<(String, Vec<usize>, f64, f64)>,
}

impl Golden {
    /// The recordings of a library, by its names for the models.
    fn all_of(library: &str) -> Vec<(String, Self)> {
        Self::all_in("tests/goldens/foreign", library)
    }

    fn all_in(folder: &str, library: &str) -> Vec<(String, Self)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut goldens = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let (of, model) = name.split_once('.').unwrap();
            if of == library {
                let text = std::fs::read_to_string(&path).unwrap();
                goldens.push((model.to_owned(), serde_json::from_str(&text).unwrap()));
            }
        }
        assert!(goldens.len() >= 3, "{library}");
        goldens
    }

    /// The library's checkpoint, filled with its own names and in its own layout.
    fn checkpoint(&self) -> Checkpoint {
        self.renamed_checkpoint(str::to_owned)
    }

    /// The same values under other names.
    fn renamed_checkpoint(&self, rename: impl Fn(&str) -> String) -> Checkpoint {
        let fill = |(name, shape, center, spread): &(String, Vec<usize>, f64, f64)| {
            let uniform = Uniform::new(self.seed, name);
            (0..shape.iter().product())
                .map(|i| (center + spread * uniform.at(i)) as f32)
                .collect::<Vec<f32>>()
        };
        let values: Vec<Vec<f32>> = self.tensors.iter().map(fill).collect();
        let names: Vec<String> = self.tensors.iter().map(|(name, ..)| rename(name)).collect();
        let tensors: Vec<_> = self
            .tensors
            .iter()
            .zip(&values)
            .zip(&names)
            .map(|(((_, shape, ..), values), name)| NamedTensor {
                name,
                shape,
                values: Values::F32(values),
            })
            .collect();
        Checkpoint::from_bytes("foreign", serialize(&tensors, &BTreeMap::new()).unwrap()).unwrap()
    }

    fn input(&self, covered: &Covered) -> Tensor {
        let uniform = Uniform::new(self.seed, "input");
        let [n, c, h, w] = self.input;
        let mut values: Vec<f32> =
            (0..n * c * h * w).map(|i| (2.0 * uniform.at(i)) as f32).collect();
        if self.pixels {
            let cfg = covered
                .preprocessing
                .clone()
                .unwrap()
                .resolve(effnet::pretrained::SizeChoice::Test);
            for (i, value) in values.iter_mut().enumerate() {
                let channel = i / (h * w) % c;
                let pixel = (uniform.at(i) + 1.0) as f32 * 127.5;
                *value = ((f64::from(pixel) / 255.0 - cfg.mean.value[channel])
                    / cfg.std.value[channel]) as f32;
            }
        }
        Tensor::from_vec(values, (n, c, h, w), &Device::Cpu).unwrap()
    }

    /// How far our logits are from the library's, relative to its largest; or what does not fit.
    fn difference(&self, family: &Family, covered: &Covered) -> Result<f32, String> {
        self.difference_of(&self.checkpoint(), family, covered)
    }

    fn difference_of(
        &self,
        checkpoint: &Checkpoint,
        family: &Family,
        covered: &Covered,
    ) -> Result<f32, String> {
        let options = NetworkOptions { num_classes: self.classes, ..Default::default() };
        let model = LibraryModel { family, covered };
        let network = model.network(&options).map_err(|e| e.to_string())?;
        let renaming = model.renaming(&network).map_err(|e| e.to_string())?;
        let (model, report) = load(checkpoint, Some(&renaming), DType::F32, &Device::Cpu, |vb| {
            EfficientNet::new(&network, &vb)
        })
        .map_err(|e| e.to_string())?;
        assert_eq!(report.applied.len(), self.tensors.len());
        Ok(self.difference_from(&model.forward(&self.input(covered), false).unwrap()))
    }

    fn difference_from(&self, logits: &Tensor) -> f32 {
        let logits: Vec<f32> = logits.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(logits.len(), self.logits.len());
        let largest = self.logits.iter().fold(0.0, |most: f32, v| most.max(v.abs()));
        let pairs = logits.iter().zip(&self.logits);
        pairs.fold(0.0, |most: f32, (a, b)| most.max((a - b).abs())) / largest
    }
}

/// A library's model in a convention, by its name, with or without the organisation.
fn find<'c>(convention: &'c Convention, model: &str) -> (&'c Family, &'c Covered) {
    let found =
        convention.covered().find(|(_, covered)| covered.name.rsplit('/').next() == Some(model));
    found.unwrap_or_else(|| panic!("{} does not cover {model}", convention.name()))
}

/// What is wrong with a library's recordings under a convention.
fn compare_all(library: &str, convention: &Convention) -> Vec<String> {
    let mut wrong = Vec::new();
    for (model, golden) in Golden::all_of(library) {
        let (family, covered) = find(convention, &model);
        match golden.difference(family, covered) {
            Ok(difference) if difference <= TOLERANCE => {}
            Ok(difference) => wrong.push(format!("{model}: differs by {difference:e}")),
            Err(error) => wrong.push(format!("{model}: {error}")),
        }
    }
    wrong
}

fn all_equal(library: &str) {
    let wrong = compare_all(library, &Convention::named(library).unwrap());
    assert!(wrong.is_empty(), "{library}:\n{}", wrong.join("\n"));
}

#[test]
fn torchvision() {
    all_equal("torchvision");
}

#[test]
fn efficientnet_pytorch() {
    all_equal("efficientnet-pytorch");
}

#[test]
fn transformers() {
    all_equal("transformers");
}

#[test]
fn wzmiaomiao() {
    all_equal("wzmiaomiao");
}

#[test]
fn keras() {
    all_equal("keras");
}

/// Files of weights from before Keras 3.6 number their layers by class.
#[test]
fn keras_files_without_names() {
    let convention = Convention::named("keras").unwrap();
    for (model, golden) in Golden::all_of("keras") {
        let checkpoint = golden.renamed_checkpoint(|name| {
            let (layer, variable) = name.split_once('/').unwrap();
            format!("{}/{variable}", golden.groups[layer])
        });
        let (family, covered) = find(&convention, &format!("{model}-numbered"));
        let difference = golden.difference_of(&checkpoint, family, covered).unwrap();
        assert!(difference <= TOLERANCE, "{model}: {difference:e}");
        let found = recognize(&checkpoint, None, None).unwrap();
        assert_eq!(found.model.name, covered.name);
    }
}

/// What no check of names and shapes can see: two swapped norms of the same shape.
#[test]
fn norms_exchanged_in_a_convention_show_in_the_logits() {
    for (library, model) in [
        ("torchvision", "mobilenet_v2"),
        ("efficientnet-pytorch", "efficientnet-lite0"),
        ("transformers", "mobilenet_v2_1.0_224"),
        ("keras", "MobileNetV2"),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights-map/conventions");
        let text = std::fs::read_to_string(folder.join(format!("{library}.toml"))).unwrap();
        // Only in the tables of inverted residuals, whose first two norms have the same shape.
        let exchange = |table: &str| match table.contains("blocks.ir]") {
            true => table
                .replace("\"bn1.", "\"bn_.")
                .replace("\"bn2.", "\"bn1.")
                .replace("\"bn_.", "\"bn2."),
            false => table.to_owned(),
        };
        let exchanged: String = text.split_inclusive("\n[").map(exchange).collect();
        // The header of a table ends the previous part.
        assert!(exchanged != text, "{library}");
        let convention = Convention::parse(library, &exchanged).unwrap();
        let (_, golden) = Golden::all_of(library).into_iter().find(|(m, _)| m == model).unwrap();
        let (family, covered) = find(&convention, model);
        let difference = golden.difference(family, covered).unwrap();
        assert!(difference > 100.0 * TOLERANCE, "{library}: {difference:e}");
    }
}

/// Nor can such a check see two swapped axes of the same size.
#[test]
fn axes_exchanged_in_a_layout_show_in_the_logits() {
    let text = include_str!("../weights-map/conventions/keras.toml");
    let (_, golden) =
        Golden::all_of("keras").into_iter().find(|(m, _)| m == "MobileNetV2").unwrap();
    // The stem's is the only dense kernel larger than 1x1.
    for (layout, exchanged, least) in
        [("\"HWIO\"", "\"WHIO\"", 5.0), ("\"HWCM\"", "\"WHCM\"", 100.0)]
    {
        let convention = Convention::parse("keras", &text.replace(layout, exchanged)).unwrap();
        let (family, covered) = find(&convention, "MobileNetV2");
        let difference = golden.difference(family, covered).unwrap();
        assert!(difference > least * TOLERANCE, "{layout}: {difference:e}");
    }
}

/// A library's file is recognised as its model, or as one of a few with the same names and shapes.
#[test]
fn every_recorded_model_is_recognised() {
    for library in ["torchvision", "efficientnet-pytorch", "transformers", "wzmiaomiao", "keras"] {
        for (model, golden) in Golden::all_of(library) {
            let named = |name: &str| name.rsplit('/').next() == Some(model.as_str());
            match recognize(&golden.checkpoint(), None, None) {
                Ok(found) => {
                    assert_eq!(found.convention, library);
                    assert!(named(&found.model.name), "{model}: {}", found.model.name);
                    assert_eq!(found.network.num_classes, golden.classes);
                }
                Err(ConvertError::Ambiguous { candidates, .. }) => {
                    println!("{library} {model}: {candidates:?}");
                    let is_among = candidates.iter().any(|c| c.contains(&model));
                    assert!(is_among && candidates.len() < 4, "{model}: {candidates:?}");
                }
                Err(error) => panic!("{library} {model}: {error}"),
            }
        }
    }
}

/// Networks in which users put one linear layer in place of everything after the features, or that
/// a library saved without a classifier. Both engines must compute the same as the library.
#[test]
fn changed_networks_compute_as_their_libraries() {
    for (library, count) in [("torchvision", 7), ("transformers", 3), ("keras", 9)] {
        let goldens = Golden::all_in("tests/goldens/changed", library);
        assert_eq!(goldens.len(), count);
        for (model, golden) in goldens {
            let name = model.strip_suffix("-0").or(model.strip_suffix("-none")).unwrap_or(&model);
            let checkpoint = golden.checkpoint();
            let found = recognize(&checkpoint, Some(library), None)
                .unwrap_or_else(|error| panic!("{library} {model}: {error}"));
            assert_eq!(found.model.name.rsplit('/').next(), Some(name), "{library}");
            let has_classifier = library != "transformers" && !model.ends_with("-none");
            assert_eq!(found.network.num_classes, if has_classifier { golden.classes } else { 0 });
            let has_conv_head = !model.contains("mobilenet_v3") && !model.contains("MobileNetV3");
            assert_eq!(found.notes.iter().any(|n| n.contains("`conv_head`")), !has_conv_head);
            let device = Device::Cpu;
            let build = |vb: VarBuilder<'_>| EfficientNet::new(&found.network, &vb);
            let (candle, _) =
                load(&checkpoint, Some(&found.renaming), DType::F32, &device, build).unwrap();
            let input = golden.input(&found.model);
            let difference = golden.difference_from(&candle.forward(&input, false).unwrap());
            assert!(difference <= TOLERANCE, "{library} {model}: {difference:e}");
            let tensors = found.network.graph().tensors();
            let (source, _) = check(&checkpoint, Some(&found.renaming), &tensors).unwrap();
            let cpu = CpuEngine::new(&found.network, &source, CpuOptions::default()).unwrap();
            let values: Vec<f32> = input.flatten_all().unwrap().to_vec1().unwrap();
            let images = Images::new(&values, golden.input).unwrap();
            let logits = cpu.run(images, &["logits"]).unwrap().take("logits").unwrap();
            let logits = Tensor::from_vec(logits.data, logits.shape, &device).unwrap();
            let difference = golden.difference_from(&logits);
            assert!(difference <= TOLERANCE, "{library} {model}: {difference:e} by the CPU engine");
        }
    }
}

/// The published EfficientNet-Lite0 with its own names, as the original package computes it;
/// `tests/parity/lite` compares it, lite1 and lite2 with the published files themselves.
#[cfg(feature = "bundled")]
#[test]
fn lite0_gives_the_original_packages_probabilities() {
    let bundled = effnet::weights::bundled().unwrap();
    let convention = Convention::named("efficientnet-pytorch").unwrap();
    let (family, covered) = find(&convention, "efficientnet-lite0");
    let model = LibraryModel { family, covered };
    let network = model.network(&NetworkOptions::default()).unwrap();
    let renaming = model.renaming(&network).unwrap();
    let values: Vec<Vec<f32>> = renaming
        .tensors()
        .iter()
        .map(|tensor| tensor.to_foreign(bundled.read_f32(&tensor.canonical).unwrap()))
        .collect();
    let tensors: Vec<_> = renaming
        .tensors()
        .iter()
        .zip(&values)
        .map(|(tensor, values)| NamedTensor {
            name: &tensor.foreign,
            shape: &tensor.foreign_shape,
            values: Values::F32(values),
        })
        .collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), serialize(&tensors, &BTreeMap::new()).unwrap()).unwrap();

    let weights = file.path().to_str().unwrap();
    let builder = effnet::Model::builder().model("tf_efficientnet_lite0").weights(weights);
    let classifier = builder.build_classifier().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("tests/goldens/lite0.json")).unwrap();
    let answers: BTreeMap<String, Vec<(usize, f32)>> = serde_json::from_str(&text).unwrap();
    assert_eq!(answers.len(), 7);
    for (image, answer) in answers {
        let path = root.join("examples/images").join(&image);
        let ours = classifier.probabilities(&path).unwrap();
        assert_eq!(answer.len(), 20);
        for (index, probability) in answer {
            let difference = (ours[index] - probability).abs();
            assert!(difference < 1e-4, "{image}, class {index}: {difference:e}");
        }
    }
}
