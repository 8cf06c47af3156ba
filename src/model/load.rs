//! From a network and the place of its tensors to an engine.

use std::sync::Arc;

use super::find::Source;
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
    let (target, note) = Target::open(load.device)?;
    let mut notes: Vec<String> = note.into_iter().collect();
    let engine = match (load.engine, target.is_cpu()) {
        (EngineChoice::Cpu, false) => {
            let reason = "the engine `cpu` runs on the CPU".to_owned();
            return Err(Error::Device { device: load.device.to_string(), reason });
        }
        (EngineChoice::Auto | EngineChoice::Cpu, true) => cpu_engine(source, network, load)?,
        (EngineChoice::Auto | EngineChoice::Candle, _) => target.engine(source, network, load)?,
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

/// Hands the source's tensors to `build`, with their names and shapes, after comparing them with
/// the tensors of `network`.
fn with_tensors<T>(
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

/// Where a network runs.
#[cfg(feature = "candle")]
struct Target(candle_core::Device);

#[cfg(feature = "candle")]
impl Target {
    /// The chosen device, and a note if it is not the first that this program was built for.
    fn open(choice: DeviceChoice) -> Result<(Self, Option<String>), Error> {
        use candle_core::Device as Candle;
        use candle_core::utils::{cuda_is_available, metal_is_available};

        let error = |reason: String| Error::Device { device: choice.to_string(), reason };
        // Candle appends a backtrace if the environment asks for one.
        let line =
            |e: &candle_core::Error| e.to_string().lines().next().unwrap_or_default().to_owned();
        let opened = match choice {
            DeviceChoice::Auto if cuda_is_available() => Candle::new_cuda(0),
            DeviceChoice::Auto if metal_is_available() => Candle::new_metal(0),
            DeviceChoice::Auto | DeviceChoice::On(Device::Cpu) => Ok(Candle::Cpu),
            DeviceChoice::On(Device::Cuda(_)) if !cuda_is_available() => {
                return Err(error("build effnet with the feature `cuda`".to_owned()));
            }
            DeviceChoice::On(Device::Metal) if !metal_is_available() => {
                return Err(error("build effnet with the feature `metal`".to_owned()));
            }
            DeviceChoice::On(Device::Cuda(number)) => Candle::new_cuda(number),
            DeviceChoice::On(Device::Metal) => Candle::new_metal(0),
        };
        match opened {
            Ok(device) => Ok((Self(device), None)),
            Err(e) if choice == DeviceChoice::Auto => {
                let note = format!("the network runs on the CPU, as no GPU answers: {}", line(&e));
                Ok((Self(Candle::Cpu), Some(note)))
            }
            Err(e) => Err(error(line(&e))),
        }
    }

    fn is_cpu(&self) -> bool {
        self.0.is_cpu()
    }

    /// Candle's modules with the source's tensors, strictly.
    fn engine(
        self,
        source: &Source,
        network: &Network,
        load: Load,
    ) -> Result<Arc<dyn Engine>, Error> {
        use crate::weights::{WeightsError, var_builder};

        with_tensors(source, network, |tensors, names| {
            let vb = var_builder(tensors, names, candle_core::DType::F32, &self.0)?;
            let build = |source: candle_core::Error| WeightsError::Build {
                file: tensors.name(),
                source: source.into(),
            };
            let model = crate::models::EfficientNet::new(network, &vb).map_err(build)?;
            let engine =
                crate::engine::CandleEngine::new(model, network, self.0.clone(), load.threads)?;
            Ok(Arc::new(engine) as Arc<dyn Engine>)
        })
    }
}

/// Where a network runs: always on the CPU without Candle.
#[cfg(not(feature = "candle"))]
struct Target;

#[cfg(not(feature = "candle"))]
impl Target {
    fn open(choice: DeviceChoice) -> Result<(Self, Option<String>), Error> {
        match choice {
            DeviceChoice::Auto | DeviceChoice::On(Device::Cpu) => Ok((Self, None)),
            DeviceChoice::On(device) => Err(Error::Device {
                device: device.to_string(),
                reason: "build effnet with the feature `cuda` or `metal`".to_owned(),
            }),
        }
    }

    fn is_cpu(&self) -> bool {
        true
    }

    fn engine(self, _: &Source, _: &Network, _: Load) -> Result<Arc<dyn Engine>, Error> {
        Err(Error::NeedsCandle)
    }
}
