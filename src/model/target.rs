//! The device that a network runs on.

use std::sync::Arc;

use super::find::Source;
use super::load::Load;
use crate::Error;
use crate::arch::Network;
use crate::engine::{Device, DeviceChoice, Engine};

/// Where a network runs.
#[cfg(feature = "candle")]
pub(super) struct Target(candle_core::Device);

#[cfg(feature = "candle")]
impl Target {
    /// Opens the device that is meant. There is a note where `auto` chose, and something else could have
    /// been expected.
    ///
    /// # Errors
    ///
    /// A device that this program was not built for, or that does not answer.
    pub(super) fn open(choice: DeviceChoice) -> Result<(Self, Option<String>), Error> {
        let gpu = if cfg!(feature = "cuda") {
            Some(Device::Cuda(0))
        } else if cfg!(feature = "metal") {
            Some(Device::Metal)
        } else {
            None
        };
        let error = |reason| Error::Device { device: choice.to_string(), reason };
        match (choice, gpu) {
            (DeviceChoice::On(device), _) => Ok((Self(open(device).map_err(error)?), None)),
            (DeviceChoice::Auto, None) => Ok((Self(candle_core::Device::Cpu), unused_gpu())),
            (DeviceChoice::Auto, Some(gpu)) => match open(gpu) {
                Ok(device) => Ok((Self(device), Some(format!("the network runs on {gpu}")))),
                Err(reason) => {
                    let note = format!("the network runs on the CPU, as {gpu} does not: {reason}");
                    Ok((Self(candle_core::Device::Cpu), Some(note)))
                }
            },
        }
    }

    pub(super) fn device(&self) -> Device {
        match self.0.location() {
            candle_core::DeviceLocation::Cpu => Device::Cpu,
            candle_core::DeviceLocation::Cuda { gpu_id } => Device::Cuda(gpu_id),
            candle_core::DeviceLocation::Metal { .. } => Device::Metal,
        }
    }

    /// Candle's modules with the source's tensors, strictly.
    pub(super) fn candle(
        &self,
        source: &Source,
        network: &Network,
        load: Load,
    ) -> Result<Arc<dyn Engine>, Error> {
        use crate::engine::CandleEngine;

        super::load::with_tensors(source, network, |tensors| {
            let engine = CandleEngine::load(network, tensors, &self.0, load.dtype, load.threads)?;
            Ok(Arc::new(engine) as Arc<dyn Engine>)
        })
    }

    /// The GPU's fused engine with the source's tensors, strictly.
    pub(super) fn fused(
        &self,
        source: &Source,
        network: &Network,
        load: Load,
    ) -> Result<Arc<dyn Engine>, Error> {
        super::load::with_tensors(source, network, |tensors| match &self.0 {
            #[cfg(feature = "cuda")]
            candle_core::Device::Cuda(device) => {
                let engine = crate::engine::CudaEngine::new(network, tensors, device, load.dtype)?;
                Ok(Arc::new(engine) as Arc<dyn Engine>)
            }
            #[cfg(all(feature = "metal", target_vendor = "apple"))]
            device @ candle_core::Device::Metal(_) => {
                let engine = crate::engine::MetalEngine::new(network, tensors, device, load.dtype)?;
                Ok(Arc::new(engine) as Arc<dyn Engine>)
            }
            _ => {
                let _ = tensors;
                let reason = "it has no fused engine".to_owned();
                Err(Error::Device { device: load.device.to_string(), reason })
            }
        })
    }
}

/// Whether networks can run on a device; if not, why.
#[cfg(feature = "candle")]
pub(crate) fn check_device(device: Device) -> Result<(), String> {
    open(device).map(drop)
}

/// Opens a device, or says why not.
#[cfg(feature = "candle")]
fn open(device: Device) -> Result<candle_core::Device, String> {
    use candle_core::Device as Candle;

    let line = |error: candle_core::Error| crate::text::first_line(&error);
    match device {
        Device::Cpu => Ok(Candle::Cpu),
        #[cfg(feature = "cuda")]
        Device::Cuda(number) => {
            crate::cuda::check_device(number)?;
            // The stream of `new_cuda` is the calling thread's: what one thread uploads, another would
            // read too early.
            Candle::new_cuda_with_stream(number).map_err(line)
        }
        #[cfg(not(feature = "cuda"))]
        Device::Cuda(_) => Err("build effnet with the feature `cuda`".to_owned()),
        Device::Metal if cfg!(feature = "metal") => Candle::new_metal(0).map_err(line),
        Device::Metal => Err("build effnet with the feature `metal`".to_owned()),
        Device::Wgpu => Err("Candle does not run on it".to_owned()),
    }
}

/// Where a network runs: without Candle, on the CPU.
#[cfg(not(feature = "candle"))]
pub(super) struct Target;

#[cfg(not(feature = "candle"))]
impl Target {
    pub(super) fn open(choice: DeviceChoice) -> Result<(Self, Option<String>), Error> {
        match choice {
            DeviceChoice::Auto => Ok((Self, unused_gpu())),
            DeviceChoice::On(device) => check_device(device)
                .map(|()| (Self, None))
                .map_err(|reason| Error::Device { device: device.to_string(), reason }),
        }
    }

    pub(super) fn device(&self) -> Device {
        Device::Cpu
    }

    pub(super) fn candle(
        &self,
        _: &Source,
        _: &Network,
        _: Load,
    ) -> Result<Arc<dyn Engine>, Error> {
        Err(Error::NeedsCandle)
    }

    pub(super) fn fused(&self, _: &Source, _: &Network, _: Load) -> Result<Arc<dyn Engine>, Error> {
        Err(Error::NeedsCandle)
    }
}

/// Whether networks can run on a device; if not, why.
#[cfg(not(feature = "candle"))]
pub(crate) fn check_device(device: Device) -> Result<(), String> {
    match device {
        Device::Cpu => Ok(()),
        _ => Err("build effnet with the feature `cuda` or `metal`".to_owned()),
    }
}

/// A note where the machine has a GPU that this program was not built for.
fn unused_gpu() -> Option<String> {
    let nvidia = std::path::Path::new("/proc/driver/nvidia/version").exists();
    let (gpu, feature) = match (nvidia, cfg!(all(target_os = "macos", target_arch = "aarch64"))) {
        (true, _) => ("an NVIDIA GPU", "cuda"),
        (false, true) => ("Apple's GPU", "metal"),
        (false, false) => return None,
    };
    Some(format!(
        "the network runs on the CPU: to use {gpu}, build effnet with the feature `{feature}`"
    ))
}
