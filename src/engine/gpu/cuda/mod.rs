//! The plan on CUDA: its kernels are `kernels/*.cuh`, whose first lines are the contract with `launch.rs`.

#![cfg_attr(feature = "cuda", allow(unsafe_code))]

#[cfg(feature = "cuda")]
mod engine;
mod launch;
#[cfg(feature = "cuda")]
mod prepared;
#[cfg(feature = "cuda")]
mod tensor;

#[cfg(feature = "cuda")]
pub use engine::CudaEngine;
#[cfg(feature = "cuda")]
use launch::Launch;
pub(super) use launch::launch;

/// The text of the kernels, in the order in which its files build on each other.
#[cfg(feature = "cuda")]
pub(super) const FILES: &[&str] = &[
    include_str!("kernels/machine.cuh"),
    include_str!("kernels/common.cuh"),
    include_str!("kernels/product.cuh"),
    include_str!("kernels/pointwise.cuh"),
    include_str!("kernels/conv.cuh"),
    include_str!("kernels/stem.cuh"),
    include_str!("kernels/depthwise.cuh"),
    include_str!("kernels/vectors.cuh"),
    include_str!("kernels/context.cuh"),
    include_str!("kernels/attention.cuh"),
    include_str!("kernels/maps.cuh"),
    include_str!("kernels/norms.cuh"),
];
