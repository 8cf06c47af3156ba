//! The network as Candle modules, run as they are, on any device. Other engines are tested against
//! it.

mod folded;

use std::num::NonZero;

use candle_core::{DType, DeviceLocation, Tensor};

use self::folded::Folded;
use super::{Capabilities, Device, Dtype, Engine, EngineError, Images, Output, Outputs};
use crate::Error;
use crate::arch::Network;
use crate::models::EfficientNet;
use crate::text::first_line;
use crate::threads;
use crate::weights::{TensorSource, WeightsError, var_builder};

/// Runs the module tree on a Candle device. Outputs stay on the device.
#[derive(Debug)]
pub struct CandleEngine {
    model: EfficientNet,
    in_chans: usize,
    /// The names of the network's outputs.
    taps: Vec<String>,
    device: candle_core::Device,
    /// The modules' tensors; outputs are float32.
    dtype: Dtype,
    pool: rayon::ThreadPool,
}

impl CandleEngine {
    /// An engine for `model`, which was built from `network` in float32 on `device`.
    ///
    /// `threads` limits the threads of a CPU; `None` means all cores. There are fewer if the system
    /// starts fewer.
    ///
    /// # Errors
    ///
    /// If no thread can be started.
    pub fn new(
        model: EfficientNet,
        network: &Network,
        device: candle_core::Device,
        threads: Option<usize>,
    ) -> Result<Self, EngineError> {
        let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
        let threads = threads.unwrap_or_else(cores);
        // Always a separate pool: rayon's global pool panics if the system starts fewer threads.
        let pool =
            threads::pool(threads).map_err(|source| EngineError::Threads { threads, source })?;
        let taps = network.graph().outputs();
        Ok(Self { model, in_chans: network.in_chans, taps, device, dtype: Dtype::F32, pool })
    }

    /// The modules of `network` on `device`, with the tensors of `source` as `dtype`. In float32 on a CPU
    /// they are timm's, one for one; elsewhere batch norms are folded, as a launch on a GPU costs more than
    /// their arithmetic, and a variance in few bits would lose more.
    ///
    /// # Errors
    ///
    /// A tensor that is not given, a device that refuses, or threads that do not start.
    pub(crate) fn load(
        network: &Network,
        source: &dyn TensorSource,
        device: &candle_core::Device,
        dtype: Dtype,
        threads: Option<usize>,
    ) -> Result<Self, Error> {
        let build = |error: candle_core::Error| WeightsError::Build {
            file: source.name(),
            source: first_line(&error).into(),
        };
        let graph = network.graph();
        // Candle has no products of bfloat16 on a CPU.
        let dtype = if device.is_cpu() && dtype == Dtype::Bf16 { Dtype::F32 } else { dtype };
        let of_tensors = candle_dtype(dtype);
        let model = if device.is_cpu() && dtype == Dtype::F32 {
            let vb = var_builder(source, &graph.tensors(), of_tensors, device)?;
            EfficientNet::new(network, &vb).map_err(build)?
        } else {
            let folded = Folded::new(&graph, source).map_err(|e| EngineError::Run(Box::new(e)))?;
            let vb = var_builder(&folded, folded.tensors(), of_tensors, device)?;
            EfficientNet::folded(network, &vb).map_err(build)?
        };
        Ok(Self { dtype, ..Self::new(model, network, device.clone(), threads)? })
    }

    fn forward(&self, images: Images<'_>, outputs: &[&str]) -> Result<Outputs, EngineError> {
        let xs = Tensor::from_slice(&images.normalized(), &images.shape(), &self.device)?;
        let xs = xs.to_dtype(candle_dtype(self.dtype))?;
        let tensors = self.model.forward_outputs(&xs, outputs, false)?;
        let named = outputs.iter().zip(tensors);
        let output = |(&name, tensor): (&&str, Tensor)| {
            Ok((name.to_owned(), Output::Candle(tensor.to_dtype(DType::F32)?)))
        };
        named.map(output).collect()
    }
}

impl Engine for CandleEngine {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            engine: "candle",
            device: match self.device.location() {
                DeviceLocation::Cpu => Device::Cpu,
                DeviceLocation::Cuda { gpu_id } => Device::Cuda(gpu_id),
                DeviceLocation::Metal { .. } => Device::Metal,
            },
            dtype: self.dtype,
            kernels: None,
            threads: self.pool.current_num_threads(),
            max_batch: None,
        }
    }

    fn run(&self, images: Images<'_>, outputs: &[&str]) -> Result<Outputs, EngineError> {
        let [_, found, ..] = images.shape();
        if found != self.in_chans {
            return Err(EngineError::Channels { expected: self.in_chans, found });
        }
        super::check_outputs(outputs, &self.taps)?;
        self.pool.install(|| self.forward(images, outputs))
    }
}

fn candle_dtype(dtype: Dtype) -> DType {
    match dtype {
        Dtype::F32 => DType::F32,
        Dtype::Bf16 => DType::BF16,
        Dtype::F16 => DType::F16,
    }
}
