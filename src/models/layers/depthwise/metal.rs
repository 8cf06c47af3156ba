//! Depthwise convolution as one Metal kernel.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::{DType, Error, Layout, MetalDevice, MetalStorage, Result, Shape, bail};
use candle_metal_kernels::metal::ComputePipeline;
use objc2_metal::MTLSize;

use super::{DepthwiseConv2d, DeviceSizes, Dims};

/// What `body.h` needs in Metal's language.
const PRELUDE: &str = "#include <metal_stdlib>
using namespace metal;
#define GLOBAL device
#define FUNCTION static inline
#define LOAD(x) float(x)
#define STORE(x) T(x)
";

/// Pipelines of this process, by device and type of elements.
static PIPELINES: LazyLock<Mutex<HashMap<(u64, &'static str), ComputePipeline>>> =
    LazyLock::new(Mutex::default);

fn pipeline(device: &MetalDevice, element: &'static str) -> Result<ComputePipeline> {
    let mut pipelines = PIPELINES.lock().unwrap_or_else(PoisonError::into_inner);
    let at = (device.device().registry_id(), element);
    if let Some(pipeline) = pipelines.get(&at) {
        return Ok(pipeline.clone());
    }
    let text = [
        PRELUDE,
        &format!("typedef {element} T;\n"),
        include_str!("body.h"),
        include_str!("depthwise.metal"),
    ]
    .concat();
    let build = || {
        let library = device.device().new_library_with_source(&text, None)?;
        let function = library.get_function("depthwise", None)?;
        device.device().new_compute_pipeline_state_with_function(&function)
    };
    let pipeline = build().map_err(Error::wrap)?;
    pipelines.insert(at, pipeline.clone());
    Ok(pipeline)
}

/// Convolves on the device of `xs`.
pub(super) fn forward(
    op: &DepthwiseConv2d,
    (xs, xs_layout): (&MetalStorage, &Layout),
    (weight, weight_layout): (&MetalStorage, &Layout),
) -> Result<(MetalStorage, Shape)> {
    let dtype = xs.dtype();
    let element = match dtype {
        DType::F32 => "float",
        DType::F16 => "half",
        DType::BF16 => "bfloat",
        other => bail!("there is no depthwise convolution of {} on Metal", other.as_str()),
    };
    let dims = Dims::new(xs_layout.dims(), weight_layout.dims(), op.stride, op.pads)?;
    let sizes = DeviceSizes::new(&dims, op)?;
    if !xs_layout.is_contiguous() || !weight_layout.is_contiguous() {
        bail!("depthwise convolution needs contiguous tensors")
    }
    let device = xs.device();
    let pipeline = pipeline(device, element)?;
    let ys = device.new_buffer(dims.out_len(), dtype, "depthwise")?;
    let bytes = |layout: &Layout| layout.start_offset() * dtype.size_in_bytes();
    {
        let guard = device.command_encoder()?;
        let encoder = guard.as_ref();
        encoder.set_compute_pipeline_state(&pipeline);
        encoder.set_bytes(0, &sizes);
        encoder.set_input_buffer(1, Some(xs.buffer()), bytes(xs_layout));
        encoder.set_input_buffer(2, Some(weight.buffer()), bytes(weight_layout));
        encoder.set_output_buffer(3, Some(&ys), 0);
        let threads = pipeline.max_total_threads_per_threadgroup().min(256);
        let size = |width| MTLSize { width, height: 1, depth: 1 };
        let groups = dims.out_len().div_ceil(threads);
        encoder.dispatch_thread_groups(size(groups), size(threads));
    }
    Ok((MetalStorage::new(ys, device.clone(), dims.out_len(), dtype), dims.out_shape()))
}
