//! Many images: decoded in parallel, run in batches, each with its own result.

use super::{AsInput, Model};
use crate::Error;
use crate::engine::{Array, Images, Outputs};
use crate::preprocess::Pixels;

impl Model {
    /// [`logits`](Self::logits) for many images in one batch. Decoding runs in parallel. An image
    /// that fails does not stop the others. Results are in the order of `images`.
    pub fn logits_batch<I>(&self, images: &[I]) -> Vec<Result<Vec<f32>, Error>>
    where
        I: AsInput + Sync,
    {
        self.batch(images, &["logits"], only)
    }

    /// [`feature_maps`](Self::feature_maps) for many images in one batch, like
    /// [`logits_batch`](Self::logits_batch).
    pub fn feature_maps_batch<I>(&self, images: &[I]) -> Vec<Result<Vec<Array>, Error>>
    where
        I: AsInput + Sync,
    {
        self.batch(images, &self.stages(), Ok)
    }

    /// Runs one batch, and calls `result` with these outputs of each image. Each array belongs to
    /// one image.
    pub(crate) fn batch<I, T>(
        &self,
        images: &[I],
        outputs: &[&str],
        result: impl Fn(Vec<Array>) -> Result<T, Error>,
    ) -> Vec<Result<T, Error>>
    where
        I: AsInput + Sync,
    {
        let prepared = self.0.decoders.all(images, |image| self.preprocessor()?.pixels(image));
        self.infer(prepared, outputs, result)
    }

    /// Like [`batch`](Self::batch), for any number of images, `batch_size` at a time. While one
    /// batch is in the network, the next is taken from `images` and decoded. `each` gets every
    /// image with its result, in order, until it fails.
    pub(crate) fn each<I, T, E>(
        &self,
        images: impl IntoIterator<Item = I>,
        batch_size: usize,
        outputs: &[&str],
        result: impl Fn(Vec<Array>) -> Result<T, Error>,
        each: impl FnMut(I, Result<T, Error>) -> Result<(), E>,
    ) -> Result<(), E>
    where
        I: AsInput + Send + Sync,
    {
        let prepare = |image: &I| self.preprocessor()?.pixels(image);
        let infer = |prepared| self.infer(prepared, outputs, &result);
        self.0.decoders.batches(images, batch_size, prepare, infer, each)
    }

    /// One result for each prepared image, the good ones in one batch.
    fn infer<T>(
        &self,
        prepared: Vec<Result<Pixels, Error>>,
        outputs: &[&str],
        result: impl Fn(Vec<Array>) -> Result<T, Error>,
    ) -> Vec<Result<T, Error>> {
        let arrays = |pixels: &[&Pixels]| -> Result<Vec<Array>, Error> {
            let mut run = self.run_pixels(pixels, outputs)?;
            outputs.iter().map(|output| Ok(run.take(output)?)).collect()
        };
        let good: Vec<&Pixels> = prepared.iter().flatten().collect();
        if good.is_empty() {
            return prepared.into_iter().filter_map(|failed| failed.err().map(Err)).collect();
        }
        let arrays = match arrays(&good) {
            Ok(arrays) => arrays,
            // The batch fails, but not each of its images: a device may have memory for some.
            Err(error) => {
                if good.len() > 1
                    && let Ok(preprocessor) = self.preprocessor()
                {
                    let images = good.len();
                    preprocessor.tell(|| format!("{images} images run one by one: {error}"));
                }
                let alone = |pixels: Pixels| result(arrays(&[&pixels])?);
                return prepared.into_iter().map(|pixels| pixels.and_then(alone)).collect();
            }
        };
        let mut image = 0;
        let row = |pixels: Result<Pixels, Error>| {
            pixels?;
            let of_image = arrays.iter().map(|array| array.image(image)).collect();
            image += 1;
            result(of_image)
        };
        prepared.into_iter().map(row).collect()
    }

    /// Outputs for prepared images, at least one.
    pub(super) fn run_pixels(
        &self,
        pixels: &[&Pixels],
        outputs: &[&str],
    ) -> Result<Outputs, Error> {
        let transform = self.preprocessor()?.transform();
        let (channels, height, width) = transform.config().input_size;
        let shape = [pixels.len(), channels, height, width];
        if pixels.iter().any(|pixels| pixels.exact().is_some()) {
            let mut values = vec![0.0; pixels.len() * transform.input_len()];
            for (pixels, to) in pixels.iter().zip(values.chunks_exact_mut(transform.input_len())) {
                let error = |source| Error::Transform { image: "image".to_owned(), source };
                transform.normalize(pixels, to).map_err(error)?;
            }
            return self.run(Images::new(&values, shape)?, outputs);
        }
        let normalize = transform.normalization();
        if let [pixels] = pixels {
            return self.run(Images::pixels(pixels.data(), shape, normalize)?, outputs);
        }
        let bytes = pixels.iter().map(|pixels| pixels.data()).collect::<Vec<_>>().concat();
        self.run(Images::pixels(&bytes, shape, normalize)?, outputs)
    }
}

/// The values of the only requested output.
pub(crate) fn only(arrays: Vec<Array>) -> Result<Vec<f32>, Error> {
    Ok(arrays.into_iter().flat_map(|array| array.data).collect())
}
