//! 2D convolution with timm's paddings (`timm/layers/create_conv2d.py`, `timm/layers/padding.py`).

use candle_core::{Result, Tensor};
use candle_nn::{Module, VarBuilder};

use super::{Pads, depthwise_conv2d};
use crate::arch::{Conv, PadType};

/// A convolution over (N, C, H, W), computed by kind: pointwise as a matrix product, depthwise with
/// [`depthwise_conv2d`], all others with Candle's `conv2d`.
///
/// Tensors: `weight` (out, in / groups, k, k), and `bias` (out) if it has one.
#[derive(Debug, Clone)]
pub struct Conv2d {
    weight: Tensor,
    bias: Option<Tensor>,
    conv: Conv,
    pad_type: PadType,
}

impl Conv2d {
    /// Reads a convolution without bias.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn new(conv: Conv, pad_type: PadType, vb: &VarBuilder) -> Result<Self> {
        let weight = vb.get(Self::weight_shape(conv).to_vec(), "weight")?;
        Ok(Self::from_weight(weight, conv, pad_type))
    }

    /// The shape of `weight`.
    pub(super) fn weight_shape(conv: Conv) -> [usize; 4] {
        let Conv { in_chs, out_chs, kernel_size, groups, .. } = conv;
        [out_chs, in_chs / groups, kernel_size, kernel_size]
    }

    /// A convolution without bias.
    pub(super) fn from_weight(weight: Tensor, conv: Conv, pad_type: PadType) -> Self {
        Self { weight, bias: None, conv, pad_type: conv.pad_type(pad_type) }
    }

    /// Reads a 1x1 convolution without bias.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn pointwise(in_chs: usize, out_chs: usize, vb: &VarBuilder) -> Result<Self> {
        Self::new(Conv::pointwise(in_chs, out_chs), PadType::Symmetric, vb)
    }

    /// Reads a 1x1 convolution with bias.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn pointwise_with_bias(in_chs: usize, out_chs: usize, vb: &VarBuilder) -> Result<Self> {
        let conv = Self::pointwise(in_chs, out_chs, vb)?;
        Ok(Self { bias: Some(vb.get(out_chs, "bias")?), ..conv })
    }

    /// The zeros that this convolution puts around an image of `h` by `w`.
    fn pads(&self, h: usize, w: usize) -> Pads {
        let Conv { kernel_size, stride, .. } = self.conv;
        let sides = |size: usize| match self.pad_type {
            PadType::Symmetric => {
                let pad = (stride - 1 + kernel_size - 1) / 2;
                (pad, pad)
            }
            PadType::Same => {
                let reach = (size.div_ceil(stride) - 1) * stride + kernel_size;
                let pad = reach.saturating_sub(size);
                (pad / 2, pad - pad / 2)
            }
        };
        let ((top, bottom), (left, right)) = (sides(h), sides(w));
        Pads { top, bottom, left, right }
    }

    fn convolve(&self, xs: &Tensor) -> Result<Tensor> {
        let (n, c, h, w) = xs.dims4()?;
        let Conv { in_chs, out_chs, kernel_size, stride, groups } = self.conv;
        if kernel_size == 1 && stride == 1 && groups == 1 {
            let weight = self.weight.reshape((1, out_chs, in_chs))?;
            let weight = weight.broadcast_as((n, out_chs, in_chs))?;
            return weight.matmul(&xs.reshape((n, c, h * w))?)?.reshape((n, out_chs, h, w));
        }
        let pads = self.pads(h, w);
        if groups == in_chs && groups == out_chs && groups > 1 {
            return depthwise_conv2d(xs, &self.weight, stride, pads);
        }
        let Pads { top, bottom, left, right } = pads;
        // Rows and columns behind the kernel's last step. Candle's gradient needs as many of the ones
        // as of the others.
        let rest = |side: usize| side.saturating_sub(kernel_size) % stride;
        let [rows, columns] = [rest(h + top + bottom), rest(w + left + right)];
        if top == bottom && left == right && top == left && rows == columns {
            return xs.conv2d(&self.weight, top, stride, 1, groups);
        }
        let (xs, bottom) = without(xs, 2, bottom, rows)?;
        let (xs, right) = without(&xs, 3, right, columns)?;
        xs.pad_with_zeros(2, top, bottom)?.pad_with_zeros(3, left, right)?.conv2d(
            &self.weight,
            0,
            stride,
            1,
            groups,
        )
    }
}

impl Module for Conv2d {
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let ys = self.convolve(xs)?;
        match &self.bias {
            Some(bias) => ys.broadcast_add(&bias.reshape((1, self.conv.out_chs, 1, 1))?),
            None => Ok(ys),
        }
    }
}

/// The image and the zeros behind it in one dimension, `rest` shorter.
fn without(xs: &Tensor, dim: usize, after: usize, rest: usize) -> Result<(Tensor, usize)> {
    let cut = rest.saturating_sub(after);
    let xs = if cut == 0 { xs.clone() } else { xs.narrow(dim, 0, xs.dim(dim)? - cut)? };
    Ok((xs, after.saturating_sub(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    fn pads(
        kernel_size: usize,
        stride: usize,
        pad_type: PadType,
        h: usize,
        w: usize,
    ) -> [usize; 4] {
        let conv = Conv { in_chs: 1, out_chs: 1, kernel_size, stride, groups: 1 };
        let vb = VarBuilder::zeros(DType::F32, &Device::Cpu);
        let p = Conv2d::new(conv, pad_type, &vb).unwrap().pads(h, w);
        [p.left, p.right, p.top, p.bottom]
    }

    #[test]
    fn same_padding_is_tensorflows() {
        // timm 1.0.31, pad_same_arg((h, w), (k, k), (s, s)).
        assert_eq!(pads(3, 2, PadType::Same, 224, 224), [0, 1, 0, 1]);
        assert_eq!(pads(3, 2, PadType::Same, 97, 128), [0, 1, 1, 1]);
        assert_eq!(pads(5, 2, PadType::Same, 56, 55), [2, 2, 1, 2]);
        assert_eq!(pads(5, 1, PadType::Same, 7, 1), [2, 2, 2, 2]);
        assert_eq!(pads(1, 2, PadType::Same, 8, 8), [0, 0, 0, 0]);
        assert_eq!(pads(3, 2, PadType::Symmetric, 224, 97), [1, 1, 1, 1]);
        assert_eq!(pads(5, 1, PadType::Symmetric, 3, 3), [2, 2, 2, 2]);
    }

    #[test]
    fn every_route_equals_candles_convolution() -> Result<()> {
        for (in_chs, out_chs, k, stride, groups) in
            [(6, 4, 1, 1, 1), (6, 6, 3, 2, 6), (6, 4, 3, 1, 1), (6, 6, 3, 2, 2), (6, 4, 1, 2, 1)]
        {
            let conv = Conv { in_chs, out_chs, kernel_size: k, stride, groups };
            let weight = Tensor::randn(0f32, 1.0, (out_chs, in_chs / groups, k, k), &Device::Cpu)?;
            let xs = Tensor::randn(0f32, 1.0, (2, in_chs, 9, 8), &Device::Cpu)?;
            for pad_type in [PadType::Same, PadType::Symmetric] {
                let layer = Conv2d { weight: weight.clone(), bias: None, conv, pad_type };
                let p = layer.pads(9, 8);
                let expected = xs
                    .pad_with_zeros(2, p.top, p.bottom)?
                    .pad_with_zeros(3, p.left, p.right)?
                    .conv2d(&weight, 0, stride, 1, groups)?;
                let ys = layer.forward(&xs)?;
                assert_eq!(ys.dims(), expected.dims());
                let diff: f32 = (ys - expected)?.abs()?.max_all()?.to_scalar()?;
                assert!(diff < 1e-5, "{conv:?} {pad_type:?}: {diff}");
            }
        }
        Ok(())
    }
}
