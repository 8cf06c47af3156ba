//! What runs a network. An [`Engine`] takes a batch of images and returns the outputs asked for by
//! name; how it does so is hidden.

#[cfg(feature = "candle")]
mod candle;
mod choice;
mod cpu;
mod error;
mod fuse;
#[cfg(any(test, feature = "cuda", feature = "metal", feature = "wgpu"))]
mod gpu;
mod images;
mod outputs;

#[cfg(feature = "candle")]
pub use candle::CandleEngine;
pub use choice::{Device, DeviceChoice, Dtype, EngineChoice};
pub(crate) use cpu::cpu_threads;
pub use cpu::{CpuEngine, CpuError, CpuMemory, CpuOptions, Isa};
pub use error::EngineError;
#[cfg(feature = "cuda")]
pub use gpu::cuda::CudaEngine;
#[cfg(feature = "metal")]
pub use gpu::metal::MetalEngine;
#[cfg(any(test, feature = "wgpu"))]
pub use gpu::wgsl::{WgpuEngine, WgpuError};
pub use images::{Data, Images};
pub use outputs::{Array, Output, Outputs};

use std::fmt::Debug;
use std::time::Duration;

/// Runs one loaded network, from any number of threads at once.
///
/// Your own engine, such as a mock, needs [`capabilities`](Self::capabilities) and
/// [`run`](Self::run):
///
/// ```
/// use effnet::engine::{Array, Capabilities, Engine, EngineError, Images, Outputs};
///
/// /// Says that every image is of class 1 of 2.
/// #[derive(Debug)]
/// struct Mock;
///
/// impl Engine for Mock {
///     fn capabilities(&self) -> Capabilities {
///         Capabilities::new("mock")
///     }
///
///     fn run(&self, images: Images<'_>, outputs: &[&str]) -> Result<Outputs, EngineError> {
///         let n = images.shape()[0];
///         let logits = Array { data: [0.0, 9.0].repeat(n), shape: vec![n, 2] };
///         Ok(outputs.iter().map(|name| (name.to_string(), logits.clone().into())).collect())
///     }
/// }
///
/// let images = Images::new(&[0.0; 12], [1, 3, 2, 2])?;
/// let logits = Mock.run(images, &["logits"])?.take("logits")?;
/// assert_eq!(logits.data, [0.0, 9.0]);
/// # Ok::<(), EngineError>(())
/// ```
pub trait Engine: Send + Sync + Debug {
    /// What it is and what it can do.
    fn capabilities(&self) -> Capabilities;

    /// Runs `images` and returns the outputs of these names, in this order.
    ///
    /// The names are those of the network's taps ([`Graph::taps`](crate::arch::Graph::taps)):
    /// `logits` (N, classes; without a classifier the same as `pre_logits`), `pre_logits` (N, F),
    /// `features` (N, F, h, w), `stages.N` and `blocks.N.M` (N, C, h, w).
    ///
    /// # Errors
    ///
    /// Images of a shape that the network cannot take, a name that it does not have, or a failure
    /// of the device.
    fn run(&self, images: Images<'_>, outputs: &[&str]) -> Result<Outputs, EngineError>;

    /// Runs `images` once, step by step: what each step does, and how long it took for all images.
    /// Empty if the engine has no steps.
    ///
    /// # Errors
    ///
    /// Those of [`run`](Self::run).
    fn profile(&self, images: Images<'_>) -> Result<Vec<(String, Duration)>, EngineError> {
        let _ = images;
        Ok(Vec::new())
    }

    /// Runs `images` once, and gives what the device did for it, from the images in its memory to the
    /// logits there. `None` if the engine does not measure that.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    fn device_work(&self, images: Images<'_>) -> Result<Option<DeviceWork>, EngineError> {
        let _ = images;
        Ok(None)
    }
}

/// What a device did for a batch of images.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct DeviceWork {
    /// How long it took, by the device's clock.
    pub time: Duration,
    /// The kernels.
    pub launches: usize,
    /// Bytes of its memory that the kernels read and wrote, if each value moved once a kernel.
    pub bytes: usize,
    /// Floating-point operations; a product and a sum are two.
    pub flops: usize,
    /// Bytes a second that its memory moves at most, if known.
    pub most_bytes: Option<f64>,
    /// Floating-point operations a second of products in the network's number type at most, if known.
    pub most_flops: Option<f64>,
}

impl DeviceWork {
    /// Work of this time, of which nothing else is known.
    #[must_use]
    pub const fn new(time: Duration) -> Self {
        Self { time, launches: 0, bytes: 0, flops: 0, most_bytes: None, most_flops: None }
    }
}

/// What an [`Engine`] is and what it can do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The engine's name, such as `cpu` or `candle`.
    pub engine: &'static str,
    /// Where it runs.
    pub device: Device,
    /// The number type of its products.
    pub dtype: Dtype,
    /// What its own kernels were compiled for, such as `avx512`; `None` if it has none.
    pub kernels: Option<&'static str>,
    /// CPU threads that it uses, including the caller's.
    pub threads: usize,
    /// The most images that a call takes; `None` for as many as fit in memory.
    pub max_batch: Option<usize>,
}

impl Capabilities {
    /// The capabilities of an engine of this name that runs on the caller's thread, in float32.
    #[must_use]
    pub const fn new(engine: &'static str) -> Self {
        Self {
            engine,
            device: Device::Cpu,
            dtype: Dtype::F32,
            kernels: None,
            threads: 1,
            max_batch: None,
        }
    }
}

/// Checks that all `outputs` are among `taps`.
fn check_outputs(outputs: &[&str], taps: &[String]) -> Result<(), EngineError> {
    match outputs.iter().find(|output| !taps.iter().any(|tap| tap == *output)) {
        None => Ok(()),
        Some(output) => {
            Err(EngineError::Output { output: (*output).to_owned(), taps: taps.to_vec() })
        }
    }
}
