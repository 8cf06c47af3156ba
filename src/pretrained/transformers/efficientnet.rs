//! `EfficientNetConfig`.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Network, Refusal, act_layer, checked, fields, refuse};
use crate::arch::{self, DepthMultiplier};
use crate::pretrained::ModelArgs;

/// The configuration's numbers; the defaults are transformers'.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Config {
    width_coefficient: f64,
    depth_coefficient: f64,
    depth_divisor: usize,
    kernel_sizes: Vec<usize>,
    in_channels: Vec<usize>,
    out_channels: Vec<usize>,
    depthwise_padding: Vec<usize>,
    strides: Vec<usize>,
    num_block_repeats: Vec<usize>,
    expand_ratios: Vec<usize>,
    squeeze_expansion_ratio: f64,
    hidden_act: String,
    hidden_dim: usize,
    pooling_type: String,
    batch_norm_eps: f64,
}

const REPEATS: [usize; 7] = [1, 2, 2, 3, 3, 4, 1];
const STRIDES: [usize; 7] = [1, 2, 2, 2, 1, 2, 1];
/// Channels before the classifier, not scaled.
const HEAD: f64 = 1280.0;

impl Default for Config {
    fn default() -> Self {
        Self {
            width_coefficient: 2.0,
            depth_coefficient: 3.1,
            depth_divisor: 8,
            kernel_sizes: vec![3, 3, 5, 3, 5, 5, 3],
            in_channels: vec![32, 16, 24, 40, 80, 112, 192],
            out_channels: vec![16, 24, 40, 80, 112, 192, 320],
            depthwise_padding: Vec::new(),
            strides: STRIDES.to_vec(),
            num_block_repeats: REPEATS.to_vec(),
            expand_ratios: vec![1, 6, 6, 6, 6, 6, 6],
            squeeze_expansion_ratio: 0.25,
            hidden_act: "swish".to_owned(),
            hidden_dim: 2560,
            pooling_type: "mean".to_owned(),
            batch_norm_eps: 1e-3,
        }
    }
}

/// The row that matches the configuration's numbers.
pub(super) fn network(root: &Map<String, Value>) -> Result<Network, Refusal> {
    let config: Config = fields(root)?;
    let usual = Config::default();
    let same = |key: &str, is_same: bool, value: String| match is_same {
        true => Ok(()),
        false => Err(refuse(key, format!("{value}: timm has no EfficientNet with this value"))),
    };
    let lists = [
        ("kernel_sizes", &config.kernel_sizes, &usual.kernel_sizes),
        ("in_channels", &config.in_channels, &usual.in_channels),
        ("out_channels", &config.out_channels, &usual.out_channels),
        ("strides", &config.strides, &usual.strides),
        ("num_block_repeats", &config.num_block_repeats, &usual.num_block_repeats),
        ("expand_ratios", &config.expand_ratios, &usual.expand_ratios),
    ];
    for (key, value, usual) in lists {
        same(key, value == usual, format!("{value:?}"))?;
    }
    let divisor = config.depth_divisor;
    same("depth_divisor", divisor == usual.depth_divisor, divisor.to_string())?;
    let ratio = config.squeeze_expansion_ratio;
    same("squeeze_expansion_ratio", ratio == usual.squeeze_expansion_ratio, ratio.to_string())?;
    same("pooling_type", config.pooling_type == usual.pooling_type, config.pooling_type.clone())?;
    let (width, depth) = (config.width_coefficient, config.depth_coefficient);
    let row = arch::all().iter().find(|arch| {
        arch.name.starts_with("tf_efficientnet_b")
            && arch.channel_multiplier == width
            && arch.depth_multiplier == DepthMultiplier::Uniform(depth)
    });
    let Some(row) = row else {
        let reason = format!(
            "{width} with depth_coefficient {depth}: timm has no EfficientNet with these; B0 to B8 have \
             1 and 1 to 2.2 and 3.6"
        );
        return Err(refuse("width_coefficient", reason));
    };
    let head = (HEAD * width / 8.0).round() as usize * 8;
    same("hidden_dim", config.hidden_dim == head, config.hidden_dim.to_string())?;
    let act = act_layer(&config.hidden_act)?;
    let model_args = ModelArgs {
        bn_eps: Some(config.batch_norm_eps),
        act_layer: (act != "silu").then(|| act.to_owned()),
        ..ModelArgs::default()
    };
    Ok(Network {
        architecture: row.name.to_owned(),
        channel_multiplier: None,
        model_args: checked(model_args, "batch_norm_eps")?,
    })
}

/// Checks that transformers pads as `SAME` at a size. It pads for maps with even sides, and for odd
/// ones in the blocks that `depthwise_padding` lists.
pub(super) fn check_padding(root: &Map<String, Value>, size: [usize; 2]) -> Result<(), Refusal> {
    let config: Config = fields(root)?;
    let [height, width] = size;
    let differs = || {
        refuse(
            "depthwise_padding",
            format!(
                "{:?}: at {height}x{width} pixels transformers pads differently from TensorFlow, which \
                 is not supported; use the size that the model was made for",
                config.depthwise_padding
            ),
        )
    };
    let odd = |side: usize| !side.is_multiple_of(2);
    if odd(height) || odd(width) {
        return Err(differs());
    }
    let mut map = [height / 2, width / 2];
    let mut block = 0;
    for (stride, repeats) in STRIDES.into_iter().zip(REPEATS) {
        if stride == 2 {
            let is_odd = config.depthwise_padding.contains(&block);
            if map.iter().any(|&side| odd(side) != is_odd) {
                return Err(differs());
            }
            map = map.map(|side| side.div_ceil(2));
        }
        block += (repeats as f64 * config.depth_coefficient).ceil() as usize;
    }
    Ok(())
}
