//! Embeddings: the pooled features that a classifier reads.

use std::fmt::Display;

use super::{EmbeddingOutcome, EmbeddingRecord};
use crate::Error;
use crate::model::{AsInput, Model, only};

/// timm's `pre_logits`.
const OUTPUT: &str = "pre_logits";

impl Model {
    /// The pooled features that the classifier reads (timm's `pre_logits`): an embedding.
    ///
    /// # Errors
    ///
    /// Those of [`logits`](Self::logits).
    pub fn embed(&self, image: impl AsInput) -> Result<Vec<f32>, Error> {
        self.output(image, OUTPUT)
    }

    /// [`embed`](Self::embed) for many images in one batch: decoding runs in parallel, and an image
    /// that fails does not stop the others. Results are in the order of `images`.
    pub fn embed_batch<I>(&self, images: &[I]) -> Vec<Result<Vec<f32>, Error>>
    where
        I: AsInput + Sync,
    {
        self.batch(images, &[OUTPUT], only)
    }

    /// [`embed`](Self::embed) for any number of images, as
    /// [`classify_each`](crate::Classifier::classify_each) classifies them.
    ///
    /// # Errors
    ///
    /// The error of `each`.
    pub fn embed_each<I, E>(
        &self,
        images: impl IntoIterator<Item = I>,
        batch_size: usize,
        each: impl FnMut(I, Result<Vec<f32>, Error>) -> Result<(), E>,
    ) -> Result<(), E>
    where
        I: AsInput + Send + Sync,
    {
        self.each(images, batch_size, &[OUTPUT], only, each)
    }

    /// The JSON form of an embedding. The error may be the caller's own.
    #[must_use]
    pub fn embedding_record(
        &self,
        image: impl Into<String>,
        result: Result<Vec<f32>, impl Display>,
    ) -> EmbeddingRecord {
        let outcome = match result {
            Ok(embedding) => EmbeddingOutcome::Embedding(embedding),
            Err(error) => EmbeddingOutcome::Error(error.to_string()),
        };
        let model = self.provenance().model.clone();
        EmbeddingRecord { image: image.into(), model, outcome }
    }
}
