//! Times the CPU engine's kernels in context: each in a step of a network with one block, on one
//! thread. Next to the time it prints the arithmetic limit (the step's multiply-adds at the peak
//! that [`Isa::peak_gflops`] measures), the memory limit (a copy of as many bytes as the step reads
//! and writes, weights included), and how close the fastest pass comes to the larger limit. The
//! peak is float32's even for bfloat16 pairs, whose instructions may do more, so they can pass the
//! limit. Softmax, activations and norms count as nothing.
//!
//! `cargo bench --bench kernels -- depthwise`

// It prints, and a senseless case ends it with a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::cell::Cell;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use effnet::arch::{self, Activation, Arch, Head, Norm, NumFeatures, SeKind};
use effnet::engine::{CpuEngine, CpuOptions, Dtype, Engine, Images, Isa};
use effnet::summary::{Layer, Summary};
use effnet::weights::seeded;

/// What a step does with its layers.
enum Task {
    /// Computes them.
    Layers,
    /// Computes attention: the layers make a query, the key and the value.
    Attention,
    /// Mixes the weights of all layers except the first, which routes, from their experts' weights.
    Mix,
    /// Computes moments of what the layers give.
    Moments,
    /// Reads what the layers give, and writes it normalized.
    Norm,
}

/// One step of a network with a stem, one block and a head.
struct Case {
    name: &'static str,
    /// The block.
    def: &'static [&'static [&'static str]],
    /// Channels and side of the block's input.
    input: (usize, usize),
    act: Activation,
    norm: Norm,
    head: Head,
    /// What `se` means, if it is not squeeze-excitation.
    se_layer: Option<SeKind>,
    dtype: Dtype,
    /// How the step's description begins.
    step: &'static str,
    /// The layers of the step, with the names that `effnet summary` uses.
    layers: &'static [&'static str],
    task: Task,
}

/// A case of a `ds` block's depthwise convolution.
macro_rules! depthwise {
    ($k:literal, $s:literal) => {
        Case {
            name: concat!("depthwise ", $k, "x", $k, "/", $s),
            def: &[&[concat!("ds_r1_k", $k, "_s", $s, "_c96")]],
            input: (96, 56),
            step: concat!("depthwise ", $k, "x", $k, "/", $s),
            layers: &["blocks.0.0.conv_dw"],
            ..CASE
        }
    };
}

/// A case of an attention block.
macro_rules! attention {
    ($heads:literal, $dim:literal, $chs:literal, $side:literal) => {
        Case {
            name: concat!("attention, ", $heads, " heads of ", $dim),
            def: &[&[concat!("mqa_r1_k3_h", $heads, "_s1_v2_d", $dim, "_c", $chs)]],
            input: ($chs, $side),
            step: "attention",
            layers: &[
                "blocks.0.0.attn.query.proj",
                "blocks.0.0.attn.key.proj",
                "blocks.0.0.attn.value.proj",
            ],
            task: Task::Attention,
            ..CASE
        }
    };
}

/// A case of a pointwise convolution with an activation.
macro_rules! pointwise {
    ($act:ident) => {
        Case {
            name: concat!("pointwise ", stringify!($act)),
            def: &[&["dsa_r1_k3_s1_c96"]],
            input: (96, 56),
            act: Activation::$act,
            step: "pointwise 96 -> 96",
            layers: &["blocks.0.0.conv_pw"],
            ..CASE
        }
    };
}

const CASE: Case = Case {
    name: "",
    def: &[],
    input: (0, 0),
    act: Activation::Silu,
    norm: Norm::BatchNorm,
    head: Head::ConvThenPool,
    se_layer: None,
    dtype: Dtype::F32,
    step: "",
    layers: &[],
    task: Task::Layers,
};

/// A case of a norm after a `ds` block's depthwise convolution.
macro_rules! norm {
    ($name:literal, $norm:expr, $task:ident, $step:literal) => {
        Case {
            name: $name,
            def: &[&["ds_r1_k3_s1_c96"]],
            input: (96, 56),
            norm: $norm,
            step: $step,
            layers: &["blocks.0.0.conv_dw"],
            task: Task::$task,
            ..CASE
        }
    };
}

/// An inverted residual like those in the middle of EfficientNet-B0.
const INVERTED: Case = Case { def: &[&["ir_r1_k5_s1_e6_c80_se0.25"]], input: (80, 14), ..CASE };

/// Its expansion and depthwise convolution.
const EXPANSION: Case = Case {
    name: "expansion and depthwise 5x5/1",
    step: "expand 80 -> 480",
    layers: &["blocks.0.0.conv_pw", "blocks.0.0.conv_dw"],
    ..INVERTED
};

const CASES: &[Case] = &[
    Case {
        name: "convolution 3x3/2 of the image",
        def: &[&["cn_r1_k1_s1_c16"]],
        input: (32, 112),
        step: "conv 3x3/2 3 -> 32",
        layers: &["conv_stem"],
        ..CASE
    },
    Case {
        name: "convolution of the image and depthwise 3x3/1",
        def: &[&["ds_r1_k3_s1_c16"]],
        input: (32, 112),
        step: "conv 3x3/2 3 -> 32, depthwise 3x3/1",
        layers: &["conv_stem", "blocks.0.0.conv_dw"],
        ..CASE
    },
    Case {
        name: "convolution 3x3/2",
        def: &[&["cn_r1_k3_s2_c48"]],
        input: (24, 112),
        step: "conv 3x3/2 24 -> 48",
        layers: &["blocks.0.0.conv"],
        ..CASE
    },
    Case {
        name: "convolution 3x3/1",
        def: &[&["cn_r1_k3_s1_c48"]],
        input: (48, 56),
        step: "conv 3x3/1 48 -> 48",
        layers: &["blocks.0.0.conv"],
        ..CASE
    },
    Case {
        name: "convolution 3x3/1 and projection",
        def: &[&["er_r1_k3_s1_e4_c48"]],
        input: (48, 28),
        step: "conv 3x3/1 48 -> 192",
        layers: &["blocks.0.0.conv_exp", "blocks.0.0.conv_pwl"],
        ..CASE
    },
    depthwise!(3, 1),
    depthwise!(3, 2),
    depthwise!(5, 1),
    depthwise!(5, 2),
    depthwise!(7, 1),
    depthwise!(7, 2),
    depthwise!(9, 1),
    depthwise!(9, 2),
    depthwise!(11, 1),
    depthwise!(11, 2),
    pointwise!(Relu),
    pointwise!(Relu6),
    pointwise!(Silu),
    pointwise!(HardSwish),
    pointwise!(Mish),
    pointwise!(Gelu),
    Case { name: "pointwise of bfloat16 pairs", dtype: Dtype::Bf16, ..pointwise!(Silu) },
    EXPANSION,
    Case {
        name: "expansion of bfloat16 pairs and depthwise 5x5/1",
        dtype: Dtype::Bf16,
        ..EXPANSION
    },
    Case {
        name: "squeeze-excitation",
        step: "squeeze-excite",
        layers: &["blocks.0.0.se.conv_reduce", "blocks.0.0.se.conv_expand"],
        ..INVERTED
    },
    Case {
        name: "global context",
        se_layer: Some(SeKind::GlobalContext),
        step: "global context",
        layers: &[
            "blocks.0.0.se.conv_attn",
            "blocks.0.0.se.context",
            "blocks.0.0.se.mlp_scale.fc1",
            "blocks.0.0.se.mlp_scale.norm",
            "blocks.0.0.se.mlp_scale.fc2",
        ],
        ..INVERTED
    },
    Case {
        name: "mixing of 4 experts' weights",
        def: &[&["ir_r1_k5_s1_e6_c112_se0.25_cc4"]],
        input: (112, 14),
        step: "mix 4 experts",
        layers: &[
            "blocks.0.0.routing_fn",
            "blocks.0.0.conv_pw",
            "blocks.0.0.conv_dw",
            "blocks.0.0.conv_pwl",
        ],
        task: Task::Mix,
        ..CASE
    },
    norm!("moments", Norm::GroupNorm { group_size: 8 }, Moments, "moments 96"),
    norm!("group norm", Norm::GroupNorm { group_size: 8 }, Norm, "norm 96 in groups of 8"),
    norm!("EvoNorm", Norm::EvoNormS0 { group_size: 8 }, Norm, "norm 96 in groups of 8"),
    norm!("layer norm", Norm::LayerNorm, Norm, "norm 96"),
    attention!(4, 64, 160, 14),
    attention!(8, 48, 192, 24),
    Case {
        name: "pointwise with gate and residual",
        step: "pointwise 480 -> 80",
        layers: &["blocks.0.0.conv_pwl"],
        ..INVERTED
    },
    Case {
        name: "pointwise with pooling",
        def: &[&["ds_r1_k3_s1_c320"]],
        input: (320, 7),
        step: "pointwise 320 -> 1280",
        layers: &["conv_head"],
        ..CASE
    },
    Case {
        name: "mean",
        def: &[&["ds_r1_k3_s1_c320"]],
        input: (320, 7),
        head: Head::PoolThenConv,
        step: "mean 320",
        layers: &["global_pool"],
        ..CASE
    },
    Case {
        name: "head",
        def: &[&["ds_r1_k3_s1_c320"]],
        input: (320, 7),
        head: Head::PoolThenConv,
        step: "dense 320 -> 1280",
        layers: &["conv_head"],
        ..CASE
    },
    Case {
        name: "classifier",
        def: &[&["ds_r1_k3_s1_c320"]],
        input: (320, 7),
        step: "dense 1280 -> 1000",
        layers: &["classifier"],
        ..CASE
    },
];

/// Multiply-adds of a case's step, and the bytes that it reads and writes.
fn work(case: &Case, summary: &Summary) -> (u64, usize) {
    let blocks = summary.stages.iter().flat_map(|stage| &stage.blocks);
    let layers: Vec<_> = blocks.flat_map(|block| &block.layers).collect();
    let at = |name: &str| layers.iter().position(|layer| layer.name == name).unwrap();
    let own: Vec<_> = case.layers.iter().map(|name| layers[at(name)]).collect();
    let (first, last) = (own[0], own[own.len() - 1]);
    let before = at(&first.name).checked_sub(1);
    let input = before.map_or(summary.input, |before| layers[before].output);
    let len = |shape: [usize; 3]| shape.iter().product::<usize>();
    match case.task {
        Task::Layers => {
            let bytes = |layer: &&Layer| {
                let pairs = case.dtype == Dtype::Bf16 && !layer.kind.ends_with("depthwise");
                let each = if pairs { size_of::<f32>() / 2 } else { size_of::<f32>() };
                each * layer.figures.parameters as usize
            };
            let weights: usize = own.iter().map(bytes).sum();
            let maps = size_of::<f32>() * (len(input) + len(last.output));
            (own.iter().map(|layer| layer.figures.macs).sum(), maps + weights)
        }
        Task::Attention => {
            // The summary has no layer for the two products. Both multiply each value of each query
            // for every position of the key.
            let query = len(first.output);
            let keys = last.output[1] * last.output[2];
            let read: usize = own.iter().map(|layer| len(layer.output)).sum();
            (2 * (query * keys) as u64, size_of::<f32>() * (read + query))
        }
        Task::Moments => (0, size_of::<f32>() * len(last.output)),
        Task::Norm => (0, size_of::<f32>() * 2 * len(last.output)),
        Task::Mix => {
            let experts = len(first.output);
            let weights: u64 = own[1..].iter().map(|layer| layer.figures.parameters).sum();
            let routing = first.figures;
            let read = len(input) + (routing.parameters + weights) as usize;
            let bytes = size_of::<f32>() * (read + weights as usize / experts);
            (routing.macs + weights, bytes)
        }
    }
}

/// The fastest time for copying `bytes`, which counts bytes read and written together.
fn copy(bytes: usize) -> Duration {
    let from = vec![1u8; bytes / 2];
    let mut to = vec![0u8; bytes / 2];
    let mut best = Duration::MAX;
    for _ in 0..200 {
        let start = Instant::now();
        black_box(&mut to).copy_from_slice(black_box(&from));
        best = best.min(start.elapsed());
    }
    best
}

fn kernels(criterion: &mut Criterion) {
    let isa = Isa::choose().unwrap();
    let peak = isa.peak_gflops(1).unwrap();
    let (mr, nr) = isa.tile().unwrap();
    println!("{}, tiles of up to {mr} x {nr}, {peak:.1} GFLOP/s on one thread", isa.name());
    let base = arch::find("efficientnet_b0").unwrap();
    for case in CASES {
        let (chs, size) = case.input;
        let arch = Arch {
            arch_def: case.def,
            stem_size: chs,
            act_layer: case.act,
            norm: case.norm,
            head: case.head,
            num_features: NumFeatures::Fixed(1280),
            se_layer: case.se_layer.unwrap_or(base.se_layer),
            ..*base
        };
        let network = arch.network(&Default::default()).unwrap();
        let (macs, bytes) = work(case, &Summary::new(&network, 2 * size, 2 * size).unwrap());
        let weights = seeded::Source::new(0);
        let options = CpuOptions { threads: Some(1), isa: Some(isa), dtype: case.dtype };
        let engine = CpuEngine::new(&network, &weights, options).unwrap();
        if engine.capabilities().dtype != case.dtype {
            println!("{}: left out, {} has no such kernels here\n", case.name, isa.name());
            continue;
        }
        let shape = [1, network.in_chans, 2 * size, 2 * size];
        let input = seeded::images(0, &shape);
        let pass = || engine.profile(Images::new(&input, shape).unwrap()).unwrap();
        let steps = pass();
        let step = steps.iter().position(|(step, _)| step.starts_with(case.step));
        let step = step.expect(case.name);
        let best = Cell::new(Duration::MAX);
        criterion.bench_function(case.name, |bencher| {
            bencher.iter_custom(|passes| {
                let times = (0..passes).map(|_| pass()[step].1);
                times.inspect(|&time| best.set(best.get().min(time))).sum()
            });
        });
        if best.get() == Duration::MAX {
            continue; // Left out by the command line.
        }
        let arithmetic = 2e-3 * macs as f64 / peak;
        let [memory, best] = [copy(bytes), best.get()].map(|time| time.as_secs_f64() * 1e6);
        println!(
            "{:24}limits: arithmetic {arithmetic:.2} us, memory {memory:.2} us; fastest {best:.2} us, \
             {:.0}% of the limit's speed\n",
            "",
            100.0 * arithmetic.max(memory) / best
        );
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = kernels
}
criterion_main!(benches);
