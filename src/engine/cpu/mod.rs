//! The fused CPU engine.
//!
//! ```text
//! Fused + tensors -> Packed -> Plan (one an image size) -> Pass: steps of tasks on the Pool
//!               pack        Plan::new                   run/   kernels/ on simd/
//! ```
//!
//! Feature maps are (N, H, W, C), channels padded to whole vectors. Batch norms are folded into
//! weights, which are packed once; norms that take statistics of the map itself are separate steps,
//! in place. An expansion and its depthwise convolution are one step, over a few rows at a time, so
//! what lies between them never reaches memory. The same holds for the stem and the first depthwise
//! convolution, and for a dense convolution and its projection. The first steps take the images of
//! a batch a few at a time, so that their large maps stay in the caches; the later steps take them
//! in a group, which shares the weights. A forward pass allocates nothing once a size has its plan.
//!
//! A block is a sequence of layers between slots of memory: [`Slot::Current`](layer::Slot) holds
//! its input until its last layer has written the next block's. Layers without their own kernels
//! are built from others: anti-aliasing is a depthwise convolution with constant weights, and a
//! mixed convolution is a depthwise one in which each vector of channels has its own kernel size.
//!
//! Results are the same, bit for bit, from run to run, for any number of threads, and whether an
//! image is alone or in a batch.

// Kernels use raw pointers and CPU instructions, and threads share one arena; each unsafe block
// says why it is sound.
#![allow(unsafe_code)]

mod cores;
mod engine;
mod error;
mod kernels;
mod layer;
mod matrix;
mod memory;
mod pack;
mod peak;
mod plan;
mod pool;
mod run;
mod side;
mod simd;
#[cfg(test)]
#[cfg(feature = "candle")]
mod twins;

pub(crate) use cores::physical as cpu_threads;
pub use engine::{CpuEngine, CpuMemory, CpuOptions};
pub use error::CpuError;
pub use kernels::Isa;
