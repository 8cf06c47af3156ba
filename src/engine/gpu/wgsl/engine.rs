//! The engine: a packed network on a device, its plans and their buffers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::WgpuError;
use super::context::Context;
use super::pass::{Buffers, Planned, Tensors, images_at_once, input_bytes};
use super::tensors::{TooLarge, load};
use crate::Error;
use crate::arch::{Network, PadType, Tap};
use crate::engine::fuse::fuse;
use crate::engine::gpu::{GpuError, Input, Layer, Plan, Shape};
use crate::engine::{
    Array, Capabilities, Data, Device, Dtype, Engine, EngineError, Images, Output, Outputs,
    check_outputs,
};
use crate::weights::TensorSource;

/// Shapes whose plans are kept; a plan takes some tens of kilobytes.
const PLANS: usize = 16;

/// Runs a network by its own kernels on what wgpu finds: Vulkan, Direct3D 12 or Metal. Needs the feature
/// `wgpu`.
///
/// The adapter is the one whose name has what the environment's `WGPU_ADAPTER_NAME` says, or wgpu's choice
/// of those for speed. Callers from several threads take turns. A batch that is too large for the adapter's
/// buffers is run in parts.
///
/// ```no_run
/// use effnet::{arch, engine::{Dtype, Engine, Images, WgpuEngine}, weights::seeded};
///
/// let network = arch::find("efficientnet_b0").unwrap().network(&Default::default())?;
/// let engine = WgpuEngine::new(&network, &seeded::Source::new(0), Dtype::F16)?;
/// let images = Images::new(&[0.0; 3 * 64 * 64], [1, 3, 64, 64])?;
/// let logits = engine.run(images, &["logits"])?.take("logits")?;
/// assert_eq!(logits.shape, [1, 1000]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct WgpuEngine {
    context: Arc<Context>,
    layers: Vec<Layer>,
    taps: Vec<Tap>,
    pad_type: PadType,
    /// The names of the network's outputs.
    names: Vec<String>,
    tensors: Tensors,
    in_chans: usize,
    dtype: Dtype,
    state: Mutex<State>,
}

/// What a pass uses; only one runs at a time.
#[derive(Debug, Default)]
struct State {
    /// The most recently used first.
    plans: Vec<Planned>,
    buffers: Buffers,
}

impl WgpuEngine {
    /// Fuses `network` and brings its tensors, which it requests by timm's names, to the adapter, with maps
    /// and large weights of `dtype`. Every adapter takes every type: products and sums are float32.
    ///
    /// # Errors
    ///
    /// No adapter, one without memory for the weights, a part of the network without kernels, a missing
    /// tensor, or a weight that `dtype` cannot hold.
    pub fn new(network: &Network, tensors: &dyn TensorSource, dtype: Dtype) -> Result<Self, Error> {
        let context = Context::new(dtype).map_err(EngineError::from)?;
        Self::on(Arc::new(context), network, tensors, dtype)
    }

    /// On a device, whose kernels are those of `dtype`.
    pub(super) fn on(
        context: Arc<Context>,
        network: &Network,
        source: &dyn TensorSource,
        dtype: Dtype,
    ) -> Result<Self, Error> {
        let graph = network.graph();
        let fused = fuse(&graph).map_err(GpuError::from)?;
        let (layers, loading) = load(&fused, source, dtype)?;
        let laid = loading.lay_out(context.most).map_err(|TooLarge { at, bytes }| {
            let what = format!("bytes of the weights of `{at}`");
            EngineError::from(WgpuError::TooLarge { what, needed: bytes, most: context.most })
        })?;
        let tensors = Tensors::upload(&context, laid).map_err(EngineError::from)?;
        Ok(Self {
            context,
            layers,
            taps: fused.taps,
            pad_type: fused.pad_type,
            names: graph.outputs(),
            tensors,
            in_chans: network.in_chans,
            dtype,
            state: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // After a panic under the lock, plans and buffers are still usable: the next pass refills them.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, images: Images<'_>) -> Result<(), EngineError> {
        let (found, expected) = (images.shape()[1], self.in_chans);
        if found != expected {
            return Err(EngineError::Channels { expected, found });
        }
        Ok(self.context.check()?)
    }

    /// The plan for as many of `count` images as a pass takes, moved to the front.
    fn plan<'a>(
        &self,
        state: &'a mut State,
        images: Images<'_>,
        count: usize,
        outputs: &[&str],
    ) -> Result<(&'a mut Planned, &'a mut Buffers), EngineError> {
        let [.., height, width] = images.shape();
        let input = match images.data() {
            Data::Normalized(_) => Input::Floats,
            Data::Pixels(..) => Input::Pixels,
        };
        let outputs = outputs.iter().map(|&name| name.to_owned()).collect();
        let mut shape = Shape { input, images: count, height, width, outputs };
        let State { plans, buffers } = state;
        let mut known = plans.iter().position(|planned| planned.shape == shape);
        let element = self.dtype.bytes();
        let plan =
            |shape: &Shape| Plan::new(&self.layers, &self.taps, self.pad_type, shape, element);
        if known.is_none() {
            let one = plan(&Shape { images: 1, ..shape.clone() })?;
            shape.images = images_at_once(&self.context, &shape, &one);
            known = plans.iter().position(|planned| planned.shape == shape);
        }
        while known.is_none() {
            let bytes = input_bytes(images, shape.images);
            let parts = (&plan(&shape)?, &shape, element);
            match Planned::new(&self.context, &self.tensors, parts, bytes)? {
                Ok(planned) => {
                    plans.truncate(PLANS - 1);
                    plans.push(planned);
                    known = Some(plans.len() - 1);
                }
                Err(too_much) if shape.images == 1 => {
                    return Err(WgpuError::from(too_much).into());
                }
                Err(_) => {
                    shape.images /= 2;
                    known = plans.iter().position(|planned| planned.shape == shape);
                }
            }
        }
        let at = known.unwrap_or(0);
        plans[..=at].rotate_right(1);
        Ok((&mut plans[0], buffers))
    }
}

impl Engine for WgpuEngine {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            engine: "wgpu",
            device: Device::Wgpu,
            dtype: self.dtype,
            kernels: Some(self.context.backend),
            threads: 1,
            // What does not fit at once is run in parts.
            max_batch: None,
        }
    }

    fn run(&self, images: Images<'_>, outputs: &[&str]) -> Result<Outputs, EngineError> {
        check_outputs(outputs, &self.names)?;
        self.check(images)?;
        let all = images.shape()[0];
        let mut arrays = vec![Array { data: Vec::new(), shape: Vec::new() }; outputs.len()];
        let mut state = self.lock();
        let mut first = 0;
        while first < all {
            let (planned, buffers) = self.plan(&mut state, images, all - first, outputs)?;
            let part = (images, first);
            buffers.run(&self.context, &self.tensors, planned, part, &mut arrays)?;
            for (array, shape) in arrays.iter_mut().zip(planned.output_shapes()) {
                array.shape = std::iter::once(all).chain(shape[1..].iter().copied()).collect();
            }
            first += planned.shape.images;
        }
        let named = outputs.iter().map(|&name| name.to_owned());
        Ok(named.zip(arrays.into_iter().map(Output::Host)).collect())
    }

    fn profile(&self, images: Images<'_>) -> Result<Vec<(String, Duration)>, EngineError> {
        self.check(images)?;
        let mut state = self.lock();
        let all = images.shape()[0];
        let (mut labels, mut times) = (Vec::new(), Vec::new());
        let mut first = 0;
        while first < all {
            let (planned, buffers) = self.plan(&mut state, images, all - first, &["logits"])?;
            labels.clone_from(&planned.labels);
            times.resize(labels.len(), Duration::ZERO);
            let part = (images, first);
            buffers.profile(&self.context, &self.tensors, planned, part, &mut times)?;
            first += planned.shape.images;
        }
        Ok(labels.into_iter().zip(times).collect())
    }
}
