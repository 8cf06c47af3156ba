//! A fused network as a GPU runs it: tensors packed for maps of (N, h, w, channels), and a plan of kernels
//! with all sizes and places. The plan names no device; `cuda` turns it into launches.
//!
//! ```text
//! fuse -> pack (once) -> Layer, weights on the device -> plan (a shape) -> Step -> cuda::launch
//! ```
//!
//! Maps have `chs` padded to a multiple of [`LANES`] with zeros, so that loads are aligned. Vectors, which
//! are a pool's and all that is made of it, are float32.

mod arena;
mod cost;
pub(super) mod cuda;
mod kernel;
mod layouts;
mod pack;
mod plan;
#[cfg(test)]
mod tests;

pub(crate) use cost::Cost;
pub(crate) use kernel::{Act, Buffer, Conv2d, Input, Kernel};
#[cfg(feature = "cuda")]
pub(crate) use pack::Layer;
#[cfg(test)]
pub(crate) use pack::Tensor;
pub(crate) use pack::{GpuError, pack};
pub(crate) use plan::{Plan, Shape};

/// Channels are padded to a multiple of it.
pub(crate) const LANES: usize = 8;

/// `chs` padded.
pub(crate) const fn padded(chs: usize) -> usize {
    chs.next_multiple_of(LANES)
}
