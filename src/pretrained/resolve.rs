//! From a configuration to the numbers that preparing an image needs.

use std::fmt;

use super::{CfgOrigin, PretrainedCfg, PretrainedError};

/// Where a resolved value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueSource {
    /// The table in the program, under this key.
    ModelTable(&'static str),
    /// The model's `config.json`, under this key.
    ConfigJson(&'static str),
    /// The naming convention of a foreign checkpoint: as the weights' library does, under this key.
    Convention(&'static str),
    /// timm's default: nothing else says it.
    Default,
}

impl fmt::Display for ValueSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ModelTable(key) => write!(f, "{key} in the model table"),
            Self::ConfigJson(key) => write!(f, "{key} in config.json"),
            Self::Convention(key) => write!(f, "{key} in the convention of the weights' names"),
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
    /// Channels (always 3), height, width.
    pub input_size: Resolved<[usize; 3]>,
    /// Resize filter: `nearest`, `bilinear`, `bicubic` or `lanczos`.
    pub interpolation: Resolved<String>,
    /// The part of the resized image that the crop keeps.
    pub crop_pct: Resolved<f64>,
    /// `center`, `squash` or `border`.
    pub crop_mode: Resolved<String>,
    /// Mean of red, green, blue, of pixels from 0 to 1.
    pub mean: Resolved<[f64; 3]>,
    /// Standard deviation of red, green, blue, of pixels from 0 to 1.
    pub std: Resolved<[f64; 3]>,
}

impl ResolvedPreprocessing {
    /// The same, with `base`'s values where only timm's defaults hold.
    pub(crate) fn or(self, base: Self) -> Self {
        fn first<T>(own: Resolved<T>, base: Resolved<T>) -> Resolved<T> {
            if own.source == ValueSource::Default { base } else { own }
        }
        Self {
            input_size: first(self.input_size, base.input_size),
            interpolation: first(self.interpolation, base.interpolation),
            crop_pct: first(self.crop_pct, base.crop_pct),
            crop_mode: first(self.crop_mode, base.crop_mode),
            mean: first(self.mean, base.mean),
            std: first(self.std, base.std),
        }
    }
}

impl PretrainedCfg {
    /// How images are prepared for these weights (`timm/data/config.py`, `resolve_data_config`).
    ///
    /// `test_input_size` and `test_crop_pct` hold where they are given, each on its own, as in the
    /// evaluation that timm's accuracies come from; `use_train_size` leaves both aside.
    ///
    /// # Errors
    /// [`PretrainedError::NotRgb`] if the input size, the mean or the standard deviation is not for
    /// three channels. One mean or standard deviation for all channels is spread over the three.
    ///
    /// ```
    /// let b1 = effnet::pretrained::find("efficientnet_b1.ft_in1k")?.cfg;
    /// let test = b1.resolve(false)?;
    /// assert_eq!((test.input_size.value, test.crop_pct.value), ([3, 256, 256], 1.0));
    /// assert_eq!(test.input_size.source.to_string(), "test_input_size in the model table");
    /// let train = b1.resolve(true)?;
    /// assert_eq!((train.input_size.value, train.crop_pct.value), ([3, 224, 224], 0.875));
    /// # Ok::<(), effnet::pretrained::PretrainedError>(())
    /// ```
    pub fn resolve(&self, use_train_size: bool) -> Result<ResolvedPreprocessing, PretrainedError> {
        let (test_input_size, test_crop_pct) =
            if use_train_size { (None, None) } else { (self.test_input_size, self.test_crop_pct) };
        let input_size = self.pick(
            [("test_input_size", test_input_size), ("input_size", self.input_size)],
            [3, 224, 224],
        );
        if input_size.value[0] != 3 {
            return Err(PretrainedError::NotRgb { channels: input_size.value[0] });
        }
        Ok(ResolvedPreprocessing {
            input_size,
            interpolation: self
                .pick([("interpolation", self.interpolation.clone())], "bicubic".to_owned()),
            crop_pct: self
                .pick([("test_crop_pct", test_crop_pct), ("crop_pct", self.crop_pct)], 0.875),
            crop_mode: self.pick([("crop_mode", self.crop_mode.clone())], "center".to_owned()),
            mean: self.pick([("mean", rgb(self.mean.as_deref())?)], [0.485, 0.456, 0.406]),
            std: self.pick([("std", rgb(self.std.as_deref())?)], [0.229, 0.224, 0.225]),
        })
    }

    /// The first value that is given, else the default.
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
                    CfgOrigin::Convention => ValueSource::Convention(key),
                };
                return Resolved { value, source };
            }
        }
        Resolved { value: default, source: ValueSource::Default }
    }
}

fn rgb(values: Option<&[f64]>) -> Result<Option<[f64; 3]>, PretrainedError> {
    match values {
        None => Ok(None),
        Some(&[one]) => Ok(Some([one; 3])),
        Some(&[r, g, b]) => Ok(Some([r, g, b])),
        Some(other) => Err(PretrainedError::NotRgb { channels: other.len() }),
    }
}
