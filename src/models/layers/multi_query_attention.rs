//! Attention of several query heads to a shared key and value (timm's `MultiQueryAttention2d`,
//! <https://arxiv.org/abs/2404.10518>).

use candle_core::{D, Result, Tensor};
use candle_nn::{Module, ModuleT, VarBuilder};

use super::{Conv2d, LayerArgs, NormAct};
use crate::arch::{Conv, MobileAttention};

/// In each of several heads, every position of (N, C, H, W) attends to all positions of one shared
/// key and value, which may be at a lower resolution.
///
/// Tensors: `query.proj`, `key.proj`, `value.proj`, `output.proj`, and, at a lower resolution,
/// `down_conv` and `norm` of `key` and `value` each.
#[derive(Debug, Clone)]
pub struct MultiQueryAttention2d {
    num_heads: usize,
    key_dim: usize,
    query: Conv2d,
    key: Projection,
    value: Projection,
    output: Conv2d,
}

impl MultiQueryAttention2d {
    /// Reads the attention of `block`. If there is a `down_conv`, it shrinks the keys and values.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn new(
        block: &MobileAttention,
        down_conv: Option<Conv>,
        args: LayerArgs,
        vb: &VarBuilder,
    ) -> Result<Self> {
        let &MobileAttention { in_chs, out_chs, num_heads, key_dim, .. } = block;
        let projection = |name| Projection::new(in_chs, key_dim, down_conv, args, &vb.pp(name));
        let proj =
            |in_chs, out_chs, name| Conv2d::pointwise(in_chs, out_chs, &vb.pp(name).pp("proj"));
        Ok(Self {
            num_heads,
            key_dim,
            query: proj(in_chs, num_heads * key_dim, "query")?,
            key: projection("key")?,
            value: projection("value")?,
            output: proj(num_heads * key_dim, out_chs, "output")?,
        })
    }
}

impl ModuleT for MultiQueryAttention2d {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        let (n, _, h, w) = xs.dims4()?;
        let (heads, dim) = (self.num_heads, self.key_dim);
        // All heads share the key, so heads and positions can be one dimension.
        let query = self.query.forward(xs)?.reshape((n, heads, dim, h * w))?;
        let query = query.transpose(2, 3)?.reshape((n, heads * h * w, dim))?;
        let key = self.key.forward_t(xs, train)?.flatten_from(2)?;
        let value = self.value.forward_t(xs, train)?.flatten_from(2)?.transpose(1, 2)?;
        let scores = ((query * (dim as f64).sqrt().recip())?.matmul(&key)?).contiguous()?;
        let attn = candle_nn::ops::softmax(&scores, D::Minus1)?;
        let ys = attn.matmul(&value.contiguous()?)?.reshape((n, heads, h * w, dim))?;
        let ys = ys.transpose(2, 3)?.reshape((n, heads * dim, h, w))?;
        self.output.forward(&ys)
    }
}

/// What computes the key or the value: `down_conv` -> `norm` (if there are any) -> `proj`.
#[derive(Debug, Clone)]
struct Projection {
    down: Option<(Conv2d, NormAct)>,
    proj: Conv2d,
}

impl Projection {
    fn new(
        in_chs: usize,
        out_chs: usize,
        down_conv: Option<Conv>,
        args: LayerArgs,
        vb: &VarBuilder,
    ) -> Result<Self> {
        let down = |conv| -> Result<_> {
            let norm = NormAct::new(in_chs, args, None, &vb.pp("norm"))?;
            Ok((Conv2d::new(conv, args.pad_type, &vb.pp("down_conv"))?, norm))
        };
        Ok(Self {
            down: down_conv.map(down).transpose()?,
            proj: Conv2d::pointwise(in_chs, out_chs, &vb.pp("proj"))?,
        })
    }
}

impl ModuleT for Projection {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        match &self.down {
            Some((conv, norm)) => self.proj.forward(&norm.forward_t(&conv.forward(xs)?, train)?),
            None => self.proj.forward(xs),
        }
    }
}
