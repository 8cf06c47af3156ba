//! Temperature scaling (Guo et al. 2017, arXiv:1706.04599): one number that all logits are divided by.

use rayon::prelude::*;

use super::best;
use super::calibration::CalibrationScores;
use super::error::CalibrationError;
use super::reliability::{Bin, Scores};
use super::sample::{Half, Sample};
use crate::labels::Softmax;

/// Below and above these a temperature says only that the images do not determine it.
const LIMITS: [f64; 2] = [0.01, 100.0];
/// Images whose sums are taken together. The order of the sums does not depend on threads.
const CHUNK: usize = 256;

/// A temperature, fitted to one half of the images and measured on the other.
///
/// Both halves are drawn at random, the same every time. The temperature has the least NLL on the
/// first. What is measured on the second holds for other images from the same source.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Fit {
    /// What logits are divided by: above 1 if the network is too sure.
    pub temperature: f64,
    /// How many images it was fitted to.
    pub images: usize,
    /// On the other images, without the temperature.
    pub before: CalibrationScores,
    /// On the other images, with it.
    pub after: CalibrationScores,
    /// The reliability bins of the other images, without the temperature.
    pub bins_before: Vec<Bin>,
    /// The same, with it.
    pub bins_after: Vec<Bin>,
    /// The probability of the right class of each of the other images, with the temperature,
    /// ascending.
    pub right: Vec<f32>,
}

impl Fit {
    pub(super) fn new(sample: &Sample) -> Result<Self, CalibrationError> {
        let (fit, held_out) = (sample.half(Half::Fit), sample.half(Half::HeldOut));
        if fit.is_empty() || held_out.is_empty() {
            return Err(CalibrationError::TooFew { images: fit.len() + held_out.len() });
        }
        let temperature = least_nll(&fit).ok_or_else(|| CalibrationError::NoFit {
            images: fit.len(),
            right: fit.iter().filter(|(logits, target)| best(logits) == *target).count(),
        })?;
        let [before, after] = [1.0, temperature].map(|temperature| {
            let mut scores = Scores::default();
            for (logits, target) in &held_out {
                scores.add(&Softmax::new(logits, temperature), logits, *target);
            }
            scores
        });
        // In the same precision as the probabilities of answers, which are compared with them.
        let right = held_out.par_iter().map(|(logits, target)| {
            Softmax::new(logits, temperature).probability(logits[*target]) as f32
        });
        let mut right: Vec<f32> = right.collect();
        right.sort_unstable_by(f32::total_cmp);
        Ok(Self {
            temperature,
            images: fit.len(),
            before: before.means(),
            after: after.means(),
            bins_before: before.bins(),
            bins_after: after.bins(),
            right,
        })
    }
}

/// The temperature with the least mean NLL; `None` if it is not between [`LIMITS`].
///
/// The NLL is convex in the temperature's inverse b: its derivative there is the mean of E[z] - z of
/// the right class, its second the mean of Var[z]. Newton's method runs between bounds that close in.
fn least_nll(rows: &[(&[f32], usize)]) -> Option<f64> {
    let [mut low, mut high] = [LIMITS[1].recip(), LIMITS[0].recip()];
    if slopes(rows, low)[0] >= 0.0 || slopes(rows, high)[0] <= 0.0 {
        return None;
    }
    let mut inverse = 1.0;
    // Halving alone would need 60 steps for all digits; Newton's steps need about 6.
    for _ in 0..100 {
        let [slope, curvature] = slopes(rows, inverse);
        if slope < 0.0 {
            low = inverse;
        } else {
            high = inverse;
        }
        let step = inverse - slope / curvature;
        let next = if step > low && step < high { step } else { f64::midpoint(low, high) };
        if (next - inverse).abs() <= 1e-12 * inverse {
            return Some(next.recip());
        }
        inverse = next;
    }
    Some(inverse.recip())
}

/// The first and second derivative of the NLL's sum by the temperature's inverse.
fn slopes(rows: &[(&[f32], usize)], inverse: f64) -> [f64; 2] {
    let of_row = |&(logits, target): &(&[f32], usize)| {
        let max = logits.iter().copied().fold(f32::MIN, f32::max);
        let (mut total, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for &logit in logits {
            // From the largest logit, so that the squares keep their digits.
            let below = f64::from(logit) - f64::from(max);
            let weight = (below * inverse).exp();
            total += weight;
            sum += weight * below;
            squares += weight * below * below;
        }
        let (mean, right) = (sum / total, f64::from(logits[target]) - f64::from(max));
        [mean - right, (squares / total - mean * mean).max(0.0)]
    };
    let add = |sum: [f64; 2], one: [f64; 2]| [sum[0] + one[0], sum[1] + one[1]];
    let chunks = rows.par_chunks(CHUNK).map(|rows| rows.iter().map(of_row).fold([0.0; 2], add));
    chunks.collect::<Vec<_>>().into_iter().fold([0.0; 2], add)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes with logits (0, 2): right in 3 of 4 images. Then p = 3/4, so b = ln(3) / 2.
    #[test]
    fn the_temperature_is_the_known_one() {
        let rows: Vec<(&[f32], usize)> =
            [1, 1, 1, 0].map(|target| (&[0.0, 2.0][..], target)).to_vec();
        let temperature = least_nll(&rows).unwrap();
        assert!((temperature - 2.0 / 3_f64.ln()).abs() < 1e-12, "{temperature}");
    }

    #[test]
    fn images_that_are_all_right_or_all_wrong_have_none() {
        for target in [0, 1] {
            let rows: Vec<(&[f32], usize)> = vec![(&[0.0, 2.0], target); 9];
            assert_eq!(least_nll(&rows), None);
        }
    }
}
