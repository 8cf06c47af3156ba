//! What a model's outputs mean.

mod answer;
mod classify;
mod embed;
pub mod explain;
mod prediction;
mod validate;

pub(crate) use answer::Answers;
pub use answer::{Answer, AnswerOptions};
pub use classify::Classifier;
pub use prediction::{EmbeddingOutcome, EmbeddingRecord, Outcome, Prediction, Predictions, Record};
pub use validate::{Labelled, Validation};
