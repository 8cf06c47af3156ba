//! Depthwise convolution as one CUDA kernel.

#![allow(unsafe_code, reason = "a launch is as safe as its arguments")]

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::driver::{DeviceRepr, LaunchConfig, PushKernelArg};
use candle_core::cuda_backend::{CudaDType, WrapErr};
use candle_core::{CudaStorage, DType, Error, Layout, Result, Shape, bail};
use half::{bf16, f16};

use super::{DepthwiseConv2d, DeviceSizes, Dims};
use crate::cuda::Text;

/// Threads of a block: as in `depthwise.cu`.
const THREADS: u32 = 256;

const HALVES: &str = include_str!("halves.cuh");
const BODY: &str = include_str!("body.h");
const KERNEL: &str = include_str!("depthwise.cu");

// As macros of the text, not of the command line: NVRTC's own header, which comes before the text, has
// templates of a `T`.
const FLOAT: &str = "#define T float\n#define LOAD(x) (x)\n#define STORE(x) (x)\n";
const HALF: &str =
    "#define T unsigned short\n#define LOAD(x) f16_load(x)\n#define STORE(x) f16_store(x)\n";
const BFLOAT: &str =
    "#define T unsigned short\n#define LOAD(x) bf16_load(x)\n#define STORE(x) bf16_store(x)\n";

const F32: Text = text(&[FLOAT, HALVES, BODY, KERNEL]);
const F16: Text = text(&[HALF, HALVES, BODY, KERNEL]);
const BF16: Text = text(&[BFLOAT, HALVES, BODY, KERNEL]);

const fn text(files: &'static [&'static str]) -> Text {
    Text { name: "depthwise.cu", files, defines: &[] }
}

// SAFETY: a struct of ten u32, as the kernel's parameter.
unsafe impl DeviceRepr for DeviceSizes {}

/// Convolves on the device of `xs`.
pub(super) fn forward(
    op: &DepthwiseConv2d,
    xs: (&CudaStorage, &Layout),
    weight: (&CudaStorage, &Layout),
) -> Result<(CudaStorage, Shape)> {
    match xs.0.dtype() {
        DType::F32 => launch::<f32>(op, &F32, xs, weight),
        DType::F16 => launch::<f16>(op, &F16, xs, weight),
        DType::BF16 => launch::<bf16>(op, &BF16, xs, weight),
        other => bail!("there is no depthwise convolution of {} on CUDA", other.as_str()),
    }
}

fn launch<T: CudaDType + DeviceRepr>(
    op: &DepthwiseConv2d,
    text: &Text,
    (xs, xs_layout): (&CudaStorage, &Layout),
    (weight, weight_layout): (&CudaStorage, &Layout),
) -> Result<(CudaStorage, Shape)> {
    let dims = Dims::new(xs_layout.dims(), weight_layout.dims(), op.stride, op.pads)?;
    let sizes = DeviceSizes::new(&dims, op)?;
    let (Some((xs_start, xs_end)), Some((weight_start, weight_end))) =
        (xs_layout.contiguous_offsets(), weight_layout.contiguous_offsets())
    else {
        bail!("depthwise convolution needs contiguous tensors")
    };
    let device = xs.device();
    let stream = device.cuda_stream();
    stream.context().bind_to_thread().w()?;
    let module = text.load(stream.context()).map_err(Error::wrap)?;
    let kernel = module.load_function("depthwise").w()?;
    let xs = xs.as_cuda_slice::<T>()?.slice(xs_start..xs_end);
    let weight = weight.as_cuda_slice::<T>()?.slice(weight_start..weight_end);
    // SAFETY: the kernel writes all elements.
    let ys = unsafe { device.alloc::<T>(dims.out_len())? };
    let mut launch = stream.launch_builder(&kernel);
    launch.arg(&sizes).arg(&xs).arg(&weight).arg(&ys);
    let config = LaunchConfig {
        grid_dim: (sizes.count.div_ceil(THREADS), 1, 1),
        block_dim: (THREADS, 1, 1),
        shared_mem_bytes: 0,
    };
    // SAFETY: the arguments are those of `depthwise.cu`, and `Dims` has compared the shapes.
    unsafe { launch.launch(config) }.w()?;
    Ok((CudaStorage::wrap_cuda_slice(ys, device.clone()), dims.out_shape()))
}
