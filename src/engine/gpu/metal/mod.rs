//! The kernels of `wgsl` as Metal's language has them, on Candle's device. `kernels/*.metal` are written by
//! naga from the WGSL: `EFFNET_BLESS=1 cargo test --release --lib metal` writes them anew.

#[cfg(feature = "metal")]
mod engine;
#[cfg(test)]
mod tests;

#[cfg(feature = "metal")]
pub use engine::MetalEngine;

/// The kernels' text for maps of a type, with the bindings of `common.wgsl` as buffers of the same numbers.
#[cfg(feature = "metal")]
const fn text(dtype: crate::engine::Dtype) -> &'static str {
    match dtype {
        crate::engine::Dtype::F32 => include_str!("kernels/f32.metal"),
        crate::engine::Dtype::F16 => include_str!("kernels/f16.metal"),
        crate::engine::Dtype::Bf16 => include_str!("kernels/bf16.metal"),
    }
}
