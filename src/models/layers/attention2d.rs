//! Multi-head attention between positions (timm's `Attention2d`).

use candle_core::{D, Result, Tensor};
use candle_nn::{Module, VarBuilder};

use super::Conv2d;
use crate::arch::MobileAttention;

/// Every position of (N, C, H, W) attends to all others, in several heads.
///
/// Tensors: `qkv` and `proj`, 1x1 convolutions without bias.
#[derive(Debug, Clone)]
pub struct Attention2d {
    num_heads: usize,
    key_dim: usize,
    qkv: Conv2d,
    proj: Conv2d,
}

impl Attention2d {
    /// Reads the attention of `block`.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn new(block: &MobileAttention, vb: &VarBuilder) -> Result<Self> {
        let &MobileAttention { in_chs, out_chs, num_heads, key_dim, .. } = block;
        Ok(Self {
            num_heads,
            key_dim,
            qkv: Conv2d::pointwise(in_chs, 3 * in_chs, &vb.pp("qkv"))?,
            proj: Conv2d::pointwise(in_chs, out_chs, &vb.pp("proj"))?,
        })
    }
}

impl Module for Attention2d {
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let (n, _, h, w) = xs.dims4()?;
        let (heads, dim) = (self.num_heads, self.key_dim);
        let qkv = self.qkv.forward(xs)?.reshape((n, 3 * heads, dim, h * w))?;
        let part = |i: usize| qkv.narrow(1, i * heads, heads)?.contiguous();
        let query = (part(0)? * (dim as f64).sqrt().recip())?.transpose(2, 3)?.contiguous()?;
        let attn = candle_nn::ops::softmax(&query.matmul(&part(1)?)?, D::Minus1)?;
        let ys = attn.matmul(&part(2)?.transpose(2, 3)?.contiguous()?)?;
        let ys = ys.transpose(2, 3)?.reshape((n, heads * dim, h, w))?;
        self.proj.forward(&ys)
    }
}
