//! A map over an image, and where on the image it lies.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use super::Explainer;
use crate::arch::Grid;
use crate::preprocess::Region;
use crate::tasks::Prediction;

/// Which parts of an image speak for a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Explanation {
    /// How it was made: `cam`, `grad-cam` or `occlusion`.
    pub method: String,
    /// The network's map that it was made from, `features` or `stages.N`; `None` for occlusion.
    pub stage: Option<String>,
    /// The class that is explained.
    pub class: Prediction,
    /// The class that it is compared with.
    pub versus: Option<Prediction>,
    /// The class's logit; less the other class's, if there is one.
    pub score: f32,
    /// The part of the score that belongs to no place: the classifier's bias. With `cam`, the map's
    /// mean and this sum up to the score; other methods have none.
    pub bias: Option<f32>,
    /// Rows of the map.
    pub height: usize,
    /// Columns of the map.
    pub width: usize,
    /// The map, row by row. With `cam`, what each place adds to the score, which may be negative; with
    /// `grad-cam`, the positive part of the maps' sum, weighted by the score's mean gradients; with
    /// `occlusion`, how far the score falls where a patch hides the image.
    pub map: Vec<f32>,
    /// What of the image the network saw.
    pub region: Region,
    /// Where the centres of the map's rows are, in the image's pixels from its top.
    pub rows: Places,
    /// Where the centres of the map's columns are, in the image's pixels from its left.
    pub columns: Places,
}

/// Places at equal distances along a side of an image, in its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Places {
    /// The first.
    pub first: f64,
    /// The distance between two neighbours.
    pub step: f64,
}

impl Places {
    /// Places of a grid over an input of `input` pixels that is the part of an image from `begin`, of
    /// `len` pixels.
    pub(super) fn new(grid: Grid, input: usize, begin: f64, len: f64) -> Self {
        let scale = len / input as f64;
        Self { first: begin + grid.first * scale, step: grid.step * scale }
    }

    /// The two of `count` places between which `at` is, and how far it is from the first to the second.
    /// Beyond the last place, both are the last.
    fn around(self, at: f64, count: usize) -> (usize, usize, f32) {
        let place = ((at - self.first) / self.step).clamp(0.0, count.saturating_sub(1) as f64);
        let before = place.floor();
        let next = (before as usize + 1).min(count.saturating_sub(1));
        (before as usize, next, (place - before) as f32)
    }
}

impl Explanation {
    /// The map's mean.
    #[must_use]
    pub fn mean(&self) -> f32 {
        let sum: f64 = self.map.iter().map(|&value| f64::from(value)).sum();
        (sum / self.map.len().max(1) as f64) as f32
    }

    /// The map's value at a place of the image, in its pixels from the top left corner, between the
    /// centres of its positions by bilinear interpolation. `None` where the network saw nothing.
    ///
    /// ```
    /// # #[cfg(feature = "bundled")] {
    /// use effnet::explain::{Method, Target};
    /// let classifier = effnet::Model::builder().build_classifier()?;
    /// let explainer = classifier.explainer(&Method::Cam)?;
    /// let map = explainer.explain("examples/images/coffee.png", Target::default())?;
    /// // The photograph has 600x400 pixels, of which the network sees the middle 350x350.
    /// assert!(map.at(300.0, 200.0).unwrap() > 10.0); // the cup
    /// assert_eq!(map.at(20.0, 20.0), None);
    /// # }
    /// # Ok::<(), effnet::Error>(())
    /// ```
    #[must_use]
    pub fn at(&self, x: f64, y: f64) -> Option<f32> {
        let Region { x: left, y: top, width, height } = self.region;
        if !(left..left + width).contains(&x) || !(top..top + height).contains(&y) {
            return None;
        }
        let (row, below, down) = self.rows.around(y, self.height);
        let (column, beside, right) = self.columns.around(x, self.width);
        let value = |row: usize, column: usize| self.map.get(row * self.width + column).copied();
        let between = |row| {
            let (left, right_value) = (value(row, column)?, value(row, beside)?);
            Some(left + (right_value - left) * right)
        };
        let (upper, lower) = (between(row)?, between(below)?);
        Some(upper + (lower - upper) * down)
    }
}

/// The explanation of one image, as JSON: like [`Record`](crate::Record), with `explanation` in place
/// of `predictions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExplanationRecord {
    /// The image's path, or what the caller calls it.
    pub image: String,
    /// The model's name.
    pub model: String,
    /// `explanation` or `error`.
    #[serde(flatten)]
    pub outcome: ExplanationOutcome,
}

/// An explanation or an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExplanationOutcome {
    /// The map.
    Explanation(Box<Explanation>),
    /// Why there is none.
    Error(String),
}

impl Explainer {
    /// The JSON form of an explanation. The error may be the caller's own.
    #[must_use]
    pub fn record(
        &self,
        image: impl Into<String>,
        result: Result<Explanation, impl Display>,
    ) -> ExplanationRecord {
        let outcome = match result {
            Ok(explanation) => ExplanationOutcome::Explanation(Box::new(explanation)),
            Err(error) => ExplanationOutcome::Error(error.to_string()),
        };
        let model = self.classifier().provenance().model.clone();
        ExplanationRecord { image: image.into(), model, outcome }
    }
}
