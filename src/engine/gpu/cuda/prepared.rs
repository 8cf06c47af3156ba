//! A plan on the device: its memory, its launches and their recording.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Arc;
use std::time::Duration;

use candle_core::cuda_backend::cudarc::driver::sys::{
    CUevent_flags, CUgraphInstantiate_flags, CUstreamCaptureMode, CUstreamCaptureStatus,
};
use candle_core::cuda_backend::cudarc::driver::{
    CudaEvent, CudaFunction, CudaGraph, CudaSlice, CudaStream, DevicePtr, DriverError,
    PinnedHostSlice, result,
};

use super::{Launch, launch};
use crate::engine::gpu::{Buffer, Plan, Shape};

/// Batches of images that are on their way at once: one is copied while another is computed.
const IN_FLIGHT: usize = 2;

/// Everything that one shape of images needs on the device.
pub(super) struct Prepared {
    pub(super) shape: Shape,
    pub(super) plan: Arc<Plan>,
    launches: Vec<Launch>,
    functions: Vec<CudaFunction>,
    /// Addresses of the weights.
    weights: Arc<[u64]>,
    arena: CudaSlice<u8>,
    images: CudaSlice<u8>,
    /// The normalized values of bytes, and the host's copy of them.
    table: (CudaSlice<f32>, Vec<f32>),
    pub(super) outputs: Vec<CudaSlice<f32>>,
    staging: [Staging; IN_FLIGHT],
    next: usize,
    graph: Option<CudaGraph>,
}

/// A batch on its way to the device.
struct Staging {
    host: PinnedHostSlice<u8>,
    device: CudaSlice<u8>,
    /// The copy to the device is done.
    copied: CudaEvent,
    /// The network no longer reads `device`.
    read: CudaEvent,
}

impl Drop for Staging {
    fn drop(&mut self) {
        // The host's memory is free at once, and not in the order of a stream.
        let _ = self.copied.synchronize();
    }
}

// SAFETY: a graph may be used by any thread, by one at a time; the engine's lock sees to that.
unsafe impl Send for Prepared {}

impl Prepared {
    /// Memory and launches for `plan`, whose images take `image_bytes`. `function` looks kernels up.
    pub(super) fn new(
        stream: &Arc<CudaStream>,
        (shape, plan): (Shape, Arc<Plan>),
        image_bytes: usize,
        weights: Arc<[u64]>,
        mut function: impl FnMut(&str) -> Result<CudaFunction, DriverError>,
    ) -> Result<Self, DriverError> {
        let launches: Vec<Launch> = plan.steps.iter().map(|step| launch(&step.kernel)).collect();
        let mut known: HashMap<&str, CudaFunction> = HashMap::new();
        let mut functions = Vec::with_capacity(launches.len());
        for Launch { kernel, .. } in &launches {
            if !known.contains_key(kernel.as_str()) {
                known.insert(kernel, function(kernel)?);
            }
            functions.push(known[kernel.as_str()].clone());
        }
        let context = stream.context();
        let staging = || {
            // SAFETY: both are written before they are read.
            let (host, device) =
                unsafe { (context.alloc_pinned(image_bytes)?, stream.alloc(image_bytes)?) };
            let (copied, read) = (context.new_event(None)?, context.new_event(None)?);
            // What `stream` did before with the memory is done before the first copy, too.
            read.record(stream)?;
            Ok::<_, DriverError>(Staging { host, device, copied, read })
        };
        let lengths = plan.outputs.iter().map(|shape| shape.iter().product::<usize>());
        // SAFETY: kernels write all that later kernels read.
        let (arena, images, outputs) = unsafe {
            let arena = stream.alloc(plan.arena.max(1))?;
            let images = stream.alloc(image_bytes)?;
            let outputs = lengths.map(|len| stream.alloc(len)).collect::<Result<_, _>>()?;
            (arena, images, outputs)
        };
        Ok(Self {
            launches,
            functions,
            weights,
            arena,
            images,
            table: (stream.alloc_zeros(1)?, Vec::new()),
            outputs,
            staging: [staging()?, staging()?],
            next: 0,
            graph: None,
            shape,
            plan,
        })
    }

    /// Sends images to the device: `bytes` on the stream `copies`, beside what `stream` computes.
    pub(super) fn send(
        &mut self,
        stream: &Arc<CudaStream>,
        copies: &Arc<CudaStream>,
        bytes: impl FnOnce(&mut [u8]),
    ) -> Result<(), DriverError> {
        let staging = &mut self.staging[self.next];
        self.next = (self.next + 1) % IN_FLIGHT;
        // The copy before has read the host's memory. Its own event says nothing, as events are not tracked.
        staging.copied.synchronize()?;
        bytes(staging.host.as_mut_slice()?);
        copies.wait(&staging.read)?;
        copies.memcpy_htod(&staging.host, &mut staging.device)?;
        staging.copied.record(copies)?;
        stream.wait(&staging.copied)?;
        stream.memcpy_dtod(&staging.device, &mut self.images)?;
        staging.read.record(stream)
    }

    /// Takes images that are on the device, in order on `stream`.
    pub(super) fn take(
        &mut self,
        stream: &CudaStream,
        images: &impl DevicePtr<f32>,
    ) -> Result<(), DriverError> {
        let (from, _from) = images.device_ptr(stream);
        let (to, _to) = self.images.device_ptr(stream);
        // SAFETY: the images are as many floats as the plan's.
        unsafe { result::memcpy_dtod_async(to, from, self.images.len(), stream.cu_stream()) }
    }

    /// Sets the normalized values of bytes.
    pub(super) fn set_table(
        &mut self,
        stream: &Arc<CudaStream>,
        table: &[f32],
    ) -> Result<(), DriverError> {
        if self.table.1 != table {
            // Its address may change: what was recorded does not hold any more.
            self.graph = None;
            self.table = (stream.clone_htod(table)?, table.to_vec());
        }
        Ok(())
    }

    /// Records the kernels, the first time. This is done on the stream `copies`, which no one else has: what
    /// other threads do with their tensors on `stream` would be recorded, too.
    fn record(&mut self, copies: &Arc<CudaStream>) -> Result<(), DriverError> {
        if self.graph.is_none() {
            copies.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)?;
            let launched = (0..self.launches.len()).try_for_each(|at| self.launch(copies, at));
            // A capture must end in any case. What it has is of use if nothing failed.
            let flags = CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
            let mut graph = copies.end_capture(flags);
            if copies.capture_status()? == CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_ACTIVE {
                // cudarc has told of another thread's error instead.
                graph = copies.end_capture(flags);
            }
            launched?;
            self.graph = graph?;
        }
        Ok(())
    }

    /// Runs the kernels on `stream`, recorded by the first run and replayed by the others.
    pub(super) fn run(
        &mut self,
        stream: &Arc<CudaStream>,
        copies: &Arc<CudaStream>,
    ) -> Result<(), DriverError> {
        self.record(copies)?;
        stream.context().bind_to_thread()?;
        match &self.graph {
            // SAFETY: the graph and the stream are alive.
            Some(graph) => unsafe {
                result::graph::launch(graph.cu_graph_exec(), stream.cu_stream())
            },
            None => (0..self.launches.len()).try_for_each(|at| self.launch(stream, at)),
        }
    }

    /// As [`run`](Self::run), and gives the device's time.
    pub(super) fn timed(
        &mut self,
        stream: &Arc<CudaStream>,
        copies: &Arc<CudaStream>,
    ) -> Result<Duration, DriverError> {
        // The time is not the recording's.
        self.record(copies)?;
        let [before, after] = [event(stream)?, event(stream)?];
        before.record(stream)?;
        self.run(stream, copies)?;
        after.record(stream)?;
        elapsed(&before, &after)
    }

    /// Runs the kernels one by one, and gives the time of each.
    pub(super) fn profile(
        &self,
        stream: &Arc<CudaStream>,
    ) -> Result<Vec<(String, Duration)>, DriverError> {
        let events = (0..=self.launches.len()).map(|_| event(stream));
        let events = events.collect::<Result<Vec<_>, _>>()?;
        // Nothing waits in between: the time of a kernel is not the host's.
        events[0].record(stream)?;
        for (at, after) in events[1..].iter().enumerate() {
            self.launch(stream, at)?;
            after.record(stream)?;
        }
        let names = self.plan.steps.iter().zip(&self.launches);
        let names = names.map(|(step, launch)| format!("{} {}", step.path, launch.kernel));
        let times = events.windows(2).map(|events| elapsed(&events[0], &events[1]));
        names.zip(times).map(|(name, time)| Ok((name, time?))).collect()
    }

    fn launch(&self, stream: &CudaStream, at: usize) -> Result<(), DriverError> {
        let launch = &self.launches[at];
        let address = |buffer: Buffer| match buffer {
            Buffer::Region(region) => {
                self.arena.device_ptr(stream).0 + self.plan.offsets[region] as u64
            }
            Buffer::Weight(weight) => self.weights[weight],
            Buffer::Images => self.images.device_ptr(stream).0,
            Buffer::Table => self.table.0.device_ptr(stream).0,
            Buffer::Output(output) => self.outputs[output].device_ptr(stream).0,
        };
        let mut values = launch.values(address);
        let mut args: Vec<*mut c_void> =
            values.iter_mut().map(|value| (&raw mut *value).cast()).collect();
        let [x, y, z] = launch.grid;
        let function = self.functions[at].cu_function();
        // SAFETY: the arguments are those of the kernel in `kernels/`, and the plan has sized what they
        // point to.
        unsafe {
            result::launch_kernel(
                function,
                (x, y, z),
                (launch.threads, 1, 1),
                launch.shared,
                stream.cu_stream(),
                &mut args,
            )
        }
    }
}

/// An event that keeps the time.
fn event(stream: &CudaStream) -> Result<CudaEvent, DriverError> {
    stream.context().new_event(Some(CUevent_flags::CU_EVENT_DEFAULT))
}

fn elapsed(before: &CudaEvent, after: &CudaEvent) -> Result<Duration, DriverError> {
    let seconds = f64::from(before.elapsed_ms(after)?) / 1e3;
    Ok(Duration::from_secs_f64(seconds.max(0.0)))
}
