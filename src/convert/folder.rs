//! A model folder as timm writes them: `config.json` beside `model.safetensors`.

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{ConvertError, Recognized};
use crate::pretrained::{self, ModelArgs, PretrainedCfg};
use crate::weights::replace;

/// The total stride of every network of the family.
const STRIDE: usize = 32;

/// The `config.json` with which timm builds the network and prepares images as the library does.
pub(super) fn config(source: &Recognized) -> Result<Value, ConvertError> {
    let model = &source.model;
    if let Some(width) = model.channel_multiplier {
        return Err(ConvertError::NoTimmModel {
            model: model.name.clone(),
            reason: format!("{} takes no width of {width}", model.timm),
        });
    }
    let network = &source.network;
    let row = row_cfg(&model.timm);
    let mut cfg = match &model.preprocessing {
        None => row,
        // One size: that of the library.
        Some(own) => {
            let resolved = own.resolve(false).or(row.resolve(false));
            PretrainedCfg {
                input_size: Some(resolved.input_size.value),
                interpolation: Some(resolved.interpolation.value),
                crop_pct: Some(resolved.crop_pct.value),
                crop_mode: Some(resolved.crop_mode.value),
                mean: Some(resolved.mean.value),
                std: Some(resolved.std.value),
                ..PretrainedCfg::default()
            }
        }
    };
    let [_, height, width] = cfg.input_size.unwrap_or([3, 224, 224]);
    cfg.input_size = Some([network.in_chans, height, width]);
    cfg.num_classes = Some(network.num_classes);
    cfg.pool_size = Some(vec![height.div_ceil(STRIDE), width.div_ceil(STRIDE)]);
    let mut config = json!({
        "architecture": model.timm,
        "num_classes": network.num_classes,
        "num_features": network.num_features,
        "pretrained_cfg": pretrained_cfg(&cfg),
    });
    let mut args = model.model_args.clone();
    if network.in_chans != 3 {
        args.in_chans = Some(network.in_chans);
    }
    if args != ModelArgs::default() {
        config["model_args"] = without_nulls(serde_json::to_value(args).unwrap_or_default());
    }
    Ok(config)
}

/// Writes a `config.json`, whole or not at all.
pub(super) fn write(path: &Path, config: &Value) -> Result<(), ConvertError> {
    replace(path, |file| writeln!(file, "{config:#}"))
        .map_err(|source| ConvertError::Write { path: path.to_owned(), source })
}

/// How timm prepares images for a row: its default tag's values, without that tag's weights.
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

fn pretrained_cfg(cfg: &PretrainedCfg) -> Value {
    let mut value = without_nulls(serde_json::to_value(cfg).unwrap_or_default());
    for (key, default) in [
        ("fixed_input_size", json!(false)),
        ("first_conv", json!("conv_stem")),
        ("classifier", json!("classifier")),
    ] {
        if value.get(key).is_none() {
            value[key] = default;
        }
    }
    value
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let said = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(said.collect::<Map<_, _>>())
        }
        other => other,
    }
}
