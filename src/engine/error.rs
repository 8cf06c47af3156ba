use super::CpuError;
#[cfg(any(test, feature = "wgpu"))]
use super::WgpuError;
#[cfg(any(test, feature = "cuda", feature = "metal", feature = "wgpu"))]
use super::fuse::CannotFuse;
#[cfg(any(test, feature = "cuda", feature = "metal", feature = "wgpu"))]
use super::gpu::GpuError;

/// Why an engine could not be made or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The number of values does not match the images' shape.
    #[error("{values} values do not make images of shape {shape:?}")]
    Data {
        /// The number of values.
        values: usize,
        /// The shape they were given for: (N, C, H, W).
        shape: [usize; 4],
    },
    /// The images' number of channels is not the network's.
    #[error("the network takes images of {expected} channels, not {found}")]
    Channels {
        /// The network's input channels.
        expected: usize,
        /// The images' channels.
        found: usize,
    },
    /// The images' number of channels is not their normalization's.
    #[error("a normalization of {expected} channels for images of {found}")]
    Normalization {
        /// The normalization's channels.
        expected: usize,
        /// The images' channels.
        found: usize,
    },
    /// An output that the network does not have, or that was not asked for.
    #[error("no output {output:?}: there are {}", taps.join(", "))]
    Output {
        /// What was asked for.
        output: String,
        /// The outputs that there are.
        taps: Vec<String>,
    },
    /// An engine returned an output for a different number of images than it was given.
    #[error("the engine gave {output} of {found} images for {expected}")]
    Images {
        /// The output.
        output: String,
        /// The images that it was given.
        expected: usize,
        /// The images that its output has.
        found: usize,
    },
    /// Threads could not be started.
    #[error("cannot start {threads} threads: {source}")]
    Threads {
        /// The number of threads asked for.
        threads: usize,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// An error of the fused CPU engine.
    #[error(transparent)]
    Cpu(#[from] CpuError),
    /// An error of the engine `wgpu`.
    #[cfg(any(test, feature = "wgpu"))]
    #[error(transparent)]
    Wgpu(#[from] WgpuError),
    /// A device without memory for the images.
    #[error("the device has no memory for {images} images at once, but for about {fits}")]
    Memory {
        /// The images that it was given.
        images: usize,
        /// About how many it has memory for.
        fits: usize,
    },
    /// A part of the network that the engine has no kernel for.
    #[error("the engine has no kernel for {what} (`{at}`); the engine `candle` runs it")]
    NoKernel {
        /// What it would compute.
        what: String,
        /// timm's path of the layer.
        at: String,
    },
    /// A failure of what the engine runs on.
    #[error("the network failed to run: {0}")]
    Run(Box<dyn std::error::Error + Send + Sync>),
}

#[cfg(feature = "candle")]
impl From<candle_core::Error> for EngineError {
    fn from(error: candle_core::Error) -> Self {
        Self::Run(crate::text::first_line(&error).into())
    }
}

#[cfg(any(test, feature = "cuda", feature = "metal", feature = "wgpu"))]
impl From<GpuError> for EngineError {
    fn from(error: GpuError) -> Self {
        match error {
            #[cfg(feature = "cuda")]
            GpuError::Memory { images, fits } => Self::Memory { images, fits },
            GpuError::NoKernel { what, at } => Self::NoKernel { what, at },
            GpuError::Fuse(CannotFuse { what, at }) => Self::NoKernel { what: what.to_owned(), at },
            error => Self::Run(Box::new(error)),
        }
    }
}
