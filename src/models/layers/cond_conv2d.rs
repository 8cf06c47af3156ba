//! Conditionally parameterized convolution (timm's `CondConv2d`, <https://arxiv.org/abs/1904.04971>).

use candle_core::{Result, Tensor};
use candle_nn::{Module, VarBuilder};

use super::Conv2d;
use crate::arch::{Conv, PadType};

/// A convolution whose kernel is, for each image, a weighted sum of the experts' kernels.
///
/// Tensors: `weight` (experts, elements of one kernel).
#[derive(Debug, Clone)]
pub struct CondConv2d {
    weight: Tensor,
    conv: Conv,
    pad_type: PadType,
}

impl CondConv2d {
    /// Reads the kernels of `num_experts` experts.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn new(conv: Conv, num_experts: usize, pad_type: PadType, vb: &VarBuilder) -> Result<Self> {
        let elements = Conv2d::weight_shape(conv).iter().product::<usize>();
        Ok(Self { weight: vb.get((num_experts, elements), "weight")?, conv, pad_type })
    }

    /// Convolves `xs` (N, C, H, W) with kernels weighted by `routing` (N, experts).
    ///
    /// # Errors
    ///
    /// Inputs with other shapes.
    pub fn forward(&self, xs: &Tensor, routing: &Tensor) -> Result<Tensor> {
        let kernels = routing.matmul(&self.weight)?;
        let convolve = |i| {
            let kernel = kernels.get(i)?.reshape(Conv2d::weight_shape(self.conv).to_vec())?;
            Conv2d::from_weight(kernel, self.conv, self.pad_type).forward(&xs.narrow(0, i, 1)?)
        };
        let outputs = (0..xs.dim(0)?).map(convolve).collect::<Result<Vec<_>>>()?;
        Tensor::cat(&outputs, 0)
    }
}
