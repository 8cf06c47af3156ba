//! From a network and the place of its tensors to an engine.

use std::sync::Arc;

use super::find::Source;
use super::target::Target;
use crate::Error;
use crate::arch::Network;
use crate::engine::{
    CpuEngine, CpuError, CpuOptions, Device, DeviceChoice, Dtype, Engine, EngineChoice, EngineError,
};
use crate::weights::{TensorSource, check, seeded};

/// Which engine runs a network, on which device, with which dtype and how many threads.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Load {
    pub(super) engine: EngineChoice,
    pub(super) device: DeviceChoice,
    pub(super) dtype: Dtype,
    pub(super) threads: Option<usize>,
}

/// The requested engine, with notes if it is not what a user would expect.
pub(super) fn engine(
    source: &Source,
    network: &Network,
    load: Load,
) -> Result<(Arc<dyn Engine>, Vec<String>), Error> {
    let refuse =
        |reason: &str| Error::Device { device: load.device.to_string(), reason: reason.to_owned() };
    let of_wgpu = match (load.engine, load.device) {
        (EngineChoice::Wgpu, DeviceChoice::Auto)
        | (EngineChoice::Auto | EngineChoice::Wgpu, DeviceChoice::On(Device::Wgpu)) => true,
        (EngineChoice::Wgpu, _) => {
            return Err(refuse("the engine `wgpu` finds its adapter itself, on the device auto"));
        }
        (_, DeviceChoice::On(Device::Wgpu)) => {
            return Err(refuse("only the engine `wgpu` runs on it"));
        }
        _ => false,
    };
    if of_wgpu {
        return Ok((wgpu_engine(source, network, load)?, Vec::new()));
    }
    // An engine of one device needs no other words.
    let device = match (load.device, load.engine) {
        (DeviceChoice::Auto, EngineChoice::Cpu) => Device::Cpu.into(),
        (DeviceChoice::Auto, EngineChoice::Cuda) => Device::Cuda(0).into(),
        (DeviceChoice::Auto, EngineChoice::Metal) => Device::Metal.into(),
        (device, _) => device,
    };
    let (target, note) = Target::open(device)?;
    let mut notes: Vec<String> = note.into_iter().collect();
    let fused = match (load.engine, target.device()) {
        // Metal's fused engine has not met a Mac yet: it runs where it is asked for.
        (EngineChoice::Candle, _) | (EngineChoice::Auto, Device::Metal) => None,
        (EngineChoice::Auto | EngineChoice::Cpu, Device::Cpu) => {
            Some(cpu_engine(source, network, load))
        }
        (EngineChoice::Auto | EngineChoice::Cuda, Device::Cuda(_))
        | (EngineChoice::Metal, Device::Metal) => Some(target.fused(source, network, load)),
        (engine, device) => {
            return Err(refuse(&format!("the engine `{engine}` does not run on {device}")));
        }
    };
    let engine = match fused {
        None => target.candle(source, network, load)?,
        Some(Err(Error::Engine(error @ EngineError::NoKernel { .. })))
            if load.engine == EngineChoice::Auto =>
        {
            notes.push(format!("the network runs by Candle's operations: {error}"));
            target.candle(source, network, load)?
        }
        Some(engine) => engine?,
    };
    let capabilities = engine.capabilities();
    if load.dtype != capabilities.dtype {
        let (asked, used) = (load.dtype, capabilities.dtype);
        let reason = match capabilities.kernels {
            Some(kernels) => format!("the instruction set {kernels} of this machine"),
            None => format!("the engine {}", capabilities.engine),
        };
        notes.push(format!("{reason} does not multiply {asked}: {used} is used"));
    }
    Ok((engine, notes))
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

/// The engine of own kernels on wgpu's adapter, with the source's tensors, strictly.
#[cfg(feature = "wgpu")]
fn wgpu_engine(source: &Source, network: &Network, load: Load) -> Result<Arc<dyn Engine>, Error> {
    use crate::engine::{WgpuEngine, WgpuError};

    with_tensors(source, network, |tensors| match WgpuEngine::new(network, tensors, load.dtype) {
        Ok(engine) => Ok(Arc::new(engine) as Arc<dyn Engine>),
        Err(Error::Engine(EngineError::Wgpu(error @ WgpuError::NoAdapter { .. }))) => {
            let reason = error.to_string();
            Err(Error::Device { device: Device::Wgpu.to_string(), reason })
        }
        Err(error) => Err(error),
    })
}

#[cfg(not(feature = "wgpu"))]
fn wgpu_engine(_: &Source, _: &Network, _: Load) -> Result<Arc<dyn Engine>, Error> {
    let reason = "build effnet with the feature `wgpu`".to_owned();
    Err(Error::Device { device: Device::Wgpu.to_string(), reason })
}

/// Hands the source's tensors to `build`, after comparing them with the tensors of `network`.
pub(super) fn with_tensors<T>(
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
