//! What can go wrong between a network and an adapter.

use crate::engine::gpu::GpuError;
use crate::weights::WeightsError;

/// Why the engine `wgpu` does not run something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WgpuError {
    /// There is no adapter, or none of the name that was asked for.
    #[error(
        "no GPU adapter{}: install a driver for Vulkan (Debian: mesa-vulkan-drivers, which also runs \
         on the CPU), Direct3D 12 or Metal{}",
        asked.as_ref().map(|name| format!(" has {name:?} in its name")).unwrap_or_default(),
        found(there)
    )]
    NoAdapter {
        /// `WGPU_ADAPTER_NAME`, if it is set.
        asked: Option<String>,
        /// The adapters that there are.
        there: Vec<String>,
    },
    /// A part of the network without kernels.
    #[error("the engine `wgpu` cannot run {what} (`{at}`), the engine `candle` can")]
    NoKernel {
        /// The part.
        what: String,
        /// Where it is in the network, by timm's names.
        at: String,
    },
    /// A tensor is missing or has another shape.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A weight that the number type cannot hold.
    #[error("`{at}` has a weight of {value}, which float16 cannot hold: use bf16 or f32")]
    Value {
        /// The layer, by timm's name.
        at: String,
        /// The weight.
        value: f32,
    },
    /// Images so small that nothing is left of them at some layer.
    #[error("images of {height} by {width} pixels are too small for the network")]
    TooSmall {
        /// Pixels from top to bottom.
        height: usize,
        /// Pixels from left to right.
        width: usize,
    },
    /// One image's feature maps, or one layer's weights, exceed what the adapter takes.
    #[error("{what} take {bytes} bytes, the adapter's buffers have at most {most}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its bytes.
        bytes: usize,
        /// The most bytes of a buffer.
        most: usize,
    },
    /// The device has no memory for the weights, or for images of this shape.
    #[error("the device is out of memory: give it fewer images at once")]
    Memory,
    /// The device is gone, as after a reset of its driver; the engine has to be made anew.
    #[error("the device was lost: {0}")]
    Lost(String),
    /// The driver refused something.
    #[error("the device failed: {0}")]
    Device(String),
}

fn found(there: &[String]) -> String {
    if there.is_empty() { String::new() } else { format!(" (found: {})", there.join(", ")) }
}

impl From<GpuError> for WgpuError {
    fn from(error: GpuError) -> Self {
        match error {
            GpuError::Weights(error) => Self::Weights(error),
            GpuError::Fuse(error) => Self::NoKernel { what: error.what.to_owned(), at: error.at },
            GpuError::NoKernel { what, at } => Self::NoKernel { what, at },
            GpuError::TooSmall { height, width } => Self::TooSmall { height, width },
            GpuError::Device(said) => Self::Device(said),
            GpuError::Memory(_) => Self::Memory,
        }
    }
}
