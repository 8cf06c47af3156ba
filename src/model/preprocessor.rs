use std::fmt;
use std::sync::Arc;

use super::AsInput;
use crate::Error;
#[cfg(feature = "batcher")]
use crate::preprocess::announced_pixels;
use crate::preprocess::{
    DecodeOptions, EvalTransform, Image, Pixels, PreprocessConfig, TransformError,
};
use crate::pretrained::ResolvedPreprocessing;

/// What prepares a model's images, without its network.
#[derive(Debug, Clone)]
pub struct Preprocessor {
    values: ResolvedPreprocessing,
    notes: Vec<String>,
    transform: EvalTransform,
    decode: DecodeOptions,
    listener: Listener,
}

/// Receives a line about a single image.
type Listen = dyn Fn(&str) + Send + Sync;

/// Who receives what a user may want to know about single images.
#[derive(Clone, Default)]
pub(super) struct Listener(Option<Arc<Listen>>);

impl Listener {
    pub(super) fn new(listen: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listen)))
    }

    fn tell(&self, note: impl FnOnce() -> String) {
        if let Some(listen) = &self.0 {
            listen(&note());
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.0.is_some()).finish()
    }
}

impl Preprocessor {
    pub(super) fn new(
        model: &str,
        values: ResolvedPreprocessing,
        decode: DecodeOptions,
        notes: Vec<String>,
        listener: Listener,
    ) -> Result<Self, Error> {
        let transform = transform(&values)
            .map_err(|source| Error::Preprocessing { model: model.to_owned(), source })?;
        Ok(Self { values, notes, transform, decode, listener })
    }

    /// An image in the network's channels, at its own size.
    ///
    /// # Errors
    ///
    /// An image that cannot be read.
    pub fn decode(&self, image: impl AsInput) -> Result<Image, Error> {
        Ok(image.as_input().decode(&self.decode, self.transform.mode())?.into_owned())
    }

    /// How many pixels a file's header announces; 0 if it cannot be read.
    #[cfg(feature = "batcher")]
    pub(crate) fn announced_pixels(&self, file: &[u8]) -> u64 {
        announced_pixels(file, &self.decode)
    }

    /// An image resized and cropped: (H, W, C) bytes.
    ///
    /// # Errors
    ///
    /// An image that cannot be read.
    pub fn pixels(&self, image: impl AsInput) -> Result<Pixels, Error> {
        let image = image.as_input();
        let pixels = image.pixels(&self.decode, &self.transform)?;
        if pixels.is_clipped() {
            self.tell(|| format!("{}: levels beyond 255 became white, as in Pillow", image.name()));
        }
        Ok(pixels)
    }

    /// An image as the network takes it: (C, H, W), normalized.
    ///
    /// # Errors
    ///
    /// As [`pixels`](Self::pixels).
    pub fn input(&self, image: impl AsInput) -> Result<Vec<f32>, Error> {
        let image = image.as_input();
        let pixels = self.pixels(image)?;
        let mut input = vec![0.0; self.transform.input_len()];
        let error = |source| Error::Transform { image: image.name(), source };
        self.transform.normalize(&pixels, &mut input).map_err(error)?;
        Ok(input)
    }

    /// Tells the listener, if there is one.
    pub(super) fn tell(&self, note: impl FnOnce() -> String) {
        self.listener.tell(note);
    }

    /// How images are decoded: as asked for, and as the model's configuration says.
    #[must_use]
    pub fn decode_options(&self) -> &DecodeOptions {
        &self.decode
    }

    /// Resize, crop and normalization.
    #[must_use]
    pub fn transform(&self) -> &EvalTransform {
        &self.transform
    }

    /// The preprocessing values and where each comes from.
    #[must_use]
    pub fn values(&self) -> &ResolvedPreprocessing {
        &self.values
    }

    /// What the user may want to know: a retired name, adjusted values.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// The preprocessing values in the transform's form.
fn transform(values: &ResolvedPreprocessing) -> Result<EvalTransform, TransformError> {
    let [channels, height, width] = values.input_size.value;
    EvalTransform::new(PreprocessConfig {
        pipeline: values.pipeline,
        input_size: (channels, height, width),
        interpolation: values.interpolation.value.parse()?,
        crop_pct: values.crop_pct.value,
        crop_mode: values.crop_mode.value.parse()?,
        mean: values.mean.value.clone(),
        std: values.std.value.clone(),
    })
}
