//! The description of a model: the names of its layers, and which of them change pixels.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::KerasError;
use super::head::Head;
use crate::weights::declared::{Declared, Said};
use crate::weights::tensor_table::{MAX_NAME, excerpt};

/// The longest description, in bytes. Those of this family have up to 1.2 MB.
const MAX_CONFIG: usize = 8 << 20;
/// Layers that leave pixel values unchanged outside training.
const NEUTRAL: [&str; 6] =
    ["InputLayer", "ZeroPadding2D", "Dropout", "GaussianNoise", "Resizing", "CenterCrop"];
/// The largest credible side of an input.
const MAX_SIZE: usize = 1 << 16;
const RANDOM: &str = "Random";

/// A model's description, parsed.
#[derive(Debug, Default)]
pub(super) struct Description {
    /// Each layer's name by the path of its group, such as `layers/conv2d_5`: groups are named by class
    /// and numbered in the order of the description.
    pub(super) names: HashMap<String, String>,
    /// What happens to pixels before the first convolution; `None` if not all of it is understood.
    pub(super) steps: Option<Vec<Step>>,
    pub(super) head: Head,
    /// The size of its input.
    pub(super) declared: Declared,
}

/// A layer that changes pixels, channel by channel.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Rescale {
        scale: [f64; 3],
        offset: [f64; 3],
    },
    /// With its own values, or those of the layer's variables.
    Normalize {
        layer: String,
        mean: Option<[f64; 3]>,
        variance: Option<[f64; 3]>,
    },
}

/// A model or a layer.
#[derive(Deserialize)]
pub(super) struct Described {
    pub(super) class_name: String,
    pub(super) config: Config,
}

#[derive(Deserialize)]
pub(super) struct Config {
    #[serde(default)]
    pub(super) name: Option<String>,
    /// The layers of a model.
    #[serde(default)]
    layers: Vec<Described>,
    #[serde(default)]
    pub(super) units: Value,
    #[serde(default)]
    pub(super) activation: Value,
    #[serde(default)]
    pub(super) epsilon: Value,
    /// The shape of an input. Keras 2 has another name for it, and a model that was built without
    /// one has a third.
    #[serde(default, alias = "batch_input_shape", alias = "build_input_shape")]
    batch_shape: Value,
    #[serde(default)]
    height: Value,
    #[serde(default)]
    width: Value,
    #[serde(default)]
    pub(super) scale: Value,
    #[serde(default)]
    pub(super) center: Value,
    #[serde(default)]
    offset: Value,
    #[serde(default)]
    mean: Value,
    #[serde(default)]
    variance: Value,
}

impl Description {
    pub(super) fn parse(json: &[u8]) -> Result<Self, KerasError> {
        if json.len() > MAX_CONFIG {
            let reason = format!("it has more than {MAX_CONFIG} bytes");
            return Err(KerasError::Config { reason });
        }
        let model: Described = serde_json::from_slice(json)
            .map_err(|e| KerasError::Config { reason: excerpt(&e.to_string(), MAX_NAME) })?;
        let mut layers = Vec::new();
        add_layers(&model, &mut layers);
        let is_long = |text: &str| text.len() > MAX_NAME;
        if let Some(layer) = all(&model).into_iter().find(|layer| {
            is_long(&layer.class_name) || layer.config.name.as_deref().is_some_and(is_long)
        }) {
            let name = excerpt(layer.config.name.as_deref().unwrap_or(&layer.class_name), 40);
            let reason = format!("the name or class of its layer `{name}` is too long");
            return Err(KerasError::Config { reason });
        }
        let mut names = HashMap::new();
        // The parser limits how deeply models are nested.
        add_names(&model, "", &mut names);
        let mut steps = Vec::new();
        let ended = add_steps(&model, &mut steps);
        let head = Head::of(&layers)?;
        let declared = input(&model, &layers);
        Ok(Self { names, steps: matches!(ended, Some(true)).then_some(steps), head, declared })
    }
}

/// A model, its layers and those in them.
fn all(model: &Described) -> Vec<&Described> {
    let mut found = vec![model];
    let mut next = 0;
    while let Some(&layer) = found.get(next) {
        found.extend(&layer.config.layers);
        next += 1;
    }
    found
}

/// Adds the layers of a model and of the models in it, in their order.
fn add_layers<'a>(model: &'a Described, layers: &mut Vec<&'a Described>) {
    for layer in &model.config.layers {
        match layer.config.layers.is_empty() {
            true => layers.push(layer),
            false => add_layers(layer, layers),
        }
    }
}

/// The size of a model's input, which layers before its first convolution may change.
fn input(model: &Described, layers: &[&Described]) -> Declared {
    let mut declared = Declared::default();
    let before = layers.iter().take_while(|layer| !layer.class_name.ends_with("Conv2D"));
    for layer in [model].into_iter().chain(before.copied()) {
        let Config { name, batch_shape, height, width, .. } = &layer.config;
        let size = |value: &Value| {
            let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
            size.filter(|size| (1..=MAX_SIZE).contains(size))
        };
        let place = format!("layer `{}`", name.as_deref().unwrap_or_default());
        let (h, w) = match (layer.class_name.as_str(), batch_shape.as_array().map(Vec::as_slice)) {
            ("Resizing" | "CenterCrop", _) => (size(height), size(width)),
            // If channels come first, the last size is not the number of channels.
            (_, Some([_, h, w, channels])) if declared.in_chans.is_none() => {
                let Some(value) = size(channels).filter(|&channels| channels <= 4) else {
                    continue;
                };
                declared.in_chans = Some(Said { value, place: place.clone() });
                (size(h), size(w))
            }
            _ => continue,
        };
        if let (Some(h), Some(w), Some(channels)) = (h, w, &declared.in_chans) {
            declared.input_size = Some(Said { value: [channels.value, h, w], place });
        }
    }
    declared
}

fn add_names(model: &Described, path: &str, names: &mut HashMap<String, String>) {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for layer in &model.config.layers {
        let class = snake_case(&layer.class_name);
        let count = counts.entry(class.clone()).or_default();
        let number = if *count == 0 { String::new() } else { format!("_{count}") };
        *count += 1;
        let path = format!("{path}layers/{class}{number}");
        if let Some(name) = &layer.config.name {
            names.insert(path.clone(), name.clone());
        }
        add_names(layer, &format!("{path}/"), names);
    }
}

/// Adds a model's steps up to its first convolution. Returns whether that was reached; `None` if a
/// layer before it is not understood.
fn add_steps(model: &Described, steps: &mut Vec<Step>) -> Option<bool> {
    for layer in &model.config.layers {
        let Config { name, layers, scale, offset, mean, variance, .. } = &layer.config;
        match layer.class_name.as_str() {
            "Conv2D" => return Some(true),
            "Rescaling" => steps.push(Step::Rescale {
                scale: channels(scale)?,
                offset: if offset.is_null() { [0.0; 3] } else { channels(offset)? },
            }),
            "Normalization" => steps.push(Step::Normalize {
                layer: name.clone().unwrap_or_default(),
                mean: if mean.is_null() { None } else { Some(channels(mean)?) },
                variance: if variance.is_null() { None } else { Some(channels(variance)?) },
            }),
            class if NEUTRAL.contains(&class) || class.starts_with(RANDOM) => {}
            _ if !layers.is_empty() => {
                if add_steps(layer, steps)? {
                    return Some(true);
                }
            }
            _ => return None,
        }
    }
    Some(false)
}

/// A number for all channels, or one for each, in however many brackets.
fn channels(value: &Value) -> Option<[f64; 3]> {
    match value {
        Value::Number(number) => Some([number.as_f64()?; 3]),
        Value::Array(values) => match values.as_slice() {
            [one] => channels(one),
            [r, g, b] => Some([r.as_f64()?, g.as_f64()?, b.as_f64()?]),
            _ => None,
        },
        _ => None,
    }
}

/// `DepthwiseConv2D` as `depthwise_conv2d`: an underscore goes before a capital letter that is next
/// to a small one.
fn snake_case(class: &str) -> String {
    let letters: Vec<char> = class.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut name = String::new();
    for (i, &letter) in letters.iter().enumerate() {
        let is_small = |at: usize| letters.get(at).is_some_and(char::is_ascii_lowercase);
        if i > 0 && letter.is_ascii_uppercase() && (is_small(i - 1) || is_small(i + 1)) {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(class: &str, config: &str) -> String {
        format!(r#"{{"class_name":"{class}","config":{{{config}}}}}"#)
    }

    fn model(layers: &[String]) -> String {
        layer("Functional", &format!(r#""name":"inner","layers":[{}]"#, layers.join(",")))
    }

    #[test]
    fn classes_become_groups_as_in_keras() {
        for (class, group) in [
            ("Conv2D", "conv2d"),
            ("DepthwiseConv2D", "depthwise_conv2d"),
            ("BatchNormalization", "batch_normalization"),
            ("GlobalAveragePooling2D", "global_average_pooling2d"),
            ("ReLU", "re_lu"),
            ("ZeroPadding2D", "zero_padding2d"),
            ("Dense", "dense"),
        ] {
            assert_eq!(snake_case(class), group);
        }
    }

    #[test]
    fn layers_are_numbered_by_class_in_each_model() {
        let conv = |name: &str| layer("Conv2D", &format!(r#""name":"{name}","filters":1"#));
        let inner = model(&[conv("stem"), conv("head")]);
        let description =
            Description::parse(model(&[conv("before"), inner, conv("after")]).as_bytes()).unwrap();
        for (path, name) in [
            ("layers/conv2d", "before"),
            ("layers/conv2d_1", "after"),
            ("layers/functional", "inner"),
            ("layers/functional/layers/conv2d", "stem"),
            ("layers/functional/layers/conv2d_1", "head"),
        ] {
            assert_eq!(description.names[path], name);
        }
        assert_eq!(description.names.len(), 5);
        assert!(Description::parse(b"[]").unwrap_err().to_string().contains("config.json"));
    }

    #[test]
    fn long_names_are_refused_before_paths_are_made_of_them() {
        let long = "C".repeat(300);
        for inner in [layer(&long, ""), layer("Conv2D", &format!(r#""name":"{long}""#))] {
            let error = Description::parse(model(&[model(&[inner])]).as_bytes()).unwrap_err();
            assert!(error.to_string().contains("is too long"), "{error}");
        }
    }

    #[test]
    fn what_happens_to_pixels_is_read_up_to_the_first_convolution() {
        let steps = |layers: &[String]| Description::parse(model(layers).as_bytes()).unwrap().steps;
        let conv = layer("Conv2D", "");
        let rescaling = layer("Rescaling", r#""scale":0.5,"offset":-1"#);
        let found = steps(&[
            layer("RandomFlip", ""),
            layer("Rescaling", r#""scale":[1,2,3]"#),
            model(&[
                layer("Normalization", r#""name":"n","mean":[[1,2,3]],"variance":null"#),
                conv.clone(),
                rescaling.clone(),
            ]),
        ]);
        let expected = [
            Step::Rescale { scale: [1.0, 2.0, 3.0], offset: [0.0; 3] },
            Step::Normalize { layer: "n".to_owned(), mean: Some([1.0, 2.0, 3.0]), variance: None },
        ];
        assert_eq!(found.unwrap(), expected);
        assert_eq!(steps(&[rescaling.clone(), layer("Lambda", ""), conv.clone()]), None);
        assert_eq!(steps(&[layer("Rescaling", r#""scale":[1,2]"#), conv]), None);
        assert_eq!(steps(&[rescaling]), None);
    }
}
