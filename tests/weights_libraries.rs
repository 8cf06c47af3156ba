//! Compares conventions with the libraries' own names, and tests round trips and recognition, for
//! every model of every library, from shapes alone.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet, HashSet};

use effnet::arch::{NetworkOptions, PadType};
use effnet::conventions::{Convention, ConvertError, LibraryModel, library_models, recognize};
use effnet::weights::{Checkpoint, Renaming};
use sha2::{Digest, Sha256};

#[path = "weights_support/sparse.rs"]
mod sparse;

/// Recorded by `tests/parity/conventions`.
const NAMES: &str = include_str!("data/conventions/names.txt");

fn renaming(model: &LibraryModel<'_>) -> Renaming {
    model.renaming(&model.network(&NetworkOptions::default()).unwrap()).unwrap()
}

fn conventions() -> impl Iterator<Item = Convention> {
    Convention::names().map(|name| Convention::named(name).unwrap())
}

/// A file with a model's tensors under a library's names.
fn file_of(folder: &tempfile::TempDir, renaming: &Renaming, more: &[&str]) -> Checkpoint {
    let tensors = renaming.tensors().iter().map(|t| (t.foreign.as_str(), &*t.foreign_shape));
    let more = more.iter().map(|name| (*name, [1].as_slice()));
    Checkpoint::open(sparse::write(folder.path(), tensors.chain(more))).unwrap()
}

#[test]
fn names_and_shapes_are_the_libraries() {
    let mut recorded: BTreeMap<(&str, &str), (usize, &str)> = BTreeMap::new();
    for line in NAMES.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let [convention, model, tensors, digest] = words[..] else { panic!("{line}") };
        recorded.insert((convention, model), (tensors.parse().unwrap(), digest));
    }
    let mut compared = BTreeSet::new();
    for convention in conventions() {
        for model in library_models(&convention) {
            let key = (convention.name(), model.covered.name.as_str());
            let Some(&(tensors, digest)) = recorded.get(&key) else {
                let unrecorded = matches!(
                    (convention.name(), model.family.name()),
                    ("timm", _)
                        | ("tensorflow", "efficientnet" | "mobilenet_v3")
                        | ("keras", "mobilenet_v3_of_keras_2")
                );
                assert!(unrecorded, "{key:?} is not recorded");
                continue;
            };
            let mut lines: Vec<_> = renaming(&model)
                .tensors()
                .iter()
                .map(|tensor| {
                    let mut line = tensor.foreign.clone();
                    tensor.foreign_shape.iter().for_each(|n| line.push_str(&format!(" {n}")));
                    line + "\n"
                })
                .collect();
            lines.sort();
            assert_eq!(lines.len(), tensors, "{key:?}");
            let found = format!("{:x}", Sha256::digest(lines.concat()));
            assert_eq!(found, digest, "{key:?}: compare with record_names.py --list");
            compared.insert((key.0.to_owned(), key.1.to_owned()));
        }
    }
    assert_eq!(compared.len(), recorded.len(), "a recorded model is not covered");
}

#[test]
fn tensorflows_variables_are_as_its_checkpoints_have_them() {
    let convention = Convention::named("tensorflow").unwrap();
    for (model, canonical, foreign, shape) in [
        ("efficientnet-b0", "conv_stem.weight", "stem/conv2d/kernel", &[3, 3, 3, 32][..]),
        (
            "efficientnet-b0",
            "bn1.running_var",
            "stem/tpu_batch_normalization/moving_variance",
            &[32],
        ),
        (
            "efficientnet-b0",
            "blocks.0.0.conv_dw.weight",
            "blocks_0/depthwise_conv2d/depthwise_kernel",
            &[3, 3, 32, 1],
        ),
        (
            "efficientnet-b0",
            "blocks.0.0.bn1.weight",
            "blocks_0/tpu_batch_normalization/gamma",
            &[32],
        ),
        ("efficientnet-b0", "blocks.0.0.conv_pw.weight", "blocks_0/conv2d/kernel", &[1, 1, 32, 16]),
        (
            "efficientnet-b0",
            "blocks.0.0.bn2.bias",
            "blocks_0/tpu_batch_normalization_1/beta",
            &[16],
        ),
        (
            "efficientnet-b0",
            "blocks.1.1.conv_pw.weight",
            "blocks_2/conv2d/kernel",
            &[1, 1, 24, 144],
        ),
        ("efficientnet-b0", "blocks.1.1.se.conv_reduce.bias", "blocks_2/se/conv2d/bias", &[6]),
        (
            "efficientnet-b0",
            "blocks.1.1.se.conv_expand.weight",
            "blocks_2/se/conv2d_1/kernel",
            &[1, 1, 6, 144],
        ),
        (
            "efficientnet-b0",
            "blocks.1.1.conv_pwl.weight",
            "blocks_2/conv2d_1/kernel",
            &[1, 1, 144, 24],
        ),
        (
            "efficientnet-b0",
            "blocks.1.1.bn3.running_mean",
            "blocks_2/tpu_batch_normalization_2/moving_mean",
            &[24],
        ),
        ("efficientnet-b0", "conv_head.weight", "head/conv2d/kernel", &[1, 1, 320, 1280]),
        ("efficientnet-b0", "classifier.weight", "head/dense/kernel", &[1280, 1000]),
        ("efficientnetv2-s", "blocks.0.0.conv.weight", "blocks_0/conv2d/kernel", &[3, 3, 24, 24]),
        (
            "efficientnetv2-s",
            "blocks.2.0.bn2.weight",
            "blocks_6/tpu_batch_normalization_1/gamma",
            &[64],
        ),
        (
            "efficientnet-edgetpu-S",
            "blocks.0.0.conv_pwl.weight",
            "blocks_0/conv2d_1/kernel",
            &[1, 1, 96, 24],
        ),
    ] {
        let found = library_models(&convention).find(|m| m.covered.name == model).unwrap();
        let renaming = renaming(&found);
        let tensor = renaming.mapped(canonical).unwrap();
        assert_eq!(tensor.foreign, format!("{model}/{foreign}"), "{canonical}");
        assert_eq!(tensor.foreign_shape, shape, "{canonical}");
    }
    let mobilenet = "v3-small_224_1.0_float";
    let found = library_models(&convention).find(|m| m.covered.name == mobilenet).unwrap();
    let renaming = renaming(&found);
    for (canonical, foreign, shape) in [
        ("conv_stem.weight", "Conv/weights", &[3, 3, 3, 16][..]),
        ("blocks.0.0.conv_dw.weight", "expanded_conv/depthwise/depthwise_weights", &[3, 3, 16, 1]),
        (
            "blocks.0.0.se.conv_reduce.weight",
            "expanded_conv/squeeze_excite/Conv/weights",
            &[1, 1, 16, 8],
        ),
        ("blocks.1.0.bn1.weight", "expanded_conv_1/expand/BatchNorm/gamma", &[72]),
        ("blocks.5.0.conv.weight", "Conv_1/weights", &[1, 1, 96, 576]),
        ("conv_head.bias", "Conv_2/biases", &[1024]),
        ("classifier.weight", "Logits/Conv2d_1c_1x1/weights", &[1, 1, 1024, 1000]),
    ] {
        let tensor = renaming.mapped(canonical).unwrap();
        assert_eq!(tensor.foreign, format!("MobilenetV3/{foreign}"));
        assert_eq!(tensor.foreign_shape, shape, "{canonical}");
    }
}

#[test]
fn there_and_back_is_the_identity_for_every_model() {
    let mut models = 0;
    // Shapes whose values were already moved; moving depends on nothing else.
    let mut moved = HashSet::new();
    for convention in conventions() {
        for model in library_models(&convention) {
            let renaming = renaming(&model);
            let names: HashSet<_> = renaming.tensors().iter().map(|t| &t.foreign).collect();
            assert_eq!(names.len(), renaming.tensors().len());
            for tensor in renaming.tensors() {
                assert_eq!(renaming.foreign(&tensor.canonical), Some(tensor.foreign.as_str()));
                let elements: usize = tensor.shape.iter().product();
                assert_eq!(elements, tensor.foreign_shape.iter().product::<usize>(), "{tensor:?}");
                let way = (tensor.shape.clone(), tensor.foreign_shape.clone());
                if elements > 1 << 18 || !moved.insert(way) {
                    continue;
                }
                let values: Vec<f32> = (0..elements).map(|i| i as f32).collect();
                let foreign = tensor.to_foreign(values.clone());
                assert_eq!(tensor.to_canonical(foreign), values, "{tensor:?}");
            }
            models += 1;
        }
    }
    assert!(models >= 250, "{models} models");
}

#[test]
fn every_model_is_recognised_by_its_tensors() {
    let folder = tempfile::tempdir().unwrap();
    for convention in conventions() {
        for (i, model) in library_models(&convention).enumerate() {
            // A sample of timm's rows, because each is compared with all that begin alike.
            if convention.name() == "timm" && i % 12 != 0 {
                continue;
            }
            let renaming = renaming(&model);
            // torchvision's counters distinguish its files from candle-transformers'.
            let counter = match convention.name() {
                "torchvision" => &["features.0.1.num_batches_tracked"][..],
                _ => &[],
            };
            let file = file_of(&folder, &renaming, counter);
            let covered = model.covered;
            match recognize(&file, None, None) {
                Ok(found) => {
                    assert_eq!(found.convention, convention.name());
                    assert_eq!(&found.model, covered);
                    assert_eq!(found.network, model.network(&NetworkOptions::default()).unwrap());
                }
                Err(ConvertError::Ambiguous { candidates, .. }) => {
                    let may = matches!(convention.name(), "timm" | "candle-transformers");
                    assert!(may, "{covered:?}: {candidates:?}");
                    let named = |text: &String| text.split(' ').next() == Some(&covered.timm);
                    assert!(candidates.iter().any(named), "{covered:?}: {candidates:?}");
                    let found = recognize(&file, Some(convention.name()), Some(&covered.timm));
                    assert_eq!(&found.unwrap().model, covered);
                }
                Err(error) => panic!("{covered:?}: {error}"),
            }
        }
    }
}

/// Size, resize and interpolation of torchvision 0.29.1's default weights (`get_model_weights(NAME)
/// .DEFAULT.transforms()`); all crop the center.
const TORCHVISION: [(&str, usize, usize, &str); 18] = [
    ("efficientnet_b0", 224, 256, "bicubic"),
    ("efficientnet_b1", 240, 255, "bilinear"),
    ("efficientnet_b2", 288, 288, "bicubic"),
    ("efficientnet_b3", 300, 320, "bicubic"),
    ("efficientnet_b4", 380, 384, "bicubic"),
    ("efficientnet_b5", 456, 456, "bicubic"),
    ("efficientnet_b6", 528, 528, "bicubic"),
    ("efficientnet_b7", 600, 600, "bicubic"),
    ("efficientnet_v2_s", 384, 384, "bilinear"),
    ("efficientnet_v2_m", 480, 480, "bilinear"),
    ("efficientnet_v2_l", 480, 480, "bicubic"),
    ("mobilenet_v2", 224, 232, "bilinear"),
    ("mobilenet_v3_small", 224, 256, "bilinear"),
    ("mobilenet_v3_large", 224, 232, "bilinear"),
    ("mnasnet0_5", 224, 256, "bilinear"),
    ("mnasnet0_75", 224, 232, "bilinear"),
    ("mnasnet1_0", 224, 256, "bilinear"),
    ("mnasnet1_3", 224, 232, "bilinear"),
];

#[test]
fn images_are_resized_and_cropped_as_torchvisions_transforms_do() {
    let convention = Convention::named("torchvision").unwrap();
    let models: Vec<_> = library_models(&convention).collect();
    assert_eq!(models.len(), TORCHVISION.len());
    for (name, size, resize, interpolation) in TORCHVISION {
        let model = models.iter().find(|m| m.covered.name == name).unwrap();
        let cfg = model.covered.preprocessing.as_ref().unwrap();
        let values = cfg.resolve(effnet::pretrained::SizeChoice::Test);
        assert_eq!(values.input_size.value, [3, size, size], "{name}");
        assert_eq!((size as f64 / values.crop_pct.value).floor() as usize, resize, "{name}");
        assert_eq!(values.interpolation.value, interpolation, "{name}");
        let half = name == "efficientnet_v2_l";
        assert_eq!(
            values.mean.value,
            if half { [0.5; 3] } else { [0.485, 0.456, 0.406] },
            "{name}"
        );
        assert_eq!(values.std.value, if half { [0.5; 3] } else { [0.229, 0.224, 0.225] }, "{name}");
        // The convention says it, because otherwise the row's own mode would apply.
        assert_eq!(cfg.crop_mode.as_deref(), Some("center"), "{name}");
    }
    // transformers resizes the short side to 32 pixels more than the crop, or squashes.
    let convention = Convention::named("transformers").unwrap();
    for model in library_models(&convention) {
        let cfg = model
            .covered
            .preprocessing
            .as_ref()
            .unwrap()
            .resolve(effnet::pretrained::SizeChoice::Test);
        let [_, size, _] = cfg.input_size.value;
        let resize = (size as f64 / cfg.crop_pct.value).floor() as usize;
        let squash = cfg.crop_mode.value == "squash";
        assert_eq!(resize, size + if squash { 0 } else { 32 }, "{}", model.covered.name);
        assert_eq!(squash, model.family.name() == "efficientnet");
    }
}

#[test]
fn classes_channels_and_a_background_class_are_read_from_the_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let convention = Convention::named("transformers").unwrap();
    let model =
        library_models(&convention).find(|m| m.covered.name == "mobilenet_v1_0.25_128").unwrap();
    for (num_classes, in_chans, found_classes) in [(10, 1, 10), (1001, 3, 1000), (0, 4, 0)] {
        let options = NetworkOptions { num_classes, in_chans, ..Default::default() };
        let renaming = model.renaming(&model.network(&options).unwrap()).unwrap();
        let found = recognize(&file_of(&folder, &renaming, &[]), None, None).unwrap();
        assert_eq!(found.model.name, "mobilenet_v1_0.25_128");
        assert_eq!((found.network.num_classes, found.network.in_chans), (found_classes, in_chans));
        assert_eq!(found.has_background, num_classes == 1001);
        assert_eq!((found.network.bn_eps, found.network.pad_type), (1e-3, PadType::Same));
    }
}

#[test]
fn an_ambiguous_file_lists_the_candidates() {
    let folder = tempfile::tempdir().unwrap();
    let convention = Convention::named("torchvision").unwrap();
    let model = library_models(&convention).next().unwrap();
    let file = file_of(&folder, &renaming(&model), &[]);
    let error = recognize(&file, None, None).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "its tensors match 2 models, which compute differently: name one of \
             efficientnet_b0 (efficientnet_b0 of torchvision), tf_efficientnet_b0 (efficientnet-b0 \
             of candle-transformers)"
        ),
        "{error}"
    );
    for name in ["efficientnet_b0", "tf_efficientnet_b0", "efficientnet-b0"] {
        assert!(recognize(&file, None, Some(name)).is_ok());
    }
    assert!(recognize(&file, Some("candle-transformers"), None).is_ok());
    for (convention, name, message) in [
        (None, "efficientnet_b99", "did you mean `efficientnet_b"),
        (Some("candle-transformers"), "efficientnet_b0", "it covers tf_efficientnet_b0, "),
        (Some("torchvison"), "efficientnet_b0", "did you mean `torchvision`"),
    ] {
        let error = recognize(&file, convention, Some(name)).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

/// The tensors of torchvision's ResNet-50.
fn resnet50() -> Vec<(String, Vec<usize>)> {
    let mut tensors = vec![("conv1.weight".to_owned(), vec![64, 3, 7, 7])];
    let norm = |tensors: &mut Vec<_>, name: String, channels| {
        for parameter in ["weight", "bias", "running_mean", "running_var"] {
            tensors.push((format!("{name}.{parameter}"), vec![channels]));
        }
    };
    norm(&mut tensors, "bn1".to_owned(), 64);
    let mut inputs = 64;
    for (layer, blocks) in [3, 4, 6, 3].into_iter().enumerate() {
        let width = 64 << layer;
        for block in 0..blocks {
            let name = format!("layer{}.{block}", layer + 1);
            let convs = [(1, width, inputs, 1), (2, width, width, 3), (3, 4 * width, width, 1)];
            for (i, outputs, inputs, k) in convs {
                tensors.push((format!("{name}.conv{i}.weight"), vec![outputs, inputs, k, k]));
                norm(&mut tensors, format!("{name}.bn{i}"), outputs);
            }
            if block == 0 {
                let shape = vec![4 * width, inputs, 1, 1];
                tensors.push((format!("{name}.downsample.0.weight"), shape));
                norm(&mut tensors, format!("{name}.downsample.1"), 4 * width);
            }
            inputs = 4 * width;
        }
    }
    tensors.push(("fc.weight".to_owned(), vec![1000, 2048]));
    tensors.push(("fc.bias".to_owned(), vec![1000]));
    tensors
}

fn refused(tensors: &[(String, Vec<usize>)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let tensors = tensors.iter().map(|(name, shape)| (name.as_str(), shape.as_slice()));
    let file = Checkpoint::open(sparse::write(folder.path(), tensors)).unwrap();
    let error = recognize(&file, None, None).unwrap_err().to_string();
    assert!(error.contains(file.file()), "{error}");
    error
}

#[test]
fn checkpoints_that_are_not_what_they_seem_are_refused() {
    let error = refused(&resnet50());
    assert!(
        error.contains("not a network of this family: its names match no convention (timm, "),
        "{error}"
    );
    assert!(error.contains("it has `conv1.weight`, `bn1.weight`, `bn1.bias`, ..."), "{error}");
    assert!(refused(&[]).contains("it has no tensors"));

    for (convention, name, block, kernel) in [
        ("timm", "tf_efficientnet_b4", "blocks.5.7.", "blocks.2.1.conv_pwl.weight"),
        ("timm", "efficientnet_b0", "blocks.6.0.", "conv_stem.weight"),
        ("torchvision", "efficientnet_v2_s", "features.6.3.", "features.4.1.block.3.0.weight"),
        ("torchvision", "mnasnet1_3", "layers.12.2.", "layers.9.0.layers.6.weight"),
        (
            "transformers",
            "google/efficientnet-b7",
            "efficientnet.encoder.blocks.54.",
            "efficientnet.encoder.blocks.7.expansion.expand_conv.weight",
        ),
        (
            "tensorflow",
            "efficientnet-b1",
            "efficientnet-b1/blocks_9/",
            "efficientnet-b1/blocks_9/conv2d/kernel",
        ),
    ] {
        let convention = Convention::named(convention).unwrap();
        let model = library_models(&convention).find(|m| m.covered.name == name).unwrap();
        let whole: Vec<_> = renaming(&model)
            .tensors()
            .iter()
            .map(|t| (t.foreign.clone(), t.foreign_shape.clone()))
            .collect();
        let mut without: Vec<_> = whole.clone();
        without.retain(|(name, _)| !name.starts_with(block));
        let missing = whole.len() - without.len();
        assert!(missing > 5);
        let error = refused(&without);
        let counts = format!(" {missing} missing, 0 unexpected, 0 misshapen");
        assert!(error.contains(&counts) && error.contains(block), "{name}: {error}");
        assert!(error.contains(&format!("by the convention {}", convention.name())), "{error}");

        let mut transposed = whole.clone();
        let (_, shape) = transposed.iter_mut().find(|(name, _)| name == kernel).unwrap();
        let wanted = shape.clone();
        shape.reverse();
        let message = format!("{shape:?} in the file, {wanted:?} in the model");
        let error = refused(&transposed);
        assert!(error.contains(" 0 missing, 0 unexpected, 1 misshapen"), "{error}");
        assert!(error.contains("begin like it, the nearest is "), "{error}");
        assert!(error.contains(&message), "{error}");
    }
}
