//! Convolutions side by side (timm's `MixedConv2d`, <https://arxiv.org/abs/1907.09595>).

use candle_core::{Result, Tensor};
use candle_nn::{Module, VarBuilder};

use super::Conv2d;
use crate::arch::{Conv, PadType};

/// Convolutions that each read their share of the channels; their outputs are joined in order.
///
/// Tensors: `0.weight`, `1.weight`, ..., or `weight` if there is only one.
#[derive(Debug, Clone)]
pub struct MixedConv2d {
    convs: Vec<(usize, Conv2d)>,
}

impl MixedConv2d {
    /// Reads the convolutions.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn new(convs: &[Conv], pad_type: PadType, vb: &VarBuilder) -> Result<Self> {
        let mixed = convs.len() > 1;
        let read = |(i, &conv): (usize, &Conv)| {
            let vb = if mixed { vb.pp(i) } else { vb.clone() };
            Ok((conv.in_chs, Conv2d::new(conv, pad_type, &vb)?))
        };
        Ok(Self { convs: convs.iter().enumerate().map(read).collect::<Result<_>>()? })
    }
}

impl Module for MixedConv2d {
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let mut start = 0;
        let mut outputs = Vec::with_capacity(self.convs.len());
        for (channels, conv) in &self.convs {
            outputs.push(conv.forward(&xs.narrow(1, start, *channels)?.contiguous()?)?);
            start += channels;
        }
        Tensor::cat(&outputs, 1)
    }
}
