//! How far probabilities can be believed.

use serde::{Deserialize, Serialize};

use super::best;
use super::calibration::CalibrationScores;
use crate::labels::Softmax;

/// How many bins of equal width the largest probability falls into.
pub const BINS: usize = 15;

/// Images whose largest probability is within a range, which includes its end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// The range's end; it begins where the bin before ends.
    pub to: f64,
    /// How many images.
    pub images: u64,
    /// The mean of their largest probabilities; 0 without images.
    pub confidence: f64,
    /// The share of them that are right; 0 without images.
    pub accuracy: f64,
}

/// Sums over images.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Scores {
    images: u64,
    nll: f64,
    brier: f64,
    bins: [Sums; BINS],
}

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    images: u64,
    right: u64,
    confidence: f64,
}

impl Scores {
    pub(super) fn add(&mut self, softmax: &Softmax, logits: &[f32], target: usize) {
        let answer = best(logits);
        let confidence = softmax.probability(logits[answer]);
        let squares: f64 = logits.iter().map(|&logit| softmax.probability(logit).powi(2)).sum();
        self.images += 1;
        self.nll += softmax.nll(logits[target]);
        self.brier += squares - 2.0 * softmax.probability(logits[target]) + 1.0;
        // Each range includes its end.
        let bin = (confidence * BINS as f64).ceil() as usize;
        let bin = &mut self.bins[bin.clamp(1, BINS) - 1];
        bin.images += 1;
        bin.right += u64::from(answer == target);
        bin.confidence += confidence;
    }

    pub(super) fn means(&self) -> CalibrationScores {
        let images = self.images.max(1) as f64;
        let gap = |bin: &Sums| (bin.right as f64 - bin.confidence).abs();
        CalibrationScores {
            nll: self.nll / images,
            brier: self.brier / images,
            ece: self.bins.iter().map(gap).sum::<f64>() / images,
        }
    }

    pub(super) fn bins(&self) -> Vec<Bin> {
        let bin = |(i, sums): (usize, &Sums)| {
            let images = sums.images.max(1) as f64;
            Bin {
                to: (i + 1) as f64 / BINS as f64,
                images: sums.images,
                confidence: sums.confidence / images,
                accuracy: sums.right as f64 / images,
            }
        };
        self.bins.iter().enumerate().map(bin).collect()
    }
}
