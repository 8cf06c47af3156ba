use std::path::PathBuf;

use super::conformal::least_images;
use crate::text::file_name;

/// Why there is no calibration, or why one is not for a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrationError {
    /// Too few images to fit a temperature and to measure it.
    #[error(
        "a temperature is fitted to one half of the images and measured on the other, and {images} \
         are too few: validate more"
    )]
    TooFew {
        /// How many there are.
        images: usize,
    },
    /// The best temperature is 0 or without bound.
    #[error(
        "no temperature fits: of {images} images {right} have the right answer; validate on images \
         of which some, not all, are right"
    )]
    NoFit {
        /// Images that a temperature was to be fitted to.
        images: usize,
        /// How many of them are right.
        right: usize,
    },
    /// A file that cannot be read.
    #[error("{}: {source}", file_name(file))]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that is not a calibration.
    #[error("{}: not a calibration that `effnet validate` wrote: {reason}", file_name(file))]
    Form {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A calibration of other weights, or of images prepared in another way.
    #[error(
        "the calibration is for {what} {made_for}, and the model has {found}: make one of this \
         model with `effnet validate`"
    )]
    Other {
        /// What differs.
        what: &'static str,
        /// The calibration's.
        made_for: String,
        /// The model's.
        found: String,
    },
    /// A share that is not between 0 and 1.
    #[error("a coverage is above 0 and below 1, such as 0.9, and not {0}")]
    Coverage(f64),
    /// A coverage that a calibration has too few images for.
    #[error(
        "a coverage of {coverage} needs at least {} held-out images, and the calibration has \
         {images}: ask for less, or validate more images",
        least_images(*coverage)
    )]
    TooFewFor {
        /// The coverage.
        coverage: f64,
        /// The calibration's held-out images.
        images: usize,
    },
}
