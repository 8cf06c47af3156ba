use std::ops::Deref;

use serde::{Deserialize, Serialize};

use super::Answer;
use crate::labels::{LabelSet, Scored};

/// One class that an image may belong to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Prediction {
    /// The class's index.
    pub index: usize,
    /// Its WordNet synset, for ImageNet classes: `n07920052`.
    pub synset: Option<String>,
    /// Its name: `espresso`; absent if the model has no labels.
    pub label: Option<String>,
    /// In [0, 1]: softmax over all classes, or the sigmoid of `logit`; absent if the outputs are
    /// not logits (the activation `none`).
    pub probability: Option<f32>,
    /// The network's output; for class 0 of a network with one output, that output negated.
    pub logit: f32,
}

impl Prediction {
    /// `class` is the index of the scored output in `labels`.
    pub(super) fn new(scored: Scored, class: usize, labels: Option<&LabelSet>) -> Self {
        let label = labels.and_then(|labels| labels.get(class));
        Self {
            index: scored.index,
            synset: label.and_then(|label| label.synset).map(str::to_owned),
            label: label.map(|label| label.label.to_owned()),
            probability: scored.probability,
            logit: scored.logit,
        }
    }
}

/// The classes of one image, best first, and the answer that follows from
/// [`AnswerOptions`](crate::AnswerOptions).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Predictions {
    /// The most probable classes, or a set of classes if there is a coverage.
    pub classes: Vec<Prediction>,
    /// The answer, if it has to have a least probability.
    pub answer: Option<Answer>,
    /// The share of images whose class is in the set, if the classes are a set.
    pub coverage: Option<f64>,
}

/// The classes.
impl Deref for Predictions {
    type Target = [Prediction];

    fn deref(&self) -> &[Prediction] {
        &self.classes
    }
}

impl IntoIterator for Predictions {
    type Item = Prediction;
    type IntoIter = std::vec::IntoIter<Prediction>;

    fn into_iter(self) -> Self::IntoIter {
        self.classes.into_iter()
    }
}

impl<'a> IntoIterator for &'a Predictions {
    type Item = &'a Prediction;
    type IntoIter = std::slice::Iter<'a, Prediction>;

    fn into_iter(self) -> Self::IntoIter {
        self.classes.iter()
    }
}

/// The result for one image: the JSON of the command, of the library and of any server.
///
/// ```
/// use effnet::{Outcome, Record};
/// let failed = Outcome::Error("a.jpg: no such file".into());
/// let record = Record::new("a.jpg", "efficientnet_b0.ra_in1k", failed);
/// assert_eq!(
///     serde_json::to_string(&record)?,
///     r#"{"image":"a.jpg","model":"efficientnet_b0.ra_in1k","error":"a.jpg: no such file"}"#
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(description = "The result for one image."))]
pub struct Record {
    /// The image's path, or what the caller calls it.
    pub image: String,
    /// The model's name.
    pub model: String,
    /// `predictions`, best first, or `error`.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The answer, if it has to have a least probability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// If it is given, `predictions` are a set with the right class in this share of images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<f64>,
}

impl Record {
    /// A result without an answer and a coverage.
    pub fn new(image: impl Into<String>, model: impl Into<String>, outcome: Outcome) -> Self {
        Self { image: image.into(), model: model.into(), outcome, answer: None, coverage: None }
    }
}

/// Predictions or an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The most probable classes, best first.
    Predictions(Vec<Prediction>),
    /// Why there are none.
    Error(String),
}

/// The embedding of one image, as JSON: like [`Record`], with `embedding` in place of `predictions`.
///
/// ```
/// use effnet::{EmbeddingOutcome, EmbeddingRecord};
/// let record = EmbeddingRecord {
///     image: "a.jpg".into(),
///     model: "efficientnet_b0.ra_in1k".into(),
///     outcome: EmbeddingOutcome::Embedding(vec![0.5, 2.0]),
/// };
/// assert_eq!(
///     serde_json::to_string(&record)?,
///     r#"{"image":"a.jpg","model":"efficientnet_b0.ra_in1k","embedding":[0.5,2.0]}"#
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(description = "The embedding of one image."))]
pub struct EmbeddingRecord {
    /// The image's path, or what the caller calls it.
    pub image: String,
    /// The model's name.
    pub model: String,
    /// `embedding` or `error`.
    #[serde(flatten)]
    pub outcome: EmbeddingOutcome,
}

/// An embedding or an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EmbeddingOutcome {
    /// The pooled features.
    Embedding(Vec<f32>),
    /// Why there are none.
    Error(String),
}
