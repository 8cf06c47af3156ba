//! What a model's outputs mean.

mod classify;
mod embed;
mod prediction;

pub use classify::Classifier;
pub use prediction::{EmbeddingOutcome, EmbeddingRecord, Outcome, Prediction, Record};
