//! The inner loops, one table of function pointers an instruction set.

mod amx;
mod depthwise;
mod norm;
mod pairs;
mod peak;
mod post;
mod softmax;
mod table;
mod tile;
mod winograd;

pub(super) use depthwise::{DepthwiseRow, MAX_SIDE};
pub(super) use norm::{LayerNorm, Moments, Normalize};
pub(super) use pairs::{Narrow, PairKernels};
pub(super) use post::{Mean, Out, Post, Scale};
pub(super) use softmax::Softmax;
pub use table::Isa;
pub(super) use table::Kernels;
pub(super) use tile::Tile;
pub(super) use winograd::{FromPoints, OUTPUTS, POINTS, ToPoints, kernel_at_points};
