//! From a network and where its tensors are to an engine.

use std::sync::Arc;

use super::find::Source;
use super::target::Target;
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

/// The engine that was asked for, and notes where it is not the one that a user would expect.
pub(super) fn engine(
    source: &Source,
    network: &Network,
    load: Load,
) -> Result<(Arc<dyn Engine>, Vec<String>), Error> {
    let mut notes = Vec::new();
    let refuse =
        |reason: &str| Error::Device { device: load.device.to_string(), reason: reason.to_owned() };
    let engine = match (load.engine, load.device) {
        (EngineChoice::Wgpu, DeviceChoice::Auto)
        | (EngineChoice::Auto | EngineChoice::Wgpu, DeviceChoice::On(Device::Wgpu)) => {
            wgpu_engine(source, network, load)?
        }
        (EngineChoice::Wgpu, _) => {
            return Err(refuse("the engine `wgpu` finds its adapter itself, on the device auto"));
        }
        (_, DeviceChoice::On(Device::Wgpu)) => {
            return Err(refuse("only the engine `wgpu` runs on it"));
        }
        (choice, _) => {
            let (target, note) = Target::open(load.device)?;
            notes.extend(note);
            match (choice, target.is_cpu()) {
                (EngineChoice::Cpu, false) => {
                    return Err(refuse("the engine `cpu` runs on the CPU"));
                }
                (EngineChoice::Auto | EngineChoice::Cpu, true) => {
                    cpu_engine(source, network, load)?
                }
                _ => target.engine(source, network, load)?,
            }
        }
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
    with_tensors(source, network, |tensors, _| match CpuEngine::new(network, tensors, options) {
        Ok(engine) => Ok(Arc::new(engine) as Arc<dyn Engine>),
        Err(CpuError::Weights(error)) => Err(error.into()),
        Err(error) => Err(EngineError::from(error).into()),
    })
}

/// The engine of own kernels on wgpu's adapter, with the source's tensors, strictly.
#[cfg(feature = "wgpu")]
fn wgpu_engine(source: &Source, network: &Network, load: Load) -> Result<Arc<dyn Engine>, Error> {
    use crate::engine::{WgpuEngine, WgpuError};

    with_tensors(source, network, |tensors, _| {
        match WgpuEngine::new(network, tensors, load.dtype) {
            Ok(engine) => Ok(Arc::new(engine) as Arc<dyn Engine>),
            Err(WgpuError::Weights(error)) => Err(error.into()),
            Err(error @ WgpuError::NoAdapter { .. }) => {
                let reason = error.to_string();
                Err(Error::Device { device: Device::Wgpu.to_string(), reason })
            }
            Err(error) => Err(EngineError::from(error).into()),
        }
    })
}

#[cfg(not(feature = "wgpu"))]
fn wgpu_engine(_: &Source, _: &Network, _: Load) -> Result<Arc<dyn Engine>, Error> {
    let reason = "build effnet with the feature `wgpu`".to_owned();
    Err(Error::Device { device: Device::Wgpu.to_string(), reason })
}

/// Hands the source's tensors to `build`, with their names and shapes, after a comparison with those of
/// `network`.
pub(super) fn with_tensors<T>(
    source: &Source,
    network: &Network,
    build: impl FnOnce(&dyn TensorSource, &[(String, Vec<usize>)]) -> Result<T, Error>,
) -> Result<T, Error> {
    let tensors = network.graph().tensors();
    match source {
        Source::Seeded(seed) => build(&seeded::Source::new(*seed), &tensors),
        Source::Checkpoint(checkpoint) => build(&check(checkpoint, None, &tensors)?.0, &tensors),
        Source::Foreign(checkpoint, found) => {
            build(&check(checkpoint, Some(&found.renaming), &tensors)?.0, &tensors)
        }
    }
}
