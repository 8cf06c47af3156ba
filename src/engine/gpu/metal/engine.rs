//! The engine: a packed network on Candle's Metal device, and its plans.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, DType, MetalDevice, MetalStorage};
use candle_metal_kernels::metal::{Buffer as MetalBuffer, ComputePipeline, Library};
use objc2_metal::MTLSize;

use super::text;
use crate::Error;
use crate::arch::{Network, PadType, Tap};
use crate::engine::fuse::fuse;
use crate::engine::gpu::wgsl::{Dispatch, Laid, Place, Places, TooLarge, launch, load};
use crate::engine::gpu::{Buffer, GpuError, Input, Layer, Plan, Shape};
use crate::engine::{
    Array, Capabilities, Data, Device, Dtype, Engine, EngineError, Images, Output, Outputs,
    check_outputs,
};
use crate::weights::TensorSource;

/// Shapes whose plans are kept; a plan takes some tens of kilobytes.
const PLANS: usize = 16;
/// Outputs begin at multiples of it.
const ALIGN: usize = 256;

/// Buffers of float32, and of the maps' type.
type Tensors = [Vec<Arc<MetalBuffer>>; 2];

/// Runs a network by its own kernels on Apple's GPU. Needs the feature `metal`.
///
/// Any number of threads may call it: each pass takes memory of its own from Candle's allocator.
#[derive(Debug)]
pub struct MetalEngine {
    device: MetalDevice,
    library: Library,
    pipelines: Mutex<HashMap<&'static str, ComputePipeline>>,
    layers: Vec<Layer>,
    taps: Vec<Tap>,
    pad_type: PadType,
    /// The names of the network's outputs.
    names: Vec<String>,
    places: Vec<Place>,
    tensors: Tensors,
    in_chans: usize,
    dtype: Dtype,
    /// The most recently used first.
    plans: Mutex<Vec<Arc<Planned>>>,
}

/// A plan's dispatches.
#[derive(Debug)]
struct Planned {
    shape: Shape,
    steps: Vec<Step>,
    arena: usize,
    /// Shapes of the outputs, and where each is in their buffer, in bytes.
    outputs: Vec<(Vec<usize>, Range<usize>)>,
}

#[derive(Debug)]
struct Step {
    pipeline: ComputePipeline,
    /// The words of its struct, with room behind.
    words: [u32; 32],
    /// Which buffers of tensors it reads.
    tables: [usize; 2],
    groups: MTLSize,
    threads: MTLSize,
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> EngineError {
    EngineError::Run(Box::new(error))
}

impl MetalEngine {
    /// Fuses `network` and brings its tensors, which it requests by timm's names, to `device`, with maps and
    /// large weights of `dtype`. Products and sums are float32.
    ///
    /// # Errors
    ///
    /// A device that is not Metal's or that refuses, a part of the network without kernels, a missing tensor,
    /// or a weight that `dtype` cannot hold.
    pub fn new(
        network: &Network,
        tensors: &dyn TensorSource,
        device: &candle_core::Device,
        dtype: Dtype,
    ) -> Result<Self, Error> {
        let device = device.as_metal_device().map_err(EngineError::from)?.clone();
        let graph = network.graph();
        let fused = fuse(&graph).map_err(GpuError::from)?;
        let (layers, loading) = load(&fused, tensors, dtype)?;
        // Sizes and offsets are words.
        let laid = loading.lay_out(u32::MAX as usize & !(ALIGN - 1)).map_err(|too_large| {
            let TooLarge { at, bytes } = too_large;
            EngineError::Run(format!("the weights of `{at}` take {bytes} bytes").into())
        })?;
        let (places, tensors) = upload(&device, laid)?;
        let library = device.device().new_library_with_source(text(dtype), None);
        Ok(Self {
            library: library.map_err(failed)?,
            device,
            pipelines: Mutex::default(),
            layers,
            taps: fused.taps,
            pad_type: fused.pad_type,
            names: graph.outputs(),
            places,
            tensors,
            in_chans: network.in_chans,
            dtype,
            plans: Mutex::default(),
        })
    }

    /// The kernel of this name, compiled once.
    fn pipeline(&self, entry: &'static str) -> Result<ComputePipeline, EngineError> {
        let mut pipelines = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipeline) = pipelines.get(entry) {
            return Ok(pipeline.clone());
        }
        let function = self.library.get_function(entry, None).map_err(failed)?;
        let pipeline = self.device.device().new_compute_pipeline_state_with_function(&function);
        let pipeline = pipeline.map_err(failed)?;
        pipelines.insert(entry, pipeline.clone());
        Ok(pipeline)
    }

    fn plan(&self, images: Images<'_>, outputs: &[&str]) -> Result<Arc<Planned>, EngineError> {
        let [n, _, height, width] = images.shape();
        let input = match images.data() {
            Data::Normalized(_) => Input::Floats,
            Data::Pixels(..) => Input::Pixels,
        };
        let outputs = outputs.iter().map(|&name| name.to_owned()).collect();
        let shape = Shape { input, images: n, height, width, outputs };
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = plans.iter().position(|plan| plan.shape == shape) {
            plans[..=at].rotate_right(1);
        } else {
            let planned = Arc::new(self.planned(shape)?);
            plans.truncate(PLANS - 1);
            plans.insert(0, planned);
        }
        Ok(Arc::clone(&plans[0]))
    }

    fn planned(&self, shape: Shape) -> Result<Planned, EngineError> {
        let element = self.dtype.bytes();
        let plan = Plan::new(&self.layers, &self.taps, self.pad_type, &shape, element)?;
        let mut end = 0;
        let mut outputs = Vec::with_capacity(plan.outputs.len());
        for shape in &plan.outputs {
            let bytes = shape.iter().product::<usize>() * size_of::<f32>();
            outputs.push((shape.clone(), end..end + bytes));
            end = (end + bytes).next_multiple_of(ALIGN);
        }
        let places = Places {
            element,
            at: |buffer| match buffer {
                Buffer::Region(region) => plan.offsets[region],
                Buffer::Weight(weight) => self.places[weight].offset,
                Buffer::Output(output) => outputs[output].1.start,
                Buffer::Images | Buffer::Table => 0,
            },
        };
        let size = |[width, height, depth]: [u32; 3]| MTLSize {
            width: width as usize,
            height: height as usize,
            depth: depth as usize,
        };
        let step = |step: &crate::engine::gpu::Step| {
            let Dispatch { entry, threads, groups, words, weights } =
                launch(&step.path, &step.kernel, &places)?;
            let mut padded = [0; 32];
            padded[..words.len()].copy_from_slice(&words);
            let mut tables = [0, 0];
            for place in weights.iter().map(|&weight| self.places[weight]) {
                tables[usize::from(place.of_maps)] = place.buffer;
            }
            let pipeline = self.pipeline(entry)?;
            let (groups, threads) = (size(groups), size([threads, 1, 1]));
            Ok(Step { pipeline, words: padded, tables, groups, threads })
        };
        let steps = plan.steps.iter().map(step).collect::<Result<_, EngineError>>()?;
        Ok(Planned { shape, steps, arena: plan.arena, outputs })
    }

    /// The images as `common.wgsl` has them.
    fn images(&self, images: Images<'_>) -> Result<Arc<MetalBuffer>, EngineError> {
        Ok(match images.data() {
            Data::Normalized(values) => self.device.new_buffer_with_data(values)?,
            Data::Pixels(bytes, normalize) => {
                let table = normalize.tables().as_flattened().iter();
                let mut all: Vec<u8> = table.flat_map(|value| value.to_le_bytes()).collect();
                all.extend(bytes);
                // Bytes are read as words.
                all.resize(all.len().next_multiple_of(4), 0);
                self.device.new_buffer_with_data(&all)?
            }
        })
    }

    fn forward(&self, images: Images<'_>, planned: &Planned) -> Result<Vec<f32>, EngineError> {
        let input = self.images(images)?;
        let floats = planned.outputs.last().map_or(0, |(_, range)| range.end / 4);
        let arena =
            self.device.new_buffer(planned.arena.div_ceil(4).max(1), DType::F32, "arena")?;
        let output = self.device.new_buffer(floats.max(1), DType::F32, "outputs")?;
        {
            let guard = self.device.command_encoder()?;
            let encoder = guard.as_ref();
            for Step { pipeline, words, tables: [floats, maps], groups, threads } in &planned.steps
            {
                encoder.set_compute_pipeline_state(pipeline);
                encoder.set_bytes(0, words);
                // As an output, so that each kernel waits for the last.
                encoder.set_output_buffer(1, Some(&arena), 0);
                encoder.set_input_buffer(2, Some(&self.tensors[1][*maps]), 0);
                encoder.set_input_buffer(3, Some(&self.tensors[0][*floats]), 0);
                encoder.set_input_buffer(4, Some(&input), 0);
                encoder.set_output_buffer(5, Some(&output), 0);
                // Sizes of the buffers, which naga's text takes and does not use.
                encoder.set_bytes(6, &[0u32; 8]);
                encoder.dispatch_thread_groups(*groups, *threads);
            }
        }
        let storage = MetalStorage::new(output, self.device.clone(), floats, DType::F32);
        match storage.to_cpu_storage()? {
            CpuStorage::F32(values) => Ok(values),
            _ => Err(EngineError::Run("the outputs are not float32".into())),
        }
    }
}

/// Brings tensors to the device.
fn upload(device: &MetalDevice, laid: Laid) -> Result<(Vec<Place>, Tensors), EngineError> {
    let mut bytes = laid
        .sizes
        .map(|sizes| -> Vec<_> { sizes.iter().map(|&n| vec![0u8; n.max(ALIGN)]).collect() });
    let mut places = Vec::with_capacity(laid.tensors.len());
    for (values, place) in laid.tensors {
        let to = &mut bytes[usize::from(place.of_maps)][place.buffer];
        to[place.offset..place.offset + values.len()].copy_from_slice(&values);
        places.push(place);
    }
    let [floats, maps] = bytes.map(|buffers| {
        buffers
            .iter()
            .map(|bytes| device.new_buffer_with_data(bytes))
            .collect::<Result<Vec<_>, _>>()
    });
    Ok((places, [floats?, maps?]))
}

impl Engine for MetalEngine {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            device: Device::Metal,
            dtype: self.dtype,
            kernels: Some("metal"),
            ..Capabilities::new("metal")
        }
    }

    fn run(&self, images: Images<'_>, outputs: &[&str]) -> Result<Outputs, EngineError> {
        let [_, found, ..] = images.shape();
        if found != self.in_chans {
            return Err(EngineError::Channels { expected: self.in_chans, found });
        }
        check_outputs(outputs, &self.names)?;
        let planned = self.plan(images, outputs)?;
        let values = self.forward(images, &planned)?;
        let output = |(name, (shape, range)): (&&str, &(Vec<usize>, Range<usize>))| {
            let data = values[range.start / 4..range.end / 4].to_vec();
            ((*name).to_owned(), Output::Host(Array { data, shape: shape.clone() }))
        };
        Ok(outputs.iter().zip(&planned.outputs).map(output).collect())
    }
}
