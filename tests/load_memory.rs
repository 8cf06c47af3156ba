//! Loading holds at most one tensor besides what stays in memory.

#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, unsafe_code)]

#[path = "support/counting.rs"]
mod counting;

use counting::held;
use effnet::arch;
use effnet::engine::{CpuEngine, CpuOptions};
use effnet::weights::{TensorSource, WeightsError, bundled, check};

/// Holds each tensor three times before returning it.
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

// There is only one test, because parallel ones would be counted too.
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
    // The counter works: the third copy exists before the packed one, which stays.
    let (most, stays, _engine) = held(|| engine(&Wasteful(&source)));
    assert!(most - stays > 2 * largest - largest / 20);
}
