//! Whole networks by the CUDA kernels' own text on the CPU, held against Candle's modules.

#![cfg(feature = "candle")]
#![allow(unsafe_code, reason = "kernels take pointers")]

use std::collections::HashMap;
use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};

use libloading::Library;

use super::cuda::launch;
use super::{Buffer, Input, Plan, Shape, Tensor, pack};
use crate::arch::Network;
use crate::engine::fuse::fuse;
use crate::engine::fuse::reference::small_networks;
use crate::engine::{Array, CandleEngine, Dtype, Engine, Images};
use crate::weights::seeded;

type Run = unsafe extern "C" fn(
    *const c_char,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    *mut *mut c_void,
) -> c_int;

/// The kernels as a library of the host, compiled once a process.
fn library(dtype: Dtype) -> &'static Library {
    static LIBRARIES: LazyLock<Mutex<HashMap<Dtype, &'static Library>>> =
        LazyLock::new(Mutex::default);
    let mut libraries = LIBRARIES.lock().unwrap_or_else(PoisonError::into_inner);
    libraries.entry(dtype).or_insert_with(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gpu/cuda");
        let out = PathBuf::from(std::env::temp_dir())
            .join(format!("effnet-kernels-{dtype}-{}.so", std::process::id()));
        let status = Command::new("g++")
            .args(["-O2", "-std=c++17", "-shared", "-fPIC", "-Wno-unknown-pragmas"])
            .arg(format!("-DT_{}", dtype.name().to_uppercase()))
            .arg(folder.join("launch.cpp"))
            .arg("-o")
            .arg(&out)
            .status()
            .expect("these tests need a C++ compiler, g++");
        assert!(status.success());
        // SAFETY: the library has no initializers.
        let library = unsafe { Library::new(&out) }.unwrap();
        std::fs::remove_file(out).unwrap();
        Box::leak(Box::new(library))
    })
}

/// The bytes of a tensor on the device.
fn bytes(tensor: Tensor, dtype: Dtype) -> Vec<u8> {
    tensor.bytes(dtype).unwrap()
}

/// Memory aligned as a device's, filled with NaN.
struct Memory(Vec<u128>);

impl Memory {
    fn new(len: usize) -> Self {
        Self(vec![u128::MAX; len.div_ceil(16).max(1)])
    }

    fn of(bytes: &[u8]) -> Self {
        let mut memory = Self::new(bytes.len());
        let to = memory.0.iter_mut().flat_map(|word| {
            // SAFETY: sixteen bytes of a word.
            unsafe { &mut *(word as *mut u128).cast::<[u8; 16]>() }.iter_mut()
        });
        to.zip(bytes).for_each(|(to, byte)| *to = *byte);
        memory
    }

    fn address(&self) -> u64 {
        self.0.as_ptr() as u64
    }

    fn floats(&self, len: usize) -> Vec<f32> {
        let words = self.0.iter().flat_map(|word| word.to_le_bytes());
        let bytes: Vec<u8> = words.take(len * 4).collect();
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    }
}

/// Runs `images` through `network` with seeded weights.
fn run(network: &Network, images: Images<'_>, outputs: &[&str], dtype: Dtype) -> Vec<Array> {
    let graph = network.graph();
    let fused = fuse(&graph).unwrap();
    let mut weights = Vec::new();
    let layers = pack(&fused, &seeded::Source::new(0), &mut |_, tensor| {
        weights.push(Memory::of(&bytes(tensor, dtype)));
        Ok(weights.len() - 1)
    })
    .unwrap();
    let [n, _, height, width] = images.shape();
    let (input, data, table) = match images.data() {
        crate::engine::Data::Normalized(values) => {
            let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            (Input::Floats, Memory::of(&bytes), Memory::new(0))
        }
        crate::engine::Data::Pixels(pixels, normalize) => {
            let table = normalize.tables().as_flattened();
            let table: Vec<u8> = table.iter().flat_map(|x| x.to_le_bytes()).collect();
            (Input::Pixels, Memory::of(pixels), Memory::of(&table))
        }
    };
    let outputs = outputs.iter().map(|&name| name.to_owned()).collect();
    let shape = Shape { input, images: n, height, width, outputs };
    let plan = Plan::new(&layers, &fused.taps, fused.pad_type, &shape, dtype.bytes()).unwrap();
    let arena = Memory::new(plan.arena);
    let results: Vec<_> =
        plan.outputs.iter().map(|shape| Memory::new(shape.iter().product::<usize>() * 4)).collect();
    let address = |buffer: Buffer| match buffer {
        Buffer::Region(region) => arena.address() + plan.offsets[region] as u64,
        Buffer::Weight(weight) => weights[weight].address(),
        Buffer::Images => data.address(),
        Buffer::Table => table.address(),
        Buffer::Output(output) => results[output].address(),
    };
    // SAFETY: the function of this name in `launch.cpp`.
    let launch_kernel = unsafe { library(dtype).get::<Run>(b"effnet_launch\0") }.unwrap();
    for step in &plan.steps {
        let launch = launch(&step.kernel);
        let mut values = launch.values(address);
        let mut args: Vec<*mut c_void> =
            values.iter_mut().map(|value| (value as *mut u64).cast()).collect();
        let name = CString::new(launch.kernel.as_str()).unwrap();
        let [x, y, z] = launch.grid;
        // SAFETY: the arguments are the kernel's, and all addresses are of memory as large as planned.
        let code = unsafe {
            launch_kernel(
                name.as_ptr(),
                x,
                y,
                z,
                launch.threads,
                1,
                1,
                launch.shared,
                args.as_mut_ptr(),
            )
        };
        assert_eq!(code, 0, "no kernel {}", launch.kernel);
    }
    let result = |(memory, shape): (&Memory, &Vec<usize>)| Array {
        data: memory.floats(shape.iter().product()),
        shape: shape.clone(),
    };
    results.iter().zip(&plan.outputs).map(result).collect()
}

/// The largest difference of any output to the modules', over the output's largest value.
fn difference(network: &Network, images: Images<'_>, outputs: &[&str], dtype: Dtype) -> f32 {
    let ours = run(network, images, outputs, dtype);
    let device = candle_core::Device::Cpu;
    let seeded = seeded::Source::new(0);
    let engine = CandleEngine::load(network, &seeded, &device, Dtype::F32, None).unwrap();
    let mut theirs = engine.run(images, outputs).unwrap();
    let mut worst = 0f32;
    for (name, ours) in outputs.iter().zip(ours) {
        let theirs = theirs.take(name).unwrap();
        assert_eq!(ours.shape, theirs.shape, "{}: {name}", network.name);
        let scale = theirs.data.iter().fold(0f32, |max, x| max.max(x.abs()));
        for (a, b) in ours.data.iter().zip(&theirs.data) {
            assert!(a.is_finite(), "{}: {name}", network.name);
            worst = worst.max((a - b).abs() / scale);
        }
    }
    worst
}

#[test]
fn equals_the_modules_on_every_architecture() {
    for network in small_networks() {
        let shape = [1, network.in_chans, 33, 40];
        let values = seeded::images(0, &shape);
        let images = Images::new(&values, shape).unwrap();
        let start = std::time::Instant::now();
        let difference = difference(&network, images, &["logits"], Dtype::F32);
        eprintln!("{} {difference} {:?}", network.name, start.elapsed());
        assert!(difference <= 1e-4, "{}: {difference}", network.name);
    }
}
