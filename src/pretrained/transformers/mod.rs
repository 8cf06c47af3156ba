//! transformers' `config.json` and `preprocessor_config.json`: `EfficientNetForImageClassification`,
//! MobileNet V1 and V2.
//!
//! transformers' configurations consist of numbers, for which the matching row is looked up. A
//! number that no row has is refused, by its key. Values that the file leaves out default as in
//! transformers' configuration classes.

mod efficientnet;
mod mobilenet;
mod processor;

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::config::{ClassFunction, read_fields};
use super::{CfgOrigin, ModelArgs, ModelConfig, PretrainedCfg, PretrainedError};
use crate::labels::{ClassifierActivation, LabelNames};
use crate::preprocess::Pipeline;
use crate::text::file_name;

/// The file that says how images are prepared.
pub(super) const PROCESSOR: &str = "preprocessor_config.json";

/// The kinds of models, by transformers' `model_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    EfficientNet,
    MobileNetV1,
    MobileNetV2,
}

impl Kind {
    /// The kind of a `config.json` written by transformers; `None` for timm's.
    pub(super) fn of(root: &Map<String, Value>) -> Option<Self> {
        match root.get("model_type")?.as_str()? {
            "efficientnet" => Some(Self::EfficientNet),
            "mobilenet_v1" => Some(Self::MobileNetV1),
            "mobilenet_v2" => Some(Self::MobileNetV2),
            _ => None,
        }
    }

    /// The beginning of transformers' class names.
    fn class(self) -> &'static str {
        match self {
            Self::EfficientNet => "EfficientNet",
            Self::MobileNetV1 => "MobileNetV1",
            Self::MobileNetV2 => "MobileNetV2",
        }
    }
}

/// The keys that all kinds of models share.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Common {
    architectures: Option<Vec<String>>,
    id2label: Option<LabelNames>,
    num_labels: Option<usize>,
    problem_type: Option<String>,
    num_channels: Option<usize>,
    image_size: Option<Side>,
}

/// One number for height and width, or both.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Side {
    One(usize),
    Two([usize; 2]),
}

impl Side {
    fn height_and_width(self) -> [usize; 2] {
        match self {
            Self::One(side) => [side, side],
            Self::Two(sides) => sides,
        }
    }
}

/// What a kind of model's numbers mean.
#[derive(Debug)]
struct Network {
    architecture: String,
    channel_multiplier: Option<f64>,
    model_args: ModelArgs,
}

/// A key, and what is wrong with its value.
type Refusal = (String, String);

fn refuse(key: &str, reason: String) -> Refusal {
    (key.to_owned(), reason)
}

/// Reads the two files; `processor` is the second, if there is one.
pub(super) fn read(
    kind: Kind,
    root: &Map<String, Value>,
    processor: Option<&Map<String, Value>>,
    file: &Path,
) -> Result<ModelConfig, PretrainedError> {
    let bad = |file: &Path, (key, reason): Refusal| PretrainedError::Value {
        file: file.to_owned(),
        key,
        reason,
    };
    let common: Common = fields(root).map_err(|refusal| bad(file, refusal))?;
    let (num_classes, label_names) = common.classes(kind).map_err(|refusal| bad(file, refusal))?;
    let network = match kind {
        Kind::EfficientNet => efficientnet::network(root),
        Kind::MobileNetV1 => mobilenet::v1(root),
        Kind::MobileNetV2 => mobilenet::v2(root),
    };
    let mut network = network.map_err(|refusal| bad(file, refusal))?;
    let in_chans = common.num_channels.unwrap_or(3);
    let side = common.image_size.map_or_else(|| kind.image_size(), Side::height_and_width);
    let mut notes = Vec::new();
    let mut cfg = match processor {
        Some(processor) => {
            let file = file.with_file_name(PROCESSOR);
            processor::read(processor, kind.class()).map_err(|refusal| bad(&file, refusal))?
        }
        None => {
            notes.push(format!(
                "{}: no {PROCESSOR} beside it: images are prepared as for the published models",
                file_name(file)
            ));
            processor::published(kind, side)
        }
    };
    let [_, height, width] = cfg.input_size.unwrap_or([in_chans, side[0], side[1]]);
    cfg.input_size = Some([in_chans, height, width]);
    if kind == Kind::EfficientNet {
        efficientnet::check_padding(root, [height, width]).map_err(|refusal| bad(file, refusal))?;
    }
    if in_chans != 3 {
        network.model_args.in_chans = Some(in_chans);
    }
    cfg.num_classes = Some(num_classes);
    cfg.label_names = label_names;
    cfg.validate().map_err(|(key, reason)| bad(file, refuse(key, reason)))?;
    let found = super::find(&network.architecture).map_err(|source| {
        PretrainedError::Architecture { file: file.to_owned(), source: Box::new(source) }
    })?;
    cfg.architecture = Some(network.architecture.clone());
    Ok(ModelConfig {
        file: file.to_owned(),
        architecture: found.cfg.architecture.as_deref().unwrap_or_default(),
        notes,
        num_classes,
        in_chans,
        num_features: None,
        global_pool: None,
        model_args: network.model_args,
        channel_multiplier: network.channel_multiplier,
        activation: activation(common.problem_type.as_deref()),
        turns_exif: true,
        pretrained_cfg: cfg,
        ignored_keys: Vec::new(),
    })
}

impl Common {
    /// Number of classes and their names.
    fn classes(&self, kind: Kind) -> Result<(usize, Option<LabelNames>), Refusal> {
        let class = kind.class();
        let name = self.architectures.iter().flatten().next().map(String::as_str);
        match name.map(|name| name.strip_prefix(class)) {
            Some(Some("Model")) => return Ok((0, None)),
            None | Some(Some("ForImageClassification")) => {}
            _ => {
                let name = name.unwrap_or_default();
                let reason =
                    format!("{name:?} is not supported; expected {class}ForImageClassification");
                return Err(refuse("architectures", reason));
            }
        }
        match (&self.id2label, self.num_labels) {
            (Some(names), Some(num_labels)) if names.len() != num_labels => {
                let reason = format!("{num_labels}, but id2label has {} names", names.len());
                Err(refuse("num_labels", reason))
            }
            (Some(names), _) => Ok((names.len(), Some(names.clone()))),
            // transformers' default: two.
            (None, num_labels) => Ok((num_labels.unwrap_or(2), None)),
        }
    }
}

/// How transformers' pipeline makes scores, if not by the default for the number of classes.
pub(super) fn activation(problem_type: Option<&str>) -> Option<ClassFunction> {
    let value = match problem_type? {
        "multi_label_classification" => ClassifierActivation::Sigmoid,
        "regression" => ClassifierActivation::None,
        _ => return None,
    };
    Some(ClassFunction { value, key: "problem_type" })
}

/// The configuration class's fields, out of an object that has many others.
fn fields<T: serde::de::DeserializeOwned + Default>(
    root: &Map<String, Value>,
) -> Result<T, Refusal> {
    let mut known = root.clone();
    known.retain(|_, value| !value.is_null());
    read_fields(known)
}

/// timm's name for one of transformers' activations.
fn act_layer(name: &str) -> Result<&'static str, Refusal> {
    match name {
        "swish" | "silu" => Ok("silu"),
        "relu6" => Ok("relu6"),
        "relu" => Ok("relu"),
        "gelu" => Ok("gelu"),
        "mish" => Ok("mish"),
        "quick_gelu" => Ok("quick_gelu"),
        "leaky_relu" => Ok("leaky_relu"),
        "sigmoid" => Ok("sigmoid"),
        "tanh" => Ok("tanh"),
        _ => Err(refuse("hidden_act", format!("{name:?} is not supported"))),
    }
}

impl Kind {
    /// The image size if a configuration does not give it.
    fn image_size(self) -> [usize; 2] {
        match self {
            Self::EfficientNet => [600, 600],
            Self::MobileNetV1 | Self::MobileNetV2 => [224, 224],
        }
    }
}

/// A configuration whose values come from `preprocessor_config.json`.
fn cfg() -> PretrainedCfg {
    PretrainedCfg {
        origin: CfgOrigin::PreprocessorConfig,
        pipeline: Pipeline::Transformers,
        ..PretrainedCfg::default()
    }
}

/// Checks model arguments as those of a `config.json`.
fn checked(args: ModelArgs, eps_key: &str) -> Result<ModelArgs, Refusal> {
    match args.validate() {
        Err(("bn_eps", reason)) => Err(refuse(eps_key, reason)),
        Err((key, reason)) => Err(refuse(key, reason)),
        Ok(()) => Ok(args),
    }
}
