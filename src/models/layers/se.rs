//! The channel attention of a block: its `se` field.

use candle_core::{Result, Tensor};
use candle_nn::{Module, VarBuilder};

use super::{GlobalContext, SqueezeExcite};
use crate::arch::{Activation, SeLayer};

/// A channel attention layer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Se {
    /// Squeeze-and-excitation.
    SqueezeExcite(SqueezeExcite),
    /// Global context.
    GlobalContext(GlobalContext),
}

impl Se {
    /// Reads the layer of a block with `channels` channels and activation `act`, if it has one, at
    /// `vb`'s `se`.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn new(
        se: Option<SeLayer>,
        channels: usize,
        act: Activation,
        vb: &VarBuilder,
    ) -> Result<Option<Self>> {
        let vb = vb.pp("se");
        se.map(|se| match se {
            SeLayer::SqueezeExcite { rd_channels, act, gate } => {
                SqueezeExcite::new(channels, rd_channels, act, gate, &vb).map(Self::SqueezeExcite)
            }
            SeLayer::GlobalContext { rd_channels } => {
                GlobalContext::new(channels, rd_channels, act, &vb).map(Self::GlobalContext)
            }
        })
        .transpose()
    }
}

impl Module for Se {
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        match self {
            Self::SqueezeExcite(se) => se.forward(xs),
            Self::GlobalContext(se) => se.forward(xs),
        }
    }
}
