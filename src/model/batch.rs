//! Many images: decoded in parallel, run in batches, each with a result of its own.

use super::{AsInput, Model};
use crate::Error;
use crate::engine::{Images, Outputs};
use crate::preprocess::Pixels;

impl Model {
    /// One output for each image of a batch, which `result` makes something of: decoding runs in parallel, an
    /// image that fails does not stop the others. Results are in the order of `images`.
    pub(crate) fn batch<I, T>(
        &self,
        images: &[I],
        output: &str,
        result: impl Fn(&[f32]) -> Result<T, Error>,
    ) -> Vec<Result<T, Error>>
    where
        I: AsInput + Sync,
    {
        let prepared = self.0.decoders.all(images, |image| self.preprocessor()?.pixels(image));
        self.infer(prepared, output, result)
    }

    /// As [`batch`](Self::batch), for any number of images, `batch_size` at a time. While one batch is in
    /// the network, the next is taken from `images` and decoded. `each` gets every image with its result,
    /// in order, until it fails.
    pub(crate) fn each<I, T, E>(
        &self,
        images: impl IntoIterator<Item = I>,
        batch_size: usize,
        output: &str,
        result: impl Fn(&[f32]) -> Result<T, Error>,
        each: impl FnMut(I, Result<T, Error>) -> Result<(), E>,
    ) -> Result<(), E>
    where
        I: AsInput + Send + Sync,
    {
        let prepare = |image: &I| self.preprocessor()?.pixels(image);
        let infer = |prepared| self.infer(prepared, output, &result);
        self.0.decoders.batches(images, batch_size, prepare, infer, each)
    }

    /// One result for each prepared image, the good ones in one batch.
    fn infer<T>(
        &self,
        prepared: Vec<Result<Pixels, Error>>,
        output: &str,
        result: impl Fn(&[f32]) -> Result<T, Error>,
    ) -> Vec<Result<T, Error>> {
        let rows = |pixels: &[&Pixels]| -> Result<_, Error> {
            Ok(self.run_pixels(pixels, &[output])?.take(output)?)
        };
        let good: Vec<&Pixels> = prepared.iter().flatten().collect();
        if good.is_empty() {
            return prepared.into_iter().filter_map(|failed| failed.err().map(Err)).collect();
        }
        let array = match rows(&good) {
            Ok(array) => array,
            // Fatal to the batch, not to each of its images: a device may have memory for some.
            Err(error) => {
                if good.len() > 1
                    && let Ok(preprocessor) = self.preprocessor()
                {
                    let images = good.len();
                    preprocessor.tell(|| format!("{images} images run one by one: {error}"));
                }
                let alone = |pixels: Pixels| result(&rows(&[&pixels])?.data);
                return prepared.into_iter().map(|pixels| pixels.and_then(alone)).collect();
            }
        };
        let mut rows = array.rows();
        let row = |pixels: Result<_, Error>| {
            pixels.and_then(|_: Pixels| result(rows.next().unwrap_or_default()))
        };
        prepared.into_iter().map(row).collect()
    }

    /// Outputs for images that are prepared: at least one.
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
                let image = || "image".to_owned();
                transform
                    .normalize(pixels, to)
                    .map_err(|source| Error::Transform { image: image(), source })?;
            }
            return self.run(Images::new(&values, shape)?, outputs);
        }
        let normalize = transform.normalization();
        if let [pixels] = pixels {
            return self.run(Images::pixels(pixels.data(), shape, normalize)?, outputs);
        }
        let bytes: Vec<u8> = pixels.iter().flat_map(|pixels| pixels.data()).copied().collect();
        self.run(Images::pixels(&bytes, shape, normalize)?, outputs)
    }
}
