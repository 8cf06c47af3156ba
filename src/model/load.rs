//! From a network and where its tensors are to an engine.

use std::sync::Arc;

use super::find::Source;
use crate::Error;
use crate::arch::Network;
use crate::engine::{
    CpuEngine, CpuError, CpuOptions, Device, DeviceChoice, Dtype, Engine, EngineChoice, EngineError,
};
use crate::weights::{TensorSource, check, seeded};

/// What runs a network, where, in which numbers and on how many threads.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Load {
    pub(super) engine: EngineChoice,
    pub(super) device: DeviceChoice,
    pub(super) dtype: Dtype,
    pub(super) threads: Option<usize>,
}

/// The engine that was asked for, and a note where its numbers are not.
pub(super) fn engine(
    source: &Source,
    network: &Network,
    load: Load,
) -> Result<(Arc<dyn Engine>, Option<String>), Error> {
    let engine = match (load.engine, on_cpu(load.device)) {
        (EngineChoice::Cpu, false) => {
            let reason = "the engine `cpu` runs on the CPU".to_owned();
            return Err(Error::Device { device: load.device.to_string(), reason });
        }
        (EngineChoice::Auto | EngineChoice::Cpu, true) => cpu_engine(source, network, load)?,
        (EngineChoice::Auto | EngineChoice::Candle, _) => candle_engine(source, network, load)?,
    };
    let capabilities = engine.capabilities();
    let note = (load.dtype != capabilities.dtype).then(|| {
        let (asked, used) = (load.dtype, capabilities.dtype);
        let reason = match capabilities.kernels {
            Some(kernels) => format!("the instruction set {kernels} of this machine"),
            None => format!("the engine {}", capabilities.engine),
        };
        format!("{reason} does not multiply {asked}: {used} is used")
    });
    Ok((engine, note))
}

/// The fused CPU engine with the source's tensors, strictly.
fn cpu_engine(source: &Source, network: &Network, load: Load) -> Result<Arc<dyn Engine>, Error> {
    let options = CpuOptions { threads: load.threads, dtype: load.dtype, ..CpuOptions::default() };
    with_tensors(source, network, |tensors| match CpuEngine::new(network, tensors, options) {
        Ok(engine) => Ok(Arc::new(engine) as Arc<dyn Engine>),
        Err(CpuError::Weights(error)) => Err(error.into()),
        Err(error) => Err(EngineError::from(error).into()),
    })
}

/// Hands the source's tensors to `build`, after a comparison with those of `network`.
fn with_tensors<T>(
    source: &Source,
    network: &Network,
    build: impl FnOnce(&dyn TensorSource) -> Result<T, Error>,
) -> Result<T, Error> {
    let tensors = network.graph().tensors();
    match source {
        Source::Seeded(seed) => build(&seeded::Source::new(*seed)),
        Source::Checkpoint(checkpoint) => build(&check(checkpoint, None, &tensors)?.0),
        Source::Foreign(checkpoint, found) => {
            build(&check(checkpoint, Some(&found.renaming), &tensors)?.0)
        }
    }
}

#[cfg(feature = "candle")]
mod candle {
    use candle_core::DType;

    use super::*;
    use crate::engine::CandleEngine;
    use crate::models::EfficientNet;
    use crate::weights::{WeightsError, var_builder};

    /// Whether the device that is meant is the CPU.
    pub(super) fn on_cpu(choice: DeviceChoice) -> bool {
        match choice {
            DeviceChoice::Auto => {
                !candle_core::utils::cuda_is_available()
                    && !candle_core::utils::metal_is_available()
            }
            DeviceChoice::On(device) => device == Device::Cpu,
        }
    }

    /// Candle's modules with the source's tensors, strictly.
    pub(super) fn candle_engine(
        source: &Source,
        network: &Network,
        load: Load,
    ) -> Result<Arc<dyn Engine>, Error> {
        let device = device(load.device)?;
        with_tensors(source, network, |tensors| {
            let vb = var_builder(tensors, &network.graph().tensors(), DType::F32, &device)?;
            let build = |source: candle_core::Error| WeightsError::Build {
                file: tensors.name(),
                source: source.into(),
            };
            let model = EfficientNet::new(network, &vb).map_err(build)?;
            let engine = CandleEngine::new(model, network, device.clone(), load.threads)?;
            Ok(Arc::new(engine) as Arc<dyn Engine>)
        })
    }

    /// Candle's device.
    fn device(choice: DeviceChoice) -> Result<candle_core::Device, Error> {
        let error = |reason: String| Error::Device { device: choice.to_string(), reason };
        let from = |e: candle_core::Error| {
            error(e.to_string().lines().next().unwrap_or_default().to_owned())
        };
        match choice {
            DeviceChoice::Auto if candle_core::utils::cuda_is_available() => {
                candle_core::Device::new_cuda(0).map_err(from)
            }
            DeviceChoice::Auto if candle_core::utils::metal_is_available() => {
                candle_core::Device::new_metal(0).map_err(from)
            }
            DeviceChoice::Auto | DeviceChoice::On(Device::Cpu) => Ok(candle_core::Device::Cpu),
            DeviceChoice::On(Device::Cuda(_)) if !candle_core::utils::cuda_is_available() => {
                Err(error("build effnet with the feature `cuda`".to_owned()))
            }
            DeviceChoice::On(Device::Metal) if !candle_core::utils::metal_is_available() => {
                Err(error("build effnet with the feature `metal`".to_owned()))
            }
            DeviceChoice::On(Device::Cuda(number)) => {
                candle_core::Device::new_cuda(number).map_err(from)
            }
            DeviceChoice::On(Device::Metal) => candle_core::Device::new_metal(0).map_err(from),
        }
    }
}

#[cfg(feature = "candle")]
use candle::{candle_engine, on_cpu};

#[cfg(not(feature = "candle"))]
fn on_cpu(choice: DeviceChoice) -> bool {
    matches!(choice, DeviceChoice::Auto | DeviceChoice::On(Device::Cpu))
}

#[cfg(not(feature = "candle"))]
fn candle_engine(_: &Source, _: &Network, load: Load) -> Result<Arc<dyn Engine>, Error> {
    Err(match load.device {
        DeviceChoice::Auto | DeviceChoice::On(Device::Cpu) => Error::NeedsCandle,
        device => Error::Device {
            device: device.to_string(),
            reason: "build effnet with the feature `cuda` or `metal`".to_owned(),
        },
    })
}
