//! Sets of classes that contain the right one in a chosen share of images.
//!
//! Split conformal prediction with the least ambiguous sets (LAC: Sadinle, Lei and Wasserman 2019,
//! arXiv:1609.00451): a class is in the set if its probability is at least a threshold, and the
//! threshold is a quantile of the right classes' probabilities in images that were held out. If an
//! image comes from the same source as those n images, its class is in its set with a chance of at
//! least the coverage, for any n and any network; on the average over such n images, the chance is
//! at most 1 / (n + 1) more if no two probabilities are equal. It is a promise about all images
//! together, not about each kind of image.

use super::error::CalibrationError;

/// A threshold for the probabilities of one calibration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conformal {
    /// The share of images whose class is in its set.
    pub coverage: f64,
    /// The least probability of a class in a set.
    pub threshold: f32,
}

impl Conformal {
    /// The threshold for `coverage`. `right` are the right classes' probabilities in held-out images,
    /// ascending.
    ///
    /// # Errors
    ///
    /// A coverage that is not between 0 and 1, or too few images for it.
    ///
    /// ```
    /// use effnet::evaluation::Conformal;
    /// let right: Vec<f32> = (1..=9).map(|tenth| tenth as f32 / 10.0).collect();
    /// // Of 9 images and the next one, 9 of 10 have at least the smallest probability.
    /// assert_eq!(Conformal::new(0.9, &right)?.threshold, 0.1);
    /// assert_eq!(Conformal::new(0.5, &right)?.threshold, 0.5);
    /// assert!(Conformal::new(0.95, &right).is_err());
    /// # Ok::<(), effnet::evaluation::CalibrationError>(())
    /// ```
    pub fn new(coverage: f64, right: &[f32]) -> Result<Self, CalibrationError> {
        if !(coverage > 0.0 && coverage < 1.0) {
            return Err(CalibrationError::Coverage(coverage));
        }
        let images = right.len();
        let place = images.checked_sub(among(coverage, images));
        let threshold = place.and_then(|place| right.get(place));
        let threshold = *threshold.ok_or(CalibrationError::TooFewFor { coverage, images })?;
        Ok(Self { coverage, threshold })
    }

    /// How many of these probabilities, which are descending, are in the set: at least the first, so
    /// that every image has an answer.
    #[must_use]
    pub fn set_size(&self, probabilities: impl IntoIterator<Item = f32>) -> usize {
        let reach = |p: &f32| *p >= self.threshold;
        probabilities.into_iter().take_while(reach).count().max(1)
    }
}

/// The least number of held-out images for a coverage.
///
/// ```
/// assert_eq!(effnet::evaluation::least_images(0.9), 9);
/// assert_eq!(effnet::evaluation::least_images(0.99), 99);
/// ```
#[must_use]
pub fn least_images(coverage: f64) -> usize {
    // n + 1 >= 1 / (1 - coverage); the few units in the last place are the decimals' rounding.
    (((1.0 - coverage).recip() * (1.0 - 1e-12)).ceil() as usize).saturating_sub(1).max(1)
}

/// How many of `images` + 1 make the coverage.
fn among(coverage: f64, images: usize) -> usize {
    ((images + 1) as f64 * coverage * (1.0 - 1e-12)).ceil() as usize
}
