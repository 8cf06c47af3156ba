//! The CUDA engine as a library's caller has it. Run by `tests/gpu/stand-in/run`, or on a machine with a GPU.

#![cfg(feature = "cuda")]
// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use candle_core::{Device, Tensor};
use effnet::Model;
use effnet::engine::{CpuEngine, CpuOptions, CudaEngine, Dtype, Engine, EngineChoice, Images};
use effnet::preprocess::Normalize;
use effnet::weights::seeded;

const NAME: &str = "efficientnet_b0";

fn network() -> effnet::arch::Network {
    effnet::arch::find(NAME).unwrap().network(&Default::default()).unwrap()
}

fn cuda(device: &Device) -> CudaEngine {
    let Device::Cuda(device) = device else { unreachable!("a CUDA device was opened") };
    CudaEngine::new(&network(), &seeded::Source::new(0), device, Dtype::F32).unwrap()
}

/// The largest difference over the largest value.
fn difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    let scale = theirs.iter().fold(0f32, |max, x| max.max(x.abs()));
    ours.iter().zip(theirs).fold(0f32, |max, (a, b)| max.max((a - b).abs())) / scale
}

#[test]
#[ignore = "needs CUDA or its stand-in: tests/gpu/stand-in/run"]
fn equals_the_cpu_engine_from_any_number_of_threads() {
    let device = Device::new_cuda_with_stream(0).unwrap();
    let engine = Arc::new(cuda(&device));
    let cpu = CpuEngine::new(&network(), &seeded::Source::new(0), CpuOptions::default()).unwrap();
    let normalize = Normalize::new(&[0.5; 3], &[0.25; 3]).unwrap();
    // Shapes that take turns in the engine's memory.
    let ask = |thread: usize, round: usize| {
        let n = 1 + (thread + round) % 3;
        let shape = [n, 3, 40, 33 + thread];
        let len = shape.iter().product();
        let pixels: Vec<u8> = (0..len).map(|i: usize| (i * (7 + thread) % 253) as u8).collect();
        let images = Images::pixels(&pixels, shape, &normalize).unwrap();
        let names = ["logits", "stages.2"];
        let mut ours = engine.run(images, &names).unwrap();
        let mut theirs = cpu.run(images, &names).unwrap();
        for name in names {
            let (ours, theirs) = (ours.take(name).unwrap(), theirs.take(name).unwrap());
            assert_eq!(ours.shape, theirs.shape);
            assert!(difference(&ours.data, &theirs.data) < 1e-4, "{name} of thread {thread}");
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..6 {
            scope.spawn(move || (0..4).for_each(|round| ask(thread, round)));
        }
    });
    assert!(
        !engine.profile(Images::new(&[0.0; 3072], [1, 3, 32, 32]).unwrap()).unwrap().is_empty()
    );
}

#[test]
#[ignore = "needs CUDA or its stand-in: tests/gpu/stand-in/run"]
fn tensors_go_in_and_come_out_on_the_device() {
    let device = Device::new_cuda_with_stream(0).unwrap();
    let engine = cuda(&device);
    let shape = [2, 3, 48, 32];
    let values = seeded::images(0, &shape);
    let xs = Tensor::from_slice(&values, &shape, &device).unwrap();
    let outputs = engine.forward(&xs, &["logits", "pre_logits"]).unwrap();
    assert!(outputs.iter().all(|output| output.device().is_cuda()));
    assert_eq!(outputs[1].dims(), [2, 1280]);
    let logits: Vec<f32> = outputs[0].flatten_all().unwrap().to_vec1().unwrap();
    let images = Images::new(&values, shape).unwrap();
    assert_eq!(engine.run(images, &["logits"]).unwrap().take("logits").unwrap().data, logits);
    // A later run leaves them alone.
    engine.forward(&xs.zeros_like().unwrap(), &["logits", "pre_logits"]).unwrap();
    assert_eq!(outputs[0].flatten_all().unwrap().to_vec1::<f32>().unwrap(), logits);
    let error = engine.forward(&xs, &["logit"]).unwrap_err().to_string();
    assert!(error.starts_with("no output \"logit\""), "{error}");
}

#[test]
#[ignore = "needs CUDA or its stand-in: tests/gpu/stand-in/run"]
fn what_the_type_cannot_hold_is_an_error() {
    let model = |dtype| {
        let builder = Model::builder().model(NAME).weights("seeded:0");
        builder.engine(EngineChoice::Cuda).dtype(dtype).build()
    };
    for dtype in [Dtype::F32, Dtype::F16, Dtype::Bf16] {
        let engine = model(dtype).unwrap().engine().capabilities();
        assert_eq!((engine.engine, engine.dtype), ("cuda", dtype));
    }
}
