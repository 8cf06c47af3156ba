//! CUDA kernels from their text: compiled by NVRTC for the device found, kept on disk by content; and whether
//! a device can be used.

#![allow(unsafe_code, reason = "NVRTC's functions take pointers")]

use std::collections::HashMap;
use std::ffi::CString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use candle_core::cuda_backend::cudarc::driver::{
    CudaContext, CudaModule, DriverError, result as driver, sys as driver_sys,
};
use candle_core::cuda_backend::cudarc::nvrtc::{Ptx, result as nvrtc, sys};
use sha2::{Digest, Sha256};

use crate::replace::Replacement;

/// Turing's, the oldest that NVRTC 13 compiles for.
const LEAST_CAPABILITY: (i32, i32) = (7, 5);

/// The text of a module's kernels. It includes no headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Text {
    /// What NVRTC's messages call it.
    pub(crate) name: &'static str,
    /// In the order of their use.
    pub(crate) files: &'static [&'static str],
    /// `NAME` or `NAME=VALUE`.
    pub(crate) defines: &'static [&'static str],
}

/// What stands between a text and its kernels.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CudaModuleError {
    #[error(
        "NVRTC {}.{} does not compile {name} for compute capability {}.{}: {log}",
        version.0, version.1, capability.0, capability.1
    )]
    Compile { name: &'static str, version: (i32, i32), capability: (i32, i32), log: String },
    #[error("NVRTC: {0:?}")]
    Nvrtc(nvrtc::NvrtcError),
    #[error("the CUDA driver: {0}")]
    Driver(#[from] DriverError),
}

impl From<nvrtc::NvrtcError> for CudaModuleError {
    fn from(error: nvrtc::NvrtcError) -> Self {
        Self::Nvrtc(error)
    }
}

/// Modules that this process has loaded, by device and text.
type Modules = HashMap<(usize, Text), Arc<CudaModule>>;
static LOADED: LazyLock<Mutex<Modules>> = LazyLock::new(Mutex::default);

impl Text {
    /// The module of these kernels on the context's device. It is compiled once a machine, and loaded
    /// once a process.
    ///
    /// # Errors
    ///
    /// A text that does not compile for the device, or a device that refuses the module.
    pub(crate) fn load(
        &self,
        context: &Arc<CudaContext>,
    ) -> Result<Arc<CudaModule>, CudaModuleError> {
        // Each run of a layer asks for its module: nothing else comes before this.
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let at = (context.ordinal(), *self);
        if let Some(module) = loaded.get(&at) {
            return Ok(Arc::clone(module));
        }
        let capability = context.compute_capability()?;
        let version = nvrtc_version()?;
        let target = Target::of(capability, &known_capabilities());
        let name = format!("{}.cubin", self.key(target, version));
        let file = cache_folder().map(|folder| folder.join(name));
        let cubin = match file.as_deref().and_then(read) {
            Some(cubin) => cubin,
            None => {
                let cubin = self.compile(target, capability, version)?;
                if let Some(file) = &file {
                    write(file, &cubin);
                }
                cubin
            }
        };
        let module = context.load_module(Ptx::from_binary(cubin))?;
        loaded.insert(at, Arc::clone(&module));
        Ok(module)
    }

    fn source(&self) -> String {
        self.files.concat()
    }

    fn options(&self, target: Target) -> Vec<String> {
        let defines = self.defines.iter().map(|define| format!("--define-macro={define}"));
        let arch = match target {
            Target::Machine(number) => format!("--gpu-architecture=sm_{number}"),
            Target::Ptx(number) => format!("--gpu-architecture=compute_{number}"),
        };
        [arch, "--std=c++17".to_owned()].into_iter().chain(defines).collect()
    }

    /// Everything that the machine code depends on.
    fn key(&self, target: Target, version: (i32, i32)) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("{version:?} {:?}\n", self.options(target)));
        hash.update(self.source());
        format!("{:x}", hash.finalize())
    }

    /// Machine code, or PTX with a zero at its end.
    fn compile(
        &self,
        target: Target,
        capability: (i32, i32),
        version: (i32, i32),
    ) -> Result<Vec<u8>, CudaModuleError> {
        let source = CString::new(self.source()).unwrap_or_default();
        let name = CString::new(self.name).unwrap_or_default();
        let program = Program(nvrtc::create_program(&source, Some(&name))?);
        // SAFETY: the program lives until the end of this function.
        if let Err(error) = unsafe { nvrtc::compile_program(program.0, &self.options(target)) } {
            let log = program.log().unwrap_or_else(|| format!("{error:?}"));
            return Err(CudaModuleError::Compile { name: self.name, version, capability, log });
        }
        let mut size = 0;
        // SAFETY: the program is compiled, and `code` has the size that NVRTC says.
        unsafe {
            match target {
                Target::Machine(_) => sys::nvrtcGetCUBINSize(program.0, &raw mut size),
                Target::Ptx(_) => sys::nvrtcGetPTXSize(program.0, &raw mut size),
            }
            .result()?;
            let mut code = vec![0u8; size];
            let to = code.as_mut_ptr().cast();
            match target {
                Target::Machine(_) => sys::nvrtcGetCUBIN(program.0, to),
                Target::Ptx(_) => sys::nvrtcGetPTX(program.0, to),
            }
            .result()?;
            Ok(code)
        }
    }
}

/// What a text is compiled to, for a compute capability's number: 90 is 9.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// The device's machine code.
    Machine(i32),
    /// What the driver translates for the device.
    Ptx(i32),
}

impl Target {
    /// For a device that is newer than NVRTC, of which the `known` are the capabilities, it is the PTX of
    /// the newest known one.
    fn of((major, minor): (i32, i32), known: &[i32]) -> Self {
        let own = 10 * major + minor;
        let older = known.iter().copied().filter(|&number| number < own).max();
        match older {
            Some(older) if !known.contains(&own) => Self::Ptx(older),
            _ => Self::Machine(own),
        }
    }
}

/// The compute capabilities that the NVRTC that is loaded compiles for; none if it does not say.
fn known_capabilities() -> Vec<i32> {
    let mut count = 0;
    // SAFETY: the count is written before the return, and there is room for that many.
    unsafe {
        if sys::nvrtcGetNumSupportedArchs(&raw mut count).result().is_err() {
            return Vec::new();
        }
        let mut known = vec![0; usize::try_from(count).unwrap_or_default()];
        let listed = sys::nvrtcGetSupportedArchs(known.as_mut_ptr()).result();
        if listed.is_ok() { known } else { Vec::new() }
    }
}

struct Program(sys::nvrtcProgram);

impl Program {
    /// What the compiler said, on one line.
    fn log(&self) -> Option<String> {
        // SAFETY: the program is alive.
        let log = unsafe { nvrtc::get_program_log(self.0) }.ok()?;
        let bytes: Vec<u8> = log.iter().map(|&c| c as u8).take_while(|&c| c != 0).collect();
        let text = String::from_utf8_lossy(&bytes);
        Some(text.lines().map(str::trim).collect::<Vec<_>>().join(" "))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: nothing uses the program after its owner.
        let _ = unsafe { nvrtc::destroy_program(self.0) };
    }
}

/// The version of the NVRTC that is loaded.
pub(crate) fn nvrtc_version() -> Result<(i32, i32), CudaModuleError> {
    let (mut major, mut minor) = (0, 0);
    // SAFETY: both are written before the return.
    unsafe { sys::nvrtcVersion(&raw mut major, &raw mut minor).result()? };
    Ok((major, minor))
}

/// Where compiled kernels are kept: `effnet/kernels` in the user's cache; `None` without a home.
pub(crate) fn cache_folder() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    Some(cache.join("effnet/kernels"))
}

/// What a file of the cache holds, if it is whole: its digest, then the machine code.
fn read(file: &Path) -> Option<Vec<u8>> {
    let bytes = fs::read(file).ok()?;
    let (digest, cubin) = bytes.split_at_checked(32)?;
    (Sha256::digest(cubin)[..] == *digest).then(|| cubin.to_vec())
}

/// Keeps machine code, where the folder can be written to: without it, the next process compiles again.
fn write(file: &Path, cubin: &[u8]) {
    let keep = || -> std::io::Result<()> {
        fs::create_dir_all(file.parent().unwrap_or(file))?;
        let mut kept = Replacement::begin(file)?;
        kept.write_all(&Sha256::digest(cubin))?;
        kept.write_all(cubin)?;
        kept.finish()
    };
    let _ = keep();
}

/// What can be said about CUDA on this machine. What cannot be read is the reason for that.
#[derive(Debug, Clone)]
pub struct CudaFacts {
    /// The CUDA version that this program was built for, such as `13.0`.
    pub built_for: String,
    /// The newest CUDA version that the driver runs programs of.
    pub driver: Result<String, String>,
    /// The version of the NVRTC that compiles effnet's kernels.
    pub nvrtc: Result<String, String>,
    /// The GPUs, by their numbers.
    pub gpus: Result<Vec<GpuFacts>, String>,
    /// The folder where compiled kernels are kept; `None` without a home.
    pub kernels: Option<PathBuf>,
}

/// What can be said about a GPU.
#[derive(Debug, Clone)]
pub struct GpuFacts {
    /// Its name.
    pub name: Result<String, String>,
    /// Its compute capability, such as `9.0`.
    pub compute_capability: Result<String, String>,
    /// Bytes of memory that nothing uses.
    pub memory_free: Result<u64, String>,
    /// Bytes of memory.
    pub memory_total: Result<u64, String>,
    /// Whether effnet can use it; if not, why.
    pub usable: Result<(), String>,
}

/// What can be said about CUDA on this machine.
pub fn facts() -> CudaFacts {
    let gpus = || {
        driver::init().map_err(explain)?;
        let count = CudaContext::device_count().map_err(explain)?;
        Ok((0..usize::try_from(count).unwrap_or_default()).map(gpu).collect())
    };
    CudaFacts {
        built_for: dotted(driver_sys::CUDA_VERSION as i32),
        driver: driver_version().map(dotted),
        nvrtc: nvrtc_version()
            .map(|(major, minor)| format!("{major}.{minor}"))
            .map_err(|error| error.to_string()),
        gpus: gpus(),
        kernels: cache_folder(),
    }
}

fn gpu(number: usize) -> GpuFacts {
    use driver_sys::CUdevice_attribute as Attribute;

    let device = i32::try_from(number).map_err(|error| error.to_string());
    let device = device.and_then(|number| driver::device::get(number).map_err(explain));
    let attribute = |attribute| {
        // SAFETY: the driver gave the device.
        unsafe { driver::device::get_attribute(device.clone()?, attribute) }.map_err(explain)
    };
    let capability = || {
        let major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
        let minor = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
        Ok(format!("{major}.{minor}"))
    };
    let total = |device| {
        // SAFETY: the driver gave the device.
        unsafe { driver::device::total_mem(device) }.map_err(explain)
    };
    let usable = check_device(number);
    let free = || {
        // A context counts it, which a device that cannot be used may not have.
        usable.as_ref().map_err(|_| "the GPU cannot be used".to_owned())?;
        let context = CudaContext::new(number).map_err(explain)?;
        Ok(context.mem_get_info().map_err(explain)?.0 as u64)
    };
    GpuFacts {
        name: device.clone().and_then(|device| driver::device::get_name(device).map_err(explain)),
        compute_capability: capability(),
        memory_free: free(),
        memory_total: device.clone().and_then(total).map(|bytes| bytes as u64),
        usable,
    }
}

/// What an error of the driver means.
fn explain(error: DriverError) -> String {
    match error.0 {
        driver_sys::CUresult::CUDA_ERROR_NO_DEVICE => "the machine has no NVIDIA GPU".to_owned(),
        driver_sys::CUresult::CUDA_ERROR_STUB_LIBRARY => {
            "no NVIDIA driver is installed: what the program has found is the toolkit's stub"
                .to_owned()
        }
        driver_sys::CUresult::CUDA_ERROR_SYSTEM_DRIVER_MISMATCH => {
            "the NVIDIA driver's two halves have different versions: restart the machine".to_owned()
        }
        _ => format!("the NVIDIA driver says: {error}"),
    }
}

/// The newest CUDA version that the driver runs programs of, as the driver writes it: 13000.
fn driver_version() -> Result<i32, String> {
    let mut version = 0;
    // SAFETY: the version is written before the return.
    unsafe { driver_sys::cuDriverGetVersion(&raw mut version) }.result().map_err(explain)?;
    Ok(version)
}

/// A version of CUDA as people write it.
fn dotted(version: i32) -> String {
    format!("{}.{}", version / 1000, version % 1000 / 10)
}

/// Whether CUDA device `number` can be used; if not, why.
pub(crate) fn check_device(number: usize) -> Result<(), String> {
    driver::init().map_err(explain)?;
    let (built, version) = (driver_sys::CUDA_VERSION as i32, driver_version()?);
    // A driver runs all programs that were built for its major version.
    if version / 1000 < built / 1000 {
        return Err(format!(
            "the NVIDIA driver is for CUDA {}, and effnet was built for {}: update the driver",
            dotted(version),
            dotted(built)
        ));
    }
    let count = CudaContext::device_count().map_err(explain)?;
    match usize::try_from(count).unwrap_or_default() {
        0 => return Err("the machine has no NVIDIA GPU".to_owned()),
        1 if number > 0 => return Err("the machine has 1 NVIDIA GPU, numbered 0".to_owned()),
        count if number >= count => {
            return Err(format!(
                "the machine has {count} NVIDIA GPUs, numbered 0 to {}",
                count - 1
            ));
        }
        _ => {}
    }
    // Without a context, which would take as long as the one that follows.
    let attribute = |attribute| {
        let device = driver::device::get(i32::try_from(number).unwrap_or(i32::MAX))?;
        // SAFETY: the device was just got.
        unsafe { driver::device::get_attribute(device, attribute) }
    };
    let capability = [
        driver_sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
        driver_sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
    ];
    let [major, minor] = capability.map(attribute);
    let (major, minor) = (major.map_err(explain)?, minor.map_err(explain)?);
    if (major, minor) < LEAST_CAPABILITY {
        let (least_major, least_minor) = LEAST_CAPABILITY;
        return Err(format!(
            "the GPU has compute capability {major}.{minor}, and effnet needs {least_major}.{least_minor}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_newer_than_the_compiler_gets_ptx() {
        let known = [75, 80, 86, 89, 90];
        assert_eq!(Target::of((8, 9), &known), Target::Machine(89));
        assert_eq!(Target::of((12, 0), &known), Target::Ptx(90));
        assert_eq!(Target::of((8, 7), &known), Target::Ptx(86));
        // The compiler says why not.
        assert_eq!(Target::of((7, 0), &known), Target::Machine(70));
        assert_eq!(Target::of((9, 0), &[]), Target::Machine(90));
    }
}
