//! One pretrained configuration: timm's `PretrainedCfg`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::labels::LabelNames;
use crate::preprocess::Pipeline;

/// The most classes that a configuration may ask for; more is a mistake or an attack.
const MAX_CLASSES: usize = 1_000_000;
/// The most input channels.
const MAX_CHANNELS: usize = 1024;
/// The largest input height or width in pixels.
const MAX_SIDE: usize = 8192;
/// What `crop_pct` may be; an image is resized to `size / crop_pct`.
const CROP_PCT: std::ops::RangeInclusive<f64> = 0.1..=2.0;

/// Where a [`PretrainedCfg`] came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CfgOrigin {
    /// The table in the program.
    #[default]
    ModelTable,
    /// A `config.json`.
    ConfigJson,
    /// transformers' `preprocessor_config.json`.
    PreprocessorConfig,
    /// The naming convention of a foreign checkpoint, which says how its library prepares images.
    Convention,
    /// What a checkpoint says about itself, such as the arguments of the script that made it.
    Checkpoint,
}

/// What is known about one set of weights, with timm's names.
///
/// A value that is `None` was not given; timm's default then holds, and the accessors return it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PretrainedCfg {
    /// Where this configuration came from.
    #[serde(skip)]
    pub origin: CfgOrigin,
    /// Which library's steps prepare images.
    #[serde(skip)]
    pub pipeline: Pipeline,

    /// Architecture: `efficientnet_b0`.
    pub architecture: Option<String>,
    /// Pretrained tag: `ra_in1k`.
    pub tag: Option<String>,

    /// Where the weights were first published.
    pub url: Option<String>,
    /// A local path of the weights.
    pub file: Option<String>,
    /// Hub repository: `timm/efficientnet_b0.ra_in1k`. `None` for an untrained architecture.
    pub hf_hub_id: Option<String>,
    /// The file's name in the hub repository, if not the default.
    pub hf_hub_filename: Option<String>,
    /// Where timm took the weights from when it wrote the file.
    pub source: Option<String>,
    /// Whether the weights are in a foreign format that the model itself must read.
    pub custom_load: Option<bool>,

    /// Channels, height, width in training.
    pub input_size: Option<[usize; 3]>,
    /// Channels, height, width that score best in testing.
    pub test_input_size: Option<[usize; 3]>,
    /// Smallest input.
    pub min_input_size: Option<[usize; 3]>,
    /// Whether the model takes only this size.
    pub fixed_input_size: Option<bool>,
    /// Resize filter: `nearest`, `bilinear`, `bilinear-no-antialias`, `bicubic` or `lanczos`.
    pub interpolation: Option<String>,
    /// The part of the resized image that the crop keeps.
    pub crop_pct: Option<f64>,
    /// The same at `test_input_size`.
    pub test_crop_pct: Option<f64>,
    /// `center`, `squash` or `border`.
    pub crop_mode: Option<String>,
    /// Mean of each channel, of pixels from 0 to 1.
    pub mean: Option<Vec<f64>>,
    /// Standard deviation of each channel, of pixels from 0 to 1.
    pub std: Option<Vec<f64>>,

    /// Number of classes; 1000 if not given.
    pub num_classes: Option<usize>,
    /// How many leading classes of the stored classifier timm drops (background classes).
    pub label_offset: Option<usize>,
    /// The model's own class names.
    pub label_names: Option<LabelNames>,
    /// Class name to description.
    pub label_descriptions: Option<BTreeMap<String, String>>,

    /// Height and width of the last feature map at `input_size`.
    pub pool_size: Option<Vec<usize>>,
    /// Height and width of the last feature map at `test_input_size`.
    pub test_pool_size: Option<Vec<usize>>,
    /// Module path of the first convolution.
    pub first_conv: Option<OneOrMany>,
    /// Module path of the classifier.
    pub classifier: Option<OneOrMany>,

    /// License of the weights.
    pub license: Option<String>,
    /// What the weights are.
    pub description: Option<String>,
    /// Where they come from.
    pub origin_url: Option<String>,
    /// The paper's title.
    pub paper_name: Option<String>,
    /// The paper's identifiers.
    pub paper_ids: Option<OneOrMany>,
    /// Remarks.
    pub notes: Option<OneOrMany>,
}

/// A string, or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// The keys of a [`PretrainedCfg`]. A test compares them with the fields.
pub(super) const KEYS: &[&str] = &[
    "architecture",
    "tag",
    "url",
    "file",
    "hf_hub_id",
    "hf_hub_filename",
    "source",
    "custom_load",
    "input_size",
    "test_input_size",
    "min_input_size",
    "fixed_input_size",
    "interpolation",
    "crop_pct",
    "test_crop_pct",
    "crop_mode",
    "mean",
    "std",
    "num_classes",
    "label_offset",
    "label_names",
    "label_descriptions",
    "pool_size",
    "test_pool_size",
    "first_conv",
    "classifier",
    "license",
    "description",
    "origin_url",
    "paper_name",
    "paper_ids",
    "notes",
];

impl PretrainedCfg {
    /// Number of classes of the weights; 0 for a network without a classifier.
    pub fn num_classes(&self) -> usize {
        self.num_classes.unwrap_or(1000)
    }

    /// Whether timm knows weights for this configuration.
    pub fn has_weights(&self) -> bool {
        self.url.is_some() || self.file.is_some() || self.hf_hub_id.is_some()
    }

    /// The full name, `efficientnet_b0.ra_in1k`, as far as it is known.
    pub fn name(&self) -> String {
        let architecture = self.architecture.as_deref().unwrap_or_default();
        match &self.tag {
            Some(tag) => format!("{architecture}.{tag}"),
            None => architecture.to_owned(),
        }
    }

    /// Takes from `defaults` every value that this configuration does not give.
    pub(crate) fn fill_from(&mut self, defaults: &Self) {
        fn fill<T: Clone>(value: &mut Option<T>, default: &Option<T>) {
            if value.is_none() {
                value.clone_from(default);
            }
        }
        fill(&mut self.custom_load, &defaults.custom_load);
        fill(&mut self.input_size, &defaults.input_size);
        fill(&mut self.fixed_input_size, &defaults.fixed_input_size);
        fill(&mut self.interpolation, &defaults.interpolation);
        fill(&mut self.crop_pct, &defaults.crop_pct);
        fill(&mut self.crop_mode, &defaults.crop_mode);
        fill(&mut self.mean, &defaults.mean);
        fill(&mut self.std, &defaults.std);
        fill(&mut self.num_classes, &defaults.num_classes);
        fill(&mut self.pool_size, &defaults.pool_size);
        fill(&mut self.first_conv, &defaults.first_conv);
        fill(&mut self.classifier, &defaults.classifier);
        fill(&mut self.license, &defaults.license);
    }

    /// Checks every value that later sizes an allocation or enters the arithmetic.
    ///
    /// # Errors
    /// The key and what is wrong with its value.
    pub(crate) fn validate(&self) -> Result<(), (&'static str, String)> {
        let sizes = [
            ("input_size", self.input_size),
            ("test_input_size", self.test_input_size),
            ("min_input_size", self.min_input_size),
        ];
        for (key, size) in sizes {
            let Some([channels, height, width]) = size else {
                continue;
            };
            if !(1..=MAX_CHANNELS).contains(&channels) {
                let reason = format!("{channels} channels; expected 1 to {MAX_CHANNELS}");
                return Err((key, reason));
            }
            for side in [height, width] {
                if !(1..=MAX_SIDE).contains(&side) {
                    return Err((key, format!("{side} pixels; expected 1 to {MAX_SIDE}")));
                }
            }
        }
        for (key, value) in [("crop_pct", self.crop_pct), ("test_crop_pct", self.test_crop_pct)] {
            if let Some(value) = value
                && !CROP_PCT.contains(&value)
            {
                let (low, high) = (CROP_PCT.start(), CROP_PCT.end());
                return Err((key, format!("{value}; expected {low} to {high}")));
            }
        }
        for (key, values) in [("mean", &self.mean), ("std", &self.std)] {
            let Some(values) = values else { continue };
            if values.is_empty() || values.len() > MAX_CHANNELS {
                return Err((key, format!("{} values; expected one per channel", values.len())));
            }
            if let Some(value) = values.iter().find(|v| !v.is_finite()) {
                return Err((key, format!("{value} is not a finite number")));
            }
            if let Some(value) = values.iter().find(|&&v| key == "std" && v <= 0.0) {
                return Err((key, format!("{value}; a standard deviation is above 0")));
            }
        }
        if self.num_classes() > MAX_CLASSES {
            let reason = format!("{}; expected 0 to {MAX_CLASSES}", self.num_classes());
            return Err(("num_classes", reason));
        }
        if self.label_offset.is_some_and(|offset| offset > 0) {
            let reason = "not supported: save the classifier without the classes that it drops";
            return Err(("label_offset", reason.to_owned()));
        }
        if self.custom_load == Some(true) {
            let reason = "weights in a foreign format are not supported: save them with timm";
            return Err(("custom_load", reason.to_owned()));
        }
        one_of("interpolation", self.interpolation.as_deref(), INTERPOLATIONS)?;
        one_of("crop_mode", self.crop_mode.as_deref(), CROP_MODES)
    }
}

const INTERPOLATIONS: &[&str] =
    &["nearest", "bilinear", "bilinear-no-antialias", "bicubic", "lanczos"];
const CROP_MODES: &[&str] = &["center", "squash", "border"];

fn one_of(
    key: &'static str,
    value: Option<&str>,
    known: &[&str],
) -> Result<(), (&'static str, String)> {
    match value {
        Some(value) if !known.contains(&value) => {
            Err((key, format!("unknown value {value:?}; expected one of {}", known.join(", "))))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_fields() {
        let json = serde_json::to_value(PretrainedCfg::default()).unwrap();
        let mut fields: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let mut keys = KEYS.to_vec();
        fields.sort_unstable();
        keys.sort_unstable();
        assert_eq!(fields, keys);
    }
}
