//! A model folder as timm writes it: `config.json` and `model.safetensors`.

use std::io::Write;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{ConvertError, MatchedConvention};
use crate::arch::NetworkOptions;
use crate::labels::{ClassifierActivation, LabelNames, label_set_for};
use crate::preprocess::Pipeline;
use crate::pretrained::{self, ModelConfig, PretrainedCfg, SizeChoice, said_names, said_of_images};
use crate::replace::Replacement;
use crate::weights::{Checkpoint, Declared, Normalization};

/// The total stride of every network of the family.
const STRIDE: usize = 32;

impl MatchedConvention {
    /// The same, with what the checkpoint's `config.json` says about the network. That takes
    /// precedence over what the tensors' names say.
    ///
    /// # Errors
    /// If that network cannot be built.
    pub fn with_config(mut self, config: &ModelConfig) -> Result<Self, ConvertError> {
        let mut arch = self.arch()?;
        if let Some(channel_multiplier) = config.channel_multiplier {
            arch.channel_multiplier = channel_multiplier;
            self.model.channel_multiplier = Some(channel_multiplier);
        }
        config.model_args.apply(&mut arch).map_err(|(key, reason)| ConvertError::ModelArg {
            model: self.model.name.clone(),
            key,
            reason,
        })?;
        self.network = arch.network(&NetworkOptions {
            in_chans: self.network.in_chans,
            num_classes: self.network.num_classes,
            ..NetworkOptions::default()
        })?;
        Ok(self)
    }
}

/// A `config.json` from which timm builds the network, and with which this program answers as it
/// does for the checkpoint. `own` is the checkpoint's configuration; `labels` names its classes.
pub(crate) fn config(
    checkpoint: &Checkpoint,
    source: &MatchedConvention,
    own: Option<&ModelConfig>,
    labels: Option<&LabelNames>,
) -> Result<Value, ConvertError> {
    let model = &source.model;
    if let Some(width) = model.channel_multiplier {
        return Err(ConvertError::NoTimmModel {
            model: model.name.clone(),
            reason: format!("{} takes no width of {width}", model.timm),
        });
    }
    let network = &source.network;
    let declared = checkpoint.declared();
    let mut cfg = prepared(source, own, declared);
    if let Some(Normalization { mean, std, .. }) = checkpoint.normalization()
        && network.in_chans == mean.len()
    {
        (cfg.mean, cfg.std) = (Some(mean.to_vec()), Some(std.to_vec()));
    }
    let [_, height, width] = *cfg.input_size.get_or_insert([3, 224, 224]);
    let sizes = [&mut cfg.input_size, &mut cfg.test_input_size, &mut cfg.min_input_size];
    for [in_chans, ..] in sizes.into_iter().flatten() {
        *in_chans = network.in_chans;
    }
    cfg.num_classes = Some(network.num_classes);
    cfg.pool_size = Some(vec![height.div_ceil(STRIDE), width.div_ceil(STRIDE)]);
    let mut descriptions = cfg.label_descriptions.take();
    let mut names = cfg
        .label_names
        .take()
        .filter(|_| own.is_some_and(|own| own.num_classes == network.num_classes))
        .or_else(|| Some(said_names(declared, network.num_classes)?.0));
    if let Some(labels) = labels {
        label_set_for(network.num_classes, Some(labels), None)?;
        (names, descriptions) = (Some(labels.clone()), None);
    }
    let mut config = json!({
        "architecture": model.timm,
        "num_classes": network.num_classes,
        "num_features": network.feature_chs(),
        "pretrained_cfg": pretrained_cfg(&cfg)?,
    });
    if let Some(names) = names {
        config["label_names"] = json!(names);
        if let Some(descriptions) = descriptions {
            config["label_descriptions"] = json!(descriptions);
        }
    }
    let args = model_args(source, own, declared)?;
    if args.as_object().is_some_and(|args| !args.is_empty()) {
        config["model_args"] = args;
    }
    for (key, value) in said_beside_timm(own, declared) {
        config[key] = json!(value);
    }
    Ok(config)
}

/// How images are prepared: as said by the checkpoint's configuration, or else by the checkpoint,
/// its library, or timm's row.
fn prepared(
    source: &MatchedConvention,
    own: Option<&ModelConfig>,
    declared: &Declared,
) -> PretrainedCfg {
    let row = row_cfg(&source.model.timm);
    // There is only one size: that of `first`.
    let over = |first: &PretrainedCfg, rest: &PretrainedCfg| {
        let resolved = first.resolve(SizeChoice::Test).or(rest.resolve(SizeChoice::Test));
        PretrainedCfg {
            input_size: Some(resolved.input_size.value),
            interpolation: Some(resolved.interpolation.value),
            crop_pct: Some(resolved.crop_pct.value),
            crop_mode: Some(resolved.crop_mode.value),
            mean: Some(resolved.mean.value),
            std: Some(resolved.std.value),
            ..PretrainedCfg::default()
        }
    };
    let library = source.model.preprocessing.as_ref().map(|library| over(library, &row));
    let said = said_of_images(declared, source.network.in_chans).ok().flatten();
    match own {
        None => {
            let base = library.unwrap_or(row);
            said.map_or_else(|| base.clone(), |said| over(&said, &base))
        }
        Some(own) => {
            let mut cfg = own.pretrained_cfg.clone();
            // These name a different model from the one that is written.
            (cfg.architecture, cfg.file, cfg.source, cfg.hf_hub_filename) =
                (None, None, None, None);
            said.iter().chain(&library).for_each(|base| cfg.fill_from(base));
            cfg
        }
    }
}

/// The arguments of the library's arithmetic, overridden by the checkpoint's and then by its
/// configuration's.
fn model_args(
    source: &MatchedConvention,
    own: Option<&ModelConfig>,
    declared: &Declared,
) -> Result<Value, ConvertError> {
    let mut args = without_nulls(&source.model.model_args)?;
    if let Some(said) = &declared.bn_eps {
        args["bn_eps"] = json!(said.value);
    }
    if let (Value::Object(args), Some(Value::Object(own))) =
        (&mut args, own.map(|own| without_nulls(&own.model_args)).transpose()?)
    {
        args.extend(own);
    }
    let network = &source.network;
    if network.in_chans != 3 || args.get("in_chans").is_some() {
        args["in_chans"] = json!(network.in_chans);
    }
    if args.get("num_classes").is_some() {
        args["num_classes"] = json!(network.num_classes);
    }
    Ok(args)
}

/// What timm's file cannot express, by the keys that [`ModelConfig`] reads; timm ignores them.
fn said_beside_timm(
    own: Option<&ModelConfig>,
    declared: &Declared,
) -> Vec<(&'static str, &'static str)> {
    let mut said = Vec::new();
    // A checkpoint's `None` means logits.
    let declared = declared.activation.as_ref().map(|said| said.value);
    let declared = declared.filter(|&value| value != ClassifierActivation::None);
    match own.and_then(|own| own.activation).map(|own| own.value).or(declared) {
        Some(ClassifierActivation::Sigmoid) => {
            said.push(("problem_type", "multi_label_classification"));
        }
        Some(ClassifierActivation::None) => said.push(("problem_type", "regression")),
        _ => {}
    }
    let Some(own) = own else { return said };
    match (own.pretrained_cfg.pipeline, own.turns_exif) {
        (Pipeline::Transformers, _) => said.push(("pipeline", "transformers")),
        (Pipeline::Timm, true) => said.push(("model_type", "timm_wrapper")),
        (Pipeline::Timm, false) => {}
    }
    said
}

/// Writes a `config.json`, whole or not at all.
pub(super) fn write(path: &Path, config: &Value) -> Result<(), ConvertError> {
    let write = || {
        let mut file = Replacement::begin(path)?;
        writeln!(file, "{config:#}")?;
        file.finish()
    };
    write().map_err(|source| ConvertError::Write { path: path.to_owned(), source })
}

/// How timm prepares images for a row: the values of its default tag, without that tag's weights.
fn row_cfg(architecture: &str) -> PretrainedCfg {
    let Ok(found) = pretrained::find(architecture) else { return PretrainedCfg::default() };
    let cfg = found.cfg;
    PretrainedCfg {
        input_size: cfg.input_size,
        test_input_size: cfg.test_input_size,
        interpolation: cfg.interpolation.clone(),
        crop_pct: cfg.crop_pct,
        test_crop_pct: cfg.test_crop_pct,
        crop_mode: cfg.crop_mode.clone(),
        mean: cfg.mean.clone(),
        std: cfg.std.clone(),
        ..PretrainedCfg::default()
    }
}

fn pretrained_cfg(cfg: &PretrainedCfg) -> Result<Value, ConvertError> {
    let mut value = without_nulls(cfg)?;
    for (key, default) in [
        ("fixed_input_size", json!(false)),
        ("first_conv", json!("conv_stem")),
        ("classifier", json!("classifier")),
    ] {
        if value.get(key).is_none() {
            value[key] = default;
        }
    }
    Ok(value)
}

/// A value as JSON, without the fields that it leaves open.
fn without_nulls(value: &impl Serialize) -> Result<Value, ConvertError> {
    Ok(match serde_json::to_value(value)? {
        Value::Object(map) => {
            let said = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(said.collect::<Map<_, _>>())
        }
        other => other,
    })
}
