//! `MobileNetV1Config` and `MobileNetV2Config`.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Network, Refusal, act_layer, checked, fields, refuse};
use crate::arch::{self, DepthMultiplier};
use crate::pretrained::ModelArgs;

/// The configurations' numbers; the defaults are transformers'.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Config {
    depth_multiplier: f64,
    depth_divisible_by: usize,
    min_depth: usize,
    expand_ratio: f64,
    output_stride: usize,
    first_layer_is_expansion: bool,
    finegrained_output: bool,
    hidden_act: String,
    tf_padding: bool,
    layer_norm_eps: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            depth_multiplier: 1.0,
            depth_divisible_by: 8,
            min_depth: 8,
            expand_ratio: 6.0,
            output_stride: 32,
            first_layer_is_expansion: true,
            finegrained_output: true,
            hidden_act: "relu6".to_owned(),
            tf_padding: true,
            layer_norm_eps: 1e-3,
        }
    }
}

impl Config {
    fn model_args(&self) -> Result<ModelArgs, Refusal> {
        let act = act_layer(&self.hidden_act)?;
        let args = ModelArgs {
            bn_eps: Some(self.layer_norm_eps),
            act_layer: (act != "relu6").then(|| act.to_owned()),
            pad_type: Some(if self.tf_padding { "same" } else { "" }.to_owned()),
            ..ModelArgs::default()
        };
        checked(args, "layer_norm_eps")
    }
}

/// MobileNetV1 of any width.
pub(super) fn v1(root: &Map<String, Value>) -> Result<Network, Refusal> {
    let config: Config = fields(root)?;
    let width = config.depth_multiplier;
    // If a width gives other channels than timm's rounding, the tensors' shapes will report it.
    if !(width > 0.0 && width <= 8.0) {
        return Err(refuse("depth_multiplier", format!("{width}; expected above 0, at most 8")));
    }
    Ok(Network {
        architecture: "mobilenetv1_100".to_owned(),
        channel_multiplier: (width != 1.0).then_some(width),
        model_args: config.model_args()?,
    })
}

/// timm's MobileNetV2 with the configuration's numbers.
pub(super) fn v2(root: &Map<String, Value>) -> Result<Network, Refusal> {
    let config: Config = fields(root)?;
    let usual = Config::default();
    let width = config.depth_multiplier;
    let checks = [
        ("depth_divisible_by", config.depth_divisible_by == usual.depth_divisible_by),
        ("min_depth", config.min_depth == usual.min_depth),
        ("expand_ratio", config.expand_ratio == usual.expand_ratio),
        ("output_stride", config.output_stride == usual.output_stride),
        ("first_layer_is_expansion", config.first_layer_is_expansion),
        ("finegrained_output", config.finegrained_output || width >= 1.0),
    ];
    if let Some((key, _)) = checks.into_iter().find(|(_, is_usual)| !is_usual) {
        let value = root.get(key).cloned().unwrap_or_default();
        return Err(refuse(key, format!("{value}: timm has no MobileNetV2 with this value")));
    }
    let row = arch::all().iter().find(|arch| {
        arch.name.starts_with("mobilenetv2_")
            && arch.channel_multiplier == width
            && arch.depth_multiplier == DepthMultiplier::Uniform(1.0)
    });
    let Some(row) = row else {
        return Err(refuse(
            "depth_multiplier",
            format!("{width}: timm has no MobileNetV2 with this width"),
        ));
    };
    Ok(Network {
        architecture: row.name.to_owned(),
        channel_multiplier: None,
        model_args: config.model_args()?,
    })
}
