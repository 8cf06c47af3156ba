//! Depthwise convolution.
//!
//! Candle's grouped `conv2d` runs one convolution a channel, on every backend, so it is not used
//! here. There are two forms of one arithmetic: whole-tensor operations, which are differentiable
//! and right on every device, and one operation a device (the CPU's below, `cuda.rs`, `metal.rs`), which
//! they check.

#[cfg(feature = "cuda")]
mod cuda;
#[cfg(feature = "metal")]
mod metal;

use candle_core::{CpuStorage, CustomOp2, DType, Device, Layout, Result, Shape, Tensor, Var, bail};
use rayon::prelude::*;

/// Zeros around an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pads {
    /// Above the first row.
    pub top: usize,
    /// Below the last row.
    pub bottom: usize,
    /// Before the first column.
    pub left: usize,
    /// After the last column.
    pub right: usize,
}

/// Convolves every channel with its own kernel.
///
/// `xs` is (N, C, H, W), `weight` (C, 1, k, k); the result is (N, C, H', W') with
/// `H' = (H + top + bottom - k) / stride + 1`. float32 on the CPU, and float32, float16 and bfloat16 on
/// CUDA and Metal, are one operation each; all else goes through [`depthwise_conv2d_portable`]. Both can
/// be differentiated.
///
/// # Errors
///
/// Shapes that do not match, or an image smaller than the kernel.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use effnet::models::layers::{Pads, depthwise_conv2d};
/// let xs = Tensor::new(&[[[[1f32, 2., 3.], [4., 5., 6.], [7., 8., 9.]]]], &Device::Cpu)?;
/// let ones = Tensor::ones((1, 1, 3, 3), candle_core::DType::F32, &Device::Cpu)?;
/// let pads = Pads { top: 1, bottom: 1, left: 1, right: 1 };
/// let ys = depthwise_conv2d(&xs, &ones, 2, pads)?;
/// assert_eq!(ys.flatten_all()?.to_vec1::<f32>()?, [12., 16., 24., 28.]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn depthwise_conv2d(xs: &Tensor, weight: &Tensor, stride: usize, pads: Pads) -> Result<Tensor> {
    let has_operation = match xs.device() {
        Device::Cpu => xs.dtype() == DType::F32,
        Device::Cuda(_) | Device::Metal(_) => {
            matches!(xs.dtype(), DType::F32 | DType::F16 | DType::BF16)
        }
    };
    if has_operation && weight.dtype() == xs.dtype() {
        xs.contiguous()?.apply_op2(&weight.contiguous()?, DepthwiseConv2d { stride, pads })
    } else {
        depthwise_conv2d_portable(xs, weight, stride, pads)
    }
}

/// [`depthwise_conv2d`] as a sum of shifted images over the kernel's taps.
///
/// # Errors
///
/// As [`depthwise_conv2d`].
pub fn depthwise_conv2d_portable(
    xs: &Tensor,
    weight: &Tensor,
    stride: usize,
    pads: Pads,
) -> Result<Tensor> {
    let dims = Dims::new(xs.dims(), weight.dims(), stride, pads)?;
    let Dims { n, c, k, out_h, out_w, phase_h, phase_w, .. } = dims;
    let xs = fit(xs, 2, pads.top, phase_h * stride)?;
    let xs = fit(&xs, 3, pads.left, phase_w * stride)?;
    // Row y of the padded image is row y / stride of phase y % stride, and the same for columns, so
    // a strided tap is a plain slice.
    let phases = xs.reshape(&[n, c, phase_h, stride, phase_w, stride])?;
    let taps = weight.reshape((1, c, k * k))?;
    let mut sum: Option<Tensor> = None;
    for ky in 0..k {
        for kx in 0..k {
            let image = phases
                .narrow(3, ky % stride, 1)?
                .narrow(5, kx % stride, 1)?
                .narrow(2, ky / stride, out_h)?
                .narrow(4, kx / stride, out_w)?
                .reshape((n, c, out_h, out_w))?;
            let tap = taps.narrow(2, ky * k + kx, 1)?.reshape((1, c, 1, 1))?;
            let product = image.broadcast_mul(&tap)?;
            sum = Some(match sum {
                Some(sum) => (sum + product)?,
                None => product,
            });
        }
    }
    sum.map_or_else(|| bail!("depthwise convolution with an empty kernel"), Ok)
}

/// `xs` with `before` zeros before dimension `dim`, cut or filled with zeros to `len`.
fn fit(xs: &Tensor, dim: usize, before: usize, len: usize) -> Result<Tensor> {
    let size = xs.dim(dim)?;
    let xs = if before + size > len { xs.narrow(dim, 0, len - before)? } else { xs.clone() };
    let size = xs.dim(dim)?;
    xs.pad_with_zeros(dim, before, len - before - size)
}

/// The sizes of one depthwise convolution.
#[derive(Debug, Clone, Copy)]
struct Dims {
    n: usize,
    c: usize,
    h: usize,
    w: usize,
    k: usize,
    out_h: usize,
    out_w: usize,
    /// Rows of one phase of the padded image, as far as the taps reach.
    phase_h: usize,
    /// Columns of one phase.
    phase_w: usize,
}

impl Dims {
    fn new(xs: &[usize], weight: &[usize], stride: usize, pads: Pads) -> Result<Self> {
        let (&[n, c, h, w], &[out, 1, k, kw]) = (xs, weight) else {
            bail!("depthwise convolution of {xs:?} with {weight:?}: (N, C, H, W) and (C, 1, k, k)")
        };
        let (full_h, full_w) = (h + pads.top + pads.bottom, w + pads.left + pads.right);
        if out != c || k != kw || k == 0 || stride == 0 {
            bail!("depthwise convolution of {xs:?} with {weight:?}, stride {stride}: shapes differ")
        }
        if full_h < k || full_w < k {
            bail!("image {h}x{w} is smaller than the {k}x{k} kernel, padded by {pads:?}")
        }
        let (out_h, out_w) = ((full_h - k) / stride + 1, (full_w - k) / stride + 1);
        let reach = (k - 1) / stride;
        let (phase_h, phase_w) = (out_h + reach, out_w + reach);
        Ok(Self { n, c, h, w, k, out_h, out_w, phase_h, phase_w })
    }

    fn out_shape(&self) -> Shape {
        (self.n, self.c, self.out_h, self.out_w).into()
    }

    #[cfg(any(feature = "cuda", feature = "metal"))]
    fn out_len(&self) -> usize {
        self.n * self.c * self.out_h * self.out_w
    }
}

/// The CPU operation: each task computes one (image, channel) plane.
struct DepthwiseConv2d {
    stride: usize,
    pads: Pads,
}

impl DepthwiseConv2d {
    /// Lays out `plane` in phases: padded row `y` becomes `stride` runs of `phase_w` columns, and
    /// each run has the columns with the same `x % stride`. `scratch` stays zero where there is no
    /// pixel.
    fn split(&self, plane: &[f32], dims: &Dims, scratch: &mut [f32]) {
        let s = self.stride;
        let rows = (dims.phase_h * s - self.pads.top).min(dims.h);
        let columns = (dims.phase_w * s - self.pads.left).min(dims.w);
        for (y, row) in plane.chunks_exact(dims.w).take(rows).enumerate() {
            let start = (y + self.pads.top) * s * dims.phase_w;
            let padded = &mut scratch[start..start + s * dims.phase_w];
            if s == 1 {
                padded[self.pads.left..self.pads.left + columns].copy_from_slice(&row[..columns]);
                continue;
            }
            for (x, &v) in row[..columns].iter().enumerate() {
                let x = x + self.pads.left;
                padded[(x % s) * dims.phase_w + x / s] = v;
            }
        }
    }

    /// One plane: every output row is a sum of scaled runs.
    fn plane(&self, scratch: &[f32], kernel: &[f32], dims: &Dims, out: &mut [f32]) {
        let (s, k) = (self.stride, dims.k);
        for (y, row) in out.chunks_exact_mut(dims.out_w).enumerate() {
            for ky in 0..k {
                let padded = &scratch[(y * s + ky) * s * dims.phase_w..][..s * dims.phase_w];
                for kx in 0..k {
                    let tap = kernel[ky * k + kx];
                    let run = &padded[(kx % s) * dims.phase_w + kx / s..][..dims.out_w];
                    for (o, &v) in row.iter_mut().zip(run) {
                        *o += tap * v;
                    }
                }
            }
        }
    }
}

/// The sizes of one convolution as the text in `body.h` has them.
#[cfg(any(feature = "cuda", feature = "metal"))]
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct DeviceSizes {
    count: u32,
    c: u32,
    h: u32,
    w: u32,
    out_h: u32,
    out_w: u32,
    k: u32,
    stride: u32,
    top: u32,
    left: u32,
}

#[cfg(any(feature = "cuda", feature = "metal"))]
impl DeviceSizes {
    /// # Errors
    ///
    /// More than 2^32 outputs.
    fn new(dims: &Dims, op: &DepthwiseConv2d) -> Result<Self> {
        let n = |size: usize| u32::try_from(size).map_err(candle_core::Error::wrap);
        Ok(Self {
            count: n(dims.out_len())?,
            c: n(dims.c)?,
            h: n(dims.h)?,
            w: n(dims.w)?,
            out_h: n(dims.out_h)?,
            out_w: n(dims.out_w)?,
            k: n(dims.k)?,
            stride: n(op.stride)?,
            top: n(op.pads.top)?,
            left: n(op.pads.left)?,
        })
    }
}

/// The elements of contiguous `storage` as float32.
fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("depthwise convolution needs contiguous tensors"),
    }
}

impl CustomOp2 for DepthwiseConv2d {
    fn name(&self) -> &'static str {
        "depthwise_conv2d"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let dims = Dims::new(l1.dims(), l2.dims(), self.stride, self.pads)?;
        let (xs, weight) = (floats(s1, l1)?, floats(s2, l2)?);
        let (plane_in, plane_out) = (dims.h * dims.w, dims.out_h * dims.out_w);
        let mut out = vec![0f32; dims.n * dims.c * plane_out];
        let scratch_len = dims.phase_h * self.stride * self.stride * dims.phase_w;
        out.par_chunks_mut(plane_out).enumerate().for_each_init(
            || vec![0f32; scratch_len],
            |scratch, (i, out)| {
                self.split(&xs[i * plane_in..][..plane_in], &dims, scratch);
                let kernel = &weight[(i % dims.c) * dims.k * dims.k..][..dims.k * dims.k];
                self.plane(scratch, kernel, &dims, out);
            },
        );
        Ok((CpuStorage::F32(out), dims.out_shape()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        s1: &candle_core::CudaStorage,
        l1: &Layout,
        s2: &candle_core::CudaStorage,
        l2: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        cuda::forward(self, (s1, l1), (s2, l2))
    }

    #[cfg(feature = "metal")]
    fn metal_fwd(
        &self,
        s1: &candle_core::MetalStorage,
        l1: &Layout,
        s2: &candle_core::MetalStorage,
        l2: &Layout,
    ) -> Result<(candle_core::MetalStorage, Shape)> {
        metal::forward(self, (s1, l1), (s2, l2))
    }

    fn bwd(
        &self,
        arg1: &Tensor,
        arg2: &Tensor,
        _res: &Tensor,
        grad_res: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (xs, weight) = (Var::from_tensor(arg1)?, Var::from_tensor(arg2)?);
        let ys = depthwise_conv2d_portable(&xs, &weight, self.stride, self.pads)?;
        let grads = (ys * grad_res)?.sum_all()?.backward()?;
        Ok((grads.get(&xs).cloned(), grads.get(&weight).cloned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: [(usize, usize, Pads); 6] = [
        (3, 1, Pads { top: 1, bottom: 1, left: 1, right: 1 }),
        (3, 2, Pads { top: 0, bottom: 1, left: 1, right: 0 }),
        (5, 2, Pads { top: 2, bottom: 2, left: 1, right: 2 }),
        (7, 1, Pads { top: 3, bottom: 3, left: 3, right: 3 }),
        (1, 2, Pads { top: 0, bottom: 0, left: 0, right: 0 }),
        (3, 3, Pads { top: 1, bottom: 0, left: 0, right: 1 }),
    ];

    fn inputs(k: usize, h: usize, w: usize) -> Result<(Tensor, Tensor)> {
        let xs = Tensor::randn(0f32, 1.0, (2, 5, h, w), &Device::Cpu)?;
        Ok((xs, Tensor::randn(0f32, 1.0, (5, 1, k, k), &Device::Cpu)?))
    }

    fn max_diff(a: &Tensor, b: &Tensor) -> Result<f32> {
        assert_eq!(a.dims(), b.dims());
        (a - b)?.abs()?.max_all()?.to_scalar()
    }

    #[test]
    fn both_forms_equal_candles_grouped_convolution() -> Result<()> {
        for (k, stride, pads) in CASES {
            for (h, w) in [(7, 9), (8, 8), (13, 6), (7, 7)] {
                let (xs, weight) = inputs(k, h, w)?;
                let padded = xs
                    .pad_with_zeros(2, pads.top, pads.bottom)?
                    .pad_with_zeros(3, pads.left, pads.right)?;
                let expected = padded.conv2d(&weight, 0, stride, 1, 5)?;
                let fast = depthwise_conv2d(&xs, &weight, stride, pads)?;
                let portable = depthwise_conv2d_portable(&xs, &weight, stride, pads)?;
                assert!(max_diff(&fast, &expected)? < 1e-5, "{k} {stride} {pads:?} {h}x{w}");
                assert!(max_diff(&portable, &expected)? < 1e-5, "{k} {stride} {pads:?} {h}x{w}");
                let moved = depthwise_conv2d(&xs, &(weight * 1.01)?, stride, pads)?;
                assert!(max_diff(&moved, &expected)? > 1e-5);
            }
        }
        Ok(())
    }

    #[test]
    fn gradients_equal_candles() -> Result<()> {
        for (k, stride, pads) in CASES {
            // Candle's own gradient is correct only if the kernel's steps end at the border.
            let h = k + 3 * stride - pads.top - pads.bottom;
            let w = k + 4 * stride - pads.left - pads.right;
            let (xs, weight) = inputs(k, h, w)?;
            let (xs, weight) = (Var::from_tensor(&xs)?, Var::from_tensor(&weight)?);
            let fast =
                depthwise_conv2d(&xs, &weight, stride, pads)?.sqr()?.sum_all()?.backward()?;
            let grouped = xs
                .pad_with_zeros(2, pads.top, pads.bottom)?
                .pad_with_zeros(3, pads.left, pads.right)?
                .chunk(5, 1)?
                .iter()
                .zip(weight.chunk(5, 0)?)
                .map(|(x, w)| x.conv2d(&w, 0, stride, 1, 1))
                .collect::<Result<Vec<_>>>()?;
            let expected = Tensor::cat(&grouped, 1)?.sqr()?.sum_all()?.backward()?;
            for var in [&xs, &weight] {
                let (a, b) = (fast.get(var).unwrap(), expected.get(var).unwrap());
                assert!(max_diff(a, b)? < 1e-3, "{k} {stride} {pads:?}");
            }
        }
        Ok(())
    }

    #[test]
    fn an_image_smaller_than_the_kernel_is_an_error() -> Result<()> {
        let (xs, weight) = inputs(7, 3, 3)?;
        let none = Pads { top: 0, bottom: 0, left: 0, right: 0 };
        let error = depthwise_conv2d(&xs, &weight, 1, none).unwrap_err().to_string();
        assert!(error.contains("smaller than the 7x7 kernel"), "{error}");
        Ok(())
    }
}
