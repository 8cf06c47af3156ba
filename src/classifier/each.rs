//! Many images: decoded in parallel, run in batches, each with a result of its own.

use super::{Classifier, Input, Prediction};
use crate::Error;
use crate::engine::Wanted;

/// Which of the network's outputs a result is made of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Row {
    Logits,
    PreLogits,
}

type Prepared = Vec<Result<Vec<f32>, Error>>;

impl Classifier {
    /// [`classify`](Self::classify) for many images in one batch: decoding runs in parallel, an
    /// image that fails does not stop the others. Results are in the order of `images`.
    pub fn classify_batch<'a, I>(
        &self,
        images: &'a [I],
        k: usize,
    ) -> Vec<Result<Vec<Prediction>, Error>>
    where
        I: Sync,
        Input<'a>: From<&'a I>,
    {
        self.infer(self.prepare(images), Row::Logits, |logits| self.top_k(logits, k))
    }

    /// Classifies any number of images in batches of `batch_size`; while one batch is in the
    /// network, the next is decoded. `each` gets every image with its result, in order; an error of
    /// `each` ends the run at once.
    ///
    /// # Errors
    ///
    /// That of `each`.
    pub fn classify_each<'a, I, E>(
        &self,
        images: &'a [I],
        batch_size: usize,
        k: usize,
        each: impl FnMut(&'a I, Result<Vec<Prediction>, Error>) -> Result<(), E>,
    ) -> Result<(), E>
    where
        I: Sync,
        Input<'a>: From<&'a I>,
    {
        let infer = |prepared| self.infer(prepared, Row::Logits, |logits| self.top_k(logits, k));
        self.each(images, batch_size, infer, each)
    }

    /// [`embed`](Self::embed) for any number of images, as [`classify_each`](Self::classify_each)
    /// classifies them.
    ///
    /// # Errors
    ///
    /// That of `each`.
    pub fn embed_each<'a, I, E>(
        &self,
        images: &'a [I],
        batch_size: usize,
        each: impl FnMut(&'a I, Result<Vec<f32>, Error>) -> Result<(), E>,
    ) -> Result<(), E>
    where
        I: Sync,
        Input<'a>: From<&'a I>,
    {
        let infer = |prepared| self.infer(prepared, Row::PreLogits, |row| Ok(row.to_vec()));
        self.each(images, batch_size, infer, each)
    }

    fn each<'a, I, T, E>(
        &self,
        images: &'a [I],
        batch_size: usize,
        infer: impl Fn(Prepared) -> Vec<Result<T, Error>>,
        each: impl FnMut(&'a I, Result<T, Error>) -> Result<(), E>,
    ) -> Result<(), E>
    where
        I: Sync,
        Input<'a>: From<&'a I>,
    {
        let prepare = |image: &'a I| self.preprocessor()?.input(image);
        self.0.decoders.batches(images, batch_size, prepare, infer, each)
    }

    fn prepare<'a, I>(&self, images: &'a [I]) -> Prepared
    where
        I: Sync,
        Input<'a>: From<&'a I>,
    {
        self.0.decoders.all(images, |image| self.preprocessor()?.input(image))
    }

    /// One result for each prepared image, the good ones in one batch.
    fn infer<T>(
        &self,
        prepared: Prepared,
        row: Row,
        result: impl Fn(&[f32]) -> Result<T, Error>,
    ) -> Vec<Result<T, Error>> {
        let mut batch = Vec::new();
        let good = prepared.iter().flatten().count();
        prepared.iter().flatten().for_each(|input| batch.extend_from_slice(input));
        let rows = if good == 0 { Ok(Vec::new()) } else { self.rows(&batch, good, row) };
        let rows = match rows {
            Ok(rows) => rows,
            // Rare and fatal to the batch: each image meets the error in a run of its own.
            Err(_) => {
                let alone = |input: Vec<f32>| result(&self.rows(&input, 1, row)?);
                return prepared.into_iter().map(|input| input.and_then(alone)).collect();
            }
        };
        let mut rows = rows.chunks_exact((rows.len() / good.max(1)).max(1));
        prepared
            .into_iter()
            .map(|input| input.and_then(|_| result(rows.next().unwrap_or_default())))
            .collect()
    }

    /// One output of `n` prepared images, one row after the other.
    pub(super) fn rows(&self, input: &[f32], n: usize, row: Row) -> Result<Vec<f32>, Error> {
        let nothing = Wanted::default();
        let wanted = match row {
            Row::Logits => Wanted { logits: true, ..nothing },
            Row::PreLogits => Wanted { pre_logits: true, ..nothing },
        };
        let outputs = self.run_batch(input, n, wanted)?;
        let array = match row {
            Row::Logits => outputs.logits,
            Row::PreLogits => outputs.pre_logits,
        };
        Ok(array.map(|array| array.data).unwrap_or_default())
    }
}
