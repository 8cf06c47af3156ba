use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::Model;
use crate::engine::{Array, EngineError, Images};
use crate::preprocess::Image;

/// An image, or images that are already prepared, and what to give for it.
///
/// ```
/// use std::time::{Duration, Instant};
/// use effnet::batcher::Request;
/// let bytes = std::fs::read("examples/images/coffee.png")?;
/// let in_time = Instant::now() + Duration::from_secs(2);
/// let request = Request::encoded(bytes).outputs(["logits", "pre_logits"]).deadline(in_time);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Request {
    pub(super) work: Work,
    pub(super) outputs: Vec<String>,
    pub(super) deadline: Option<Instant>,
}

#[derive(Debug, Clone)]
pub(super) enum Work {
    /// The bytes of an image file.
    Encoded(Bytes),
    Decoded(Image),
    /// The network's input.
    Normalized {
        values: Vec<f32>,
        shape: [usize; 4],
    },
}

impl Work {
    /// How many pixels there are to be decoded or resized, as the file's header announces them.
    pub(super) fn pixels(&self, model: &Model) -> u64 {
        match self {
            Self::Encoded(bytes) => {
                model.preprocessor().map_or(0, |own| own.announced_pixels(bytes))
            }
            Self::Decoded(image) => u64::from(image.width()) * u64::from(image.height()),
            Self::Normalized { .. } => 0,
        }
    }
}

impl Request {
    fn new(work: Work) -> Self {
        Self { work, outputs: vec!["logits".to_owned()], deadline: None }
    }

    /// The bytes of an image file.
    #[must_use]
    pub fn encoded(bytes: impl Into<Bytes>) -> Self {
        Self::new(Work::Encoded(bytes.into()))
    }

    /// A decoded image, to be resized and cropped.
    #[must_use]
    pub fn decoded(image: Image) -> Self {
        Self::new(Work::Decoded(image))
    }

    /// Normalized images of `shape` (N, C, H, W), row-major, which go through the network as they
    /// are.
    ///
    /// # Errors
    ///
    /// Those of [`Images::new`].
    pub fn normalized(values: Vec<f32>, shape: [usize; 4]) -> Result<Self, EngineError> {
        Images::new(&values, shape)?;
        Ok(Self::new(Work::Normalized { values, shape }))
    }

    /// The outputs to give, by name, in place of `logits`: see
    /// [`Engine::run`](crate::engine::Engine::run).
    #[must_use]
    pub fn outputs<S: Into<String>>(mut self, outputs: impl IntoIterator<Item = S>) -> Self {
        self.outputs = outputs.into_iter().map(Into::into).collect();
        self
    }

    /// When the answer must be there. Without a deadline, a request waits as long as it takes.
    #[must_use]
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

/// The answer to a [`Request`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Response {
    /// The outputs in the order of the request; the first dimension counts its images.
    pub outputs: Vec<Array>,
    /// Where the time went.
    pub timings: Timings,
    /// The images that went through the network together, this request's included.
    pub batch_size: usize,
}

/// Where a request's time went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timings {
    /// Waiting for other requests, before and after decoding.
    pub queue: Duration,
    /// Decoding the image.
    pub decode: Duration,
    /// Resizing and cropping it.
    pub preprocess: Duration,
    /// The network, for the whole batch.
    pub infer: Duration,
}
