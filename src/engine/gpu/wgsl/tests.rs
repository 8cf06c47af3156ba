//! Whole networks by the kernels on whatever adapter there is, held against Candle's modules.

#![cfg(feature = "candle")]

use std::sync::{Arc, LazyLock};

use super::context::{Context, adapter};
use super::tensors::load;
use super::{Places, WgpuEngine, WgpuError, launch, text};
use crate::Error;
use crate::arch::{self, Network, NetworkOptions};
use crate::engine::fuse::fuse;
use crate::engine::fuse::reference::small_networks;
use crate::engine::gpu::{Input, Plan, Shape};
use crate::engine::{Array, CandleEngine, Dtype, Engine, EngineError, Images};
use crate::preprocess::Normalize;
use crate::weights::seeded;

/// A device with these kernels; without an adapter, the test fails with what to install.
fn context(text: &str) -> Arc<Context> {
    Arc::new(Context::with_text(text).unwrap_or_else(|error| panic!("{error}")))
}

/// The device of all tests whose maps are float32.
fn shared() -> Arc<Context> {
    static CONTEXT: LazyLock<Arc<Context>> = LazyLock::new(|| context(&text(Dtype::F32)));
    Arc::clone(&CONTEXT)
}

fn engine(context: Arc<Context>, network: &Network, dtype: Dtype) -> WgpuEngine {
    WgpuEngine::on(context, network, &seeded::Source::new(0), dtype).unwrap()
}

fn network(name: &str) -> Network {
    arch::find(name).unwrap().network(&NetworkOptions::default()).unwrap()
}

/// The largest difference of any output to the modules', over the output's largest value.
fn difference(
    context: &Arc<Context>,
    network: &Network,
    images: Images<'_>,
    outputs: &[&str],
    dtype: Dtype,
) -> f32 {
    let ours = engine(Arc::clone(context), network, dtype).run(images, outputs);
    let mut ours = ours.unwrap_or_else(|error| panic!("{}: {error}", network.name));
    let device = candle_core::Device::Cpu;
    let seeded = seeded::Source::new(0);
    let modules = CandleEngine::load(network, &seeded, &device, Dtype::F32, None).unwrap();
    let mut theirs = modules.run(images, outputs).unwrap();
    let mut worst = 0f32;
    for name in outputs {
        let (ours, theirs) = (ours.take(name).unwrap(), theirs.take(name).unwrap());
        assert_eq!(ours.shape, theirs.shape, "{}: {name}", network.name);
        assert_eq!(ours.data.len(), theirs.data.len(), "{}: {name}", network.name);
        let scale = theirs.data.iter().fold(0f32, |max, x| max.max(x.abs()));
        for (a, b) in ours.data.iter().zip(&theirs.data) {
            worst = if a.is_finite() { worst.max((a - b).abs() / scale) } else { f32::INFINITY };
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
        let difference = difference(&shared(), &network, images, &["logits"], Dtype::F32);
        assert!(difference <= 1e-4, "{}: {difference}", network.name);
    }
}

/// Three images of an odd size.
const SMALL: [usize; 4] = [3, 3, 71, 53];

/// Between them, these have every kernel with every option; on images of an odd size, or large enough that a
/// softmax has several tiles.
const NETWORKS: [(&str, [usize; 4]); 12] = [
    ("efficientnet_b0", SMALL),
    ("efficientnet_b0_g16_evos", SMALL),
    ("efficientnet_b0_g8_gn", SMALL),
    ("efficientnet_cc_b0_4e", SMALL),
    ("gc_efficientnetv2_rw_t", [1, 3, 192, 160]),
    ("mixnet_s", SMALL),
    ("mobilenet_edgetpu_v2_s", SMALL),
    ("mobilenetv3_small_100", SMALL),
    ("mobilenetv4_conv_aa_medium", SMALL),
    ("mobilenetv4_conv_blur_medium", SMALL),
    ("mobilenetv4_hybrid_medium", [1, 3, 320, 288]),
    ("test_efficientnet_ln", SMALL),
];

fn pixels(shape: [usize; 4]) -> (Vec<u8>, Normalize) {
    let values = seeded::images(0, &shape);
    let bytes = values.iter().map(|x| (x * 64.0 + 128.0).clamp(0.0, 255.0) as u8).collect();
    let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    (bytes, Normalize::new(&mean, &std).unwrap())
}

/// The largest difference of all outputs, from bytes.
fn difference_on_bytes(
    context: &Arc<Context>,
    (name, shape): (&str, [usize; 4]),
    dtype: Dtype,
) -> f32 {
    let network = network(name);
    let (bytes, normalize) = pixels(shape);
    let images = Images::pixels(&bytes, shape, &normalize).unwrap();
    let outputs = network.graph().outputs();
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    difference(context, &network, images, &outputs, dtype)
}

#[test]
fn every_output_equals_the_modules_on_bytes() {
    for (name, shape) in NETWORKS {
        let difference = difference_on_bytes(&shared(), (name, shape), Dtype::F32);
        // Attention by generated weights is ill-conditioned: the fused CPU engine differs as much.
        let most = if name.contains("hybrid") { 1e-3 } else { 1e-4 };
        assert!(difference <= most, "{name}: {difference}");
    }
}

#[test]
fn halves_are_within_their_rounding() {
    for (dtype, most) in [(Dtype::F16, 0.02), (Dtype::Bf16, 0.15)] {
        let context = context(&text(dtype));
        for (name, _) in NETWORKS {
            let difference = difference_on_bytes(&context, (name, SMALL), dtype);
            assert!(difference <= most, "{name} in {dtype}: {difference}");
            assert!(difference > 1e-5, "{name} in {dtype} is rounded: {difference}");
        }
    }
}

/// A dispatch's threads and words against the kernel's text.
#[test]
fn dispatches_are_as_the_text_has_them() {
    let text = text(Dtype::F32);
    let module = naga::front::wgsl::parse_str(&text).unwrap();
    let flags = naga::valid::ValidationFlags::all();
    let capabilities = naga::valid::Capabilities::empty();
    let info = naga::valid::Validator::new(flags, capabilities).validate(&module).unwrap();
    let mut seen = std::collections::HashSet::new();
    for (name, _) in NETWORKS {
        let network = network(name);
        let fused = fuse(&network.graph()).unwrap();
        let (layers, _) = load(&fused, &seeded::Source::new(0), Dtype::F32).unwrap();
        let outputs = vec!["logits".to_owned(), "features".to_owned()];
        let shape = Shape { input: Input::Pixels, images: 1, height: 64, width: 64, outputs };
        let plan = Plan::new(&layers, &fused.taps, fused.pad_type, &shape, 4).unwrap();
        for step in &plan.steps {
            let places = Places { element: 4, at: |_| 0 };
            let dispatch = launch(&step.path, &step.kernel, &places).unwrap();
            let entry = |entry: &naga::EntryPoint| entry.name == dispatch.entry;
            let at = module.entry_points.iter().position(entry).unwrap();
            let [x, y, z] = module.entry_points[at].workgroup_size;
            assert_eq!([x, y, z], [dispatch.threads, 1, 1], "{}", dispatch.entry);
            let uses = info.get_entry_point(at);
            let is_struct =
                |(handle, global): &(naga::Handle<naga::GlobalVariable>, &naga::GlobalVariable)| {
                    global.space == naga::AddressSpace::Uniform && !uses[*handle].is_empty()
                };
            let (_, sizes) = module.global_variables.iter().find(is_struct).unwrap();
            let bytes = module.types[sizes.ty].inner.size(module.to_ctx());
            assert_eq!(bytes as usize, dispatch.words.len() * 4, "{}", dispatch.entry);
            seen.insert(dispatch.entry);
        }
    }
    assert_eq!(seen.len(), module.entry_points.len(), "of all kernels {seen:?}");
}

/// A fault planted in a kernel's text, and a network that has the kernel.
const FAULTS: [(&str, &str, &str); 14] = [
    ("efficientnet_b0", "x_slice[at + row] = x;", "x_slice[at + row / 2u] = x;"),
    ("efficientnet_b0", "at + row % 4u * 16u", "at + row % 4u * 15u"),
    ("efficientnet_b0", "row / p.gate_rows", "row / (p.gate_rows + 1u)"),
    ("efficientnet_b0", "column + 3u * p.stride, channel", "column + 3u, channel"),
    ("efficientnet_b0", "image * p.parts + part) * p.c", "image * p.parts + part) * p.rd"),
    ("efficientnet_b0", "quads[i * 16u + t]", "quads[i * 15u + t]"),
    // As if the barrier before it were not there: what was in its place is multiplied.
    ("efficientnet_b0", "put_slices(t, x, w);\n    workgroupBarrier();", "workgroupBarrier();"),
    ("mobilenet_edgetpu_v2_s", "at % p.cin)", "at % (p.cin + 1u))"),
    ("efficientnet_b0_g8_gn", "pair[at % 2u * 2u]", "pair[at % 2u]"),
    ("efficientnet_cc_b0_4e", "e * p.len + at", "e * p.len"),
    ("gc_efficientnetv2_rw_t", "(scores + i / 4u)[i % 4u]", "(scores + i / 4u)[i % 2u]"),
    ("mobilenetv4_conv_blur_medium", "let before = p.size - 2u;", "let before = 0u;"),
    ("mobilenetv4_hybrid_medium", "norm *= before;", ""),
    ("test_efficientnet_ln", "quads[t * 2u + 1u].xy", "quads[t * 2u].xy"),
];

#[test]
fn planted_faults_are_noticed() {
    let text = text(Dtype::F32);
    for (name, from, to) in FAULTS {
        assert!(text.contains(from), "{from}");
        let network = NETWORKS.into_iter().find(|(other, _)| *other == name).unwrap();
        let broken = context(&text.replace(from, to));
        let difference = difference_on_bytes(&broken, network, Dtype::F32);
        assert!(difference > 0.05, "{name} with {to} for {from}: {difference}");
    }
}

#[test]
fn a_batch_beyond_the_buffers_is_run_in_parts() {
    let network = network("test_efficientnet");
    let shape = [7, 3, 32, 32];
    let values = seeded::images(0, &shape);
    let images = Images::new(&values, shape).unwrap();
    let outputs = ["logits", "features"];
    let whole = engine(shared(), &network, Dtype::F32);
    let mut whole = whole.run(images, &outputs).unwrap();
    let mut small = Context::with_text(&text(Dtype::F32)).unwrap();
    // The weights, and no more than two of the images' maps.
    small.most = 1_500_000;
    let parts = engine(Arc::new(small), &network, Dtype::F32);
    let mut in_parts = parts.run(images, &outputs).unwrap();
    for name in outputs {
        assert_eq!(whole.take(name).unwrap(), in_parts.take(name).unwrap());
    }
    let mut smaller = Context::with_text(&text(Dtype::F32)).unwrap();
    smaller.most = 4096;
    let refused = WgpuEngine::on(Arc::new(smaller), &network, &seeded::Source::new(0), Dtype::F32);
    let refused = refused.unwrap_err();
    assert!(
        matches!(refused, Error::Engine(EngineError::Wgpu(WgpuError::TooLarge { .. }))),
        "{refused}"
    );
}

#[test]
fn threads_get_the_same_answers() {
    let engine = engine(shared(), &network("test_efficientnet"), Dtype::F32);
    let run = |seed: u64| -> Array {
        let shape = [1 + seed as usize % 3, 3, 32 + seed as usize, 32];
        let values = seeded::images(seed, &shape);
        let images = Images::new(&values, shape).unwrap();
        engine.run(images, &["logits"]).unwrap().take("logits").unwrap()
    };
    let alone: Vec<Array> = (0..6).map(run).collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|seed| scope.spawn(move || run(seed))).collect();
        for (thread, alone) in threads.into_iter().zip(&alone) {
            assert_eq!(thread.join().unwrap(), *alone);
        }
    });
}

#[test]
fn what_cannot_be_run_is_refused() {
    let engine = engine(shared(), &network("efficientnet_lite0"), Dtype::F32);
    let run = |shape: [usize; 4], output: &str| {
        let values = vec![0.0; shape.iter().product()];
        engine.run(Images::new(&values, shape).unwrap(), &[output]).map(drop)
    };
    assert!(run([1, 3, 32, 32], "logits").is_ok());
    assert!(matches!(run([1, 1, 32, 32], "logits"), Err(EngineError::Channels { .. })));
    assert!(matches!(run([1, 3, 32, 32], "logit"), Err(EngineError::Output { .. })));
    let halving = self::engine(shared(), &network("mobilenetv4_conv_aa_medium"), Dtype::F32);
    let tiny = halving.run(Images::new(&[0.0; 3], [1, 3, 1, 1]).unwrap(), &["logits"]);
    let tiny = tiny.unwrap_err().to_string();
    assert!(tiny.ends_with("images of 1x1 pixels are too small for the network"), "{tiny}");
}

#[test]
fn a_step_has_a_name_and_a_time() {
    let engine = engine(shared(), &network("efficientnet_lite0"), Dtype::F32);
    let images = Images::new(&[0.5; 3 * 64 * 64], [1, 3, 64, 64]).unwrap();
    let steps = engine.profile(images).unwrap();
    assert_eq!(steps[0].0, "conv_stem stem");
    assert!(steps.len() > 50 && steps.iter().any(|(_, time)| !time.is_zero()), "{steps:?}");
}

#[test]
fn an_adapter_that_is_not_there_is_named() {
    let error = adapter(Some("no such adapter".to_owned())).unwrap_err().to_string();
    assert!(
        error.contains("\"no such adapter\"") && error.contains("mesa-vulkan-drivers"),
        "{error}"
    );
}
