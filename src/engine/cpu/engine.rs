//! The engine: a packed network, its threads, its plans and its memory.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::kernels::KernelTable;
use super::memory::{AlignedBuf, padded};
use super::pack::{Packed, pack};
use super::plan::{Map, Plan, Region, Step};
use super::pool::{Job, Pool};
use super::run::{Input, Pass};
use super::{CpuError, Isa, cores};
use crate::arch::Network;
use crate::engine::fuse::fuse;
use crate::engine::{
    Array, Capabilities, Device, Dtype, Engine, EngineError, Images, Output, Outputs, check_outputs,
};
use crate::weights::TensorSource;

/// Image sizes whose plans are kept; a plan takes a few kilobytes.
const PLANS: usize = 16;

/// How a [`CpuEngine`] is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuOptions {
    /// Threads, including the caller's; `None` for the physical cores that the process may use, by
    /// its affinity and its cgroup's quota.
    pub threads: Option<usize>,
    /// The kernels' instruction set; `None` for the choice of [`Isa::choose`].
    pub isa: Option<Isa>,
    /// The number type of products, if the machine has instructions for it; otherwise float32.
    pub dtype: Dtype,
}

/// Runs a network on the CPU, in fused steps.
///
/// Callers from several threads take turns, each with all the engine's threads, so that they never
/// compete for cores.
///
/// ```
/// use effnet::{arch, engine::{CpuEngine, CpuOptions, Images}, weights::seeded};
///
/// let network = arch::find("efficientnet_lite0").unwrap().network(&Default::default())?;
/// let engine = CpuEngine::new(&network, &seeded::Source::new(0), CpuOptions::default())?;
/// let mut logits = [0.0; 1000];
/// engine.logits_into(Images::new(&[0.0; 3 * 64 * 64], [1, 3, 64, 64])?, &mut logits)?;
/// assert!(logits.iter().any(|&logit| logit != 0.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CpuEngine {
    packed: Packed,
    /// The names of the network's outputs.
    taps: Vec<String>,
    isa: Isa,
    dtype: Dtype,
    kernels: &'static KernelTable,
    in_chans: usize,
    num_classes: usize,
    num_features: usize,
    threads: usize,
    state: Mutex<State>,
}

/// What a pass uses; only one runs at a time.
#[derive(Debug)]
struct State {
    pool: Pool,
    /// The most recently used first.
    plans: Vec<Arc<Plan>>,
    arena: AlignedBuf,
}

/// The memory that an engine takes for images of one shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuMemory {
    /// Bytes of weights.
    pub weights: usize,
    /// Bytes of feature maps and scratch.
    pub arena: usize,
}

impl CpuEngine {
    /// Fuses `network` and packs its tensors, which it requests by timm's names.
    ///
    /// # Errors
    ///
    /// A part of the network without fused kernels, a missing tensor, an `EFFNET_ISA` that this
    /// machine does not run, or threads that do not start.
    pub fn new(
        network: &Network,
        tensors: &dyn TensorSource,
        options: CpuOptions,
    ) -> Result<Self, CpuError> {
        let isa = options.isa.map_or_else(Isa::choose, Ok)?;
        let kernels =
            KernelTable::of(isa).ok_or_else(|| CpuError::Isa { word: isa.name().to_owned() })?;
        let pairs = match options.dtype {
            Dtype::F32 | Dtype::F16 => None,
            Dtype::Bf16 => KernelTable::pairs(isa),
        };
        let graph = network.graph();
        let packed = pack(&fuse(&graph)?, tensors, kernels, pairs)?;
        let threads = options.threads.unwrap_or_else(cores::physical).max(1);
        let pool = Pool::new(threads, packed.layers.len());
        let threads = pool.threads();
        let state = State { pool, plans: Vec::new(), arena: AlignedBuf::zeros(0) };
        Ok(Self {
            packed,
            taps: graph.outputs(),
            isa,
            dtype: if pairs.is_some() { Dtype::Bf16 } else { Dtype::F32 },
            kernels,
            in_chans: network.in_chans,
            num_classes: network.num_classes,
            num_features: network.num_features,
            threads,
            state: Mutex::new(state),
        })
    }

    /// The memory for images of `shape` (N, C, H, W).
    ///
    /// # Errors
    ///
    /// A shape that the network cannot take.
    pub fn memory(&self, shape: [usize; 4]) -> Result<CpuMemory, CpuError> {
        let plan = self.plan(&mut self.lock(), shape)?;
        Ok(CpuMemory {
            weights: self.packed.layers.iter().map(|layer| layer.bytes()).sum(),
            arena: plan.bytes(self.threads),
        })
    }

    /// Images to logits (N, classes); without a classifier, to pooled features (N, F).
    ///
    /// Allocates nothing if the engine has already run this image size with a batch at least as
    /// large.
    ///
    /// # Errors
    ///
    /// A shape that the network cannot take, or an `out` whose length is not that of the results.
    pub fn logits_into(&self, images: Images<'_>, out: &mut [f32]) -> Result<(), EngineError> {
        let expected = images.shape()[0].saturating_mul(self.logits());
        if out.len() != expected {
            return Err(CpuError::OutputLength { len: out.len(), expected }.into());
        }
        self.forward(images, &mut Sink { logits: Some(out), ..Sink::default() })
    }

    /// The number of an image's logits, or of the pooled features in their place.
    fn logits(&self) -> usize {
        if self.num_classes > 0 { self.num_classes } else { self.num_features }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // After a panic under the lock, plans and memory are still usable: the next pass refills
        // them.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The plan for `shape`, moved to the front; the arena is large enough for it.
    fn plan(&self, state: &mut State, shape: [usize; 4]) -> Result<Arc<Plan>, CpuError> {
        let [images, _, h, w] = shape;
        let fits = |plan: &Arc<Plan>| plan.size == (h, w) && plan.fits(images);
        if let Some(at) = state.plans.iter().position(fits) {
            state.plans[..=at].rotate_right(1);
        } else {
            let plan = Plan::new(&self.packed, self.kernels, (h, w), (images, self.threads))?;
            state.plans.retain(|old| old.size != plan.size);
            state.plans.truncate(PLANS - 1);
            state.plans.insert(0, Arc::new(plan));
        }
        let plan = Arc::clone(&state.plans[0]);
        let floats = plan.floats + self.threads * plan.scratch;
        if state.arena.len() < floats {
            state.arena = AlignedBuf::zeros(0);
            state.arena = AlignedBuf::zeros(floats);
        }
        Ok(plan)
    }

    fn forward(&self, input: Images<'_>, sink: &mut Sink<'_>) -> Result<(), EngineError> {
        let shape = input.shape();
        let [images, found, ..] = shape;
        if found != self.in_chans {
            return Err(EngineError::Channels { expected: self.in_chans, found });
        }
        let mut state = self.lock();
        let plan = self.plan(&mut state, shape)?;
        let State { pool, arena, .. } = &mut *state;
        let arena = arena.as_mut_ptr();
        for first in (0..images).step_by(plan.group) {
            let count = plan.group.min(images - first);
            let pass = |at: usize, images: usize| Pass {
                packed: &self.packed,
                plan: &plan,
                kernels: self.kernels,
                arena,
                input: Input::new(input, first + at),
                first: at,
                images,
            };
            for (steps, most) in plan.phases(count).into_iter().filter(|(s, _)| !s.is_empty()) {
                for at in (0..count).step_by(most) {
                    let pass = pass(at, most.min(count - at));
                    run_steps(pool, pass, steps.clone(), first + at, sink)?;
                }
            }
            if sink.times.is_some() {
                continue;
            }
            let pass = pass(0, count);
            if let Some(logits) = &mut sink.logits {
                let region = if self.num_classes > 0 { Region::Logits } else { Region::Means };
                let chs = self.logits();
                // SAFETY: no task runs, and the region holds `count` padded rows.
                unsafe { rows(&pass, region, chs, &mut logits[first * chs..]) };
            }
            if let Some(pre_logits) = &mut sink.pre_logits {
                let chs = self.num_features;
                // SAFETY: as above.
                unsafe { rows(&pass, Region::Means, chs, &mut pre_logits[first * chs..]) };
            }
        }
        Ok(())
    }
}

/// Where results go.
#[derive(Debug, Default)]
struct Sink<'a> {
    /// The time of each step; if given, nothing else is filled.
    times: Option<&'a mut [(String, Duration)]>,
    logits: Option<&'a mut [f32]>,
    pre_logits: Option<&'a mut [f32]>,
    /// Feature maps, in the order in which they are complete.
    maps: Vec<(Map, Array)>,
}

/// Some steps of a pass, as a job of the pool.
struct Part<'a> {
    pass: Pass<'a>,
    first: usize,
    steps: usize,
}

impl Job for Part<'_> {
    fn steps(&self) -> usize {
        self.steps
    }

    fn tasks(&self, step: usize) -> usize {
        self.pass.tasks(self.first + step)
    }

    unsafe fn run(&self, thread: usize, step: usize, task: usize) {
        // SAFETY: the pool keeps the contract; `CpuEngine::forward` gave the arena room for all
        // threads.
        unsafe { self.pass.run(thread, self.first + step, task) }
    }
}

/// Runs `steps` on the images of `pass`; the first of these is image `first` of the batch.
fn run_steps(
    pool: &mut Pool,
    pass: Pass<'_>,
    steps: Range<usize>,
    first: usize,
    sink: &mut Sink<'_>,
) -> Result<(), CpuError> {
    let mut done = steps.start;
    let mut run_to = |steps: usize| {
        let part = Part { pass, first: done, steps: steps - done };
        done = steps;
        if pool.run(&part) { Ok(()) } else { Err(CpuError::Failed) }
    };
    if let Some(times) = &mut sink.times {
        for step in steps {
            let start = Instant::now();
            run_to(step + 1)?;
            times[step].1 += start.elapsed();
        }
        return Ok(());
    }
    for (map, array) in &mut sink.maps {
        if steps.contains(&(map.steps - 1)) {
            run_to(map.steps)?;
            // SAFETY: no task runs, and the region holds maps of this shape.
            unsafe { export(&pass, map, first, array) };
        }
    }
    run_to(steps.end)
}

/// Copies the padded rows of `region` to `to`.
unsafe fn rows(pass: &Pass<'_>, region: Region, chs: usize, to: &mut [f32]) {
    for (image, to) in to.chunks_exact_mut(chs).take(pass.images).enumerate() {
        let at = pass.plan.offsets[region as usize] + image * padded(chs);
        // SAFETY: the caller's contract.
        let row = unsafe { std::slice::from_raw_parts(pass.arena.add(at), chs) };
        to.copy_from_slice(row);
    }
}

/// Copies a map of each image to `array`, (N, C, H, W), from image `first` on.
unsafe fn export(pass: &Pass<'_>, map: &Map, first: usize, array: &mut Array) {
    let pixels = map.h * map.w;
    let floats = pixels * padded(map.chs);
    for image in 0..pass.images {
        // SAFETY: the caller's contract.
        let from =
            unsafe { std::slice::from_raw_parts(pass.map(map.region, image, floats), floats) };
        let to = &mut array.data[(first + image) * map.chs * pixels..][..map.chs * pixels];
        for (pixel, from) in from.chunks_exact(padded(map.chs)).enumerate() {
            for (c, &value) in from[..map.chs].iter().enumerate() {
                to[c * pixels + pixel] = value;
            }
        }
    }
}

impl Engine for CpuEngine {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            engine: "cpu",
            device: Device::Cpu,
            dtype: self.dtype,
            kernels: Some(self.isa.name()),
            threads: self.threads,
            max_batch: None,
        }
    }

    fn run(&self, images: Images<'_>, outputs: &[&str]) -> Result<Outputs, EngineError> {
        check_outputs(outputs, &self.taps)?;
        let shape = images.shape();
        let n = shape[0];
        let plan = self.plan(&mut self.lock(), shape)?;
        let matrix = |name: &str, chs: usize| {
            let wanted = outputs.contains(&name);
            wanted.then(|| Array { data: vec![0.0; n * chs], shape: vec![n, chs] })
        };
        let mut logits = matrix("logits", self.logits());
        let mut pre_logits = matrix("pre_logits", self.num_features);
        // Where each requested map is among those of the sink.
        let mut maps: Vec<(&str, Map)> = Vec::new();
        for ((tap, _), map) in self.packed.maps.iter().zip(&plan.maps) {
            if outputs.contains(&tap.as_str()) {
                maps.push((tap, *map));
            }
        }
        let array = |(_, map): &(&str, Map)| {
            let shape = vec![n, map.chs, map.h, map.w];
            (*map, Array { data: vec![0.0; shape.iter().product()], shape })
        };
        let mut sink = Sink {
            times: None,
            logits: logits.as_mut().map(|array| &mut array.data[..]),
            pre_logits: pre_logits.as_mut().map(|array| &mut array.data[..]),
            maps: maps.iter().map(array).collect(),
        };
        self.forward(images, &mut sink)?;
        let arrays: Vec<Array> = sink.maps.into_iter().map(|(_, array)| array).collect();
        let mut named: Vec<(&str, Array)> =
            maps.iter().map(|(name, _)| *name).zip(arrays).collect();
        named.extend(logits.map(|array| ("logits", array)));
        named.extend(pre_logits.map(|array| ("pre_logits", array)));
        let take = |name: &&str| {
            let at = named.iter().position(|named| named.0 == *name)?;
            let (name, array) = named.swap_remove(at);
            Some((name.to_owned(), Output::Host(array)))
        };
        Ok(outputs.iter().filter_map(take).collect())
    }

    fn profile(&self, images: Images<'_>) -> Result<Vec<(String, Duration)>, EngineError> {
        let plan = self.plan(&mut self.lock(), images.shape())?;
        let name = |step: &Step| {
            let (h, w) = (step.h.output, step.w.output);
            (format!("{} -> {h}x{w}", self.packed.layers[step.layer]), Duration::ZERO)
        };
        let mut times: Vec<(String, Duration)> = plan.steps.iter().map(name).collect();
        self.forward(images, &mut Sink { times: Some(&mut times), ..Sink::default() })?;
        Ok(times)
    }
}
