use std::borrow::Cow;

use super::EngineError;
use crate::preprocess::Normalize;

/// A batch of images: normalized floats, or bytes and their normalization.
#[derive(Debug, Clone, Copy)]
pub struct Images<'a> {
    data: Data<'a>,
    shape: [usize; 4],
}

/// The values of [`Images`].
#[derive(Debug, Clone, Copy)]
pub enum Data<'a> {
    /// Normalized, (N, C, H, W).
    Normalized(&'a [f32]),
    /// Bytes, (N, H, W, C), as images are decoded and resized; the engine normalizes them.
    Pixels(&'a [u8], &'a Normalize),
}

impl<'a> Images<'a> {
    /// A normalized batch of `shape` (N, C, H, W), row-major.
    ///
    /// # Errors
    ///
    /// A shape without pixels, or data of the wrong length.
    ///
    /// ```
    /// use effnet::engine::Images;
    /// assert!(Images::new(&[0.0; 12], [1, 3, 2, 2]).is_ok());
    /// let error = Images::new(&[0.0; 12], [2, 3, 2, 2]).unwrap_err();
    /// assert_eq!(error.to_string(), "12 values do not make images of shape [2, 3, 2, 2]");
    /// ```
    pub fn new(data: &'a [f32], shape: [usize; 4]) -> Result<Self, EngineError> {
        check(data.len(), shape)?;
        Ok(Self { data: Data::Normalized(data), shape })
    }

    /// A batch of bytes of `shape` (N, C, H, W), stored as (N, H, W, C).
    ///
    /// # Errors
    ///
    /// A shape without pixels, data of the wrong length, or a normalization for a different number
    /// of channels.
    ///
    /// ```
    /// use effnet::{engine::Images, preprocess::Normalize};
    /// let normalize = Normalize::new(&[0.5; 3], &[0.5; 3])?;
    /// let images = Images::pixels(&[0, 255, 255, 255, 0, 0], [1, 3, 1, 2], &normalize)?;
    /// assert_eq!(*images.normalized(), [-1.0, 1.0, 1.0, -1.0, 1.0, -1.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pixels(
        data: &'a [u8],
        shape: [usize; 4],
        normalize: &'a Normalize,
    ) -> Result<Self, EngineError> {
        check(data.len(), shape)?;
        if normalize.channels() != shape[1] {
            let (expected, found) = (normalize.channels(), shape[1]);
            return Err(EngineError::Normalization { expected, found });
        }
        Ok(Self { data: Data::Pixels(data, normalize), shape })
    }

    /// The values.
    #[must_use]
    pub fn data(&self) -> Data<'a> {
        self.data
    }

    /// (N, C, H, W).
    #[must_use]
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// The normalized values, (N, C, H, W); bytes are converted here.
    #[must_use]
    pub fn normalized(&self) -> Cow<'a, [f32]> {
        match self.data {
            Data::Normalized(data) => data.into(),
            Data::Pixels(data, normalize) => {
                let image = data.len() / self.shape[0];
                let mut values = vec![0.0; data.len()];
                for (from, to) in data.chunks_exact(image).zip(values.chunks_exact_mut(image)) {
                    normalize.bytes(from, to);
                }
                values.into()
            }
        }
    }
}

fn check(values: usize, shape: [usize; 4]) -> Result<(), EngineError> {
    let len = shape.iter().try_fold(1usize, |len, &side| len.checked_mul(side));
    match values {
        0 => Err(EngineError::Data { values, shape }),
        _ if len != Some(values) => Err(EngineError::Data { values, shape }),
        _ => Ok(()),
    }
}
