//! Convolutions whose kernels are mixed for each image from those of several experts.

use super::super::layer::{ExpertMix, Layer};
use super::super::matrix::Matrix;
use super::super::memory::AlignedBuf;

/// The weights of a block's convolutions, one after the other, expert by expert.
#[derive(Debug)]
pub(super) struct Experts {
    weights: Vec<Vec<f32>>,
}

impl Experts {
    pub(super) fn new(num_experts: usize) -> Self {
        Self { weights: vec![Vec::new(); num_experts] }
    }

    /// Appends expert `expert`'s weights of a convolution; returns where they are.
    pub(super) fn append(&mut self, expert: usize, weights: &AlignedBuf) -> usize {
        let at = self.weights[expert].len();
        self.weights[expert].extend_from_slice(weights.as_slice());
        at
    }

    /// Moves them into the layer that mixes them.
    pub(super) fn pack_into(self, layer: &mut Layer) {
        let pack = |weights: Vec<f32>| {
            let mut floats = AlignedBuf::zeros(weights.len());
            floats.as_mut_slice().copy_from_slice(&weights);
            floats
        };
        if let Layer::ExpertMix(mix) = layer {
            mix.experts = self.weights.into_iter().map(pack).collect();
        }
    }
}

/// The layer that mixes the experts, which are added later.
pub(super) fn without_experts(routing: Matrix) -> Layer {
    Layer::ExpertMix(ExpertMix { routing, experts: Vec::new() })
}
