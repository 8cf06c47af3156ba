//! Several callers at once: the throughput of threads that share one engine, compared with one
//! caller's. The callers take turns, so that the engine's threads never compete for cores.
//!
//! `cargo bench --bench callers -- efficientnet_b0 --threads 2`

// It prints, and senseless arguments end it with a panic.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use effnet::arch;
use effnet::engine::{CpuEngine, CpuOptions, Engine, Images};
use effnet::weights::seeded;

const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(400);

fn main() {
    let (mut model, mut threads) = ("efficientnet_b0".to_owned(), None);
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--threads" => threads = args.next().map(|n| n.parse().unwrap()),
            _ => model = arg,
        }
    }
    let network = arch::find(&model).unwrap().network(&Default::default()).unwrap();
    let weights = seeded::Source::new(0);
    let options = CpuOptions { threads, ..CpuOptions::default() };
    let engine = CpuEngine::new(&network, &weights, options).unwrap();
    let shape = [1, network.in_chans, 224, 224];
    let input = seeded::images(0, &shape);
    let images = Images::new(&input, shape).unwrap();
    // Each round takes all numbers of callers in turn, so that other work on the machine affects
    // all alike.
    let callers = [1, 2, 4, 16];
    let mut rates = vec![Vec::new(); callers.len()];
    for _ in 0..ROUNDS {
        for (rates, &callers) in rates.iter_mut().zip(&callers) {
            rates.push(throughput(&engine, images, callers, network.num_classes));
        }
    }
    let median = |rates: &mut Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    };
    let alone = median(&mut rates[0]);
    for (rates, callers) in rates.iter_mut().zip(callers) {
        let rate = median(rates);
        println!(
            "{model}, {} threads, {callers:2} callers: {rate:7.1} images/s, {:.3} of one caller's",
            engine.capabilities().threads,
            rate / alone
        );
    }
}

/// Images per second, all callers together.
fn throughput(engine: &CpuEngine, images: Images<'_>, callers: usize, classes: usize) -> f64 {
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    let passes: usize = std::thread::scope(|scope| {
        let call = || {
            let (mut logits, mut passes) = (vec![0.0; classes], 0);
            while !stop.load(Relaxed) {
                engine.logits_into(images, &mut logits).unwrap();
                passes += 1;
            }
            passes
        };
        let callers: Vec<_> = (0..callers).map(|_| scope.spawn(call)).collect();
        std::thread::sleep(ROUND);
        stop.store(true, Relaxed);
        callers.into_iter().map(|caller| caller.join().unwrap()).sum()
    });
    passes as f64 / start.elapsed().as_secs_f64()
}
