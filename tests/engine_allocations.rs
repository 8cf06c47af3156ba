//! A forward pass allocates nothing once an image size has its plan.

#![allow(clippy::unwrap_used, unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use effnet::arch;
use effnet::engine::{CpuEngine, CpuOptions, Images};
use effnet::weights::seeded;

/// The system's allocator, with a count.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs images of three shapes through the engine of `name`, then again with every allocation
/// counted.
fn check(name: &str) -> CpuEngine {
    let network = arch::find(name).unwrap().network(&Default::default()).unwrap();
    let weights = seeded::Source::new(0);
    let options = CpuOptions { threads: Some(2), ..CpuOptions::default() };
    let engine = CpuEngine::new(&network, &weights, options).unwrap();
    let shapes = [[1, 3, 64, 64], [5, 3, 64, 64], [2, 3, 96, 50]];
    let inputs = shapes.map(|shape| seeded::images(0, &shape));
    let mut logits = vec![0.0; 5 * 1000];
    let mut pass = || {
        for (shape, input) in shapes.iter().zip(&inputs) {
            let images = Images::new(input, *shape).unwrap();
            engine.logits_into(images, &mut logits[..shape[0] * 1000]).unwrap();
        }
    };
    // The batch of one is planned for one, then for five; after that both plans exist.
    (0..2).for_each(|_| pass());
    let before = ALLOCATIONS.load(Relaxed);
    (0..3).for_each(|_| pass());
    assert_eq!(ALLOCATIONS.load(Relaxed), before, "{name}");

    // The counter works: a size without a plan allocates.
    let images = Images::new(&inputs[2], [2, 3, 50, 96]).unwrap();
    engine.logits_into(images, &mut logits[..2000]).unwrap();
    assert!(ALLOCATIONS.load(Relaxed) > before);
    engine
}

// There is only one test, because parallel ones would be counted too.
#[test]
fn a_steady_forward_allocates_nothing() {
    for name in [
        "mixnet_s",
        "mobilenetv4_conv_blur_medium",
        "mobilenet_edgetpu_v2_xs",
        "tf_efficientnet_cc_b0_4e",
        "gc_efficientnetv2_rw_t",
        "mobilenetv4_hybrid_medium",
        "efficientnet_b0_gn",
        "test_efficientnet_ln",
    ] {
        check(name);
    }
    // 60 MB above the weights is the bar for B0 at its native size.
    let memory = check("efficientnet_b0").memory([1, 3, 224, 224]).unwrap();
    assert!(memory.arena < 60_000_000, "{memory:?}");
    assert!((20_000_000..24_000_000).contains(&memory.weights), "{memory:?}");
}
