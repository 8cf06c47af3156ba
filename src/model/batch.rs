//! Many images: decoded in parallel, run in batches, each with its own result.

use std::sync::atomic::Ordering::Relaxed;

use super::{AsInput, Model};
use crate::Error;
use crate::engine::{Array, Device, EngineError, Images, Outputs};
use crate::preprocess::Pixels;

/// With fewer batches, how long the network waited for images says little.
const FEW: usize = 8;

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

    /// [`outputs`](Self::outputs) for any number of images, as
    /// [`classify_each`](crate::Classifier::classify_each) classifies them.
    ///
    /// # Errors
    ///
    /// The error of `each`.
    ///
    /// ```
    /// use effnet::Model;
    /// let model = Model::builder().model("efficientnet_lite0").weights("seeded:0").build()?;
    /// let images = ["examples/images/coffee.png", "examples/images/rocket.jpg"];
    /// let outputs = ["stages.4", "logits"];
    /// model.outputs_each(images, 8, &outputs, |_, outputs| {
    ///     assert_eq!(outputs?.get("stages.4").unwrap().shape(), [1, 320, 7, 7]);
    ///     Ok::<(), effnet::Error>(())
    /// })?;
    /// # Ok::<(), effnet::Error>(())
    /// ```
    pub fn outputs_each<I, E>(
        &self,
        images: impl IntoIterator<Item = I>,
        batch_size: usize,
        outputs: &[&str],
        each: impl FnMut(I, Result<Outputs, Error>) -> Result<(), E>,
    ) -> Result<(), E>
    where
        I: AsInput + Send + Sync,
    {
        let named = |arrays: Vec<Array>| {
            let pairs = outputs.iter().zip(arrays);
            Ok(pairs.map(|(name, array)| ((*name).to_owned(), array.into())).collect())
        };
        self.each(images, batch_size, outputs, named, each)
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
        let mut batches = 0;
        let infer = |prepared| {
            batches += 1;
            self.infer(prepared, outputs, &result)
        };
        let times = self.0.decoders.batches(images, batch_size, prepare, infer, each)?;
        // On a CPU, decoding and the network share the cores: neither waits.
        let is_cpu = self.engine().capabilities().device == Device::Cpu;
        if let (false, Ok(preprocessor)) = (is_cpu || batches < FEW, self.preprocessor()) {
            let [worked, waited] = times.map(|time| time.as_secs_f64());
            let share = 100.0 * waited / (worked + waited);
            preprocessor
                .tell(|| format!("the network waited {share:.0}% of the time for decoded images"));
        }
        Ok(())
    }

    /// Applies `prepare` to every item on the threads that decode, and keeps their order.
    #[cfg(feature = "batcher")]
    pub(crate) fn on_decoders<T: Sync, P: Send>(
        &self,
        items: &[T],
        prepare: impl Fn(&T) -> P + Sync,
    ) -> Vec<P> {
        self.0.decoders.all(items, prepare)
    }

    /// The number of these threads.
    #[cfg(feature = "batcher")]
    pub(crate) fn decoder_threads(&self) -> usize {
        self.0.decoders.threads()
    }

    /// One result for each prepared image, the good ones in one batch.
    fn infer<T>(
        &self,
        prepared: Vec<Result<Pixels, Error>>,
        outputs: &[&str],
        result: impl Fn(Vec<Array>) -> Result<T, Error>,
    ) -> Vec<Result<T, Error>> {
        let good: Vec<&Pixels> = prepared.iter().flatten().collect();
        let mut arrays = self.arrays_of_each(&good, outputs).into_iter();
        let row = |pixels: Result<Pixels, Error>| match pixels.map(|_| arrays.next()) {
            Ok(arrays) => result(arrays.transpose()?.unwrap_or_default()),
            Err(error) => Err(error),
        };
        prepared.into_iter().map(row).collect()
    }

    /// Outputs of each of the images. If a batch fails, not all its images need to: it runs in smaller
    /// ones. If the device has too little memory for it, so do all later batches.
    pub(crate) fn arrays_of_each(
        &self,
        pixels: &[&Pixels],
        outputs: &[&str],
    ) -> Vec<Result<Vec<Array>, Error>> {
        let in_batches = |size: usize| {
            pixels.chunks(size).flat_map(|batch| self.arrays_of_each(batch, outputs)).collect()
        };
        let (images, most) = (pixels.len(), self.0.fits.load(Relaxed));
        if images == 0 || images > most {
            return in_batches(most);
        }
        let arrays = || -> Result<Vec<Array>, Error> {
            let mut run = self.run_pixels(pixels, outputs)?;
            outputs.iter().map(|output| Ok(run.take(output)?)).collect()
        };
        match arrays() {
            Ok(arrays) => {
                let image = |image| Ok(arrays.iter().map(|array| array.image(image)).collect());
                (0..images).map(image).collect()
            }
            Err(error) if images == 1 => vec![Err(error)],
            Err(error) => {
                let size = match &error {
                    &Error::Engine(EngineError::Memory { fits, .. }) => {
                        let fits = fits.clamp(1, images - 1);
                        self.0.fits.fetch_min(fits, Relaxed);
                        fits
                    }
                    _ => images.div_ceil(2),
                };
                if let Ok(preprocessor) = self.preprocessor() {
                    let note = || format!("{images} images run in batches of {size}: {error}");
                    preprocessor.tell(note);
                }
                in_batches(size)
            }
        }
    }

    /// Outputs for prepared images, at least one.
    pub(crate) fn run_pixels(
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::engine::{Capabilities, Engine};

    /// Has memory for three images, and fails for a batch with a white one.
    #[derive(Debug, Clone, Default)]
    struct Small {
        batches: Arc<Mutex<Vec<usize>>>,
    }

    impl Engine for Small {
        fn capabilities(&self) -> Capabilities {
            Capabilities::new("small")
        }

        fn run(&self, images: Images<'_>, outputs: &[&str]) -> Result<Outputs, EngineError> {
            let shape = images.shape();
            self.batches.lock().unwrap().push(shape[0]);
            if shape[0] > 3 {
                return Err(EngineError::Memory { images: shape[0], fits: 3 });
            }
            let values = images.normalized();
            let first = values.chunks_exact(shape[1..].iter().product()).map(|image| image[0]);
            let data: Vec<f32> = first.collect();
            if data.contains(&1.0) {
                return Err(EngineError::Run("a white image".into()));
            }
            let array = Array { shape: vec![data.len(), 1], data };
            Ok(outputs.iter().map(|name| ((*name).to_owned(), array.clone().into())).collect())
        }
    }

    #[test]
    fn a_batch_that_is_too_large_runs_in_smaller_ones_from_then_on() {
        let (engine, notes) = (Small::default(), Arc::new(Mutex::new(Vec::new())));
        let heard = Arc::clone(&notes);
        let builder = Model::builder().model("efficientnet_lite0").custom_engine(engine.clone());
        let builder = builder.mean([0.0]).std([1.0]);
        let listen = move |note: &str| heard.lock().unwrap().push(note.to_owned());
        let model = builder.on_note(listen).build().unwrap();
        let image = |level: u8| image::RgbImage::from_pixel(8, 8, image::Rgb([level; 3]));
        let images: Vec<_> = [51, 102, 255, 0, 153].map(image).to_vec();
        let results = model.logits_batch(&images);
        let values: Vec<_> = results.iter().map(|result| result.as_ref().ok()).collect();
        assert_eq!(
            values,
            [Some(&vec![0.2]), Some(&vec![0.4]), None, Some(&vec![0.0]), Some(&vec![0.6])]
        );
        // Five, three with a white one, which are two and one, and each of the two; then the last two.
        assert_eq!(*engine.batches.lock().unwrap(), [5, 3, 2, 1, 2]);
        assert_eq!(notes.lock().unwrap().len(), 2);
        assert_eq!(model.logits_batch(&images[..2]).len(), 2);
        model.logits_batch(&[51; 6].map(image));
        assert_eq!(engine.batches.lock().unwrap()[5..], [2, 3, 3]);
    }
}
