//! Configurations, labels, block strings and naming conventions.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use effnet::arch::{self, Arch, BlockDef, BlockKind};
use effnet::conventions::{Convention, MatchedConvention, library_models, recognize};
use effnet::evaluation::{Calibration, Conformal};
use effnet::labels::{ClassMap, LabelNames, parse_valid_labels};
use effnet::preprocess::Image;
use effnet::pretrained::{ModelConfig, SizeChoice};
use effnet::unstable;
use effnet::weights::{Checkpoint, bundled};
use effnet::{Model, Preprocessor};

use super::memory::peak;
use super::one_line;

const BESIDE: usize = 8 << 20;
const TIMES: usize = 256;
/// The largest input, in pixels, that is prepared at all.
const MOST_PREPARED: usize = 1 << 18;

/// A `config.json` and, after a zero byte, the `preprocessor_config.json` beside it.
///
/// Asserted: no panic; the file's length bounds the memory; sizes and numbers are within their
/// bounds; an image is prepared to the size in the description; what `convert` writes for it reads
/// back the same.
pub fn config(bytes: &[u8]) {
    let middle = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    described(&bytes[..middle], bytes.get(middle + 1..));
}

/// A `preprocessor_config.json` beside a `config.json` of transformers.
pub fn preprocessor_config(bytes: &[u8]) {
    described(CONFIG, Some(bytes));
}

const CONFIG: &[u8] = br#"{"architectures": ["EfficientNetForImageClassification"],
    "model_type": "efficientnet", "width_coefficient": 1.0, "depth_coefficient": 1.0,
    "hidden_dim": 1280, "image_size": 224, "num_labels": 3}"#;

fn described(config: &[u8], processor: Option<&[u8]>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    std::fs::write(&file, config).unwrap();
    if let Some(processor) = processor {
        std::fs::write(folder.path().join("preprocessor_config.json"), processor).unwrap();
    }
    let length = config.len() + processor.map_or(0, <[u8]>::len);
    let builder = || Model::builder().model(folder.path());
    let ((read, described, preprocessor), held) = peak(|| {
        (ModelConfig::from_file(&file), builder().describe(), builder().build_preprocessor())
    });
    let most = BESIDE + TIMES * length;
    assert!(held <= most, "{held} bytes held for {length}: {read:?}");
    let read = match read {
        Ok(read) => read,
        Err(error) => {
            one_line(&error);
            return one_line(&described.unwrap_err());
        }
    };
    assert!(read.num_classes <= 1_000_000);
    match read.labels() {
        // A network with one output has two classes.
        Ok(Some(labels)) => assert!([read.num_classes, 2].contains(&labels.len())),
        Ok(None) => {}
        Err(error) => one_line(&error),
    }
    match described {
        Ok(described) => assert!((1..=1024).contains(&described.in_chans)),
        Err(error) => one_line(&error),
    }
    match preprocessor {
        Ok(preprocessor) => {
            let [_, height, width] = preprocessor.values().input_size.value;
            assert!((1..=8192).contains(&height) && (1..=8192).contains(&width));
            if height * width <= MOST_PREPARED {
                prepared(&preprocessor, height, width);
            }
        }
        Err(error) => one_line(&error),
    }
    converted(&read);
}

fn prepared(preprocessor: &Preprocessor, height: usize, width: usize) {
    let mode = preprocessor.transform().mode();
    let image = Image::new(mode, 5, 3, vec![77; 15 * mode.channels()]).unwrap();
    let (input, held) = peak(|| preprocessor.input(&image).map_err(Box::new));
    match input {
        Ok(input) => assert_eq!(input.len(), height * width * mode.channels()),
        Err(error) => one_line(&error),
    }
    let most = BESIDE + 1024 * MOST_PREPARED;
    assert!(held <= most, "{held} bytes held to prepare {width}x{height}");
}

/// The weights inside the program, and what they are.
fn lite0() -> &'static (Checkpoint, MatchedConvention) {
    static LITE0: OnceLock<(Checkpoint, MatchedConvention)> = OnceLock::new();
    LITE0.get_or_init(|| {
        let checkpoint = bundled().unwrap();
        let found = recognize(&checkpoint, Some("timm"), Some("tf_efficientnet_lite0")).unwrap();
        (checkpoint, found)
    })
}

/// `convert` writes a configuration for a network; reading it must give the original values.
fn converted(own: &ModelConfig) {
    let (checkpoint, found) = lite0();
    let same = (own.num_classes, own.in_chans) == (found.network.num_classes, 3);
    if !same || own.architecture != found.model.timm || own.channel_multiplier.is_some() {
        return;
    }
    let Ok(found) = found.clone().with_config(own) else { return };
    let written = match unstable::folder_config(checkpoint, &found, Some(own), None) {
        Ok(written) => written,
        Err(error) => return one_line(&error),
    };
    let text = format!("{written:#}");
    let again = ModelConfig::from_slice(text.as_bytes(), Path::new("again"))
        .unwrap_or_else(|error| panic!("{error}: {text}"));
    let said = |config: &ModelConfig| {
        let mut args = config.model_args.clone();
        // `convert` may add or leave out these; the network's own numbers are compared instead.
        (args.num_classes, args.in_chans) = (None, None);
        (config.architecture, config.num_classes, config.in_chans, args)
    };
    assert_eq!(said(&again), said(own), "{text}");
    assert_eq!(again.activation.map(|a| a.value), own.activation.map(|a| a.value), "{text}");
    assert_eq!(again.turns_exif, own.turns_exif, "{text}");
    assert_eq!(again.pretrained_cfg.pipeline, own.pretrained_cfg.pipeline, "{text}");
    assert_eq!(again.pretrained_cfg.label_names, own.pretrained_cfg.label_names, "{text}");
    for size in [SizeChoice::Test, SizeChoice::Train] {
        let value = |config: &ModelConfig| {
            let found = config.pretrained_cfg.resolve(size);
            (
                found.input_size.value,
                found.interpolation.value,
                found.crop_pct.value,
                found.crop_mode.value,
                found.mean.value,
                found.std.value,
            )
        };
        assert_eq!(value(&again), value(own), "{text}");
    }
}

/// A file of class names.
///
/// Asserted: no panic; names are in order and read back the same from JSON; as a class map or a list
/// of valid labels, it has only classes that there are.
pub fn labels(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match ClassMap::parse(text, 7) {
        Ok(map) => assert!(map.names().all(|name| map.get(name).unwrap() < 7)),
        Err(error) => one_line(&error),
    }
    match parse_valid_labels(text, 7) {
        Ok(classes) => assert!(classes.len() <= 7 && classes.iter().all(|class| *class < 7)),
        Err(error) => one_line(&error),
    }
    let (names, held) = peak(|| LabelNames::parse(text));
    assert!(held <= BESIDE + TIMES * bytes.len(), "{held} bytes held for {}", bytes.len());
    let names = match names {
        Ok(names) => names,
        Err(error) => return one_line(&error),
    };
    let ordered = names.in_order().unwrap();
    assert_eq!(ordered.len(), names.len());
    let list = serde_json::to_string(&ordered).unwrap();
    assert_eq!(LabelNames::parse(&list).unwrap().in_order().unwrap(), ordered);
    let own = serde_json::to_string(&names).unwrap();
    assert_eq!(LabelNames::parse(&own).unwrap().in_order().unwrap(), ordered);
}

/// A calibration.
///
/// Asserted: no panic; the file's length bounds the memory; what is read gives a threshold that is a
/// probability, or says that there are too few images; it reads back the same.
pub fn calibration(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calibration.json");
    std::fs::write(&file, bytes).unwrap();
    let (read, held) = peak(|| Calibration::read(&file));
    assert!(held <= BESIDE + TIMES * bytes.len(), "{held} bytes held for {}", bytes.len());
    let read = match read {
        Ok(read) => read,
        Err(error) => return one_line(&error),
    };
    assert!(read.temperature > 0.0 && read.temperature.is_finite());
    match Conformal::new(0.9, &read.right) {
        Ok(conformal) => assert!((0.0..=1.0).contains(&conformal.threshold)),
        Err(error) => one_line(&error),
    }
    read.write(&file).unwrap();
    assert_eq!(Calibration::read(&file).unwrap().right, read.right);
}

/// Block strings, one line per stage.
///
/// Asserted: no panic; a block that is read, written and read again stays the same; a network of
/// the blocks is built or refused.
pub fn blocks(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut stages: Vec<&'static [&'static str]> = Vec::new();
    for line in text.lines().take(8) {
        let mut stage = Vec::new();
        for block in line.split(' ').take(4) {
            match BlockDef::parse(block) {
                Ok(def) => {
                    let again = written(&def);
                    assert_eq!(BlockDef::parse(&again), Ok(def), "{block}, {again}");
                    if let Some(block) = kept(block) {
                        stage.push(block);
                    }
                }
                Err(error) => one_line(&error),
            }
        }
        stages.push(kept_stage(stage));
    }
    let base = arch::find("efficientnet_b0").unwrap();
    let arch = Arch { arch_def: kept_arch(stages), ..*base };
    let (network, held) = peak(|| arch.network(&Default::default()));
    // Each may be repeated a thousand times.
    assert!(held <= BESIDE + (1 << 16) * bytes.len(), "{held} bytes held for {}", bytes.len());
    match network {
        Ok(network) => assert_eq!(network.stages.len(), arch.arch_def.len()),
        Err(error) => one_line(&error),
    }
}

/// The block string of a definition, with its tokens in a fixed order.
fn written(def: &BlockDef) -> String {
    let mut text = format!("{}_r{}", def.kind.token(), def.repeats);
    let kernels: Vec<_> = def.kernel_sizes.iter().map(usize::to_string).collect();
    let kernels = if kernels.is_empty() { "0".to_owned() } else { kernels.join(".") };
    text += &format!("_k{kernels}_s{}_c{}", def.stride, def.out_chs);
    let attends =
        matches!(def.kind, BlockKind::MultiQueryAttention | BlockKind::MultiHeadAttention);
    if !attends {
        text += &format!("_e{}", def.exp_ratio);
    }
    if def.se_ratio > 0.0 {
        text += &format!("_se{}", def.se_ratio);
    }
    for (key, value) in [("fc", def.force_in_chs), ("gs", def.group_size)] {
        if let Some(value) = value {
            text += &format!("_{key}{value}");
        }
    }
    for (key, parts) in [("a", def.exp_parts), ("p", def.pw_parts)] {
        if parts > 1 {
            text += &format!("_{key}{}", vec!["1"; parts].join("."));
        }
    }
    if def.kind == BlockKind::UniversalInvertedResidual {
        text += &format!("_a{}", def.start_kernel_size.unwrap_or(0));
    }
    if def.num_experts > 0 {
        text += &format!("_cc{}", def.num_experts);
    }
    if def.s2d {
        text += "_d1";
    }
    if attends {
        text += &format!("_h{}_d{}", def.num_heads, def.key_dim);
    }
    if def.kv_stride > 1 {
        text += &format!("_v{}", def.kv_stride);
    }
    if let Some(act) = def.act {
        let tokens =
            [("re", "relu"), ("r6", "relu6"), ("hs", "hard_swish"), ("sw", "silu"), ("mi", "mish")];
        let is_it = |(_, name): &(_, &str)| arch::Activation::from_name(name) == Some(act);
        text += &format!("_n{}", tokens.into_iter().find(is_it).unwrap().0);
    }
    let usually = !matches!(def.kind, BlockKind::ConvBnAct | BlockKind::DepthwiseSeparableAct);
    match (def.skip, usually) {
        (true, false) => text += "_skip",
        (false, true) => text += "_noskip",
        _ => {}
    }
    text
}

/// Rows of the table live as long as the program. So do these strings, each stored once.
fn kept(block: &str) -> Option<&'static str> {
    static KEPT: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut kept = KEPT.lock().unwrap();
    let kept = kept.get_or_insert_default();
    if let Some(block) = kept.get(block) {
        return Some(block);
    }
    let block: &'static str = block.to_owned().leak();
    kept.insert(block);
    Some(block)
}

fn kept_stage(stage: Vec<&'static str>) -> &'static [&'static str] {
    static KEPT: Mutex<BTreeSet<&'static [&'static str]>> = Mutex::new(BTreeSet::new());
    let mut kept = KEPT.lock().unwrap();
    match kept.get(stage.as_slice()) {
        Some(stage) => stage,
        None => {
            let stage: &'static [&'static str] = stage.leak();
            kept.insert(stage);
            stage
        }
    }
}

fn kept_arch(arch: Vec<&'static [&'static str]>) -> &'static [&'static [&'static str]] {
    static KEPT: Mutex<BTreeSet<&'static [&'static [&'static str]]>> = Mutex::new(BTreeSet::new());
    let mut kept = KEPT.lock().unwrap();
    match kept.get(arch.as_slice()) {
        Some(arch) => arch,
        None => {
            let arch: &'static [&'static [&'static str]] = arch.leak();
            kept.insert(arch);
            arch
        }
    }
}

/// A naming convention's TOML.
///
/// Asserted: no panic; the first covered model is renamed or refused; the names are different, and
/// values go to the library's layout and back unchanged.
pub fn conventions(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (convention, held) = peak(|| Convention::parse("convention.toml", text));
    assert!(held <= (32 << 20) + TIMES * bytes.len(), "{held} bytes held for {}", bytes.len());
    let convention = match convention {
        Ok(convention) => convention,
        Err(error) => {
            // TOML's own errors show the line.
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let Some(model) = library_models(&convention).next() else { return };
    let network = match model.network(&Default::default()) {
        Ok(network) => network,
        Err(error) => return one_line(&error),
    };
    let renaming = match model.renaming(&network) {
        Ok(renaming) => renaming,
        Err(error) => return one_line(&error),
    };
    let tensors = renaming.tensors();
    let names: BTreeSet<_> = tensors.iter().map(|tensor| &tensor.foreign).collect();
    assert_eq!(names.len(), tensors.len());
    for tensor in tensors {
        assert_eq!(renaming.foreign(&tensor.canonical), Some(tensor.foreign.as_str()));
        let count: usize = tensor.shape.iter().product();
        assert_eq!(tensor.foreign_shape.iter().product::<usize>(), count);
        if count <= 1 << 10 {
            let values: Vec<f32> = (0..count).map(|value| value as f32).collect();
            assert_eq!(tensor.to_canonical(tensor.to_foreign(values.clone())), values);
        }
    }
}

/// Names and shapes: the first line has a convention and an architecture, `-` for any; then one
/// tensor per line.
///
/// Asserted: no panic; if a network is recognised, the file has all its tensors.
pub fn recognition(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let (convention, architecture) = first.split_once(' ').unwrap_or((first, "-"));
    let mut tensors: Vec<(String, Vec<usize>)> = Vec::new();
    for line in lines {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default().to_owned();
        let shape: Vec<usize> = words.take(8).filter_map(|size| size.parse().ok()).collect();
        // Every format's reader refuses shapes whose size overflows.
        let product = shape.iter().try_fold(4usize, |product, size| product.checked_mul(*size));
        if product.is_some() && !tensors.iter().any(|(other, _)| *other == name) {
            tensors.push((name, shape));
        }
    }
    let checkpoint = unstable::checkpoint_of(tensors);
    let convention = (convention != "-").then_some(convention);
    let architecture = (architecture != "-").then_some(architecture);
    let (found, held) = peak(|| recognize(&checkpoint, convention, architecture));
    assert!(held <= (64 << 20) + TIMES * bytes.len(), "{held} bytes held for {}", bytes.len());
    match found {
        Ok(found) => {
            for tensor in found.renaming.tensors() {
                assert!(checkpoint.shape(&tensor.foreign).is_some(), "{}", tensor.foreign);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Some(architecture) = architecture
        && let Err(error) = unstable::identify(&checkpoint, architecture)
    {
        assert!(!error.to_string().is_empty());
    }
}
