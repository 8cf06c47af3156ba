//! GPUs: what this program was built for, what the machine has, and what keeps one from the other.

use std::io;
use std::path::Path;

use effnet::engine::Device;
use serde::Serialize;

use super::Problem;
use super::fact::Fact;
use super::folder::Folder;

/// What reads like a remedy for all that keeps a GPU from being used.
const GUIDE: &str = "docs/gpu.md says what the program, the driver and the GPU must be";

/// The devices besides the CPU. The names appear in the JSON, and must not change.
#[derive(Debug, Serialize)]
pub(super) struct Devices {
    pub(super) cuda: Cuda,
    pub(super) metal: Metal,
}

#[derive(Debug, Serialize)]
pub(super) struct Cuda {
    /// Whether the program was built with the feature `cuda`.
    pub(super) compiled: bool,
    /// The version of the NVIDIA driver that the system runs; null if it runs none.
    pub(super) system_driver: Fact<Option<String>>,
    /// What only a program with CUDA can tell.
    pub(super) runtime: Option<Runtime>,
}

/// What CUDA says.
#[derive(Debug, Serialize)]
pub(super) struct Runtime {
    /// The version of CUDA that the program was built for.
    pub(super) built_for: String,
    /// The newest version of CUDA whose programs the driver runs.
    pub(super) driver: Fact<String>,
    /// The version of NVRTC, which compiles effnet's kernels.
    pub(super) nvrtc: Fact<String>,
    pub(super) gpus: Fact<Vec<Gpu>>,
    /// Where compiled kernels are kept; null if there is no place.
    pub(super) kernels: Option<Folder>,
    pub(super) kernels_bytes: Fact<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Gpu {
    pub(super) device: Device,
    pub(super) name: Fact<String>,
    pub(super) compute_capability: Fact<String>,
    pub(super) memory_free_bytes: Fact<u64>,
    pub(super) memory_total_bytes: Fact<u64>,
    pub(super) usable: bool,
    /// Why it is not usable.
    pub(super) reason: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Metal {
    /// Whether the program was built with the feature `metal`.
    pub(super) compiled: bool,
    pub(super) usable: bool,
    /// Why it is not usable, in a program that was built for it.
    pub(super) reason: Option<String>,
}

impl Devices {
    pub(super) fn examine(problems: &mut Vec<Problem>) -> Self {
        let system_driver = system_driver(Path::new("/proc/driver/nvidia/version"));
        let runtime = runtime(problems);
        if let (Some(Some(version)), None) = (system_driver.known(), &runtime) {
            problems.push(Problem::new(
                format!(
                    "the machine has an NVIDIA driver ({version}), which this program does not use"
                ),
                "build effnet with the feature `cuda`: docs/gpu.md",
            ));
        }
        Self {
            cuda: Cuda { compiled: runtime.is_some(), system_driver, runtime },
            metal: Metal::examine(problems),
        }
    }

    /// The devices that networks can run on.
    pub(super) fn usable(&self) -> Vec<Device> {
        let gpus = self.cuda.runtime.as_ref().and_then(|runtime| runtime.gpus.known());
        let gpus = gpus.into_iter().flatten().filter(|gpu| gpu.usable).map(|gpu| gpu.device);
        let metal = self.metal.usable.then_some(Device::Metal);
        let wgpu = cfg!(feature = "wgpu").then_some(Device::Wgpu);
        std::iter::once(Device::Cpu).chain(gpus).chain(metal).chain(wgpu).collect()
    }
}

impl Metal {
    fn examine(problems: &mut Vec<Problem>) -> Self {
        let compiled = cfg!(feature = "metal");
        let usable = match compiled {
            true => effnet::unstable::check_device(Device::Metal),
            false => Err(String::new()),
        };
        if compiled && let Err(reason) = &usable {
            problems.push(Problem::new(format!("Metal cannot be used: {reason}"), GUIDE));
        } else if !compiled && cfg!(all(target_os = "macos", target_arch = "aarch64")) {
            problems.push(Problem::new(
                "the machine has Apple's GPU, which this program does not use",
                "build effnet with the feature `metal`: docs/gpu.md",
            ));
        }
        let is_usable = usable.is_ok();
        Self { compiled, usable: is_usable, reason: usable.err().filter(|_| compiled) }
    }
}

/// The version that NVIDIA's kernel module gives in this file.
fn system_driver(file: &Path) -> Fact<Option<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => match version(&text) {
            Some(version) => Fact::Known(Some(version.to_owned())),
            None => Fact::unknown(format!("{}: no version", file.display())),
        },
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Fact::unknown(format!("{}: {error}", file.display()))
        }
        Err(_) if cfg!(target_os = "linux") => Fact::Known(None),
        Err(_) => Fact::unknown("effnet reads this on Linux only"),
    }
}

/// The first word that looks like `570.86.15`.
fn version(text: &str) -> Option<&str> {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    text.split_whitespace().find(|word| word.contains('.') && word.split('.').all(is_number))
}

#[cfg(not(feature = "cuda"))]
fn runtime(_: &mut Vec<Problem>) -> Option<Runtime> {
    None
}

#[cfg(feature = "cuda")]
fn runtime(problems: &mut Vec<Problem>) -> Option<Runtime> {
    let facts = effnet::unstable::cuda_facts();
    let gpus = facts.gpus.map(|gpus| {
        let gpu = |(number, gpu): (usize, effnet::unstable::GpuFacts)| Gpu {
            device: Device::Cuda(number),
            name: gpu.name.into(),
            compute_capability: gpu.compute_capability.into(),
            memory_free_bytes: gpu.memory_free.into(),
            memory_total_bytes: gpu.memory_total.into(),
            usable: gpu.usable.is_ok(),
            reason: gpu.usable.err(),
        };
        gpus.into_iter().enumerate().map(gpu).collect::<Vec<_>>()
    });
    match &gpus {
        Err(reason) => {
            problems.push(Problem::new(format!("CUDA cannot be used: {reason}"), GUIDE));
        }
        Ok(gpus) => {
            for (gpu, reason) in gpus.iter().filter_map(|gpu| Some((gpu, gpu.reason.as_ref()?))) {
                let what = format!("{} cannot be used: {reason}", gpu.device);
                problems.push(Problem::new(what, GUIDE));
            }
        }
    }
    if let Err(reason) = &facts.nvrtc {
        let what = format!("effnet's CUDA kernels cannot be compiled: {reason}");
        problems.push(Problem::new(
            what,
            "install NVRTC of the CUDA version that the program was built for",
        ));
    }
    let kernels = facts.kernels.as_deref().map(Folder::examine);
    if kernels.as_ref().is_none_or(|folder| !folder.writable) {
        problems.push(Problem::new(
            "CUDA kernels cannot be kept, so every process compiles them again",
            "set XDG_CACHE_HOME to a folder that can be written to",
        ));
    }
    Some(Runtime {
        built_for: facts.built_for,
        driver: facts.driver.into(),
        nvrtc: facts.nvrtc.into(),
        gpus: gpus.into(),
        kernels,
        kernels_bytes: facts.kernels.map_or(Ok(0), |folder| super::folder::bytes(&folder)).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nvidias_version_is_found_in_both_forms_of_the_line() {
        let closed = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Thu Jan 16 2025\n\
                      GCC version:  gcc version 12.3.0\n";
        let open = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65  Release Build";
        assert_eq!([version(closed), version(open)], [Some("570.86.15"), Some("580.65")]);
        assert_eq!(version("no. such . thing 5"), None);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("version");
        std::fs::write(&file, open).unwrap();
        assert_eq!(system_driver(&file), Fact::Known(Some("580.65".to_owned())));
        std::fs::write(&file, "?").unwrap();
        assert!(system_driver(&file).known().is_none());
        if cfg!(target_os = "linux") {
            assert_eq!(system_driver(&folder.path().join("absent")), Fact::Known(None));
        }
    }
}
