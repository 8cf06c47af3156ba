//! Loading holds at most one tensor beside what stays.

#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use effnet::arch;
use effnet::engine::{CpuEngine, CpuOptions};
use effnet::weights::{TensorSource, WeightsError, bundled, check};

/// The system's allocator, counting the bytes that are held, and the most that were.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(held, Relaxed);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `load` held at most, and holds at its end, beside what was held before.
fn held<T>(load: impl FnOnce() -> T) -> (usize, usize, T) {
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    let loaded = load();
    (MOST.load(Relaxed) - before, HELD.load(Relaxed) - before, loaded)
}

/// Holds each tensor three times before it gives it.
struct Wasteful<'a>(&'a dyn TensorSource);

impl TensorSource for Wasteful<'_> {
    fn name(&self) -> String {
        self.0.name()
    }

    fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let tensor = self.0.get(name, shape)?;
        let copies = [tensor.clone(), tensor.clone()];
        assert_eq!(copies[0], copies[1]);
        Ok(tensor)
    }
}

// One test: others beside it would be counted too.
#[test]
fn an_engine_holds_one_tensor_beside_its_weights_while_it_loads() {
    let network = arch::find("tf_efficientnet_lite0").unwrap().network(&Default::default());
    let network = network.unwrap();
    let tensors = network.graph().tensors();
    let values = tensors.iter().map(|(_, shape)| shape.iter().product::<usize>());
    let largest = values.max().unwrap() * size_of::<f32>();
    assert_eq!(largest, 1280 * 1000 * 4);
    let checkpoint = bundled().unwrap();
    let (source, _) = check(&checkpoint, None, &tensors).unwrap();
    let options = CpuOptions { threads: Some(1), ..CpuOptions::default() };
    let engine = |source: &dyn TensorSource| CpuEngine::new(&network, source, options).unwrap();
    let (most, stays, _engine) = held(|| engine(&source));
    assert!(stays > 4_652_008 * 4, "{stays}");
    let beside = most - stays;
    assert!(
        beside < largest + largest / 20,
        "{beside} bytes beside what stays, {largest} a tensor"
    );
    // The count counts: the third is there before the packed one, which stays.
    let (most, stays, _engine) = held(|| engine(&Wasteful(&source)));
    assert!(most - stays > 2 * largest - largest / 20);
}
