//! The network as Candle modules, run as they are, on any device. Other engines are tested against
//! it.

use std::num::NonZero;

use candle_core::{DeviceLocation, Tensor};

use super::{Capabilities, Device, Dtype, Engine, EngineError, Images, Output, Outputs};
use crate::arch::Network;
use crate::models::EfficientNet;
use crate::threads;

/// Runs the module tree on a Candle device. Outputs stay on the device.
#[derive(Debug)]
pub struct CandleEngine {
    model: EfficientNet,
    in_chans: usize,
    /// The names of the network's outputs.
    taps: Vec<String>,
    device: candle_core::Device,
    pool: rayon::ThreadPool,
}

impl CandleEngine {
    /// An engine for `model`, which was built from `network` on `device`.
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
        Ok(Self { model, in_chans: network.in_chans, taps, device, pool })
    }

    fn forward(&self, images: Images<'_>, outputs: &[&str]) -> Result<Outputs, EngineError> {
        let xs = Tensor::from_slice(&images.normalized(), &images.shape(), &self.device)?;
        let tensors = self.model.forward_outputs(&xs, outputs, false)?;
        let named = outputs.iter().map(|&name| name.to_owned());
        Ok(named.zip(tensors.into_iter().map(Output::Candle)).collect())
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
            dtype: Dtype::F32,
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
