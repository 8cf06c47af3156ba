//! An adapter's device, what it says went wrong, and the kernels on it.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};

use super::{WgpuError, text};
use crate::engine::Dtype;

/// Bytes between the structs of two kernels; none is larger.
pub(super) const STRUCT: usize = 256;

/// The bindings of every kernel, by their numbers in `common.wgsl`.
const BINDINGS: [wgpu::BufferBindingType; 6] = {
    const fn storage(read_only: bool) -> wgpu::BufferBindingType {
        wgpu::BufferBindingType::Storage { read_only }
    }
    [
        wgpu::BufferBindingType::Uniform,
        storage(false),
        storage(true),
        storage(true),
        storage(true),
        storage(false),
    ]
};

/// The first thing that went wrong on a device since it was last asked.
#[derive(Debug, Default)]
struct Faults {
    lost: Mutex<Option<String>>,
    first: Mutex<Option<WgpuError>>,
}

impl Faults {
    fn note(&self, error: wgpu::Error) {
        let error = match error {
            wgpu::Error::OutOfMemory { .. } => WgpuError::OutOfMemory,
            other => WgpuError::Device(line(&other)),
        };
        self.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// A device.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    faults: Arc<Faults>,
    pub(super) backend: &'static str,
    /// The most bytes of a buffer that kernels see.
    pub(super) most: usize,
    /// The most workgroups of a dimension.
    pub(super) groups: u32,
    /// Whether passes have timestamps.
    pub(super) has_clock: bool,
    pub(super) layout: wgpu::BindGroupLayout,
    module: wgpu::ShaderModule,
    pipeline_layout: wgpu::PipelineLayout,
    pipelines: Mutex<HashMap<&'static str, wgpu::ComputePipeline>>,
}

impl Context {
    /// The adapter that `WGPU_ADAPTER_NAME` names, or wgpu's choice of those for speed.
    ///
    /// # Errors
    ///
    /// No such adapter, or one that gives no device.
    pub(super) fn new(dtype: Dtype) -> Result<Self, WgpuError> {
        Self::with_text(&text(dtype))
    }

    /// With kernels of this text.
    pub(super) fn with_text(text: &str) -> Result<Self, WgpuError> {
        let adapter = adapter(std::env::var("WGPU_ADAPTER_NAME").ok())?;
        let limits = adapter.limits();
        let most = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size);
        let clock = wgpu::Features::TIMESTAMP_QUERY;
        let has_clock = adapter.features().contains(clock);
        let descriptor = wgpu::DeviceDescriptor {
            required_features: if has_clock { clock } else { wgpu::Features::empty() },
            required_limits: wgpu::Limits {
                max_buffer_size: limits.max_buffer_size,
                max_storage_buffer_binding_size: limits.max_storage_buffer_binding_size,
                ..wgpu::Limits::default()
            },
            ..wgpu::DeviceDescriptor::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|error| WgpuError::Device(line(&error)))?;
        let faults = Arc::new(Faults::default());
        let noted = Arc::clone(&faults);
        device.on_uncaptured_error(Arc::new(move |error| noted.note(error)));
        let noted = Arc::clone(&faults);
        device.set_device_lost_callback(move |reason, said| {
            let said = if said.is_empty() { format!("{reason:?}") } else { said };
            *noted.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
        });
        let entry = |(binding, ty): (u32, wgpu::BufferBindingType)| {
            let is_struct = ty == wgpu::BufferBindingType::Uniform;
            wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty,
                    has_dynamic_offset: is_struct,
                    min_binding_size: NonZero::new(if is_struct { STRUCT as u64 } else { 0 }),
                },
                count: None,
            }
        };
        let entries: Vec<_> = (0..).zip(BINDINGS).map(entry).collect();
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: None,
            entries: &entries,
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            bind_group_layouts: &[Some(&layout)],
            ..wgpu::PipelineLayoutDescriptor::default()
        });
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(text.into()),
        });
        let context = Self {
            device,
            queue,
            faults,
            backend: adapter.get_info().backend.to_str(),
            // Sizes and offsets are words.
            most: usize::try_from(most).unwrap_or(usize::MAX).min(u32::MAX as usize)
                & !(STRUCT - 1),
            groups: wgpu::Limits::default().max_compute_workgroups_per_dimension,
            has_clock,
            layout,
            module,
            pipeline_layout,
            pipelines: Mutex::default(),
        };
        context.check()?;
        Ok(context)
    }

    /// Says what went wrong since it was last asked.
    ///
    /// # Errors
    ///
    /// A lost device, for ever; another fault, once.
    pub(super) fn check(&self) -> Result<(), WgpuError> {
        let Faults { lost, first } = &*self.faults;
        let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (lost.lock().unwrap_or_else(PoisonError::into_inner).clone(), first) {
            (Some(said), _) => Err(WgpuError::Lost(said)),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(()),
        }
    }

    /// The kernel of this name, compiled once.
    pub(super) fn pipeline(&self, entry: &'static str) -> wgpu::ComputePipeline {
        let mut pipelines = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        let build = || {
            self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(entry),
                layout: Some(&self.pipeline_layout),
                module: &self.module,
                entry_point: Some(entry),
                // Kernels write what they read of workgroup memory.
                compilation_options: wgpu::PipelineCompilationOptions {
                    zero_initialize_workgroup_memory: false,
                    ..wgpu::PipelineCompilationOptions::default()
                },
                cache: None,
            })
        };
        pipelines.entry(entry).or_insert_with(build).clone()
    }

    /// A buffer of at least `bytes`.
    pub(super) fn buffer(&self, bytes: usize, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: bytes.max(STRUCT).next_multiple_of(STRUCT) as u64,
            usage,
            mapped_at_creation: false,
        })
    }

    /// Writes bytes at the beginning of a buffer and, from a multiple of four bytes on, after them.
    pub(super) fn write(&self, buffer: &wgpu::Buffer, offset: usize, bytes: &[u8]) {
        let (words, rest) = bytes.split_at(bytes.len() & !3);
        if !words.is_empty() {
            self.queue.write_buffer(buffer, offset as u64, words);
        }
        if !rest.is_empty() {
            let mut word = [0; 4];
            word[..rest.len()].copy_from_slice(rest);
            self.queue.write_buffer(buffer, (offset + words.len()) as u64, &word);
        }
    }

    /// Waits until all that was submitted is done.
    ///
    /// # Errors
    ///
    /// What went wrong on the way.
    pub(super) fn wait(&self) -> Result<(), WgpuError> {
        let polled = self.device.poll(wgpu::PollType::wait_indefinitely());
        self.check()?;
        polled.map_err(|error| WgpuError::Device(line(&error))).map(drop)
    }

    /// Hands out the first `bytes` of a buffer that has been copied to.
    ///
    /// # Errors
    ///
    /// What went wrong on the way.
    pub(super) fn read<T>(
        &self,
        buffer: &wgpu::Buffer,
        bytes: usize,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, WgpuError> {
        let slice = buffer.slice(..bytes.max(4) as u64);
        let (sender, receiver) = std::sync::mpsc::channel();
        // Whoever waits below has not gone.
        slice.map_async(wgpu::MapMode::Read, move |mapped| drop(sender.send(mapped)));
        self.wait()?;
        let refused = |said: String| WgpuError::Device(said);
        let mapped = receiver.recv().map_err(|error| refused(line(&error)))?;
        mapped.map_err(|error| refused(line(&error)))?;
        let view = slice.get_mapped_range().map_err(|error| refused(line(&error)))?;
        let taken = take(&view[..bytes]);
        drop(view);
        buffer.unmap();
        Ok(taken)
    }
}

/// What an error says, in one line.
fn line(error: &dyn std::error::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The adapter that has `asked` in its name, as wgpu's own examples read it; or one for speed.
pub(super) fn adapter(asked: Option<String>) -> Result<wgpu::Adapter, WgpuError> {
    let descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    let instance = wgpu::Instance::new(descriptor);
    let all = || pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let name = |adapter: &wgpu::Adapter| adapter.get_info().name;
    let missing = |asked: Option<String>| {
        let there = all().iter().map(name).collect();
        WgpuError::NoAdapter { asked, there }
    };
    if let Some(asked) = asked {
        let is_meant =
            |adapter: &wgpu::Adapter| name(adapter).to_lowercase().contains(&asked.to_lowercase());
        return all().into_iter().find(is_meant).ok_or_else(|| missing(Some(asked)));
    }
    let options = wgpu::RequestAdapterOptions {
        power_preference: wgpu::PowerPreference::HighPerformance,
        ..wgpu::RequestAdapterOptions::default()
    };
    pollster::block_on(instance.request_adapter(&options)).map_err(|_| missing(None))
}
