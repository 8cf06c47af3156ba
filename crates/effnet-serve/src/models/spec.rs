//! A model as the configuration names it.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use effnet::engine::{DeviceChoice, Dtype, EngineChoice};
use effnet::evaluation::Calibration;
use effnet::labels::ClassifierActivation;
use effnet::preprocess::{CropMode, DecodeOptions, Interpolation, Limits};
use effnet::pretrained::{ModelName, SizeChoice, read_labels};
use effnet::unstable::file_name;
use effnet::weights::WeightsFrom;
use effnet::{AnswerOptions, Error, ModelBuilder};
use serde::de::{Deserialize, Deserializer, Error as _};

use super::LoadError;

/// A model to serve: `-m MODEL`, `-m NAME=MODEL`, or a table `[[model]]` of the configuration, whose
/// keys are these fields with `-` for `_`.
///
/// ```
/// use effnet_serve::ModelSpec;
/// let spec: ModelSpec = "flowers=models/flowers.pth".parse()?;
/// assert_eq!(spec.name.as_deref(), Some("flowers"));
/// // What is before this `=` is not a plain name.
/// let spec: ModelSpec = "models/a=b.pth".parse()?;
/// assert_eq!((spec.name, spec.model), (None, Some("models/a=b.pth".into())));
/// # Ok::<(), effnet_serve::NameError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct ModelSpec {
    /// What requests call it; the model's full name if absent. Models of the same name are its
    /// versions.
    #[serde(deserialize_with = "name")]
    pub name: Option<String>,
    /// A timm name, a hub repository, a folder or a file; the bundled model if absent.
    pub model: Option<PathBuf>,
    /// A checkpoint in place of the model's own, or `seeded:N`.
    pub weights: Option<WeightsFrom>,
    /// The number of classes, if it is not the model's.
    pub num_classes: Option<usize>,
    /// A file of the classes' names, in place of the model's.
    pub labels: Option<PathBuf>,
    /// What turns outputs into probabilities: `softmax`, `sigmoid` or `none`.
    #[serde(deserialize_with = "word")]
    pub activation: Option<ClassifierActivation>,
    /// A file of `effnet validate --save-calibration`, which makes probabilities hold.
    pub calibration: Option<PathBuf>,
    /// Answers are sets with the right class in this share of images.
    pub coverage: Option<f64>,
    /// The answer is unknown if no class has this probability.
    pub min_probability: Option<f32>,
    /// If no class has it, the answer is a WordNet synset that has.
    pub roll_up: bool,
    /// The device.
    pub device: DeviceChoice,
    /// The engine.
    pub engine: EngineChoice,
    /// The numbers that the engine multiplies.
    pub dtype: Dtype,
    /// Whether images get the size of training, not the one at which the model tests best.
    pub train_size: bool,
    /// The input's side in pixels, or `[height, width]`.
    #[serde(deserialize_with = "img_size")]
    pub img_size: Option<[usize; 2]>,
    /// The share of the resized image that the crop keeps.
    pub crop_pct: Option<f64>,
    /// How an image is fitted: `center`, `squash` or `border`.
    #[serde(deserialize_with = "word")]
    pub crop_mode: Option<CropMode>,
    /// The filter of the resize.
    #[serde(deserialize_with = "word")]
    pub interpolation: Option<Interpolation>,
    /// The mean of pixels from 0 to 1: a number, or one per channel.
    #[serde(deserialize_with = "channels")]
    pub mean: Option<Vec<f64>>,
    /// The standard deviation of pixels from 0 to 1: a number, or one per channel.
    #[serde(deserialize_with = "channels")]
    pub std: Option<Vec<f64>>,
    /// Whether images are turned as their EXIF orientation says.
    pub exif_orientation: bool,
    /// Whether what could be decoded of a truncated image is kept.
    pub lenient: bool,
    /// The most pixels of an image.
    pub max_pixels: Option<u64>,
    /// Whether the model is loaded when a request to load it comes, not at the start.
    pub on_demand: bool,
}

/// A name that a URL or a metric could not carry as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a name for a model: use letters, digits, `.`, `_` and `-`, with a letter or a digit first"
)]
pub struct NameError(String);

impl ModelSpec {
    /// The settings in the library's form, on top of those of all models. The labels' file is read.
    pub(super) fn builder(&self, base: &ModelBuilder) -> Result<ModelBuilder, LoadError> {
        let limits = Limits::default();
        let decode = DecodeOptions {
            limits: Limits { max_pixels: self.max_pixels.unwrap_or(limits.max_pixels), ..limits },
            lenient: self.lenient,
            exif_orientation: self.exif_orientation,
        };
        let size = if self.train_size { SizeChoice::Train } else { SizeChoice::Test };
        let mut builder = base.clone().decode_options(decode).size(size);
        builder = builder.device(self.device).engine(self.engine).dtype(self.dtype);
        if let Some(labels) = &self.labels {
            let names = read_labels(labels).map_err(|error| self.error(error))?;
            builder = builder.labels(names);
        }
        let calibration = self.calibration.as_deref().map(Calibration::read).transpose();
        let answers = AnswerOptions {
            calibration: calibration.map_err(|error| self.error(Error::Calibration(error)))?,
            coverage: self.coverage,
            min_probability: self.min_probability,
            roll_up: self.roll_up,
        };
        if answers != AnswerOptions::default() {
            builder = builder.answers(answers);
        }
        if let Some([height, width]) = self.img_size {
            builder = builder.img_size(height, width);
        }
        builder = set(builder, &self.model, ModelBuilder::model);
        builder = set(builder, &self.weights, ModelBuilder::weights);
        builder = set(builder, &self.num_classes, ModelBuilder::num_classes);
        builder = set(builder, &self.activation, ModelBuilder::activation);
        builder = set(builder, &self.crop_pct, ModelBuilder::crop_pct);
        builder = set(builder, &self.crop_mode, ModelBuilder::crop_mode);
        builder = set(builder, &self.interpolation, ModelBuilder::interpolation);
        builder = set(builder, &self.mean, ModelBuilder::mean);
        builder = set(builder, &self.std, ModelBuilder::std);
        Ok(set(builder, &self.name, ModelBuilder::name))
    }

    /// What the model is called: the spec's name, or the model's own. A folder's is its last part, as
    /// clients need not know where the server has its files.
    pub(super) fn full_name(&self, base: &ModelBuilder) -> Result<String, LoadError> {
        if let Some(name) = &self.name {
            check_name(name)?;
            return Ok(name.clone());
        }
        let description = self.builder(base)?.describe();
        let name = description.map_err(|error| self.error(error))?.model;
        let named = self.model.as_deref().map(|model| ModelName::parse_os(model.as_os_str()));
        Ok(match named {
            Some(Ok(ModelName::Folder(folder))) if file_name(&folder) == name => {
                let folder = std::path::absolute(&folder).unwrap_or(folder);
                folder.file_name().map_or(name, |last| file_name(last.as_ref()))
            }
            _ => name,
        })
    }

    /// An error about this model.
    pub(super) fn error(&self, error: impl Into<Error>) -> LoadError {
        let weights = match &self.weights {
            Some(WeightsFrom::File(file)) => Some(file),
            _ => None,
        };
        let files = [&self.model, &self.labels, &self.calibration].map(Option::as_ref);
        let files = files.into_iter().chain([weights]);
        LoadError::Model {
            error: Box::new(error.into()),
            files: files.flatten().cloned().collect(),
        }
    }
}

/// `builder` with a setting, if there is one.
fn set<T: Clone>(
    builder: ModelBuilder,
    value: &Option<T>,
    setter: impl FnOnce(ModelBuilder, T) -> ModelBuilder,
) -> ModelBuilder {
    match value.clone() {
        Some(value) => setter(builder, value),
        None => builder,
    }
}

/// Refuses a name that a URL, a metric or a log cannot carry as it is.
fn check_name(name: &str) -> Result<(), NameError> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_word) {
        true => Ok(()),
        false => Err(NameError(name.to_owned())),
    }
}

impl FromStr for ModelSpec {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (name, model) = match text.split_once('=') {
            Some(("", _)) => return Err(NameError(String::new())),
            Some((name, model)) if check_name(name).is_ok() => (Some(name), model),
            _ => (None, text),
        };
        let model = Some(model).filter(|model| !model.is_empty()).map(PathBuf::from);
        Ok(Self { name: name.map(str::to_owned), model, ..Self::default() })
    }
}

fn name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(from)?;
    check_name(&name).map_err(D::Error::custom)?;
    Ok(Some(name))
}

/// A value with a name.
fn word<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    String::deserialize(from)?.parse().map(Some).map_err(D::Error::custom)
}

#[derive(serde::Deserialize)]
#[serde(untagged, expecting = "expected a number, or a list of one number per channel")]
enum Channels {
    All(f64),
    Each(Vec<f64>),
}

fn channels<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<f64>>, D::Error> {
    Ok(Some(match Channels::deserialize(from)? {
        Channels::All(value) => vec![value],
        Channels::Each(values) => values,
    }))
}

#[derive(serde::Deserialize)]
#[serde(untagged, expecting = "expected a side in pixels, or [height, width]")]
enum Sides {
    Both(usize),
    Each([usize; 2]),
}

fn img_size<'de, D: Deserializer<'de>>(from: D) -> Result<Option<[usize; 2]>, D::Error> {
    Ok(Some(match Sides::deserialize(from)? {
        Sides::Both(side) => [side; 2],
        Sides::Each(sides) => sides,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: serde_json::Value) -> Result<ModelSpec, serde_json::Error> {
        serde_json::from_value(json)
    }

    #[test]
    fn a_name_is_what_is_plain_before_the_first_equals_sign() {
        for (text, name, model) in [
            ("efficientnet_b0.ra_in1k", None, "efficientnet_b0.ra_in1k"),
            ("a=b=c", Some("a"), "b=c"),
            ("v-1.0_x=timm/org", Some("v-1.0_x"), "timm/org"),
            ("./a=b", None, "./a=b"),
            ("ü=b", None, "ü=b"),
        ] {
            let spec: ModelSpec = text.parse().unwrap();
            assert_eq!((spec.name.as_deref(), spec.model), (name, Some(model.into())), "{text}");
        }
        assert_eq!("bundled=".parse::<ModelSpec>().unwrap().model, None);
        let error = "=b".parse::<ModelSpec>().unwrap_err().to_string();
        assert!(error.starts_with("\"\" is not a name for a model"), "{error}");
    }

    #[test]
    fn a_table_sets_what_the_command_sets() {
        let spec = read(serde_json::json!({
            "name": "flowers", "model": "efficientnet_b0", "weights": "seeded:3", "num-classes": 5,
            "labels": "names.txt", "activation": "sigmoid", "device": "cpu", "engine": "cpu",
            "dtype": "bf16", "train-size": true, "img-size": 96, "crop-pct": 0.9,
            "crop-mode": "squash", "interpolation": "nearest", "mean": 0, "std": [0.5, 0.5, 0.5],
            "calibration": "c.json", "coverage": 0.9, "min-probability": 0.5, "roll-up": true,
            "exif-orientation": true, "lenient": true, "max-pixels": 1000, "on-demand": true
        }))
        .unwrap();
        assert_eq!((spec.weights, spec.img_size), (Some(WeightsFrom::Seeded(3)), Some([96, 96])));
        assert_eq!((spec.mean, spec.std), (Some(vec![0.0]), Some(vec![0.5; 3])));
        assert_eq!(spec.crop_mode, Some(CropMode::Squash));
        let sides = read(serde_json::json!({ "img-size": [96, 128] })).unwrap().img_size;
        assert_eq!(sides, Some([96, 128]));
    }

    #[test]
    fn errors_say_what_was_expected() {
        for (table, says) in [
            (serde_json::json!({ "modle": "a" }), "unknown field `modle`"),
            (serde_json::json!({ "name": "a/b" }), r#""a/b" is not a name for a model"#),
            (serde_json::json!({ "img-size": "x" }), "expected a side in pixels"),
            (serde_json::json!({ "mean": "x" }), "one number per channel"),
            (serde_json::json!({ "crop-mode": "fit" }), "center, squash, border"),
            (serde_json::json!({ "activation": "relu" }), "relu"),
            (serde_json::json!({ "device": "tpu" }), "tpu"),
            (serde_json::json!({ "crop_pct": 0.9 }), "unknown field `crop_pct`, expected one of"),
        ] {
            let error = read(table).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
