//! The fused CPU engine.
//!
//! ```text
//! Fused + tensors -> Packed -> Plan (one an image size) -> Pass: steps of tasks on the Pool
//!               pack        Plan::new                   run/   kernels/ on simd/
//! ```
//!
//! Feature maps are (N, H, W, C), channels padded to whole vectors. Batch norms are folded into
//! weights, which are packed once; norms by statistics of the map itself are steps of their own, in place. An expansion and its depthwise convolution are one step over a
//! few rows at a time, as are the stem and the first one, and a dense convolution and its projection, so
//! what is between them never reaches memory. Images of a batch take the first steps a few at a time, so
//! that their large maps stay in the caches, and the others in a group, which shares the weights. A forward
//! pass allocates nothing once a size has its plan.
//!
//! A block is a row of layers between slots of memory: [`Slot::Current`](layer::Slot) holds its input
//! until its last layer has written the next one's. Layers that have no kernel of their own are made of
//! those that have: anti-aliasing is a depthwise convolution of constant weights, a mixed convolution
//! one whose vectors of channels have kernels of their own size.
//!
//! Results are the same, bit for bit, from run to run, for any number of threads and for an image
//! alone or in a batch.

// Kernels address memory through raw pointers and CPU instructions, and threads share one arena;
// each block says why it is sound.
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

pub use engine::{CpuEngine, CpuMemory, CpuOptions};
pub use error::CpuError;
pub use kernels::Isa;
