//! The network as Candle modules, run as they are, on any device: the oracle of other engines.

use std::num::NonZero;

use candle_core::{DeviceLocation, Tensor};

use super::{Capabilities, Device, Dtype, Engine, EngineError, Images, Output, Outputs};
use crate::arch::Network;
use crate::models::EfficientNet;
use crate::threads;

/// Runs the module tree on a Candle device. Outputs stay there.
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
    /// An engine for `model`, which is `network` and lives on `device`.
    ///
    /// `threads` bounds the threads of a CPU; all cores for `None`, and fewer where the system starts
    /// fewer.
    ///
    /// # Errors
    ///
    /// If not one thread can be started.
    pub fn new(
        model: EfficientNet,
        network: &Network,
        device: candle_core::Device,
        threads: Option<usize>,
    ) -> Result<Self, EngineError> {
        let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
        let threads = threads.unwrap_or_else(cores);
        // Of its own in any case: rayon's global pool panics where the system starts fewer threads.
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
