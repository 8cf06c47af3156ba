//! What can go wrong between a network and its plan, or a plan and its images.

use crate::engine::fuse::CannotFuse;
use crate::weights::WeightsError;

/// Why the fused engine does not run something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CpuError {
    /// A part of the network without fused kernels.
    #[error("the engine `cpu` cannot run {what} (`{at}`), the engine `candle` can")]
    CannotLower {
        /// The part.
        what: String,
        /// Where it is in the network, by timm's names.
        at: String,
    },
    /// A tensor is missing or has another shape.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// `EFFNET_ISA` asks for an instruction set that the machine does not have.
    #[error("EFFNET_ISA={word}: this machine runs {}", available())]
    Isa {
        /// The variable's value.
        word: String,
    },
    /// The engine's threads do not start.
    #[error("cannot start the engine's threads (ask for fewer): {0}")]
    Threads(std::io::Error),
    /// Images whose feature maps do not fit the address space.
    #[error("images of {height} by {width} pixels are too large")]
    TooLarge {
        /// Pixels from top to bottom.
        height: usize,
        /// Pixels from left to right.
        width: usize,
    },
    /// Images so small that nothing is left of them at some layer.
    #[error("images of {height} by {width} pixels are too small for the network")]
    TooSmall {
        /// Pixels from top to bottom.
        height: usize,
        /// Pixels from left to right.
        width: usize,
    },
    /// A slice for results whose length is not that of the results.
    #[error("room for {len} results where there are {expected}")]
    OutputLength {
        /// The slice's length.
        len: usize,
        /// The results.
        expected: usize,
    },
    /// A kernel panicked: a bug of the engine.
    #[error(
        "the fused CPU engine failed on these images: please report it, and use the candle engine"
    )]
    Failed,
}

impl From<CannotFuse> for CpuError {
    fn from(CannotFuse { what, at }: CannotFuse) -> Self {
        Self::CannotLower { what: what.to_owned(), at }
    }
}

fn available() -> String {
    super::Isa::available().map(super::Isa::name).collect::<Vec<_>>().join(", ")
}
