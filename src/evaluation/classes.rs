//! Precision, recall and F1, as scikit-learn has them.

use super::report::{Averages, PrecisionRecall};

/// What is counted for each class.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Images that show it: scikit-learn's support.
    pub(super) images: u64,
    /// Images for which it is the answer.
    pub(super) answers: u64,
    /// Images for which it is the answer and right.
    pub(super) right: u64,
}

impl Counts {
    /// Whether the class is in an image or an answer. Averages are over such classes.
    pub(super) fn occurs(&self) -> bool {
        self.images + self.answers > 0
    }

    pub(super) fn figures(&self) -> PrecisionRecall {
        PrecisionRecall {
            precision: share(self.right, self.answers),
            recall: share(self.right, self.images),
            f1: share(2 * self.right, self.answers + self.images),
        }
    }
}

/// 0 if there is nothing to divide by.
pub(super) fn share(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}

/// The mean over classes, and the mean weighted by their images.
pub(super) fn averages(classes: &[Counts]) -> Averages {
    let occurring: Vec<&Counts> = classes.iter().filter(|counts| counts.occurs()).collect();
    let mean = |weight: &dyn Fn(&Counts) -> f64| {
        let total: f64 = occurring.iter().map(|counts| weight(counts)).sum();
        let mut mean = PrecisionRecall::default();
        for counts in &occurring {
            let (figures, weight) = (counts.figures(), weight(counts) / total);
            mean.precision += weight * figures.precision;
            mean.recall += weight * figures.recall;
            mean.f1 += weight * figures.f1;
        }
        mean
    };
    Averages { macro_: mean(&|_| 1.0), weighted: mean(&|counts| counts.images as f64) }
}
