//! What runs a network, where, and in which number type: enums with names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::names::{UnknownName, as_string, named};

/// Which engine runs a network.
///
/// ```
/// use effnet::engine::EngineChoice;
/// assert_eq!("cpu".parse(), Ok(EngineChoice::Cpu));
/// let error = "gpu".parse::<EngineChoice>().unwrap_err();
/// assert_eq!(error.to_string(), r#"no engine is called "gpu": auto, cpu, cuda, metal, candle and wgpu are"#);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum EngineChoice {
    /// The fused engine for the device: `cpu` on a CPU, `cuda` on an NVIDIA GPU. Candle's operations
    /// on Apple's GPU, and for networks that the fused engine has no kernels for.
    #[default]
    Auto,
    /// The fused CPU engine.
    Cpu,
    /// The fused CUDA engine (with the feature `cuda`).
    Cuda,
    /// The fused engine on Apple's GPU (with the feature `metal`).
    Metal,
    /// Candle's operations, on any device (with the feature `candle`).
    Candle,
    /// Own kernels on what Vulkan, Direct3D 12 and Metal run (with the feature `wgpu`). `Auto` does not
    /// choose it.
    Wgpu,
}

/// What a network computes in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Dtype {
    /// float32.
    #[default]
    F32,
    /// bfloat16. On the fused CPU engine, weights and the inputs of pointwise and dense layers are
    /// rounded to it; sums, activations and the maps between layers are float32, and
    /// squeeze-excitation, and depthwise, Winograd and stem convolutions, stay float32. On other
    /// engines, maps and weights are bfloat16.
    Bf16,
    /// float16, for maps and weights. Not on the fused CPU engine.
    F16,
}

/// A device.
///
/// ```
/// use effnet::engine::Device;
/// assert_eq!("cuda:1".parse(), Ok(Device::Cuda(1)));
/// assert_eq!(Device::Cuda(0).to_string(), "cuda:0");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Device {
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU, by its number.
    Cuda(usize),
    /// Apple's GPU.
    Metal,
    /// The adapter that wgpu finds, for the engine of that name.
    Wgpu,
}

/// Which device a network runs on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum DeviceChoice {
    /// The first device that this program was built for and that the machine has; the CPU comes
    /// last.
    #[default]
    Auto,
    /// This one.
    On(Device),
}

impl EngineChoice {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Auto, Self::Cpu, Self::Cuda, Self::Metal, Self::Candle, Self::Wgpu];

    /// `auto`, `cpu`, `cuda`, `metal`, `candle` or `wgpu`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Metal => "metal",
            Self::Candle => "candle",
            Self::Wgpu => "wgpu",
        }
    }
}

named!(EngineChoice, "engine", "auto, cpu, cuda, metal, candle and wgpu");

impl Dtype {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::F16];

    /// `f32`, `bf16` or `f16`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }

    /// Bytes of a number.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }
}

named!(Dtype, "dtype", "f32, bf16 and f16");

impl FromStr for Device {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        match name {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            "metal" => Ok(Self::Metal),
            "wgpu" => Ok(Self::Wgpu),
            _ => {
                let number = name.strip_prefix("cuda:").and_then(|number| number.parse().ok());
                let known = "cpu, cuda, cuda:N, metal and wgpu";
                number.map(Self::Cuda).ok_or_else(|| UnknownName::new("device", name, known))
            }
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal => f.write_str("metal"),
            Self::Wgpu => f.write_str("wgpu"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        match name {
            "auto" => Ok(Self::Auto),
            _ => name.parse().map(Self::On).map_err(|error: UnknownName| UnknownName {
                known: "auto, cpu, cuda, cuda:N, metal and wgpu",
                ..error
            }),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::On(device) => device.fmt(f),
        }
    }
}

impl From<Device> for DeviceChoice {
    fn from(device: Device) -> Self {
        Self::On(device)
    }
}

as_string!(Device);
as_string!(DeviceChoice);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for (name, choice) in
            ["auto", "cpu", "cuda", "metal", "candle", "wgpu"].into_iter().zip(EngineChoice::ALL)
        {
            assert_eq!((choice.to_string().as_str(), name.parse()), (name, Ok(choice)));
            assert_eq!(serde_json::to_string(&choice).unwrap(), format!("{name:?}"));
        }
        for (name, dtype) in ["f32", "bf16", "f16"].into_iter().zip(Dtype::ALL) {
            assert_eq!((dtype.to_string().as_str(), name.parse()), (name, Ok(dtype)));
            assert_eq!(serde_json::to_string(&dtype).unwrap(), format!("{name:?}"));
        }
        for name in ["auto", "cpu", "cuda:0", "cuda:12", "metal", "wgpu"] {
            let device: DeviceChoice = name.parse().unwrap();
            assert_eq!(device.to_string(), name);
            assert_eq!(serde_json::from_str::<DeviceChoice>(&format!("{name:?}")).unwrap(), device);
        }
        for name in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "metal:0", "CPU"] {
            let error = name.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(error.ends_with("auto, cpu, cuda, cuda:N, metal and wgpu are"), "{error}");
        }
    }
}
