//! What a model's outputs mean.

mod classify;
mod embed;
pub mod explain;
mod prediction;

pub use classify::Classifier;
pub use prediction::{EmbeddingOutcome, EmbeddingRecord, Outcome, Prediction, Record};
