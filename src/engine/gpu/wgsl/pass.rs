//! A plan as dispatches, the buffers that plans share, and a pass of images through both.

use std::ops::Range;
use std::time::Duration;

use super::context::{Context, STRUCT};
use super::tensors::{Laid, Place};
use super::{Dispatch, Places, WgpuError, launch};
use crate::engine::gpu::{Buffer, Plan, Shape};
use crate::engine::{Array, Data, EngineError, Images};

/// The most bytes between kernels: what no GPU needs more of to be busy.
const MOST_ARENA: usize = 1 << 30;
/// The most images of a pass: a dimension of workgroups has no more.
const MOST_IMAGES: usize = 65535;

/// Bytes of tensors that are on their way at once.
const STAGED: usize = 128 << 20;

/// All tensors of a network.
#[derive(Debug)]
pub(super) struct Tensors {
    places: Vec<Place>,
    /// Buffers of float32, and of the maps' type.
    buffers: [Vec<wgpu::Buffer>; 2],
}

impl Tensors {
    /// Brings all to the device.
    ///
    /// # Errors
    ///
    /// A device without memory.
    pub(super) fn upload(context: &Context, laid: Laid) -> Result<Self, WgpuError> {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        let buffers = laid.sizes.map(|sizes| -> Vec<_> {
            sizes.into_iter().map(|bytes| context.buffer(bytes, usage)).collect()
        });
        context.check()?;
        let mut places = Vec::with_capacity(laid.tensors.len());
        let mut staged = 0;
        for (bytes, place) in laid.tensors {
            let buffer = &buffers[usize::from(place.of_maps)][place.buffer];
            context.write(buffer, place.offset, &bytes);
            places.push(place);
            staged += bytes.len();
            if staged > STAGED {
                context.queue.submit([]);
                context.wait()?;
                staged = 0;
            }
        }
        context.queue.submit([]);
        context.wait()?;
        Ok(Self { places, buffers })
    }
}

/// A plan's dispatches on the device.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) shape: Shape,
    /// Labels of the steps: where in the network, and the kernel.
    pub(super) labels: Vec<String>,
    steps: Vec<Step>,
    structs: wgpu::Buffer,
    /// Which buffers of tensors its steps read, as indices of both kinds.
    tables: Vec<[usize; 2]>,
    /// For each of `tables`, with the shared buffers of this generation.
    groups: (usize, Vec<wgpu::BindGroup>),
    arena: usize,
    images: usize,
    /// Shapes of the outputs, and where each is in their buffer, in bytes.
    outputs: Vec<(Vec<usize>, Range<usize>)>,
}

#[derive(Debug)]
struct Step {
    pipeline: wgpu::ComputePipeline,
    table: usize,
    groups: [u32; 3],
}

/// What no pass of these images may exceed.
#[derive(Debug)]
pub(super) struct TooMuch {
    what: &'static str,
    needed: usize,
    most: usize,
}

impl From<TooMuch> for WgpuError {
    fn from(TooMuch { what, needed, most }: TooMuch) -> Self {
        Self::TooLarge { what: what.to_owned(), needed, most }
    }
}

/// How many images of `shape` a pass takes, by a plan of one of them.
pub(super) fn images_at_once(context: &Context, shape: &Shape, one: &Plan) -> usize {
    let most = context.most.min(MOST_ARENA) / one.arena.max(1);
    most.clamp(1, MOST_IMAGES).min(shape.images)
}

impl Planned {
    /// The dispatches of `plan`; or, inside, what there is too much of for the device.
    ///
    /// # Errors
    ///
    /// A kernel that refuses its sizes.
    pub(super) fn new(
        context: &Context,
        tensors: &Tensors,
        (plan, shape, element): (&Plan, &Shape, usize),
        input: usize,
    ) -> Result<Result<Self, TooMuch>, EngineError> {
        let mut end = 0;
        let mut outputs = Vec::with_capacity(plan.outputs.len());
        for shape in &plan.outputs {
            let bytes = shape.iter().product::<usize>() * size_of::<f32>();
            outputs.push((shape.clone(), end..end + bytes));
            end = (end + bytes).next_multiple_of(STRUCT);
        }
        for (what, bytes) in
            [("bytes of maps", plan.arena), ("bytes of outputs", end), ("bytes of images", input)]
        {
            if bytes > context.most {
                return Ok(Err(TooMuch { what, needed: bytes, most: context.most }));
            }
        }
        let places = Places {
            element,
            at: |buffer| match buffer {
                Buffer::Region(region) => plan.offsets[region],
                Buffer::Weight(weight) => tensors.places[weight].offset,
                Buffer::Output(output) => outputs[output].1.start,
                Buffer::Images | Buffer::Table => 0,
            },
        };
        let mut structs = vec![0u8; plan.steps.len() * STRUCT];
        let (mut labels, mut steps, mut tables) = (Vec::new(), Vec::new(), Vec::new());
        for (step, to) in plan.steps.iter().zip(structs.chunks_exact_mut(STRUCT)) {
            let Dispatch { entry, groups, words, weights, .. } =
                launch(&step.path, &step.kernel, &places)?;
            let most = context.groups as usize;
            if let Some(&groups) = groups.iter().find(|&&groups| groups as usize > most) {
                return Ok(Err(TooMuch { what: "workgroups", needed: groups as usize, most }));
            }
            to.chunks_exact_mut(4)
                .zip(words)
                .for_each(|(to, w)| to.copy_from_slice(&w.to_le_bytes()));
            let mut table = [0, 0];
            for place in weights.iter().map(|&weight| tensors.places[weight]) {
                table[usize::from(place.of_maps)] = place.buffer;
            }
            let known = tables.iter().position(|other| *other == table);
            let table = known.unwrap_or_else(|| {
                tables.push(table);
                tables.len() - 1
            });
            labels.push(format!("{} {entry}", step.path));
            steps.push(Step { pipeline: context.pipeline(entry), table, groups });
        }
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let buffer = context.buffer(structs.len(), usage);
        context.write(&buffer, 0, &structs);
        context.check()?;
        Ok(Ok(Self {
            shape: shape.clone(),
            labels,
            steps,
            structs: buffer,
            tables,
            groups: (0, Vec::new()),
            arena: plan.arena,
            images: input,
            outputs,
        }))
    }

    pub(super) fn output_shapes(&self) -> impl Iterator<Item = &[usize]> {
        self.outputs.iter().map(|(shape, _)| &shape[..])
    }

    fn end(&self) -> usize {
        self.outputs.last().map_or(0, |(_, range)| range.end)
    }

    /// Encodes the steps `range` into `pass`.
    fn encode(&self, pass: &mut wgpu::ComputePass<'_>, range: Range<usize>) {
        for at in range {
            let Step { pipeline, table, groups: [x, y, z] } = &self.steps[at];
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, &self.groups.1[*table], &[(at * STRUCT) as u32]);
            pass.dispatch_workgroups(*x, *y, *z);
        }
    }
}

/// Buffers that all plans use, one pass at a time. They grow with what is asked of them.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// Counts the times that they grew.
    generation: usize,
    shared: Option<Shared>,
}

#[derive(Debug)]
struct Shared {
    arena: wgpu::Buffer,
    images: wgpu::Buffer,
    outputs: wgpu::Buffer,
    /// Where outputs are read from.
    host: wgpu::Buffer,
}

impl Buffers {
    /// The buffers, with room for a pass of `planned`, and its groups of them.
    fn ready(
        &mut self,
        context: &Context,
        tensors: &Tensors,
        planned: &mut Planned,
    ) -> Result<&Shared, WgpuError> {
        use wgpu::BufferUsages as Usage;

        let needed = [planned.arena, planned.images, planned.end()];
        let has = match &self.shared {
            Some(Shared { arena, images, outputs, .. }) => {
                [arena, images, outputs].map(|buffer| usize::try_from(buffer.size()).unwrap_or(0))
            }
            None => [0; 3],
        };
        if self.shared.is_none() || needed.iter().zip(&has).any(|(needed, has)| needed > has) {
            // The old ones go first, as the new ones may need their memory.
            self.shared = None;
            self.generation += 1;
            let [arena, images, outputs] = [0, 1, 2].map(|at| needed[at].max(has[at]));
            let shared = Shared {
                arena: context.buffer(arena, Usage::STORAGE | Usage::COPY_DST),
                images: context.buffer(images, Usage::STORAGE | Usage::COPY_DST),
                outputs: context.buffer(outputs, Usage::STORAGE | Usage::COPY_SRC),
                host: context.buffer(outputs, Usage::MAP_READ | Usage::COPY_DST),
            };
            context.check()?;
            self.shared = Some(shared);
        }
        let shared = self.shared.as_ref().ok_or(WgpuError::OutOfMemory)?;
        if planned.groups.0 != self.generation {
            let Shared { arena, images, outputs, .. } = shared;
            let group = |&[floats, maps]: &[usize; 2]| {
                let structs = wgpu::BufferBinding {
                    buffer: &planned.structs,
                    offset: 0,
                    size: std::num::NonZero::new(STRUCT as u64),
                };
                let whole = wgpu::Buffer::as_entire_binding;
                let [of_floats, of_maps] = &tensors.buffers;
                let resources = [
                    wgpu::BindingResource::Buffer(structs),
                    whole(arena),
                    whole(&of_maps[maps]),
                    whole(&of_floats[floats]),
                    whole(images),
                    whole(outputs),
                ];
                let entry = |(binding, resource)| wgpu::BindGroupEntry { binding, resource };
                let entries: Vec<_> = (0..).zip(resources).map(entry).collect();
                context.device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: None,
                    layout: &context.layout,
                    entries: &entries,
                })
            };
            planned.groups = (self.generation, planned.tables.iter().map(group).collect());
        }
        Ok(shared)
    }

    /// Runs the images from `first` on through `planned`, and adds what comes out to `arrays`.
    pub(super) fn run(
        &mut self,
        context: &Context,
        tensors: &Tensors,
        planned: &mut Planned,
        (images, first): (Images<'_>, usize),
        arrays: &mut [Array],
    ) -> Result<(), WgpuError> {
        let shared = self.ready(context, tensors, planned)?;
        put_images(context, shared, planned.shape.images, (images, first));
        let mut encoder = context.device.create_command_encoder(&Default::default());
        planned
            .encode(&mut encoder.begin_compute_pass(&Default::default()), 0..planned.steps.len());
        let bytes = planned.end();
        let size = Some(bytes.next_multiple_of(4) as u64).filter(|&size| size > 0);
        if let Some(size) = size {
            encoder.copy_buffer_to_buffer(&shared.outputs, 0, &shared.host, 0, size);
        }
        context.queue.submit([encoder.finish()]);
        context.read(&shared.host, bytes, |bytes| {
            for ((_, range), array) in planned.outputs.iter().zip(arrays) {
                array.data.extend(bytemuck::pod_collect_to_vec::<u8, f32>(&bytes[range.clone()]));
            }
        })
    }

    /// Runs the images from `first` on through `planned`, and adds the time of each step to `times`.
    pub(super) fn profile(
        &mut self,
        context: &Context,
        tensors: &Tensors,
        planned: &mut Planned,
        (images, first): (Images<'_>, usize),
        times: &mut [Duration],
    ) -> Result<(), WgpuError> {
        let shared = self.ready(context, tensors, planned)?;
        put_images(context, shared, planned.shape.images, (images, first));
        if context.has_clock {
            return clocked(context, planned, times);
        }
        for (at, time) in times.iter_mut().enumerate() {
            let mut encoder = context.device.create_command_encoder(&Default::default());
            planned.encode(&mut encoder.begin_compute_pass(&Default::default()), at..at + 1);
            let start = std::time::Instant::now();
            context.queue.submit([encoder.finish()]);
            context.wait()?;
            *time += start.elapsed();
        }
        Ok(())
    }
}

/// Steps each between two timestamps of the device.
fn clocked(context: &Context, planned: &Planned, times: &mut [Duration]) -> Result<(), WgpuError> {
    use wgpu::BufferUsages as Usage;

    let count = times.len() as u32 * 2;
    let query_set = context.device.create_query_set(&wgpu::QuerySetDescriptor {
        label: None,
        ty: wgpu::QueryType::Timestamp,
        count,
    });
    let bytes = count as usize * size_of::<u64>();
    let stamps = context.buffer(bytes, Usage::QUERY_RESOLVE | Usage::COPY_SRC);
    let host = context.buffer(bytes, Usage::MAP_READ | Usage::COPY_DST);
    let mut encoder = context.device.create_command_encoder(&Default::default());
    for at in 0..times.len() {
        let writes = wgpu::ComputePassTimestampWrites {
            query_set: &query_set,
            beginning_of_pass_write_index: Some(at as u32 * 2),
            end_of_pass_write_index: Some(at as u32 * 2 + 1),
        };
        let descriptor =
            wgpu::ComputePassDescriptor { label: None, timestamp_writes: Some(writes) };
        planned.encode(&mut encoder.begin_compute_pass(&descriptor), at..at + 1);
    }
    encoder.resolve_query_set(&query_set, 0..count, &stamps, 0);
    encoder.copy_buffer_to_buffer(&stamps, 0, &host, 0, bytes as u64);
    context.queue.submit([encoder.finish()]);
    let ticks = context.read(&host, bytes, bytemuck::pod_collect_to_vec::<u8, u64>)?;
    let tick = f64::from(context.queue.get_timestamp_period());
    for (time, ticks) in times.iter_mut().zip(ticks.chunks_exact(2)) {
        *time += Duration::from_nanos((ticks[1].saturating_sub(ticks[0]) as f64 * tick) as u64);
    }
    Ok(())
}

/// Bytes of `count` images, with the table of their values.
pub(super) fn input_bytes(images: Images<'_>, count: usize) -> usize {
    let [_, c, h, w] = images.shape();
    match images.data() {
        Data::Normalized(_) => count * c * h * w * size_of::<f32>(),
        Data::Pixels(..) => (c * 256 * size_of::<f32>()) + count * c * h * w,
    }
}

fn put_images(
    context: &Context,
    shared: &Shared,
    count: usize,
    (images, first): (Images<'_>, usize),
) {
    let len = images.shape()[1..].iter().product::<usize>();
    let range = first * len..(first + count) * len;
    match images.data() {
        Data::Normalized(values) => {
            context.write(&shared.images, 0, bytemuck::cast_slice(&values[range]));
        }
        Data::Pixels(bytes, normalize) => {
            let table = bytemuck::cast_slice(normalize.tables().as_flattened());
            context.write(&shared.images, 0, table);
            context.write(&shared.images, table.len(), &bytes[range]);
        }
    }
    // What a kernel reads and none has written shows in the outputs.
    #[cfg(test)]
    {
        let len = usize::try_from(shared.arena.size()).unwrap_or(0);
        context.write(&shared.arena, 0, &vec![0xff; len]);
    }
}
