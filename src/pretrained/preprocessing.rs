//! From a configuration to the numbers that preparing an image needs.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{CfgOrigin, PretrainedCfg, PretrainedError};
use crate::names::named;
use crate::preprocess::Pipeline;

/// Where a resolved value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueSource {
    /// The table in the program, under this key.
    ModelTable(&'static str),
    /// The model's `config.json`, under this key.
    ConfigJson(&'static str),
    /// transformers' `preprocessor_config.json`.
    PreprocessorConfig,
    /// The naming convention of a foreign checkpoint, under this key: what the weights' library
    /// does.
    Convention(&'static str),
    /// The file of the weights.
    Checkpoint,
    /// The user: an option of the command, or a setter of the library.
    Option,
    /// The network has only one output, which makes a softmax pointless.
    OneOutput,
    /// timm's default, because nothing else gives the value.
    Default,
}

impl fmt::Display for ValueSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ModelTable(key) => write!(f, "{key} in the model table"),
            Self::ConfigJson(key) => write!(f, "{key} in config.json"),
            Self::PreprocessorConfig => f.write_str("preprocessor_config.json"),
            Self::Convention(key) => write!(f, "{key} in the convention of the weights' names"),
            Self::Checkpoint => f.write_str("the weights' file"),
            Self::Option => f.write_str("as asked for"),
            Self::OneOutput => f.write_str("the network has one output"),
            Self::Default => f.write_str("timm's default"),
        }
    }
}

/// A value, and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub source: ValueSource,
}

/// How images are prepared for a model, each value with its source.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedPreprocessing {
    /// Which library's resize and crop.
    pub pipeline: Pipeline,
    /// Channels, height, width.
    pub input_size: Resolved<[usize; 3]>,
    /// Resize filter: `nearest`, `bilinear`, `bilinear-no-antialias`, `bicubic` or `lanczos`.
    pub interpolation: Resolved<String>,
    /// The part of the resized image that the crop keeps.
    pub crop_pct: Resolved<f64>,
    /// `center`, `squash` or `border`.
    pub crop_mode: Resolved<String>,
    /// Mean of each channel, of pixels from 0 to 1.
    pub mean: Resolved<Vec<f64>>,
    /// Standard deviation of each channel, of pixels from 0 to 1.
    pub std: Resolved<Vec<f64>>,
}

impl ResolvedPreprocessing {
    /// All values in one line, the same for the same pixels.
    pub(crate) fn in_one(&self) -> String {
        let [channels, height, width] = self.input_size.value;
        format!(
            "{} {channels}x{height}x{width} {} {} {} mean {:?} std {:?}",
            self.pipeline,
            self.interpolation.value,
            self.crop_pct.value,
            self.crop_mode.value,
            self.mean.value,
            self.std.value
        )
    }
}

/// Which of a model's two image sizes to use.
///
/// ```
/// use effnet::pretrained::SizeChoice;
/// assert_eq!("train".parse(), Ok(SizeChoice::Train));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SizeChoice {
    /// The size of timm's published accuracy (`test_input_size`, `test_crop_pct`), if there is one.
    #[default]
    Test,
    /// The size of training (`input_size`, `crop_pct`).
    Train,
}

impl SizeChoice {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Test, Self::Train];

    /// `test` or `train`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Train => "train",
        }
    }
}

named!(SizeChoice, "size", "test and train");

/// Where the user overrides a model's configuration.
///
/// `None` keeps the configuration's value.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct PreprocessingOptions {
    /// Which size and crop.
    pub(crate) size: SizeChoice,
    /// Height and width of the network's input.
    pub(crate) img_size: Option<[usize; 2]>,
    /// Resize filter: `nearest`, `bilinear`, `bilinear-no-antialias`, `bicubic` or `lanczos`.
    pub(crate) interpolation: Option<String>,
    /// The part of the resized image that the crop keeps.
    pub(crate) crop_pct: Option<f64>,
    /// `center`, `squash` or `border`.
    pub(crate) crop_mode: Option<String>,
    /// Mean of each channel, or one for all, of pixels from 0 to 1.
    pub(crate) mean: Option<Vec<f64>>,
    /// Standard deviation of each channel, or one for all, of pixels from 0 to 1.
    pub(crate) std: Option<Vec<f64>>,
}

impl ResolvedPreprocessing {
    /// The same, with `base`'s values in place of timm's defaults.
    pub(crate) fn or(self, base: Self) -> Self {
        fn first<T>(own: Resolved<T>, base: Resolved<T>) -> Resolved<T> {
            if own.source == ValueSource::Default { base } else { own }
        }
        Self {
            pipeline: self.pipeline,
            input_size: first(self.input_size, base.input_size),
            interpolation: first(self.interpolation, base.interpolation),
            crop_pct: first(self.crop_pct, base.crop_pct),
            crop_mode: first(self.crop_mode, base.crop_mode),
            mean: first(self.mean, base.mean),
            std: first(self.std, base.std),
        }
    }

    /// The same with `options` applied, for a network with `in_chans` input channels. A mean or
    /// standard deviation for a different number of channels is made to fit, with a note.
    ///
    /// # Errors
    /// [`PretrainedError::Channels`] if an option has neither one value nor one per channel.
    pub(crate) fn with(
        mut self,
        options: &PreprocessingOptions,
        in_chans: usize,
    ) -> Result<(Self, Vec<String>), PretrainedError> {
        fn set<T: Clone>(value: &mut Resolved<T>, option: &Option<T>) {
            if let Some(option) = option {
                *value = Resolved { value: option.clone(), source: ValueSource::Option };
            }
        }
        self.input_size.value[0] = in_chans;
        let size = options.img_size.map(|[height, width]| [in_chans, height, width]);
        set(&mut self.input_size, &size);
        set(&mut self.interpolation, &options.interpolation);
        set(&mut self.crop_pct, &options.crop_pct);
        set(&mut self.crop_mode, &options.crop_mode);
        set(&mut self.mean, &options.mean);
        set(&mut self.std, &options.std);
        let mut notes = Vec::new();
        for (key, values) in [("mean", &mut self.mean), ("std", &mut self.std)] {
            notes.extend(fit(key, values, in_chans)?);
        }
        Ok((self, notes))
    }
}

/// Makes the values one per channel; returns a note if that changes them.
fn fit(
    key: &'static str,
    values: &mut Resolved<Vec<f64>>,
    in_chans: usize,
) -> Result<Option<String>, PretrainedError> {
    let Resolved { value, source } = values;
    if value.len() == in_chans {
        return Ok(None);
    }
    let given = value.len();
    let average = value.iter().sum::<f64>() / given as f64;
    if given == 1 {
        *value = vec![average; in_chans];
        return Ok(None);
    }
    if *source == ValueSource::Option {
        return Err(PretrainedError::Channels { key, values: given, channels: in_chans });
    }
    let text = format!("{value:?} ({source})");
    // A fourth channel (alpha or infrared) is like none of the colours, and a grey one like all of
    // them: both take the average.
    value.resize(in_chans.max(given), average);
    if in_chans < given {
        *value = vec![average; in_chans];
    }
    Ok(Some(format!(
        "{key} {text} is for {given} channels and the network takes {in_chans}: {value:.4?} is used; \
         `ModelBuilder::mean` and `ModelBuilder::std` set others"
    )))
}

impl PretrainedCfg {
    /// How images are prepared for these weights (`timm/data/config.py`, `resolve_data_config`).
    ///
    /// `test_input_size` and `test_crop_pct` each apply if given, as in the evaluation that timm's
    /// accuracies come from; [`SizeChoice::Train`] ignores both.
    ///
    /// ```
    /// use effnet::pretrained::SizeChoice;
    /// let b1 = effnet::pretrained::find("efficientnet_b1.ft_in1k")?.cfg;
    /// let test = b1.resolve(SizeChoice::Test);
    /// assert_eq!((test.input_size.value, test.crop_pct.value), ([3, 256, 256], 1.0));
    /// assert_eq!(test.input_size.source.to_string(), "test_input_size in the model table");
    /// let train = b1.resolve(SizeChoice::Train);
    /// assert_eq!((train.input_size.value, train.crop_pct.value), ([3, 224, 224], 0.875));
    /// # Ok::<(), effnet::pretrained::PretrainedError>(())
    /// ```
    pub fn resolve(&self, size: SizeChoice) -> ResolvedPreprocessing {
        let (test_input_size, test_crop_pct) = match size {
            SizeChoice::Train => (None, None),
            SizeChoice::Test => (self.test_input_size, self.test_crop_pct),
        };
        ResolvedPreprocessing {
            pipeline: self.pipeline,
            input_size: self.pick(
                [("test_input_size", test_input_size), ("input_size", self.input_size)],
                [3, 224, 224],
            ),
            interpolation: self
                .pick([("interpolation", self.interpolation.clone())], "bicubic".to_owned()),
            crop_pct: self
                .pick([("test_crop_pct", test_crop_pct), ("crop_pct", self.crop_pct)], 0.875),
            crop_mode: self.pick([("crop_mode", self.crop_mode.clone())], "center".to_owned()),
            mean: self.pick([("mean", self.mean.clone())], vec![0.485, 0.456, 0.406]),
            std: self.pick([("std", self.std.clone())], vec![0.229, 0.224, 0.225]),
        }
    }

    /// The first value that is given, or else the default.
    fn pick<T, const N: usize>(
        &self,
        candidates: [(&'static str, Option<T>); N],
        default: T,
    ) -> Resolved<T> {
        for (key, value) in candidates {
            if let Some(value) = value {
                let source = match self.origin {
                    CfgOrigin::ModelTable => ValueSource::ModelTable(key),
                    CfgOrigin::ConfigJson => ValueSource::ConfigJson(key),
                    CfgOrigin::PreprocessorConfig => ValueSource::PreprocessorConfig,
                    CfgOrigin::Convention => ValueSource::Convention(key),
                    CfgOrigin::Checkpoint => ValueSource::Checkpoint,
                };
                return Resolved { value, source };
            }
        }
        Resolved { value: default, source: ValueSource::Default }
    }
}
