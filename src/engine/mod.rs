//! What runs a network. An [`Engine`] takes a batch of normalized images and gives the outputs that
//! were asked for; the caller does not know how.

mod candle;
mod cpu;
mod fuse;

pub use candle::CandleEngine;
pub use cpu::{CpuEngine, CpuError, CpuMemory, CpuOptions, Isa};

use std::fmt::Debug;
use std::time::Duration;

/// Runs one loaded network, from any number of threads at once.
pub trait Engine: Send + Sync + Debug {
    /// The engine's name: `candle` or `cpu`.
    fn name(&self) -> &'static str;

    /// Runs `images` and gives the outputs that `wanted` asks for.
    ///
    /// # Errors
    ///
    /// Images of a shape that the network does not take, or a failure of the device.
    fn run(&self, images: Images<'_>, wanted: Wanted) -> Result<Outputs, EngineError>;

    /// Threads of the CPU that it runs on, the caller's included.
    fn threads(&self) -> usize;

    /// The instruction set of its kernels, where it has kernels of its own.
    fn isa(&self) -> Option<Isa> {
        None
    }

    /// What its products are made of.
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    /// Runs `images` once, step by step: what each step does, and how long it took for all images.
    /// Nothing where the engine has no steps.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    fn profile(&self, images: Images<'_>) -> Result<Vec<(String, Duration)>, EngineError> {
        let _ = images;
        Ok(Vec::new())
    }
}

/// Which engine runs a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// The fused CPU engine on a CPU, Candle's operations on any other device.
    #[default]
    Auto,
    /// The fused CPU engine.
    Cpu,
    /// Candle's operations, on any device.
    Candle,
}

/// What the products of the fused CPU engine are made of. Sums, activations and what is between layers
/// are float32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dtype {
    /// float32.
    #[default]
    F32,
    /// bfloat16: weights and the inputs of pointwise and dense layers are rounded to it. Squeezed
    /// channels, depthwise, Winograd's and the image's convolutions stay float32.
    Bf16,
}

impl Dtype {
    /// `f32` or `bf16`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

/// A batch of normalized images, row-major.
#[derive(Debug, Clone, Copy)]
pub struct Images<'a> {
    data: &'a [f32],
    shape: [usize; 4],
}

impl<'a> Images<'a> {
    /// A batch of `shape` (N, C, H, W).
    ///
    /// # Errors
    ///
    /// A shape without pixels, or data of another length.
    ///
    /// ```
    /// use effnet::engine::Images;
    /// assert!(Images::new(&[0.0; 12], [1, 3, 2, 2]).is_ok());
    /// let error = Images::new(&[0.0; 12], [2, 3, 2, 2]).unwrap_err();
    /// assert_eq!(error.to_string(), "12 values do not make images of shape [2, 3, 2, 2]");
    /// ```
    pub fn new(data: &'a [f32], shape: [usize; 4]) -> Result<Self, EngineError> {
        let len = shape.iter().try_fold(1usize, |len, &side| len.checked_mul(side));
        if data.is_empty() || len != Some(data.len()) {
            return Err(EngineError::Data { values: data.len(), shape });
        }
        Ok(Self { data, shape })
    }

    /// The values.
    #[must_use]
    pub fn data(&self) -> &'a [f32] {
        self.data
    }

    /// (N, C, H, W).
    #[must_use]
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }
}

/// Which outputs to compute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Logits (N, classes); the pooled features where the network has no classifier.
    pub logits: bool,
    /// Pooled features (N, F) that the classifier reads.
    pub pre_logits: bool,
    /// The last feature map (N, F, h, w): timm's `forward_features`.
    pub features: bool,
    /// The feature map at the end of each resolution: timm's `forward_intermediates`.
    pub stages: bool,
}

/// The outputs that were asked for; the others are `None` or empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outputs {
    /// See [`Wanted::logits`].
    pub logits: Option<Array>,
    /// See [`Wanted::pre_logits`].
    pub pre_logits: Option<Array>,
    /// See [`Wanted::features`].
    pub features: Option<Array>,
    /// See [`Wanted::stages`].
    pub stages: Vec<Array>,
}

/// Values with a shape, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// The values, as many as the shape's product.
    pub data: Vec<f32>,
    /// The shape; the first dimension counts images.
    pub shape: Vec<usize>,
}

impl Array {
    /// The values of each image.
    ///
    /// ```
    /// let logits = effnet::engine::Array { data: vec![1.0, 2.0, 3.0, 4.0], shape: vec![2, 2] };
    /// assert_eq!(logits.rows().last(), Some(&[3.0, 4.0][..]));
    /// ```
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.data.chunks_exact(self.shape[1..].iter().product::<usize>().max(1))
    }
}

/// Why an engine could not be made or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// Values that do not make the images.
    #[error("{values} values do not make images of shape {shape:?}")]
    Data {
        /// The number of values.
        values: usize,
        /// The shape they were given for: (N, C, H, W).
        shape: [usize; 4],
    },
    /// Images with another number of channels than the network's.
    #[error("the network takes images of {expected} channels, not {found}")]
    Channels {
        /// The network's input channels.
        expected: usize,
        /// The images' channels.
        found: usize,
    },
    /// Threads could not be started.
    #[error("cannot start {threads} threads: {source}")]
    Threads {
        /// The number of threads asked for.
        threads: usize,
        /// What the operating system said.
        source: rayon::ThreadPoolBuildError,
    },
    /// The fused CPU engine's.
    #[error(transparent)]
    Cpu(#[from] CpuError),
    /// A failure in Candle or on its device.
    #[error("the network failed to run: {}", first_line(.0))]
    Candle(#[from] candle_core::Error),
}

/// Candle appends a backtrace where the environment asks for one.
fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
