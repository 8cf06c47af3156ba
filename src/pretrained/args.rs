//! `model_args` of a `config.json`: how the network differs from the architecture's row.

use serde::{Deserialize, Serialize};

use crate::arch::{Activation, Arch, PadType};

/// The arguments with which the model was built. An argument not listed here is refused: it would
/// change what the network computes.
///
/// `None` leaves the architecture's own value.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelArgs {
    /// Number of classes; 0 for no classifier.
    pub num_classes: Option<usize>,
    /// Input channels.
    pub in_chans: Option<usize>,
    /// Pooling before the classifier; only `avg` is accepted.
    pub global_pool: Option<String>,
    /// Epsilon of every batch norm.
    pub bn_eps: Option<f64>,
    /// Momentum of every batch norm; has no effect in evaluation.
    pub bn_momentum: Option<f64>,
    /// Activation by timm's name: `silu`, `relu6`, `hard_swish`, ...
    pub act_layer: Option<String>,
    /// Normalization; only `batchnorm2d` (or `batchnorm`) is accepted.
    pub norm_layer: Option<String>,
    /// Padding of every convolution: empty (symmetric) or `same` (TensorFlow's).
    pub pad_type: Option<String>,
    /// Total stride of the network; only 32 is accepted.
    pub output_stride: Option<usize>,
    /// Dropout before the classifier; has no effect in evaluation.
    pub drop_rate: Option<f64>,
    /// Stochastic depth; has no effect in evaluation.
    pub drop_path_rate: Option<f64>,
}

/// The arguments of [`ModelArgs`]. A test compares them with the fields.
pub(super) const KEYS: &[&str] = &[
    "num_classes",
    "in_chans",
    "global_pool",
    "bn_eps",
    "bn_momentum",
    "act_layer",
    "norm_layer",
    "pad_type",
    "output_stride",
    "drop_rate",
    "drop_path_rate",
];

/// timm's activation names (`timm/layers/create_act.py`).
const ACT_LAYERS: &[&str] = &[
    "silu",
    "swish",
    "mish",
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "prelu",
    "celu",
    "selu",
    "gelu",
    "gelu_tanh",
    "quick_gelu",
    "sigmoid",
    "tanh",
    "hard_sigmoid",
    "hardsigmoid",
    "hard_swish",
    "hardswish",
    "hard_mish",
    "identity",
];

impl ModelArgs {
    /// Applies the arguments to an architecture's row.
    ///
    /// # Errors
    /// The argument and its value, if this program does not support it.
    pub(crate) fn apply(&self, arch: &mut Arch) -> Result<(), (&'static str, String)> {
        if let Some(bn_eps) = self.bn_eps {
            arch.bn_eps = bn_eps;
        }
        if let Some(pad_type) = &self.pad_type {
            arch.pad_type = if pad_type.is_empty() { PadType::Symmetric } else { PadType::Same };
        }
        if let Some(name) = &self.act_layer {
            arch.act_layer =
                Activation::from_name(name).ok_or_else(|| ("act_layer", name.clone()))?;
        }
        Ok(())
    }

    /// The arguments that are given, as `key=value`.
    pub(crate) fn describe(&self) -> Vec<String> {
        let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(self) else {
            return Vec::new();
        };
        let given = fields.iter().filter(|(_, value)| !value.is_null());
        given.map(|(key, value)| format!("{key}={value}")).collect()
    }

    /// Checks every value.
    ///
    /// # Errors
    /// The argument and what is wrong with its value.
    pub(crate) fn validate(&self) -> Result<(), (&'static str, String)> {
        let strings: [(_, &Option<String>, &[&str]); 4] = [
            ("global_pool", &self.global_pool, &["avg"]),
            ("act_layer", &self.act_layer, ACT_LAYERS),
            ("norm_layer", &self.norm_layer, &["batchnorm2d", "batchnorm"]),
            ("pad_type", &self.pad_type, &["", "same"]),
        ];
        for (key, value, known) in strings {
            if let Some(value) = value
                && !known.contains(&value.as_str())
            {
                let known: Vec<_> = known.iter().map(|k| format!("{k:?}")).collect();
                let reason = format!("{value:?} is not supported; expected {}", known.join(" or "));
                return Err((key, reason));
            }
        }
        let rates = [
            ("bn_momentum", self.bn_momentum),
            ("drop_rate", self.drop_rate),
            ("drop_path_rate", self.drop_path_rate),
        ];
        for (key, rate) in rates {
            if let Some(rate) = rate
                && !(0.0..=1.0).contains(&rate)
            {
                return Err((key, format!("{rate}; expected 0 to 1")));
            }
        }
        if let Some(eps) = self.bn_eps
            && !(eps > 0.0 && eps <= 1.0)
        {
            return Err(("bn_eps", format!("{eps}; expected above 0, at most 1")));
        }
        match self.output_stride {
            None | Some(32) => Ok(()),
            Some(stride) => {
                Err(("output_stride", format!("{stride} is not supported; expected 32")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_fields() {
        // serde lists the fields it expects when it meets one that it doesn't.
        let error = serde_json::from_str::<ModelArgs>(r#"{"?": 0}"#).unwrap_err().to_string();
        let (_, expected) = error.split_once("expected one of ").unwrap();
        let (expected, _) = expected.split_once(" at line").unwrap();
        let fields: Vec<_> = expected.split(", ").map(|f| f.trim_matches('`')).collect();
        assert_eq!(fields, KEYS);
    }
}
