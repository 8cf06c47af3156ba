use super::Input;
use crate::Error;
use crate::preprocess::{DecodeOptions, EvalTransform, Pixels, PreprocessConfig, TransformError};
use crate::pretrained::ResolvedPreprocessing;

/// What prepares a model's images, without its network.
#[derive(Debug, Clone)]
pub struct Preprocessor {
    pub(super) model: String,
    pub(super) values: ResolvedPreprocessing,
    pub(super) notes: Vec<String>,
    transform: EvalTransform,
    decode: DecodeOptions,
}

impl Preprocessor {
    pub(super) fn new(
        model: String,
        values: ResolvedPreprocessing,
        decode: DecodeOptions,
        notes: Vec<String>,
    ) -> Result<Self, Error> {
        let transform = transform(&values)
            .map_err(|source| Error::Preprocessing { model: model.clone(), source })?;
        Ok(Self { model, values, notes, transform, decode })
    }

    /// An image resized and cropped: (H, W, C) bytes.
    ///
    /// # Errors
    ///
    /// An image that cannot be read.
    pub fn pixels<'a>(&self, image: impl Into<Input<'a>>) -> Result<Pixels, Error> {
        image.into().pixels(&self.decode, &self.transform)
    }

    /// An image as the network takes it: (C, H, W), normalized.
    ///
    /// # Errors
    ///
    /// As [`pixels`](Self::pixels).
    pub fn input<'a>(&self, image: impl Into<Input<'a>>) -> Result<Vec<f32>, Error> {
        let image = image.into();
        let pixels = image.pixels(&self.decode, &self.transform)?;
        let mut input = vec![0.0; self.transform.input_len()];
        let error = |source| Error::Transform { image: image.name(), source };
        self.transform.normalize(&pixels, &mut input).map_err(error)?;
        Ok(input)
    }

    /// Resize, crop and normalization.
    #[must_use]
    pub fn transform(&self) -> &EvalTransform {
        &self.transform
    }

    /// The preprocessing's values and where each comes from.
    #[must_use]
    pub fn values(&self) -> &ResolvedPreprocessing {
        &self.values
    }

    /// What the user may want to know: a retired name, values that were made to fit.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// The preprocessing's values as the transform takes them.
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
