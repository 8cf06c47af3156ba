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
pub(crate) use tensors::{Laid, Place, Refused, load};

use crate::engine::Dtype;

/// The kernels' text for maps of a type: its quads, then the files in the order in which they build on each
/// other.
pub(crate) fn text(dtype: Dtype) -> String {
    let quads: &[&str] = match dtype {
        Dtype::F32 => &["f32"],
        Dtype::F16 => &["halves", "f16"],
        Dtype::Bf16 => &["halves", "bf16"],
    };
    let kernels = ["common", "product", "convs", "vectors", "attention", "maps", "norms"];
    let read = |name: &&str| std::fs::read_to_string(format!("{}/src/engine/gpu/wgsl/kernels/{name}.wgsl", env!("CARGO_MANIFEST_DIR"))).unwrap();
    quads.iter().chain(&kernels).map(read).collect::<Vec<_>>().join("\n")
}
