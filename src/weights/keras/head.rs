//! What follows a network's last convolution in a description, up to the classes.

use serde_json::Value;

use super::KerasError;
use super::config::{Config, Described};
use crate::labels::ClassifierActivation;
use crate::weights::declared::Said;

/// Layers that do nothing outside training, or only change shapes.
const NEUTRAL: [&str; 10] = [
    "InputLayer",
    "Dropout",
    "SpatialDropout2D",
    "AlphaDropout",
    "GaussianNoise",
    "GaussianDropout",
    "ActivityRegularization",
    "Flatten",
    "Reshape",
    "Identity",
];

/// The default epsilon of a norm.
pub(super) const EPSILON: f64 = 1e-3;

/// The end of a model.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Head {
    /// The name of the layer that gives the classes, and their number.
    pub(super) dense: Option<(String, usize)>,
    /// A batch norm of the features.
    pub(super) norm: Option<Norm>,
    pub(super) activation: Option<Said<ClassifierActivation>>,
}

/// A batch norm.
#[derive(Debug, PartialEq)]
pub(super) struct Norm {
    pub(super) name: String,
    /// What is added to variances.
    pub(super) epsilon: f64,
    /// Its variables, in Keras's order.
    pub(super) variables: Vec<&'static str>,
}

impl Norm {
    fn of(config: &Config) -> Self {
        let optional = [("gamma", &config.scale), ("beta", &config.center)].into_iter();
        let optional =
            optional.filter(|(_, has)| **has != Value::Bool(false)).map(|(name, _)| name);
        Self {
            name: config.name.clone().unwrap_or_default(),
            epsilon: config.epsilon.as_f64().unwrap_or(EPSILON),
            variables: optional.chain(["moving_mean", "moving_variance"]).collect(),
        }
    }
}

impl Head {
    /// Reads the end of a model with these layers, including those of models inside it.
    ///
    /// # Errors
    /// If it is anything but the mean of the last map, perhaps a batch norm, and one layer that
    /// gives the classes.
    pub(super) fn of(layers: &[&Described]) -> Result<Self, KerasError> {
        let mut head = Self::default();
        let is_conv = |layer: &&Described| layer.class_name.ends_with("Conv2D");
        let end = layers.iter().rposition(is_conv).map_or(layers.len(), |last| last + 1);
        let layers = &layers[end..];
        // Which of several is the classifier depends on the network, which is not known here.
        if layers.iter().filter(|layer| layer.class_name == "Dense").count() > 1 {
            return Ok(head);
        }
        let mut is_pooled = false;
        for layer in layers {
            let Config { name, units, activation, .. } = &layer.config;
            let name = name.as_deref().unwrap_or_default();
            let class = layer.class_name.as_str();
            let refuse = |reason: &str| KerasError::Head {
                layer: name.to_owned(),
                class: class.to_owned(),
                reason: reason.to_owned(),
            };
            match class {
                "GlobalAveragePooling2D" | "GlobalAvgPool2D" => is_pooled = true,
                "GlobalMaxPooling2D" | "GlobalMaxPool2D" => {
                    return Err(refuse("only the mean of the last map is computed"));
                }
                "Dense" => {
                    head.dense = Some((
                        name.to_owned(),
                        units.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0),
                    ));
                    head.activate(&text(activation), name, refuse)?;
                }
                "Activation" | "Softmax" if head.dense.is_some() || is_pooled => {
                    let called = if class == "Softmax" { "softmax" } else { &text(activation) };
                    // Anything but linear between the features and the classes would change them.
                    match head.dense.is_some() || called == "linear" {
                        true => head.activate(called, name, refuse)?,
                        false => return Err(refuse("it lies between features and classes")),
                    }
                }
                // The activation of a classifier that is a convolution.
                "Activation" | "Softmax" => {
                    let called = if class == "Softmax" { "softmax" } else { &text(activation) };
                    if matches!(called, "softmax" | "sigmoid") {
                        head.activate(called, name, refuse)?;
                    }
                }
                "BatchNormalization" if is_pooled && head.dense.is_none() => {
                    if head.norm.is_some() {
                        return Err(refuse("it is the second between features and classes"));
                    }
                    head.norm = Some(Norm::of(&layer.config));
                }
                class if NEUTRAL.contains(&class) => {}
                _ if is_pooled || head.dense.is_some() => {
                    return Err(refuse("after the network's features it is not computed"));
                }
                // The network's own layers.
                _ => {}
            }
        }
        Ok(head)
    }

    fn activate(
        &mut self,
        called: &str,
        layer: &str,
        refuse: impl Fn(&str) -> KerasError,
    ) -> Result<(), KerasError> {
        let value = match called {
            "softmax" => ClassifierActivation::Softmax,
            "sigmoid" => ClassifierActivation::Sigmoid,
            "linear" | "" => ClassifierActivation::None,
            _ => return Err(refuse(&format!("its activation {called:?} is not computed"))),
        };
        let before = self.activation.as_ref().map(|said| said.value);
        match before {
            Some(before) if before != ClassifierActivation::None && before != value => {
                Err(refuse("a second activation is not computed"))
            }
            _ => {
                self.activation = Some(Said { value, place: format!("layer `{layer}`") });
                Ok(())
            }
        }
    }
}

/// An activation's name, even if it is wrapped in an object.
fn text(activation: &Value) -> String {
    let name = match activation {
        Value::Object(object) => object.get("config").filter(|config| config.is_string()),
        other => Some(other),
    };
    let known = name.or_else(|| activation.get("class_name")).and_then(Value::as_str);
    known
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_alphanumeric() || *c == '_')
        .take(40)
        .collect()
}
