//! What runs a network, where and in which numbers: enums with names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which engine runs a network.
///
/// ```
/// use effnet::engine::EngineChoice;
/// assert_eq!("cpu".parse(), Ok(EngineChoice::Cpu));
/// let error = "gpu".parse::<EngineChoice>().unwrap_err();
/// assert_eq!(error.to_string(), r#"no engine is called "gpu": auto, cpu and candle are"#);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EngineChoice {
    /// The fused CPU engine on a CPU, Candle's operations on any other device.
    #[default]
    Auto,
    /// The fused CPU engine.
    Cpu,
    /// Candle's operations, on any device (with the feature `candle`).
    Candle,
}

/// What the products of the fused CPU engine are made of. Sums, activations and what is between layers
/// are float32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Dtype {
    /// float32.
    #[default]
    F32,
    /// bfloat16: weights and the inputs of pointwise and dense layers are rounded to it. Squeezed
    /// channels, depthwise, Winograd's and the image's convolutions stay float32.
    Bf16,
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
}

/// Which device a network runs on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum DeviceChoice {
    /// The first that this program was built for and that the machine has, the CPU last.
    #[default]
    Auto,
    /// This one.
    On(Device),
}

/// A name that none of an enum's values has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no {what} is called {name:?}: {known} are")]
pub struct UnknownName {
    what: &'static str,
    name: String,
    known: &'static str,
}

impl EngineChoice {
    /// All of them, with their names.
    pub const NAMES: [(&str, Self); 3] =
        [("auto", Self::Auto), ("cpu", Self::Cpu), ("candle", Self::Candle)];
}

impl Dtype {
    /// All of them, with their names.
    pub const NAMES: [(&str, Self); 2] = [("f32", Self::F32), ("bf16", Self::Bf16)];

    /// `f32` or `bf16`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

impl FromStr for EngineChoice {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let known = "auto, cpu and candle";
        find(&Self::NAMES, name).ok_or_else(|| UnknownName::new("engine", name, known))
    }
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Candle => "candle",
        })
    }
}

impl FromStr for Dtype {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        find(&Self::NAMES, name).ok_or_else(|| UnknownName::new("dtype", name, "f32 and bf16"))
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Device {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        match name {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            "metal" => Ok(Self::Metal),
            _ => {
                let number = name.strip_prefix("cuda:").and_then(|number| number.parse().ok());
                let known = "cpu, cuda, cuda:N and metal";
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
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        match name {
            "auto" => Ok(Self::Auto),
            _ => name.parse().map(Self::On).map_err(|error: UnknownName| UnknownName {
                known: "auto, cpu, cuda, cuda:N and metal",
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

/// serde's names are those that are parsed and shown.
macro_rules! as_string {
    ($($type:ty),*) => {
        $(impl TryFrom<String> for $type {
            type Error = UnknownName;

            fn try_from(name: String) -> Result<Self, UnknownName> {
                name.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        })*
    };
}

as_string!(Device, DeviceChoice);

impl UnknownName {
    fn new(what: &'static str, name: &str, known: &'static str) -> Self {
        Self { what, name: name.to_owned(), known }
    }
}

fn find<T: Copy>(names: &[(&str, T)], name: &str) -> Option<T> {
    names.iter().find(|named| named.0 == name).map(|named| named.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for (name, choice) in EngineChoice::NAMES {
            assert_eq!((choice.to_string().as_str(), name.parse()), (name, Ok(choice)));
            assert_eq!(serde_json::to_string(&choice).unwrap(), format!("{name:?}"));
        }
        for (name, dtype) in Dtype::NAMES {
            assert_eq!((dtype.to_string().as_str(), name.parse()), (name, Ok(dtype)));
            assert_eq!(serde_json::to_string(&dtype).unwrap(), format!("{name:?}"));
        }
        for name in ["auto", "cpu", "cuda:0", "cuda:12", "metal"] {
            let device: DeviceChoice = name.parse().unwrap();
            assert_eq!(device.to_string(), name);
            assert_eq!(serde_json::from_str::<DeviceChoice>(&format!("{name:?}")).unwrap(), device);
        }
        for name in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "metal:0", "CPU"] {
            let error = name.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(error.ends_with("auto, cpu, cuda, cuda:N and metal are"), "{error}");
        }
    }
}
