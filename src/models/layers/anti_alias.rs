//! Downsampling without aliasing (timm's `aa` layers: `nn.AvgPool2d`, `BlurPool2d`).

use candle_core::{Result, Tensor};

use super::{Pads, depthwise_conv2d};
use crate::arch::AntiAlias;

/// Halves the resolution of (N, C, H, W).
///
/// # Errors
///
/// An image smaller than the filter.
pub(crate) fn downsample(xs: &Tensor, aa: AntiAlias) -> Result<Tensor> {
    match aa {
        AntiAlias::Avg => xs.avg_pool2d(AntiAlias::STRIDE),
        AntiAlias::Blur => {
            let channels = xs.dim(1)?;
            let row = Tensor::new(&[0.25f32, 0.5, 0.25], xs.device())?.to_dtype(xs.dtype())?;
            let filter = row.reshape((3, 1))?.matmul(&row.reshape((1, 3))?)?;
            let filter = filter.reshape((1, 1, 3, 3))?.repeat((channels, 1, 1, 1))?;
            let pads = Pads { top: 1, bottom: 1, left: 1, right: 1 };
            depthwise_conv2d(xs, &filter, AntiAlias::STRIDE, pads)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn odd_sizes_end_as_timms() -> Result<()> {
        let xs = Tensor::arange(0f32, 15., &Device::Cpu)?.reshape((1, 1, 3, 5))?;
        // timm 1.0.31: create_aa('avg', stride=2), create_aa('blurpc', channels=1, stride=2).
        let avg = downsample(&xs, AntiAlias::Avg)?;
        assert_eq!(avg.flatten_all()?.to_vec1::<f32>()?, [3.0, 5.0]);
        let blur = downsample(&xs, AntiAlias::Blur)?;
        assert_eq!(blur.dims(), [1, 1, 2, 3]);
        let expected = [1.125, 2.75, 3.0, 4.875, 7.75, 6.75];
        assert_eq!(blur.flatten_all()?.to_vec1::<f32>()?, expected);
        Ok(())
    }
}
