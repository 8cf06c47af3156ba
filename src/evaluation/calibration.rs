//! The file that `effnet validate` writes and `effnet classify` reads.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::CalibrationError;
use super::temperature::Fit;
use crate::replace::Replacement;

/// The file's form.
const FORMAT: &str = "effnet-calibration-1";
/// Larger files are not calibrations.
const MAX_BYTES: u64 = 256 << 20;

/// How far probabilities can be believed; smaller is better.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationScores {
    /// Mean negative log-likelihood.
    pub nll: f64,
    /// Brier score.
    pub brier: f64,
    /// Expected calibration error.
    pub ece: f64,
}

/// What makes a model's probabilities honest: a temperature, and the probabilities of right classes
/// in held-out images, from which conformal sets follow. It belongs to weights and preprocessing.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use effnet::evaluation::Evaluation;
/// use effnet::{AnswerOptions, Model};
/// let model = Model::builder().build()?;
/// // Images whose class is the largest logit in 8 of 10; `Classifier::validate_each` takes real ones.
/// let mut evaluation = Evaluation::new(1000);
/// let mut logits = vec![0.0; 1000];
/// logits[967] = 20.0;
/// for number in 0..200 {
///     evaluation.add("coffee.png", &logits, if number % 10 < 8 { 967 } else { 968 })?;
/// }
/// let calibration = model.calibration(&evaluation.fit()?);
/// assert!(calibration.temperature > 1.0);
/// let answers = AnswerOptions { calibration: Some(calibration), ..Default::default() };
/// let classifier = Model::builder().answers(answers).build_classifier()?;
/// let best = &classifier.classify("examples/images/coffee.png", 1)?[0];
/// assert!(best.probability.unwrap() < 0.95); // without the temperature, 0.951
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    format: String,
    /// The model's name.
    pub model: String,
    /// The SHA-256 of its weights, in hexadecimal, or what they are if they come from no file.
    pub weights: String,
    /// How its images are prepared.
    pub preprocessing: String,
    /// The number of outputs.
    pub num_classes: usize,
    /// What logits are divided by.
    pub temperature: f64,
    /// How many images the temperature was fitted to.
    pub images: usize,
    /// On other images, without the temperature.
    pub before: CalibrationScores,
    /// On other images, with it.
    pub after: CalibrationScores,
    /// The right class's probability in each of these other images, with the temperature,
    /// ascending.
    pub right: Vec<f32>,
}

impl Calibration {
    pub(crate) fn new(
        [model, weights, preprocessing]: [String; 3],
        num_classes: usize,
        fit: &Fit,
    ) -> Self {
        Self {
            format: FORMAT.to_owned(),
            model,
            weights,
            preprocessing,
            num_classes,
            temperature: fit.temperature,
            images: fit.images,
            before: fit.before,
            after: fit.after,
            right: fit.right.clone(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or is not a calibration.
    pub fn read(file: &Path) -> Result<Self, CalibrationError> {
        let failed = |source| CalibrationError::Read { file: file.to_owned(), source };
        let form = |reason: String| CalibrationError::Form { file: file.to_owned(), reason };
        let mut bytes = Vec::new();
        let opened = File::open(file).map_err(failed)?;
        opened.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(form(format!("it is larger than {} MiB", MAX_BYTES >> 20)));
        }
        let read: Self = serde_json::from_slice(&bytes).map_err(|error| form(error.to_string()))?;
        read.check().map_err(form)?;
        Ok(read)
    }

    /// What is wrong with the values.
    fn check(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!("its format is {:?}, not {FORMAT:?}", self.format));
        }
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return Err(format!("its temperature is {}", self.temperature));
        }
        let is_probability = |p: &f32| (0.0..=1.0).contains(p);
        if !self.right.iter().all(is_probability) || !self.right.is_sorted() {
            return Err("`right` are not probabilities in ascending order".to_owned());
        }
        Ok(())
    }

    /// Writes the file, which appears when it is whole.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn write(&self, file: &Path) -> Result<(), CalibrationError> {
        let failed = |source| CalibrationError::Read { file: file.to_owned(), source };
        let mut out = Replacement::begin(file).map_err(failed)?;
        serde_json::to_writer(&mut out, self).map_err(|error| failed(error.into()))?;
        out.write_all(b"\n").and_then(|()| out.finish()).map_err(failed)
    }

    /// Whether it was made of a model that is described like this.
    pub(crate) fn check_for(
        &self,
        weights: &str,
        preprocessing: &str,
        num_classes: usize,
    ) -> Result<(), CalibrationError> {
        let numbers = [self.num_classes, num_classes].map(|number| number.to_string());
        for (what, made_for, found) in [
            ("weights", self.weights.as_str(), weights),
            ("a number of classes,", &numbers[0], &numbers[1]),
            ("images prepared as", &self.preprocessing, preprocessing),
        ] {
            if made_for != found {
                let [made_for, found] = [made_for, found].map(str::to_owned);
                return Err(CalibrationError::Other { what, made_for, found });
            }
        }
        Ok(())
    }
}
