//! How sure an answer has to be.

use serde::{Deserialize, Serialize};

use super::Prediction;
use crate::Error;
use crate::evaluation::{Calibration, CalibrationError, Conformal};
use crate::labels::{ClassifierActivation, LabelSet, RollUp, Scored};

/// What a classifier may answer: probabilities that hold, sets, "unknown".
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use effnet::{Answer, AnswerOptions, Model};
/// let options = AnswerOptions { min_probability: Some(0.9), roll_up: true, ..Default::default() };
/// let classifier = Model::builder().answers(options).build_classifier()?;
/// // Which cat is not sure, but that it is one is.
/// let cat = classifier.classify("examples/images/chelsea.png", 5)?;
/// assert!(cat[0].probability.unwrap() < 0.9);
/// let Some(Answer::Group { label, probability, .. }) = &cat.answer else { panic!("{cat:?}") };
/// assert_eq!(label, "domestic cat");
/// assert!(*probability > 0.9);
/// # }
/// # Ok::<(), effnet::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AnswerOptions {
    /// Makes probabilities hold, on images like those of the calibration.
    pub calibration: Option<Calibration>,
    /// Answers are sets with the right class in this share of images, above 0 and below 1: as many
    /// classes as that takes, in place of the `k` best. Needs a calibration. See [`Conformal`].
    pub coverage: Option<f64>,
    /// The answer is unknown if no class has this probability.
    pub min_probability: Option<f32>,
    /// If no class has the probability, the answer is the most specific WordNet synset that has it,
    /// with the sum of its classes' probabilities: see [`RollUp`]. Needs a least probability, and
    /// classes that are ImageNet's.
    pub roll_up: bool,
}

/// An answer that is as sure as it has to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Answer {
    /// The best class is sure enough.
    Class {
        /// The class's index.
        index: usize,
        /// Its WordNet synset, for ImageNet classes.
        synset: Option<String>,
        /// Its name.
        label: Option<String>,
        /// Its probability.
        probability: f32,
    },
    /// No class is sure enough, but what several of them are.
    Group {
        /// The WordNet synset of which they are kinds.
        synset: String,
        /// Its name.
        label: String,
        /// How many classes are kinds of it.
        classes: usize,
        /// The sum of their probabilities.
        probability: f32,
    },
    /// Nothing is sure enough.
    Unknown,
}

/// Options that fit a model.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answers {
    temperature: Option<f64>,
    conformal: Option<Conformal>,
    min_probability: Option<f32>,
    roll_up: Option<RollUp>,
}

impl Answers {
    /// Checks that the options fit a model with this activation and these classes. `check` says
    /// whether a calibration is the model's.
    pub(crate) fn new(
        options: &AnswerOptions,
        activation: ClassifierActivation,
        outputs: usize,
        labels: Option<&LabelSet>,
        check: impl Fn(&Calibration) -> Result<(), CalibrationError>,
    ) -> Result<Self, Error> {
        let is_alone = outputs == 1 && activation == ClassifierActivation::Sigmoid;
        let is_one_of_many = activation == ClassifierActivation::Softmax || is_alone;
        let needs_one = (options.calibration.is_some(), "`AnswerOptions::calibration`");
        let needs_sum = (options.roll_up, "`AnswerOptions::roll_up`");
        for (is_asked, setting) in [needs_one, needs_sum] {
            if is_asked && !is_one_of_many {
                return Err(Error::NotExclusive { setting, activation: activation.to_string() });
            }
        }
        if options.min_probability.is_some() && activation == ClassifierActivation::None {
            return Err(Error::NoProbabilities);
        }
        if let Some(p) = options.min_probability.filter(|p| !(0.0..=1.0).contains(p)) {
            return Err(Error::MinProbability(p));
        }
        let calibration = options.calibration.as_ref();
        calibration.map_or(Ok(()), check).map_err(Error::Calibration)?;
        let conformal = |coverage| match calibration {
            Some(calibration) => {
                Conformal::new(coverage, &calibration.right).map_err(Error::Calibration)
            }
            None => Err(Error::NeedsCalibration),
        };
        let roll_up = || {
            options.min_probability.ok_or(Error::NeedsMinProbability)?;
            let labels = labels.ok_or(Error::NoLabels)?;
            RollUp::new(labels).map_err(Error::RollUp)
        };
        Ok(Self {
            temperature: calibration.map(|calibration| calibration.temperature),
            conformal: options.coverage.map(conformal).transpose()?,
            min_probability: options.min_probability,
            roll_up: options.roll_up.then(roll_up).transpose()?,
        })
    }

    pub(super) fn temperature(&self) -> f64 {
        self.temperature.unwrap_or(1.0)
    }

    pub(super) fn coverage(&self) -> Option<f64> {
        self.conformal.map(|conformal| conformal.coverage)
    }

    /// How many classes an answer needs of an image that has `k` to show.
    pub(super) fn classes(&self, k: usize) -> usize {
        let all = self.conformal.is_some() || self.roll_up.is_some();
        if all { usize::MAX } else { k }
    }

    /// How many of all classes, best first, are listed.
    pub(super) fn listed(&self, scored: &[Scored], k: usize) -> usize {
        match self.conformal {
            Some(conformal) => conformal.set_size(scored.iter().map_while(|s| s.probability)),
            None => k,
        }
    }

    /// The answer of an image with these classes, best first: all of them if they are rolled up.
    pub(super) fn answer(
        &self,
        scored: &[Scored],
        prediction: impl Fn(Scored) -> Prediction,
    ) -> Option<Answer> {
        let least = self.min_probability?;
        let best = *scored.first()?;
        if let Some(probability) = best.probability.filter(|p| *p >= least) {
            let Prediction { index, synset, label, .. } = prediction(best);
            return Some(Answer::Class { index, synset, label, probability });
        }
        let Some(roll_up) = &self.roll_up else { return Some(Answer::Unknown) };
        let mut probabilities = vec![0.0; scored.len()];
        for class in scored {
            probabilities[class.index] = class.probability.unwrap_or(0.0);
        }
        Some(match roll_up.answer(&probabilities, least) {
            Some(rolled) => Answer::Group {
                synset: rolled.synset.to_owned(),
                label: rolled.label.to_owned(),
                classes: rolled.classes,
                probability: rolled.probability,
            },
            None => Answer::Unknown,
        })
    }
}
