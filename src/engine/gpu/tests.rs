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
use super::{Buffer, Cost, Input, Plan, Shape, Tensor, pack};
use crate::arch::Network;
use crate::engine::fuse::reference::small_networks;
use crate::engine::fuse::{Kind, fuse};
use crate::engine::{Array, CandleEngine, Dtype, Engine, Images};
use crate::preprocess::Normalize;
use crate::weights::{TensorSource, WeightsError, seeded};

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
        let difference = difference(&network, images, &["logits"], Dtype::F32);
        assert!(difference <= 1e-4, "{}: {difference}", network.name);
    }
}

/// What CUDA allows any launch of any GPU of today.
#[test]
fn every_launch_keeps_the_limits_of_cuda() {
    for network in small_networks() {
        for (images, side) in [(1, 33), (3, 64), (256, 224)] {
            let plan = plan(&network, images, [side, side], Dtype::Bf16);
            for step in &plan.steps {
                let launch = launch(&step.kernel);
                let [x, y, z] = launch.grid;
                let name = format!("{}: {} {launch:?}", network.name, step.path);
                assert!(x > 0 && x <= i32::MAX.cast_unsigned(), "{name}");
                assert!((1..=65535).contains(&y) && (1..=65535).contains(&z), "{name}");
                assert!(launch.threads <= 1024 && launch.shared <= 48 * 1024, "{name}");
            }
        }
    }
}

/// Weights that are only counted.
struct Zeros;

impl TensorSource for Zeros {
    fn name(&self) -> String {
        "zeros".to_owned()
    }

    fn get(&self, _: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        Ok(vec![0.0; shape.iter().product()])
    }
}

fn plan(network: &Network, images: usize, [height, width]: [usize; 2], dtype: Dtype) -> Plan {
    let fused = fuse(&network.graph()).unwrap();
    let mut weights = 0;
    let place = &mut |_: &str, _| {
        weights += 1;
        Ok(weights - 1)
    };
    let layers = pack(&fused, &Zeros, place).unwrap();
    let outputs = vec!["logits".to_owned()];
    let shape = Shape { input: Input::Pixels, images, height, width, outputs };
    Plan::new(&layers, &fused.taps, fused.pad_type, &shape, dtype.bytes()).unwrap()
}

/// The architectures of the table in `docs/gpu.md`.
const TABLE: [&str; 20] = [
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b7",
    "efficientnet_lite0",
    "efficientnet_lite4",
    "efficientnet_cc_b0_4e",
    "efficientnet_b3_gn",
    "efficientnet_es",
    "efficientnetv2_s",
    "efficientnetv2_m",
    "mobilenetv2_100",
    "mobilenetv3_large_100",
    "mobilenetv4_conv_medium",
    "mobilenetv4_hybrid_medium",
    "mixnet_xl",
    "fbnetv3_b",
];

/// H100 SXM, from its data sheet: bytes a second of memory, and dense operations in bfloat16.
const H100: [f64; 2] = [3.35e12, 989e12];

/// The table's row of an architecture, at its native size in bfloat16.
fn row(network: &Network, size: [usize; 2]) -> String {
    let of_batch = |images| {
        let plan = plan(network, images, size, Dtype::Bf16);
        let costs: Vec<Cost> = plan.steps.iter().map(|s| s.kernel.cost(2)).collect();
        let seconds: f64 = costs
            .iter()
            .map(|cost| (cost.bytes as f64 / H100[0]).max(cost.flops as f64 / H100[1]))
            .sum();
        (plan, costs.into_iter().sum::<Cost>(), seconds)
    };
    let (plan, one, _) = of_batch(1);
    let (large, all, seconds) = of_batch(256);
    format!(
        "| `{}` | {} | {} | {:.1} | {:.2} | {:.0} | {:.1} | {:.0} |",
        network.name,
        size[0],
        plan.steps.len(),
        one.bytes as f64 / 1e6,
        one.flops as f64 / 1e9,
        large.arena as f64 / 1e6,
        all.bytes as f64 / 256.0 / 1e6,
        256.0 / seconds / 1e3
    )
}

/// Blessed by `EFFNET_BLESS=1`.
#[test]
fn the_table_of_the_document_is_the_plans() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/gpu.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let rows: Vec<String> = TABLE
        .iter()
        .map(|name| {
            let network = crate::arch::find(name).unwrap().network(&Default::default()).unwrap();
            let cfg = crate::pretrained::find(name).unwrap().cfg;
            let [_, height, width] = cfg.input_size.unwrap_or([3, 224, 224]);
            row(&network, [height, width])
        })
        .collect();
    let is_row = |line: &&str| TABLE.iter().any(|name| line.starts_with(&format!("| `{name}` |")));
    if std::env::var_os("EFFNET_BLESS").is_some() {
        let mut rows = rows.iter().map(String::as_str);
        let line = |line| if is_row(&line) { rows.next().unwrap() } else { line };
        let blessed: Vec<&str> = document.lines().map(line).collect();
        std::fs::write(&path, blessed.join("\n") + "\n").unwrap();
    } else {
        assert_eq!(document.lines().filter(is_row).collect::<Vec<_>>(), rows);
    }
}

/// A block of folded norms has at most three convolutions and a gate.
#[test]
fn launches_are_few() {
    let launches = |network: &Network| plan(network, 1, [224, 224], Dtype::Bf16).steps.len();
    for network in small_networks() {
        let blocks: usize = network.stages.iter().map(Vec::len).sum();
        let layers = fuse(&network.graph()).unwrap().layers;
        let gates = layers.iter().filter(|layer| {
            matches!(layer.kind, Kind::SqueezeExcite { .. } | Kind::GlobalContext { .. })
        });
        // Attention has projections of its own, other norms a pass for their statistics and one more,
        // and mixed kernels are made for each image.
        let more = layers.iter().filter(|layer| match &layer.kind {
            Kind::MultiQueryAttention { .. } | Kind::Norm(_) => true,
            Kind::Conv(conv) => conv.mix.is_some(),
            _ => false,
        });
        let most = 3 * blocks + gates.count() + 6 * more.count() + 20;
        let launches = launches(&network);
        assert!(launches <= most, "{}: {launches} launches for {blocks} blocks", network.name);
    }
    let b0 = crate::arch::find("efficientnet_b0").unwrap().network(&Default::default()).unwrap();
    assert!(launches(&b0) <= 80);
}

#[test]
fn halves_pixels_batches_and_all_taps_equal_the_modules() {
    let names = ["efficientnet_b0", "efficientnet_cc_b0_4e", "mobilenetv4_hybrid_medium"];
    for network in names.map(|name| crate::arch::find(name).unwrap()) {
        let network = network.network(&Default::default()).unwrap();
        let taps = network.graph().outputs();
        let taps: Vec<&str> = taps.iter().map(String::as_str).collect();
        let shape = [3, 3, 39, 50];
        let pixels: Vec<u8> =
            (0..shape.iter().product()).map(|i: usize| (i * 37 % 251) as u8).collect();
        let normalize = Normalize::new(&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225]).unwrap();
        let images = Images::pixels(&pixels, shape, &normalize).unwrap();
        for (dtype, most) in [(Dtype::F32, 1e-4), (Dtype::F16, 0.02), (Dtype::Bf16, 0.1)] {
            let difference = difference(&network, images, &taps, dtype);
            assert!(difference <= most, "{} {dtype}: {difference}", network.name);
        }
    }
}
