//! The fused network on CUDA.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use candle_core::cuda_backend::cudarc::driver::sys::{CUdevice_attribute, CUresult};
use candle_core::cuda_backend::cudarc::driver::{
    CudaContext, CudaModule, CudaSlice, CudaStream, DevicePtr, DriverError,
};
use candle_core::{CudaDevice, Tensor};

use super::prepared::Prepared;
use super::{FILES, tensor};
use crate::Error;
use crate::arch::{Network, PadType, Tap};
use crate::cuda::Text;
use crate::engine::fuse::fuse;
use crate::engine::gpu::{Cost, GpuError, Input, Layer, Plan, Shape, pack};
use crate::engine::{
    Capabilities, Data, Device, DeviceWork, Dtype, Engine, EngineError, Images, Output, Outputs,
    check_outputs,
};
use crate::weights::{TensorSource, WeightsError};

/// Shapes of images whose memory is kept.
const PLANS: usize = 4;

/// The handle by which each thread means its own default stream.
const PER_THREAD_STREAM: usize = 2;

const F32: Text = text(&["T_F32"]);
const F16: Text = text(&["T_F16"]);
const BF16: Text = text(&["T_BF16"]);

const fn text(defines: &'static [&'static str]) -> Text {
    Text { name: "effnet.cu", files: FILES, defines }
}

/// Runs a network on an NVIDIA GPU by its own kernels, which are compiled for the device on first use.
///
/// Callers from several threads take turns to enqueue their work, all on one stream, and wait for their
/// own results. Outputs are Candle tensors on the device, in float32.
pub struct CudaEngine {
    /// Any tensor of the device.
    like: Tensor,
    /// What computes, and what copies images beside it.
    streams: [Arc<CudaStream>; 2],
    module: Arc<CudaModule>,
    layers: Vec<Layer>,
    taps: Vec<Tap>,
    outputs: Vec<String>,
    pad_type: PadType,
    in_chans: usize,
    dtype: Dtype,
    kernels: &'static str,
    /// They own the memory at the addresses.
    _weights: Vec<CudaSlice<u8>>,
    addresses: Arc<[u64]>,
    /// The last used first.
    prepared: Mutex<Vec<Prepared>>,
}

impl fmt::Debug for CudaEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CudaEngine").field("capabilities", &self.capabilities()).finish()
    }
}

/// The GPU generation's name for NVCC.
fn kernels_name(capability: (i32, i32)) -> &'static str {
    match capability {
        (7, 5) => "sm_75",
        (8, 0) => "sm_80",
        (8, 6) => "sm_86",
        (8, 7) => "sm_87",
        (8, 9) => "sm_89",
        (9, 0) => "sm_90",
        (10, 0) => "sm_100",
        (10, 3) => "sm_103",
        (11, 0) => "sm_110",
        (12, 0) => "sm_120",
        (12, 1) => "sm_121",
        _ => "sm",
    }
}

fn driver(error: DriverError) -> GpuError {
    match error.0 {
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => GpuError::Device("it has no memory left".to_owned()),
        _ => GpuError::Device(error.to_string()),
    }
}

impl CudaEngine {
    /// Fuses `network`, compiles its kernels for `device` and uploads its tensors, which it requests by
    /// timm's names, as `dtype`.
    ///
    /// # Errors
    ///
    /// A layer without a kernel ([`EngineError::NoKernel`]), a tensor that is not given or that `dtype`
    /// cannot hold, or a device that refuses.
    pub fn new(
        network: &Network,
        tensors: &dyn TensorSource,
        device: &CudaDevice,
        dtype: Dtype,
    ) -> Result<Self, Error> {
        let stream = device.cuda_stream();
        let context = stream.context();
        // The engine orders its two streams by its own events; tracked ones cannot be captured.
        // SAFETY: what the copy stream uses lives as long as the engine, and all else is on one stream.
        unsafe { context.disable_event_tracking() };
        let text = match dtype {
            Dtype::F32 => &F32,
            Dtype::F16 => &F16,
            Dtype::Bf16 => &BF16,
        };
        let module = text.load(context).map_err(|e| GpuError::Device(e.to_string()))?;
        let graph = network.graph();
        let fused = fuse(&graph).map_err(GpuError::from)?;
        let mut weights = Vec::new();
        let layers = pack(&fused, tensors, &mut |path, tensor| {
            let bytes = tensor.bytes(dtype).map_err(|value| {
                GpuError::Weights(WeightsError::Overflow {
                    file: tensors.name(),
                    tensor: path.to_owned(),
                    index: 0,
                    value,
                    dtype: dtype.name(),
                })
            })?;
            weights.push(stream.clone_htod(&bytes).map_err(driver)?);
            Ok(weights.len() - 1)
        })?;
        stream.synchronize().map_err(driver)?;
        let addresses = weights.iter().map(|weight| weight.device_ptr(&stream).0).collect();
        let capability = context.compute_capability().map_err(driver)?;
        let copies = context.new_stream().map_err(driver)?;
        Ok(Self {
            like: tensor::on(device).map_err(EngineError::from)?,
            streams: [stream, copies],
            module,
            layers,
            taps: fused.taps,
            outputs: graph.outputs(),
            pad_type: fused.pad_type,
            in_chans: network.in_chans,
            dtype,
            kernels: kernels_name(capability),
            _weights: weights,
            addresses,
            prepared: Mutex::new(Vec::new()),
        })
    }

    /// Normalized images (N, C, H, W) on this engine's device, in float32, to the outputs with these
    /// names, on the same device.
    ///
    /// # Errors
    ///
    /// As [`Engine::run`]; a tensor on another device or of another type.
    pub fn forward(&self, xs: &Tensor, outputs: &[&str]) -> Result<Vec<Tensor>, EngineError> {
        let (n, c, h, w) = xs.dims4()?;
        self.check([n, c, h, w], outputs)?;
        // Another `CudaDevice` has another stream, even if it is the same GPU: nothing would wait for it.
        if !xs.device().same_device(self.like.device()) {
            let reason = "the images are on another device than the engine".to_owned();
            return Err(GpuError::Device(reason).into());
        }
        let xs = xs.contiguous()?;
        let mut prepared = self.lock();
        let shape = shape(Input::Floats, [n, c, h, w], outputs);
        let plan = self.prepare(&mut prepared, &shape, n * c * h * w * 4)?;
        let [stream, copies] = &self.streams;
        tensor::with_floats(&xs, |images| plan.take(stream, images))?;
        plan.run(stream, copies).map_err(driver)?;
        self.collect(plan)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Prepared>> {
        // A panic under the lock leaves memory that the next run fills again.
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, [_, found, ..]: [usize; 4], outputs: &[&str]) -> Result<(), EngineError> {
        if found != self.in_chans {
            return Err(EngineError::Channels { expected: self.in_chans, found });
        }
        check_outputs(outputs, &self.outputs)
    }

    /// What runs `shape`, moved to the front.
    fn prepare<'p>(
        &self,
        prepared: &'p mut Vec<Prepared>,
        shape: &Shape,
        image_bytes: usize,
    ) -> Result<&'p mut Prepared, GpuError> {
        let [stream, _] = &self.streams;
        // Not all calls bind it, and the thread may be a new one.
        stream.context().bind_to_thread().map_err(driver)?;
        if let Some(at) = prepared.iter().position(|known| known.shape == *shape) {
            prepared[..=at].rotate_right(1);
            return Ok(&mut prepared[0]);
        }
        prepared.truncate(PLANS - 1);
        let element = self.dtype.bytes();
        let plan = Plan::new(&self.layers, &self.taps, self.pad_type, shape, element)?;
        let memory = plan.arena + 3 * image_bytes;
        let plan = Arc::new(plan);
        let make = || {
            let function = |name: &str| self.module.load_function(name);
            let (plan, weights) = (Arc::clone(&plan), Arc::clone(&self.addresses));
            Prepared::new(stream, (shape.clone(), plan), image_bytes, weights, function)
        };
        let mut made = make();
        if matches!(made, Err(DriverError(CUresult::CUDA_ERROR_OUT_OF_MEMORY))) {
            // What other shapes hold may be enough. It is free when the stream has come to it.
            prepared.clear();
            stream.synchronize().map_err(driver)?;
            made = make();
        }
        let made = made.map_err(|error| match error.0 {
            CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
                let _ = stream.synchronize();
                let (free, _) = stream.context().mem_get_info().unwrap_or_default();
                let of_image = memory / shape.images.max(1);
                let fits = (free / of_image.max(1)).min(shape.images - 1);
                GpuError::Memory { images: shape.images, fits }
            }
            _ => driver(error),
        })?;
        prepared.insert(0, made);
        Ok(&mut prepared[0])
    }

    /// Sends images to the plan of their shape, and gives it.
    fn send<'p>(
        &self,
        prepared: &'p mut Vec<Prepared>,
        images: Images<'_>,
        outputs: &[&str],
    ) -> Result<&'p mut Prepared, EngineError> {
        self.check(images.shape(), outputs)?;
        let [stream, copies] = &self.streams;
        let len = images.shape().iter().product::<usize>();
        match images.data() {
            Data::Normalized(values) => {
                let shape = shape(Input::Floats, images.shape(), outputs);
                let plan = self.prepare(prepared, &shape, len * 4)?;
                let write = |to: &mut [u8]| {
                    let to = to.chunks_exact_mut(4).zip(values);
                    to.for_each(|(to, value)| to.copy_from_slice(&value.to_le_bytes()));
                };
                plan.send(stream, copies, write).map_err(driver)?;
                Ok(plan)
            }
            Data::Pixels(pixels, normalize) => {
                let shape = shape(Input::Pixels, images.shape(), outputs);
                let plan = self.prepare(prepared, &shape, len)?;
                let table = normalize.tables().as_flattened();
                plan.set_table(stream, table).map_err(driver)?;
                let write = |to: &mut [u8]| to.copy_from_slice(pixels);
                plan.send(stream, copies, write).map_err(driver)?;
                Ok(plan)
            }
        }
    }

    /// Copies of a plan's outputs, which its next run overwrites, in order on the stream.
    fn collect(&self, plan: &Prepared) -> Result<Vec<Tensor>, EngineError> {
        let [stream, _] = &self.streams;
        let outputs = plan.outputs.iter().zip(&plan.plan.outputs);
        let copy = |(output, shape): (&CudaSlice<f32>, &Vec<usize>)| {
            let copy = stream.clone_dtod(output).map_err(driver)?;
            Ok(tensor::of(copy, shape, &self.like)?)
        };
        let tensors = outputs.map(copy).collect();
        // A stream that is each thread's own (`Device::new_cuda`) does not order the threads.
        if stream.cu_stream().addr() == PER_THREAD_STREAM {
            stream.synchronize().map_err(driver)?;
        }
        tensors
    }
}

fn shape(input: Input, [images, _, height, width]: [usize; 4], outputs: &[&str]) -> Shape {
    let outputs = outputs.iter().map(|&name| name.to_owned()).collect();
    Shape { input, images, height, width, outputs }
}

impl Engine for CudaEngine {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            device: Device::Cuda(self.streams[0].context().ordinal()),
            dtype: self.dtype,
            kernels: Some(self.kernels),
            ..Capabilities::new("cuda")
        }
    }

    fn run(&self, images: Images<'_>, outputs: &[&str]) -> Result<Outputs, EngineError> {
        let mut prepared = self.lock();
        let plan = self.send(&mut prepared, images, outputs)?;
        let [stream, copies] = &self.streams;
        plan.run(stream, copies).map_err(driver)?;
        let tensors = self.collect(plan)?;
        let named = outputs.iter().map(|&name| name.to_owned());
        Ok(named.zip(tensors.into_iter().map(Output::Candle)).collect())
    }

    fn profile(&self, images: Images<'_>) -> Result<Vec<(String, Duration)>, EngineError> {
        let mut prepared = self.lock();
        let plan = self.send(&mut prepared, images, &["logits"])?;
        Ok(plan.profile(&self.streams[0]).map_err(driver)?)
    }

    fn device_work(&self, images: Images<'_>) -> Result<Option<DeviceWork>, EngineError> {
        let mut prepared = self.lock();
        let plan = self.send(&mut prepared, images, &["logits"])?;
        let [stream, copies] = &self.streams;
        let time = plan.timed(stream, copies).map_err(driver)?;
        let steps = &plan.plan.steps;
        let cost: Cost = steps.iter().map(|step| step.kernel.cost(self.dtype.bytes())).sum();
        let [most_bytes, most_flops] = limits(stream.context(), self.dtype);
        let Cost { bytes, flops } = cost;
        Ok(Some(DeviceWork { time, launches: steps.len(), bytes, flops, most_bytes, most_flops }))
    }
}

/// Bytes a second of the device's memory, and operations a second of its products with sums in float32,
/// if they are known.
fn limits(context: &CudaContext, dtype: Dtype) -> [Option<f64>; 2] {
    let attribute = |name| context.attribute(name).ok().filter(|value| *value > 0).map(f64::from);
    let memory = || {
        let kilohertz = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE)?;
        let bits = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH)?;
        // Two transfers a clock.
        Some(2.0 * kilohertz * 1e3 * bits / 8.0)
    };
    let products = || {
        let kilohertz = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_CLOCK_RATE)?;
        let processors = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
        // Operations a clock of a multiprocessor: in float32, and on its tensor cores.
        let [floats, halves] = match context.compute_capability().ok()? {
            (7, 5) => [128.0, 1024.0],
            (8, 0) => [128.0, 2048.0],
            (8, 6 | 9) | (12, _) => [256.0, 512.0],
            (9, 0) => [256.0, 4096.0],
            (10, _) => [256.0, 8192.0],
            _ => return None,
        };
        let a_clock = if dtype == Dtype::F32 { floats } else { halves };
        Some(kilohertz * 1e3 * processors * a_clock)
    };
    [memory(), products()]
}
