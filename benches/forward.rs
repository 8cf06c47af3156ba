//! Times forward passes of the fused CPU engine on seeded weights: a case is `architecture:size:batch`.
//! `--profile` adds the plan's steps, `--times` prints the milliseconds of each pass and nothing else.
//!
//! `cargo bench --bench forward -- efficientnet_b0:224:1 tf_efficientnet_lite0:224:16 --threads 2 --profile`

// It prints, and arguments that make no sense end it.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::{Duration, Instant};

use candle_core::{DType, Device};
use effnet::arch;
use effnet::engine::{CpuEngine, CpuOptions};
use effnet::weights::seeded;

fn main() {
    let mut threads = None;
    let mut seconds = 3.0;
    let (mut profile, mut print_times) = (false, false);
    let mut cases = Vec::new();
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--threads" => threads = args.next().map(|n| n.parse().unwrap()),
            "--seconds" => seconds = args.next().unwrap().parse().unwrap(),
            "--profile" => profile = true,
            "--times" => print_times = true,
            _ => cases.push(arg),
        }
    }
    if cases.is_empty() {
        cases.push("efficientnet_b0:224:1".to_owned());
    }
    for case in &cases {
        let parts: Vec<&str> = case.split(':').collect();
        let (size, batch): (usize, usize) = (parts[1].parse().unwrap(), parts[2].parse().unwrap());
        let network = arch::find(parts[0]).unwrap().network(&Default::default()).unwrap();
        let weights = seeded::var_builder(0, DType::F32, &Device::Cpu);
        let options = CpuOptions { threads, ..CpuOptions::default() };
        let engine = CpuEngine::new(&network, &weights, options).unwrap();
        let shape = [batch, network.in_chans, size, size];
        let input = seeded::images(0, &shape);
        let mut logits = vec![0.0; batch * network.num_classes];
        let mut times = Vec::new();
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        while times.len() < 5 || Instant::now() < end {
            let start = Instant::now();
            engine.logits_into(&input, shape, &mut logits).unwrap();
            times.push(start.elapsed().as_secs_f64() * 1e3 / batch as f64);
        }
        if print_times {
            times.iter().for_each(|time| println!("{}", time * batch as f64));
            continue;
        }
        times.sort_by(f64::total_cmp);
        if profile {
            let mut best = engine.profile(&input, shape).unwrap();
            for _ in 0..times.len() {
                for (best, new) in best.iter_mut().zip(engine.profile(&input, shape).unwrap()) {
                    best.1 = best.1.min(new.1);
                }
            }
            for (step, time) in best {
                println!("{:9.1} us  {step}", time.as_secs_f64() * 1e6 / batch as f64);
            }
        }
        let memory = engine.memory(shape).unwrap();
        println!(
            "{case}: min {:.3} median {:.3} ms/image, {} threads, {}, arena {:.1} MB",
            times[0],
            times[times.len() / 2],
            engine.threads(),
            engine.isa().name(),
            memory.arena as f64 / 1e6
        );
    }
}
