//! Stochastic depth (`timm/layers/drop.py`).

use candle_core::{Result, Tensor};
use candle_nn::ModuleT;

/// In training, zeroes a residual branch for whole images, each with probability `rate`, and scales
/// the kept ones by `1 / (1 - rate)`; the identity otherwise.
#[derive(Debug, Clone, Copy)]
pub struct DropPath {
    rate: f64,
}

impl DropPath {
    /// A layer that drops with probability `rate`, in [0, 1).
    #[must_use]
    pub fn new(rate: f64) -> Self {
        Self { rate }
    }
}

impl ModuleT for DropPath {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        if !train || self.rate == 0.0 {
            return Ok(xs.clone());
        }
        let keep = 1.0 - self.rate;
        let mut shape = vec![1; xs.rank()];
        shape[0] = xs.dim(0)?;
        let mask = Tensor::rand(0f32, 1f32, shape, xs.device())?.lt(keep as f32)?;
        xs.broadcast_mul(&(mask.to_dtype(xs.dtype())? / keep)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn drops_whole_images_and_keeps_the_mean() -> Result<()> {
        let xs = Tensor::ones((4000, 2, 1, 1), DType::F32, &Device::Cpu)?;
        let ys = DropPath::new(0.25).forward_t(&xs, true)?.reshape((4000, 2))?;
        let rows: Vec<Vec<f32>> = ys.to_vec2()?;
        assert!(
            rows.iter().all(|r| r[0] == r[1] && (r[0] == 0.0 || (r[0] - 4.0 / 3.0).abs() < 1e-6))
        );
        let kept = rows.iter().filter(|r| r[0] != 0.0).count();
        assert!((2850..3150).contains(&kept), "{kept} of 4000 kept");
        let same = DropPath::new(0.25).forward_t(&xs, false)?;
        assert_eq!(same.sum_all()?.to_scalar::<f32>()?, 8000.0);
        Ok(())
    }
}
