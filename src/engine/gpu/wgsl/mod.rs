//! The plan by kernels in WGSL, whose contract with `launch.rs` is in `kernels/common.wgsl`.

#[cfg(any(test, feature = "wgpu"))]
mod context;
#[cfg(any(test, feature = "wgpu"))]
mod engine;
#[cfg(any(test, feature = "wgpu"))]
mod error;
mod launch;
#[cfg(any(test, feature = "wgpu"))]
mod pass;
mod tensors;
#[cfg(test)]
mod tests;

#[cfg(any(test, feature = "wgpu"))]
pub use engine::WgpuEngine;
#[cfg(any(test, feature = "wgpu"))]
pub use error::WgpuError;
pub(crate) use launch::{Dispatch, Places, launch};
#[cfg(feature = "metal")]
pub(crate) use tensors::{Laid, Place, TooLarge, load};

#[cfg(any(test, feature = "wgpu"))]
use crate::engine::Dtype;

/// The kernels' text for maps of a type: its quads, then the files in the order in which they build on each
/// other.
#[cfg(any(test, feature = "wgpu"))]
pub(crate) fn text(dtype: Dtype) -> String {
    let quads: &[&str] = match dtype {
        Dtype::F32 => &[include_str!("kernels/f32.wgsl")],
        Dtype::F16 => &[include_str!("kernels/halves.wgsl"), include_str!("kernels/f16.wgsl")],
        Dtype::Bf16 => &[include_str!("kernels/halves.wgsl"), include_str!("kernels/bf16.wgsl")],
    };
    let kernels = [
        include_str!("kernels/common.wgsl"),
        include_str!("kernels/product.wgsl"),
        include_str!("kernels/convs.wgsl"),
        include_str!("kernels/vectors.wgsl"),
        include_str!("kernels/attention.wgsl"),
        include_str!("kernels/maps.wgsl"),
        include_str!("kernels/norms.wgsl"),
    ];
    [quads, &kernels].concat().join("\n")
}
