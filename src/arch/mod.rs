//! Architectures as data: block strings, scaling, one table row per variant. Nothing here computes
//! on tensors.
//!
//! ```text
//! "efficientnet_b1" -> Arch (a row) -> BlockDef (a block string, read) -> Network (all numbers resolved)
//!                   find            parse, scale                      round, prune
//! ```

mod activation;
mod architecture;
mod block;
mod blocks;
mod error;
mod graph;
mod network;
mod pruned;
mod reader;
mod resolve_block;
mod resolve_network;
mod scaling;
mod table;

pub use activation::Activation;
pub use architecture::{Arch, DepthMultiplier, NumFeatures, RdRound, SeKind};
pub use block::{BlockDef, BlockKind};
pub use blocks::{
    AntiAlias, Attention, Block, CondConvResidual, Conv, ConvBnAct, DepthwiseSeparable,
    EdgeResidual, InvertedResidual, MixedResidual, MobileAttention, SeLayer,
    UniversalInvertedResidual,
};
pub use error::ArchError;
pub use graph::{Graph, Grid, Node, Op, Part, Tap, Value};
pub use network::{Head, Network, Norm, PadType};
pub use pruned::PrunedStage;
pub use resolve_network::NetworkOptions;
pub use scaling::{DepthTrunc, make_divisible, scale_depth};

/// All architectures, family by family, in timm's order.
///
/// ```
/// assert!(effnet::arch::all().iter().any(|arch| arch.name == "efficientnetv2_s"));
/// ```
#[must_use]
pub fn all() -> &'static [Arch] {
    &table::ARCHITECTURES
}

/// The architecture that timm calls `name`, without a tag.
///
/// ```
/// assert_eq!(effnet::arch::find("efficientnet_b4").unwrap().channel_multiplier, 1.4);
/// assert!(effnet::arch::find("efficientnet_b9").is_none());
/// ```
#[must_use]
pub fn find(name: &str) -> Option<&'static Arch> {
    all().iter().find(|arch| arch.name == name)
}
