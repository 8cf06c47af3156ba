//! Candle's devices by name.

use candle_core::Device;

use crate::Error;

/// The Candle device of that name.
pub(super) fn device(name: &str) -> Result<Device, Error> {
    let error = |reason: String| Error::Device { device: name.to_owned(), reason };
    let from =
        |e: candle_core::Error| error(e.to_string().lines().next().unwrap_or_default().to_owned());
    let (kind, ordinal) = match name.split_once(':') {
        Some((kind, ordinal)) => {
            let ordinal = ordinal.parse().map_err(|_| error(format!("no number: {ordinal:?}")))?;
            (kind, ordinal)
        }
        None => (name, 0),
    };
    match kind {
        "auto" if candle_core::utils::cuda_is_available() => {
            Ok(Device::new_cuda(0).unwrap_or(Device::Cpu))
        }
        "auto" if candle_core::utils::metal_is_available() => {
            Ok(Device::new_metal(0).unwrap_or(Device::Cpu))
        }
        "auto" | "cpu" => Ok(Device::Cpu),
        "cuda" if !candle_core::utils::cuda_is_available() => {
            Err(error("build effnet with the feature `cuda`".to_owned()))
        }
        "metal" if !candle_core::utils::metal_is_available() => {
            Err(error("build effnet with the feature `metal`".to_owned()))
        }
        "cuda" => Device::new_cuda(ordinal).map_err(from),
        "metal" => Device::new_metal(ordinal).map_err(from),
        _ => Err(error("the devices are auto, cpu, cuda, cuda:N and metal".to_owned())),
    }
}
