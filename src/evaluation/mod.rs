//! How good a classifier is: from logits and right answers to figures, a temperature and conformal sets.
//!
//! ```text
//! logits, target -> Evaluation -> EvaluationReport  (accuracy, per class, confusion, NLL, Brier, ECE)
//!                             \-> Fit -> Calibration (temperature, conformal sets)
//! ```
//!
//! | figure | what it is |
//! | --- | --- |
//! | top-1, top-5 | share of images whose class is among the 1 or 5 largest logits; of equal logits the lower index comes first |
//! | precision, recall, F1 | scikit-learn's, with 0 for a division by zero |
//! | NLL | mean of `-ln p(class)`: timm's and PyTorch's cross-entropy |
//! | Brier | mean over images of the squared differences between all probabilities and 1 for the class, 0 for the others: 0 to 2 |
//! | ECE | expected calibration error of the largest probability, in 15 bins of equal width (Guo et al. 2017, arXiv:1706.04599) |
//!
//! Memory: a few counters for each class, a count for each pair of classes that was confused, the
//! worst mistakes, and the logits that a temperature is fitted to, at most [`KEPT_BYTES`].

mod calibration;
mod classes;
mod conformal;
mod error;
mod reliability;
mod report;
mod sample;
mod temperature;
mod worst;

pub use calibration::{Calibration, CalibrationScores};
pub use conformal::{Conformal, least_images};
pub use error::CalibrationError;
pub use reliability::{BINS, Bin};
pub use report::{
    Accuracy, Averages, ClassReport, Confused, EvaluationReport, Mistake, Named, PrecisionRecall,
    TemperatureReport,
};
pub use sample::KEPT_BYTES;
pub use temperature::Fit;

use std::collections::BTreeMap;

use self::classes::Counts;
use self::reliability::Scores;
use self::sample::Sample;
use self::worst::Worst;
use crate::labels::{LabelError, Softmax};

/// The most wrong answers that are kept with their images' names.
pub(crate) const WORST: usize = 24;

/// Counts answers, one image after the other.
///
/// ```
/// use effnet::evaluation::Evaluation;
/// let mut evaluation = Evaluation::new(3);
/// evaluation.add("a.jpg", &[2.0, 1.0, 0.0], 0)?;
/// evaluation.add("b.jpg", &[2.0, 1.0, 0.0], 1)?;
/// let report = evaluation.report(|_| Default::default());
/// assert_eq!((report.accuracy.top1, report.accuracy.top5), (0.5, 1.0));
/// assert!((report.nll - 0.907_605_96).abs() < 1e-7);
/// # Ok::<(), effnet::labels::LabelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Evaluation {
    images: u64,
    right: Right,
    /// Against several right answers for each image.
    real: Right,
    scores: Scores,
    classes: Vec<Counts>,
    /// Images by class and wrong answer.
    confusion: BTreeMap<(usize, usize), u64>,
    kept: Sample,
    worst: Worst,
}

/// Images, and how many of them have a right answer among the best 1 and 5.
#[derive(Debug, Clone, Copy, Default)]
struct Right {
    images: u64,
    top1: u64,
    top5: u64,
}

impl Right {
    /// `rank` is the number of classes before the first right one.
    fn add(&mut self, rank: usize) {
        self.images += 1;
        self.top1 += u64::from(rank < 1);
        self.top5 += u64::from(rank < 5);
    }
}

impl Evaluation {
    /// For this number of classes.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self {
            images: 0,
            right: Right::default(),
            real: Right::default(),
            scores: Scores::default(),
            classes: vec![Counts::default(); classes],
            confusion: BTreeMap::new(),
            kept: Sample::new(classes),
            worst: Worst::default(),
        }
    }

    /// Counts an image that shows the class `target`. `image` names it among the worst mistakes; the
    /// result says whether it is one of them so far.
    ///
    /// # Errors
    ///
    /// A logit that is not finite, a target that is no class, or another number of logits than of
    /// classes. The image is not counted then.
    pub fn add(&mut self, image: &str, logits: &[f32], target: usize) -> Result<bool, LabelError> {
        let num_classes = self.classes.len();
        if logits.len() != num_classes {
            return Err(LabelError::Outputs { outputs: logits.len(), num_classes });
        }
        if target >= num_classes {
            return Err(LabelError::NoSuchClass { class: target, num_classes });
        }
        if let Some(index) = logits.iter().position(|logit| !logit.is_finite()) {
            return Err(LabelError::NotFinite { index, value: logits[index].to_string() });
        }
        let softmax = Softmax::new(logits, 1.0);
        let answer = best(logits);
        self.images += 1;
        self.right.add(rank(logits, target));
        self.scores.add(&softmax, logits, target);
        self.classes[target].images += 1;
        self.classes[answer].answers += 1;
        let mut is_worst = false;
        if answer == target {
            self.classes[target].right += 1;
        } else {
            *self.confusion.entry((target, answer)).or_default() += 1;
            let probabilities = [answer, target].map(|class| softmax.probability(logits[class]));
            is_worst = self.worst.add(image, target, answer, probabilities);
        }
        self.kept.add(logits, target);
        Ok(is_worst)
    }

    /// Counts the image against several right answers, as ImageNet's ReaL labels have them
    /// (arXiv:2006.07159). An image without any does not count. The logits are those of an image that
    /// was added.
    pub fn add_real(&mut self, logits: &[f32], right: &[usize]) {
        if let Some(rank) = right.iter().map(|&class| rank(logits, class)).min() {
            self.real.add(rank);
        }
    }

    /// How many images were counted.
    #[must_use]
    pub fn images(&self) -> u64 {
        self.images
    }

    /// How many of them have the right answer.
    #[must_use]
    pub fn right(&self) -> u64 {
        self.right.top1
    }

    /// Fits a temperature to the kept logits of one half of the images, and measures it on the other
    /// half.
    ///
    /// # Errors
    ///
    /// Too few images, or images that no temperature fits: all right, for example.
    pub fn fit(&self) -> Result<Fit, CalibrationError> {
        Fit::new(&self.kept)
    }
}

/// The class with the largest logit, the first of them.
fn best(logits: &[f32]) -> usize {
    let mut best = 0;
    for (class, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = class;
        }
    }
    best
}

/// How many classes come before this one; all of them, if it is none of them.
fn rank(logits: &[f32], class: usize) -> usize {
    let Some(&own) = logits.get(class) else { return logits.len() };
    let before = |&(other, &logit): &(usize, &f32)| logit > own || (logit == own && other < class);
    logits.iter().enumerate().filter(before).count()
}
