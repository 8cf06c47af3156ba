//! The description of a model in a `.keras` file: what its layers are called.

use std::collections::HashMap;

use serde::Deserialize;

use super::KerasError;
use crate::weights::header::{MAX_NAME, excerpt};

/// The longest description. Those of this family have up to 3 MB.
const MAX_CONFIG: usize = 32 << 20;

/// A model or a layer.
#[derive(Deserialize)]
struct Described {
    class_name: String,
    config: Config,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    name: Option<String>,
    /// The layers of a model.
    #[serde(default)]
    layers: Vec<Described>,
}

/// Each layer's name by the path of its group, such as `layers/conv2d_5`: groups are named by class
/// and numbered in the order of the description.
pub(super) fn layer_names(json: &[u8]) -> Result<HashMap<String, String>, KerasError> {
    if json.len() > MAX_CONFIG {
        let reason = format!("it has more than {MAX_CONFIG} bytes");
        return Err(KerasError::Config { reason });
    }
    let model: Described = serde_json::from_slice(json)
        .map_err(|e| KerasError::Config { reason: excerpt(&e.to_string(), MAX_NAME) })?;
    let mut names = HashMap::new();
    // The parser bounds how deep models are in models.
    add(&model, "", &mut names);
    Ok(names)
}

fn add(model: &Described, path: &str, names: &mut HashMap<String, String>) {
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
        add(layer, &format!("{path}/"), names);
    }
}

/// `DepthwiseConv2D` as `depthwise_conv2d`: an underscore goes before a capital letter that follows
/// a small one, or that a small one follows.
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
        let layer = |class: &str, name: &str| {
            format!(r#"{{"class_name":"{class}","config":{{"name":"{name}","units":1}}}}"#)
        };
        let inner = format!(
            r#"{{"class_name":"Functional","config":{{"name":"inner","layers":[{},{}]}}}}"#,
            layer("Conv2D", "stem"),
            layer("Conv2D", "head")
        );
        let json = format!(
            r#"{{"class_name":"Sequential","config":{{"layers":[{},{inner},{}]}}}}"#,
            layer("Conv2D", "before"),
            layer("Conv2D", "after")
        );
        let names = layer_names(json.as_bytes()).unwrap();
        for (path, name) in [
            ("layers/conv2d", "before"),
            ("layers/conv2d_1", "after"),
            ("layers/functional", "inner"),
            ("layers/functional/layers/conv2d", "stem"),
            ("layers/functional/layers/conv2d_1", "head"),
        ] {
            assert_eq!(names[path], name);
        }
        assert_eq!(names.len(), 5);
        assert!(layer_names(b"[]").unwrap_err().to_string().contains("config.json"));
    }
}
