//! The figures of an evaluation.

use serde::{Deserialize, Serialize};

use super::calibration::CalibrationScores;
use super::classes::{averages, share};
use super::reliability::Bin;
use super::{Evaluation, Fit, Right};

/// A class with its names, if they are known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Named {
    /// The class's index.
    pub index: usize,
    /// Its WordNet synset, for ImageNet's classes.
    pub synset: Option<String>,
    /// Its name.
    pub label: Option<String>,
}

/// Shares of images with a right class among the best.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// How many images were counted.
    pub images: u64,
    /// The share whose best class is right.
    pub top1: f64,
    /// The share with a right class among the best five.
    pub top5: f64,
}

impl From<Right> for Accuracy {
    fn from(right: Right) -> Self {
        let Right { images, top1, top5 } = right;
        Self { images, top1: share(top1, images), top5: share(top5, images) }
    }
}

/// scikit-learn's figures; 0 for a division by zero.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct PrecisionRecall {
    /// Of the images with this answer, the share that is right.
    pub precision: f64,
    /// Of the images of this class, the share with the right answer.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1: f64,
}

/// Averages over the classes that are in an image or an answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Averages {
    /// Each class counts the same.
    #[serde(rename = "macro")]
    pub macro_: PrecisionRecall,
    /// Each class counts as often as it has images.
    pub weighted: PrecisionRecall,
}

/// The figures of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// The class.
    #[serde(flatten)]
    pub class: Named,
    /// Images that show it (scikit-learn's support).
    pub images: u64,
    /// Images for which it is the answer.
    pub answers: u64,
    /// Its figures.
    #[serde(flatten)]
    pub figures: PrecisionRecall,
}

/// How often one class was taken for another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Confused {
    /// The class that the images show.
    pub target: Named,
    /// The answer.
    pub answer: Named,
    /// How many images.
    pub images: u64,
}

/// A wrong answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// The image.
    pub image: String,
    /// The class that it shows.
    pub target: Named,
    /// The answer.
    pub answer: Named,
    /// The answer's probability.
    pub probability: f64,
    /// The probability of the right class.
    pub target_probability: f64,
}

/// A fitted temperature, and what it changes on images that were held out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TemperatureReport {
    /// What logits are divided by.
    pub temperature: f64,
    /// How many images it was fitted to.
    pub images: usize,
    /// How many images it was measured on.
    pub held_out: usize,
    /// On these, without it.
    pub before: CalibrationScores,
    /// On these, with it.
    pub after: CalibrationScores,
    /// Reliability without it.
    pub bins_before: Vec<Bin>,
    /// Reliability with it.
    pub bins_after: Vec<Bin>,
}

impl TemperatureReport {
    /// Whether the temperature lowers the NLL of images that it was not fitted to. With few images it
    /// may not.
    #[must_use]
    pub fn helps(&self) -> bool {
        self.after.nll < self.before.nll
    }
}

impl From<&Fit> for TemperatureReport {
    fn from(fit: &Fit) -> Self {
        Self {
            temperature: fit.temperature,
            images: fit.images,
            held_out: fit.right.len(),
            before: fit.before,
            after: fit.after,
            bins_before: fit.bins_before.clone(),
            bins_after: fit.bins_after.clone(),
        }
    }
}

/// All figures; shares are from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EvaluationReport {
    /// How many classes an answer was chosen from.
    pub num_classes: usize,
    /// How often the right class is among the best.
    pub accuracy: Accuracy,
    /// The same, against several right classes for each image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub real: Option<Accuracy>,
    /// The mean negative log-likelihood: cross-entropy.
    pub nll: f64,
    /// The Brier score, 0 to 2.
    pub brier: f64,
    /// The expected calibration error.
    pub ece: f64,
    /// Images by the probability of their answer.
    pub reliability: Vec<Bin>,
    /// Averages over classes.
    pub averages: Averages,
    /// A fitted temperature; absent if none fits.
    pub calibration: Option<TemperatureReport>,
    /// Every class that is in an image or an answer, by index.
    pub classes: Vec<ClassReport>,
    /// Every pair of a class and a wrong answer, the most frequent first.
    pub confusion: Vec<Confused>,
    /// The wrong answers with the largest probabilities.
    pub worst: Vec<Mistake>,
}

impl Evaluation {
    /// All figures but the temperature's. `name` gives the index and the names of a class.
    #[must_use]
    pub fn report(&self, name: impl Fn(usize) -> Named) -> EvaluationReport {
        let scores = self.scores.means();
        let occurring = self.classes.iter().enumerate().filter(|(_, counts)| counts.occurs());
        let classes = occurring.map(|(class, counts)| ClassReport {
            class: name(class),
            images: counts.images,
            answers: counts.answers,
            figures: counts.figures(),
        });
        let mut pairs: Vec<_> = self.confusion.iter().collect();
        pairs.sort_by_key(|(_, images)| std::cmp::Reverse(**images));
        let confused = |(&(target, answer), &images): (&(usize, usize), &u64)| Confused {
            target: name(target),
            answer: name(answer),
            images,
        };
        let worst = self.worst.in_order().map(|wrong| Mistake {
            image: wrong.image,
            target: name(wrong.target),
            answer: name(wrong.answer),
            probability: wrong.probabilities[0],
            target_probability: wrong.probabilities[1],
        });
        EvaluationReport {
            num_classes: self.classes.len(),
            accuracy: self.right.into(),
            real: (self.real.images > 0).then(|| self.real.into()),
            nll: scores.nll,
            brier: scores.brier,
            ece: scores.ece,
            reliability: self.scores.bins(),
            averages: averages(&self.classes),
            calibration: None,
            classes: classes.collect(),
            confusion: pairs.into_iter().map(confused).collect(),
            worst: worst.collect(),
        }
    }
}
