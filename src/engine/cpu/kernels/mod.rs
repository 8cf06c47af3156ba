//! The inner loops: one table of function pointers per instruction set.

#[cfg(any(test, all(target_arch = "x86_64", target_os = "linux")))]
mod amx;
mod depthwise;
mod epilogue;
mod norm;
mod pairs;
mod peak;
mod softmax;
mod table;
mod tile;
mod winograd;

pub(super) use depthwise::{DepthwiseRow, MAX_SIDE};
pub(super) use epilogue::{ApplyEpilogue, Epilogue, Mean, Scale};
pub(super) use norm::{LayerNorm, Moments, Normalize};
pub(super) use pairs::{Narrow, PairKernelTable};
pub(super) use softmax::Softmax;
pub use table::Isa;
pub(super) use table::KernelTable;
pub(super) use tile::Tile;
pub(super) use winograd::{InputTransform, OUTPUTS, OutputTransform, POINTS, kernel_at_points};
