//! Compares the fused CPU engine with the Candle engine, on seeded weights.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used, clippy::panic)]

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use effnet::arch::{self, Arch, DepthMultiplier, Head, Network, Norm};
use effnet::engine::{Array, CandleEngine, CpuEngine, CpuOptions, Dtype, Engine, Images, Isa};
use effnet::models::EfficientNet;
use effnet::preprocess::Normalize;
use effnet::weights::{seeded, tensor_shapes};

/// The bar: largest absolute difference over the largest absolute value of the reference.
const TOLERANCE: f32 = 1e-4;

/// Outputs with their names, in the order of computation.
type Outputs = Vec<(String, Array)>;

/// Every output: after each block and resolution, the features, and what follows from them.
fn all(engine: &dyn Engine, network: &Network, images: Images<'_>) -> Outputs {
    let taps = network.graph().outputs();
    let names: Vec<&str> = taps.iter().map(String::as_str).collect();
    let outputs = engine.run(images, &names).unwrap().into_iter();
    outputs.map(|(name, output)| (name, output.into_array().unwrap())).collect()
}

fn logits(engine: &CpuEngine, images: Images<'_>) -> Array {
    engine.run(images, &["logits"]).unwrap().take("logits").unwrap()
}

fn network(name: &str) -> Network {
    arch::find(name).unwrap().network(&Default::default()).unwrap()
}

fn candle(network: &Network, shape: [usize; 4]) -> Outputs {
    candle_with(network, &seeded::var_builder(0, DType::F32, &Device::Cpu), shape)
}

fn candle_with(network: &Network, vb: &VarBuilder<'_>, shape: [usize; 4]) -> Outputs {
    let model = EfficientNet::new(network, vb).unwrap();
    let engine = CandleEngine::new(model, network, Device::Cpu, None).unwrap();
    all(&engine, network, Images::new(&seeded::images(0, &shape), shape).unwrap())
}

fn cpu(network: &Network, threads: usize, isa: Option<Isa>) -> CpuEngine {
    let vb = seeded::var_builder(0, DType::F32, &Device::Cpu);
    CpuEngine::new(
        network,
        &vb,
        CpuOptions { threads: Some(threads), isa, ..CpuOptions::default() },
    )
    .unwrap()
}

fn run(engine: &CpuEngine, network: &Network, shape: [usize; 4]) -> Outputs {
    all(engine, network, Images::new(&seeded::images(0, &shape), shape).unwrap())
}

/// Reports the first output that misses the reference.
fn compare(ours: &Outputs, theirs: &Outputs) -> Result<(), String> {
    assert_eq!(ours.len(), theirs.len());
    for ((name, ours), (_, theirs)) in ours.iter().zip(theirs) {
        if ours.shape != theirs.shape {
            return Err(format!("{name}: {:?} for {:?}", ours.shape, theirs.shape));
        }
        let scale = theirs.data.iter().fold(0f32, |max, v| max.max(v.abs()));
        let worst = ours.data.iter().zip(&theirs.data).fold(0f32, |worst, (a, b)| {
            let d = (a - b).abs();
            if d.is_nan() { f32::INFINITY } else { worst.max(d) }
        });
        if worst > TOLERANCE * scale {
            return Err(format!(
                "{name}: off by {worst:e} where {:e} is allowed",
                TOLERANCE * scale
            ));
        }
    }
    Ok(())
}

fn check(name: &str, shape: [usize; 4]) {
    let network = network(name);
    let ours = run(&cpu(&network, 2, None), &network, shape);
    if let Err(miss) = compare(&ours, &candle(&network, shape)) {
        panic!("{name} {shape:?}: {miss}");
    }
}

#[test]
fn equals_candle_at_odd_sizes() {
    for name in [
        "efficientnet_lite0",
        "tf_efficientnet_lite0",
        "efficientnet_b0",
        "tf_efficientnet_b0",
        "efficientnet_b1_pruned",
        "efficientnet_b2",
        "efficientnet_es",
        "tf_efficientnet_es",
        "efficientnet_es_pruned",
        "tf_efficientnetv2_b0",
        "tf_efficientnetv2_b3",
        "efficientnetv2_rw_t",
        "tf_efficientnetv2_s",
        "mobilenetv3_large_100",
        "tf_mobilenetv3_small_100",
    ]
    .into_iter()
    .chain(KINDS)
    {
        check(name, [1, 3, 97, 130]);
    }
}

/// Networks that together have every kind of layer besides the usual ones: universal inverted
/// residuals, with both ways of downsampling; mixed kernels, with both ways of padding;
/// convolutions in groups; a pool without a head; space to depth; kernels mixed for each image;
/// global context; attention; group norm, layer norm and EvoNorm.
const KINDS: [&str; 16] = [
    "mobilenetv4_conv_small",
    "mobilenetv4_conv_aa_medium",
    "mobilenetv4_conv_blur_medium",
    "mixnet_s",
    "tf_mixnet_m",
    "mobilenet_edgetpu_v2_xs",
    "mobilenetv1_100",
    "efficientnet_x_b3",
    "tf_efficientnet_cc_b0_4e",
    "gc_efficientnetv2_rw_t",
    "mobilenetv4_hybrid_medium",
    "efficientnet_b0_gn",
    "efficientnet_b0_g8_gn",
    "test_efficientnet_gn",
    "test_efficientnet_ln",
    "test_efficientnet_evos",
];

/// Every architecture; those with more than 12 million parameters get fewer channels and blocks.
#[test]
fn equals_candle_on_every_architecture() {
    let shape = [1, 3, 33, 50];
    for arch in arch::all() {
        let mut network = network(arch.name);
        let shapes = tensor_shapes(|vb| EfficientNet::new(&network, &vb)).unwrap();
        let parameters = shapes.iter().map(|(_, shape)| shape.iter().product::<usize>());
        if parameters.sum::<usize>() > 12_000_000 {
            let depth_multiplier = DepthMultiplier::Uniform(0.3);
            let channel_multiplier = 0.4 * arch.channel_multiplier;
            let small = Arch { channel_multiplier, depth_multiplier, ..*arch };
            network = small.network(&Default::default()).unwrap();
        }
        let miss =
            compare(&run(&cpu(&network, 2, None), &network, shape), &candle(&network, shape));
        miss.unwrap_or_else(|miss| panic!("{}: {miss}", arch.name));
    }
}

/// Norms with statistics, in blocks that otherwise always have batch norms.
#[test]
fn equals_candle_with_other_norms_in_every_kind_of_block() {
    let shape = [2, 3, 65, 98];
    for norm in
        [Norm::GroupNorm { group_size: 8 }, Norm::LayerNorm, Norm::EvoNormS0 { group_size: 8 }]
    {
        for name in [
            "efficientnet_x_b3",
            "gc_efficientnetv2_rw_t",
            "mixnet_s",
            "mobilenetv1_100",
            "mobilenetv4_conv_blur_medium",
            "mobilenetv4_hybrid_medium",
            "tf_efficientnet_cc_b0_4e",
        ] {
            // A norm after the pool is refused.
            let arch = Arch { norm, head: Head::ConvThenPool, ..*arch::find(name).unwrap() };
            let network = arch.network(&Default::default()).unwrap();
            // The seeded gates of a global context are too steep after other norms.
            let vb = gentle(&network);
            let engine = |threads| {
                let options = CpuOptions { threads: Some(threads), ..CpuOptions::default() };
                CpuEngine::new(&network, &vb, options).unwrap()
            };
            let ours = run(&engine(2), &network, shape);
            if let Err(miss) = compare(&ours, &candle_with(&network, &vb, shape)) {
                panic!("{name} {norm:?}: {miss}");
            }
            let images = seeded::images(0, &shape);
            let last = Images::new(&images[images.len() / 2..], [1, 3, 65, 98]).unwrap();
            let alone = logits(&engine(1), last);
            assert_eq!(ours.last().unwrap().1.data[1000..], alone.data, "{name} {norm:?}");
        }
    }
}

#[test]
fn equals_candle_at_the_smallest_sizes() {
    for (h, w) in [(1, 1), (1, 5), (33, 2), (31, 64)] {
        check("efficientnet_b0", [1, 3, h, w]);
        check("tf_efficientnetv2_b0", [1, 3, h, w]);
        check("tf_efficientnet_es", [2, 3, h, w]);
    }
    for name in KINDS.into_iter().filter(|name| !name.contains("_aa_")) {
        check(name, [1, 3, 1, 34]);
    }
}

#[test]
fn an_image_of_which_nothing_is_left_is_refused() {
    let engine = cpu(&network("mobilenetv4_conv_aa_medium"), 1, None);
    let mut out = [0.0; 1000];
    let shape = [1, 3, 33, 2];
    let images = |data, shape| Images::new(data, shape).unwrap();
    let error = engine.logits_into(images(&[0.0; 3 * 33 * 2], shape), &mut out);
    let error = error.unwrap_err().to_string();
    assert_eq!(error, "images of 33 by 2 pixels are too small for the network");
    engine.logits_into(images(&[0.0; 3 * 33 * 33], [1, 3, 33, 33]), &mut out).unwrap();
}

#[test]
fn equals_candle_at_native_size() {
    check("efficientnet_b0", [1, 3, 224, 224]);
    check("tf_efficientnet_lite0", [1, 3, 224, 224]);
    check("efficientnet_b0_gn", [1, 3, 224, 224]);
    check("test_efficientnet_ln", [1, 3, 160, 160]);
    check("test_efficientnet_evos", [1, 3, 160, 160]);
}

#[test]
fn equals_candle_under_every_instruction_set() {
    let shape = [1, 3, 65, 98];
    for name in
        ["tf_efficientnet_b0", "efficientnet_lite0", "efficientnetv2_rw_t"].into_iter().chain(KINDS)
    {
        let network = network(name);
        let theirs = candle(&network, shape);
        for isa in Isa::available() {
            let ours = run(&cpu(&network, 2, Some(isa)), &network, shape);
            compare(&ours, &theirs).unwrap_or_else(|miss| panic!("{name} {isa:?}: {miss}"));
        }
    }
}

#[test]
fn other_inputs_and_heads_are_taken() {
    for (in_chans, num_classes) in [(1, 10), (4, 0), (5, 33)] {
        let options = arch::NetworkOptions { in_chans, num_classes, ..Default::default() };
        let network = arch::find("efficientnet_b0").unwrap().network(&options).unwrap();
        let shape = [2, in_chans, 49, 35];
        let ours = run(&cpu(&network, 2, None), &network, shape);
        compare(&ours, &candle(&network, shape)).unwrap();
    }
}

#[test]
fn bits_do_not_depend_on_threads_batches_or_runs() {
    for name in ["efficientnet_b0", "tf_efficientnetv2_b0", "efficientnet_lite0"] {
        let network = network(name);
        let shape = |n| [n, 3, 75, 64];
        let single = cpu(&network, 1, None);
        for n in [1, 3, 17] {
            let reference = run(&single, &network, shape(n));
            compare(&reference, &candle(&network, shape(n))).unwrap();
            for threads in [1, 2, 5, 12] {
                let engine = cpu(&network, threads, None);
                for _ in 0..3 {
                    assert!(run(&engine, &network, shape(n)) == reference, "{name} {n} {threads}");
                }
            }
            // An image alone gives the same results.
            let alone = {
                let input = seeded::images(0, &shape(n));
                let last = &input[input.len() / n * (n - 1)..];
                all(&single, &network, Images::new(last, shape(1)).unwrap())
            };
            for ((_, all), (_, one)) in reference.iter().zip(alone) {
                assert_eq!(all.data[all.data.len() / n * (n - 1)..], one.data);
            }
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads_or_batches_for_any_kind_of_layer() {
    for name in KINDS {
        let network = network(name);
        let input = seeded::images(0, &[5, 3, 49, 64]);
        let logits = |engine: &CpuEngine, images: std::ops::Range<usize>| {
            let image = input.len() / 5;
            let mut logits = vec![0.0; 1000 * images.len()];
            let shape = [images.len(), 3, 49, 64];
            let input = &input[images.start * image..images.end * image];
            engine.logits_into(Images::new(input, shape).unwrap(), &mut logits).unwrap();
            logits
        };
        let reference = logits(&cpu(&network, 1, None), 0..5);
        for threads in [2, 5] {
            let engine = cpu(&network, threads, None);
            for _ in 0..2 {
                assert!(logits(&engine, 0..5) == reference, "{name} {threads}");
            }
            assert!(logits(&engine, 3..4) == reference[3000..4000], "{name} {threads}");
        }
    }
}

#[test]
fn callers_from_many_threads_get_their_own_answers() {
    let network = network("efficientnet_lite0");
    let engine = cpu(&network, 2, None);
    let answer = |size: usize| run(&engine, &network, [1, 3, size, 70]);
    let references: Vec<Outputs> = (0..6).map(|i| answer(40 + i)).collect();
    std::thread::scope(|scope| {
        for (i, reference) in references.iter().enumerate() {
            scope.spawn(move || (0..5).for_each(|_| assert!(answer(40 + i) == *reference)));
        }
    });
}

#[test]
fn a_moved_tensor_is_noticed() {
    let network = network("efficientnet_b0");
    let shape = [1, 3, 64, 64];
    let mut ours = run(&cpu(&network, 2, None), &network, shape);
    let theirs = candle(&network, shape);
    compare(&ours, &theirs).unwrap();
    let stage = ours.iter_mut().find(|(name, _)| name == "stages.2").unwrap();
    stage.1.data.iter_mut().for_each(|value| *value *= 1.001);
    assert!(compare(&ours, &theirs).unwrap_err().starts_with("stages.2"));
}

#[test]
fn what_it_cannot_lower_it_names() {
    let refusal = |network: &Network| {
        let vb = seeded::var_builder(0, DType::F32, &Device::Cpu);
        CpuEngine::new(network, &vb, CpuOptions::default()).unwrap_err().to_string()
    };
    let arch = Arch {
        arch_def: &[&["ds_r1_k3_s1_c64", "mha_r1_k3_h4_s1_d16_c64"]],
        ..*arch::find("efficientnet_b0").unwrap()
    };
    assert_eq!(
        refusal(&arch.network(&Default::default()).unwrap()),
        "the engine `cpu` cannot run attention of 4 heads with keys of 16 channels each \
         (`blocks.0.1.attn`), the engine `candle` can"
    );
    let arch = Arch { norm: Norm::LayerNorm, ..*arch::find("mobilenetv4_conv_small").unwrap() };
    assert_eq!(
        refusal(&arch.network(&Default::default()).unwrap()),
        "the engine `cpu` cannot run a norm of a vector by its own statistics (`norm_head`), the \
         engine `candle` can"
    );
    // No architecture has such a network; it must not break memory safety.
    let mut network = network("test_efficientnet_gn");
    network.norm = Norm::GroupNorm { group_size: 16 };
    let error = refusal(&network);
    assert!(error.contains("cannot run a norm of 24 channels in groups of 16 (`bn1`)"), "{error}");
}

#[test]
fn wrong_shapes_are_refused() {
    let engine = cpu(&network("efficientnet_lite0"), 1, None);
    let mut out = [0.0; 1000];
    for (len, shape, message) in [
        (12, [1, 3, 2, 3], "12 values do not make images of shape [1, 3, 2, 3]"),
        (16, [1, 4, 2, 2], "takes images of 3 channels, not 4"),
        (0, [1, 3, 0, 2], "0 values do not make"),
        (12, [2, 3, 2, 1], "room for 1000 results where there are 2000"),
    ] {
        let data = vec![0.0; len];
        let images = Images::new(&data, shape);
        let error = images.and_then(|images| engine.logits_into(images, &mut out)).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
    let images = [0.0; 12];
    let images = Images::new(&images, [1, 3, 2, 2]).unwrap();
    let error = engine.run(images, &["logits", "stage.1"]).unwrap_err().to_string();
    assert!(error.starts_with(r#"no output "stage.1": there are blocks.0.0, "#), "{error}");
}

/// Bytes give the same bits as their normalized values.
#[test]
fn bytes_are_taken_as_their_normalized_values_are() {
    for name in ["efficientnet_b0", "tf_efficientnetv2_b0", "mobilenetv1_100", "efficientnet_x_b3"]
    {
        for (in_chans, n) in [(3, 2), (1, 1), (4, 1), (5, 1)] {
            let options = arch::NetworkOptions { in_chans, ..Default::default() };
            let network = arch::find(name).unwrap().network(&options).unwrap();
            let shape = [n, in_chans, 53, 70];
            let pixels: Vec<u8> =
                (0..shape.iter().product()).map(|i: usize| (i * i / 7 % 256) as u8).collect();
            let [mean, std] = [0.1, 0.2]
                .map(|first| (0..in_chans).map(|c| first + 0.07 * c as f64).collect::<Vec<_>>());
            let normalize = Normalize::new(&mean, &std).unwrap();
            let bytes = Images::pixels(&pixels, shape, &normalize).unwrap();
            let floats = bytes.normalized();
            // (N, H, W, C) to (N, C, H, W).
            let at = (n - 1) * in_chans * 53 * 70;
            let value = pixels[at + (3 * 70 + 5) * in_chans + in_chans - 1];
            let expected = (f32::from(value) / 255.0 - *mean.last().unwrap() as f32)
                / *std.last().unwrap() as f32;
            assert_eq!(floats[at + (in_chans - 1) * 53 * 70 + 3 * 70 + 5], expected);
            let engine = cpu(&network, 2, None);
            let floats = Images::new(&floats, shape).unwrap();
            assert!(all(&engine, &network, bytes) == all(&engine, &network, floats), "{name}");
        }
    }
}

/// The bar for bfloat16, relative to the reference's largest value; bfloat16 has 8 bits.
const BF16_TOLERANCE: f32 = 0.03;

/// Seeded weights, but with gates at a tenth and attention at half of their steepness. Seeded gates
/// and attention are so steep that 1% on an earlier tensor shows (`src/weights/seeded.rs`), and
/// rounding to 8 bits is about as much.
fn gentle(network: &Network) -> VarBuilder<'static> {
    let shapes = tensor_shapes(|vb| EfficientNet::new(network, &vb)).unwrap();
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let mut values = seeded::tensor(0, &name, &shape);
        let is_attention = name.contains("query") || name.contains("key.proj");
        let softened = if is_attention { 0.5 } else { 1.0 };
        let factor = if name.contains(".fc2.") { 0.1 } else { softened };
        values.iter_mut().for_each(|value| *value *= factor);
        (name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap())
    };
    VarBuilder::from_tensors(shapes.into_iter().map(tensor).collect(), DType::F32, &Device::Cpu)
}

#[test]
fn bf16_is_near_float32_and_its_bits_do_not_depend_on_threads_or_batches() {
    let shape = [3, 3, 97, 130];
    for name in [
        "efficientnet_b0",
        "tf_efficientnetv2_b0",
        "mobilenetv3_large_100",
        "tf_mixnet_s",
        "gc_efficientnetv2_rw_t",
        "mobilenetv4_hybrid_medium",
        "efficientnet_b0_gn",
    ] {
        let network = network(name);
        let vb = gentle(&network);
        for isa in [None, Some(Isa::Portable)] {
            let engine = |threads| {
                let options = CpuOptions { threads: Some(threads), isa, dtype: Dtype::Bf16 };
                CpuEngine::new(&network, &vb, options).unwrap()
            };
            let (one, two) = (engine(1), engine(2));
            let dtype = one.capabilities().dtype;
            assert_eq!(dtype, two.capabilities().dtype);
            let options = CpuOptions { threads: Some(2), isa, ..CpuOptions::default() };
            let float = CpuEngine::new(&network, &vb, options).unwrap();
            let input = seeded::images(0, &shape);
            let images = Images::new(&input, shape).unwrap();
            let float = logits(&float, images);
            let ours = logits(&one, images);
            assert_eq!(ours, logits(&two, images), "{name} {isa:?}");
            let image = &input[..3 * 97 * 130];
            let alone = logits(&two, Images::new(image, [1, 3, 97, 130]).unwrap());
            assert_eq!(ours.data[..alone.data.len()], alone.data, "{name} {isa:?}");
            let scale = float.data.iter().fold(0f32, |max, v| max.max(v.abs()));
            let pairs = ours.data.iter().zip(&float.data);
            let drift = pairs.fold(0f32, |worst, (a, b)| worst.max((a - b).abs())) / scale;
            println!("{name} {isa:?} {dtype}: drift {drift:e}");
            assert!(drift <= BF16_TOLERANCE, "{name} {isa:?}: {drift:e}");
            // Pairs were multiplied if the machine can do that, otherwise floats.
            assert_eq!(drift > 0.0, dtype == Dtype::Bf16);
        }
        let portable = CpuOptions { isa: Some(Isa::Portable), dtype: Dtype::Bf16, threads: None };
        let portable = CpuEngine::new(&network, &vb, portable).unwrap();
        assert_eq!(portable.capabilities().dtype, Dtype::Bf16);
    }
}
