//! The memory that a model will take, from its description alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use effnet::Description;
use effnet::arch::{ArchError, Graph, NetworkOptions, Op};
use effnet::engine::EngineChoice;

use super::LoadError;

/// Bytes of a number in float32. Halves take less, so the estimate stays on the safe side.
const F32: u64 = 4;

/// What the loaded models take together, and the most that they may.
#[derive(Debug)]
pub(super) struct Budget {
    most: u64,
    used: Arc<AtomicU64>,
}

/// A model's share of the budget, until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    bytes: u64,
    used: Arc<AtomicU64>,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, SeqCst);
    }
}

impl Budget {
    pub(super) fn new(most: u64) -> Self {
        Self { most, used: Arc::default() }
    }

    /// A share of this many bytes. Only one thread may ask at a time.
    pub(super) fn share(&self, name: &str, bytes: u64) -> Result<Share, LoadError> {
        let used = self.used.load(SeqCst);
        if used.saturating_add(bytes) > self.most {
            return Err(LoadError::Memory { name: name.to_owned(), bytes, used, most: self.most });
        }
        self.used.fetch_add(bytes, SeqCst);
        Ok(Share { bytes, used: Arc::clone(&self.used) })
    }
}

/// Bytes of the weights, and of the maps of a batch of `images`.
pub(super) fn needs(
    model: &Description,
    engine: EngineChoice,
    images: usize,
) -> Result<u64, ArchError> {
    let (in_chans, num_classes) = (model.in_chans, model.num_classes);
    let options = NetworkOptions { in_chans, num_classes, ..Default::default() };
    let graph = model.arch.network(&options)?.graph();
    let weights: u64 = graph.tensors().iter().map(|(_, shape)| product(shape)).sum();
    let [_, height, width] = model.preprocessing.input_size.value;
    let one = most_at_once(&graph, height, width);
    // The fused engines run the layers with the largest maps image by image.
    let further = if engine == EngineChoice::Candle { one } else { one / 5 };
    let maps = further.saturating_mul((images as u64).saturating_sub(1)).saturating_add(one);
    Ok(weights.saturating_add(maps).saturating_mul(F32))
}

/// The most values of one image that are needed at the same time, if what works on each value by
/// itself writes over its input.
fn most_at_once(graph: &Graph, height: usize, width: usize) -> u64 {
    let shapes: Vec<u64> = graph.shapes(height, width).iter().map(|shape| product(shape)).collect();
    let mut last_use = vec![0; shapes.len()];
    for (number, node) in graph.nodes.iter().enumerate() {
        node.inputs.iter().for_each(|value| last_use[value.index()] = number);
    }
    let (mut live, mut most) = (shapes[0], shapes[0]);
    for (number, node) in graph.nodes.iter().enumerate() {
        let ends = node.inputs.iter().map(|value| value.index());
        let mut ends: Vec<usize> = ends.filter(|&value| last_use[value] == number).collect();
        ends.dedup();
        let ended: u64 = ends.iter().map(|&value| shapes[value]).sum();
        let written = shapes[number + 1];
        let is_in_place = !ends.is_empty()
            && matches!(
                node.op,
                Op::Norm { .. }
                    | Op::Act(_)
                    | Op::SqueezeExcite { .. }
                    | Op::GlobalContext { .. }
                    | Op::LayerScale
                    | Op::Add { .. }
            );
        most = most.max(if is_in_place { live } else { live + written });
        live = live + written - ended;
    }
    most
}

fn product(shape: &[usize]) -> u64 {
    shape.iter().map(|&side| side as u64).product()
}

#[cfg(test)]
mod tests {
    use effnet::Model;
    use effnet::engine::{CpuEngine, CpuOptions};
    use effnet::weights::seeded;

    use super::*;

    #[test]
    fn the_estimate_is_near_what_the_engine_takes() {
        for name in ["efficientnet_lite0", "mobilenetv3_small_050", "efficientnetv2_rw_s"] {
            let model = Model::builder().model(name).weights("seeded:0").describe().unwrap();
            let network = model.arch.network(&NetworkOptions::default()).unwrap();
            let options = CpuOptions { threads: Some(2), ..CpuOptions::default() };
            let engine = CpuEngine::new(&network, &seeded::Source::new(0), options).unwrap();
            let [channels, height, width] = model.preprocessing.input_size.value;
            for images in [1, 8] {
                let memory = engine.memory([images, channels, height, width]).unwrap();
                let taken = (memory.weights + memory.arena) as f64;
                let estimate = needs(&model, EngineChoice::Cpu, images).unwrap() as f64;
                let share = estimate / taken;
                assert!((0.85..1.25).contains(&share), "{name}, {images}: {estimate} {memory:?}");
            }
        }
    }

    #[test]
    fn a_share_returns_to_the_budget() {
        let model = Model::builder().model("test_efficientnet").describe().unwrap();
        let one = needs(&model, EngineChoice::Auto, 1).unwrap();
        let budget = Budget::new(2 * one);
        let (first, second) = (budget.share("a", one).unwrap(), budget.share("b", one));
        let error = budget.share("c", one).unwrap_err().to_string();
        let says = format!("model c needs {:.1} MB", one as f64 / 1e6);
        assert!(error.starts_with(&says), "{error}");
        drop(first);
        budget.share("c", one).unwrap();
        drop(second);
        assert_eq!(budget.used.load(SeqCst), 0);
    }
}
