//! The threads behind a batcher: one that decodes and runs in turns on a CPU; on another device
//! one that decodes, and one that feeds the device.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::Builder;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{Span, info_span};

use super::queue::{Job, Wait};
use super::request::Work;
use super::{BatchError, Response, Shared, Timings};
use crate::engine::{Array, Device, Images};
use crate::preprocess::Pixels;
use crate::{Error, Model};

/// A job whose image is decoded.
struct Ready {
    job: Job,
    input: Input,
    timings: Timings,
}

enum Input {
    Pixels(Pixels),
    Normalized(Vec<f32>, [usize; 4]),
}

/// Held by each thread. When one ends, whatever the reason, nobody waits in vain.
struct Alive {
    shared: Arc<Shared>,
    _channel: watch::Sender<()>,
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.shared.queue.end();
    }
}

/// Starts the threads. The receiver's channel closes when the last of them has ended.
pub(super) fn start(shared: &Arc<Shared>) -> Result<watch::Receiver<()>, BatchError> {
    let (channel, ended) = watch::channel(());
    let thread = |name: &str, work: Box<dyn FnOnce() + Send>| {
        let builder = Builder::new().name(format!("effnet-{name}"));
        builder.spawn(work).map(drop).map_err(BatchError::Thread)
    };
    let alive = || Alive { shared: Arc::clone(shared), _channel: channel.clone() };
    let own = alive();
    if shared.model.engine().capabilities().device == Device::Cpu {
        thread("batcher", Box::new(move || in_turns(&own.shared)))?;
        return Ok(ended);
    }
    let (prepared, batches) = sync_channel::<Vec<Ready>>(1);
    let runner = alive();
    thread(
        "batcher",
        Box::new(move || {
            let shared = &runner.shared;
            while let Ok(batch) = batches.recv() {
                let begin = Instant::now();
                let images = batch.iter().map(|ready| ready.job.images()).sum();
                shared.infer(batch, shared.trial.is_together(false));
                shared.pace.note(begin.elapsed(), images);
            }
        }),
    )?;
    thread(
        "decoder",
        Box::new(move || {
            let shared = &own.shared;
            let (most, delay) = (shared.options.max_batch_size, shared.options.max_queue_delay);
            while shared.queue.wait(most, delay) == Wait::Ready {
                let batch = shared.prepare(shared.take());
                if prepared.send(batch).is_err() {
                    break;
                }
            }
        }),
    )?;
    Ok(ended)
}

/// Decodes and runs what waits, in turns with the other models of this process.
fn in_turns(shared: &Shared) {
    let most = shared.options.max_batch_size;
    loop {
        let pays = shared.trial.result() == Some(true);
        let delay = if pays { shared.options.max_queue_delay } else { Duration::ZERO };
        if shared.queue.wait(most, delay) == Wait::Closed {
            return;
        }
        let _turn = shared.options.turns.take();
        let jobs = shared.take();
        let (begin, images) = (Instant::now(), jobs.iter().map(Job::images).sum());
        let is_together = shared.trial.is_together(images == most);
        let batch = shared.prepare(jobs);
        let is_full = batch.len() == most;
        shared.infer(batch, is_together);
        if is_full {
            shared.trial.note(is_together, begin.elapsed());
        }
        shared.pace.note(begin.elapsed(), images);
    }
}

impl Shared {
    /// The jobs of a turn. Its large images are decoded side by side, each on a thread: their turn
    /// takes about as long as one of them.
    fn take(&self) -> Vec<Job> {
        self.queue.take(self.options.max_batch_size, self.model.decoder_threads())
    }

    /// Decodes the images of the jobs in parallel; those that fail are answered.
    fn prepare(&self, jobs: Vec<Job>) -> Vec<Ready> {
        let now = Instant::now();
        self.meters.waiting.set(self.queue.images() as f64);
        let wanted = jobs.into_iter().filter_map(|job| self.still_wanted(job, now));
        let mut jobs: Vec<Job> = wanted.collect();
        jobs.iter_mut().for_each(|job| job.waiting = Span::none());
        let decoded = self.model.on_decoders(&jobs, |job| {
            let _caller = job.span.enter();
            let mut timings = Timings::default();
            let pixels = guarded(|| pixels(&self.model, &job.work, &mut timings));
            (pixels, timings)
        });
        let mut ready = Vec::with_capacity(jobs.len());
        for (mut job, (pixels, timings)) in jobs.into_iter().zip(decoded) {
            let work = std::mem::replace(&mut job.work, Work::Encoded(bytes::Bytes::new()));
            let input = match (pixels, work) {
                (Err(error), _) => {
                    self.answer(job, Err(error));
                    continue;
                }
                (Ok(Some(pixels)), _) => {
                    self.meters.decode.record(timings.decode);
                    self.meters.preprocess.record(timings.preprocess);
                    Input::Pixels(pixels)
                }
                (Ok(None), Work::Normalized { values, shape }) => Input::Normalized(values, shape),
                (Ok(None), _) => continue,
            };
            ready.push(Ready { job, input, timings });
        }
        ready
    }

    /// Runs what is prepared, together or one by one, and answers it.
    fn infer(&self, batch: Vec<Ready>, is_together: bool) {
        let (mut images, mut tensors) = (Vec::new(), Vec::new());
        for ready in batch {
            match ready.input {
                Input::Pixels(pixels) => images.push((ready.job, pixels, ready.timings)),
                Input::Normalized(values, shape) => {
                    tensors.push((ready.job, values, shape, ready.timings));
                }
            }
        }
        let together = if is_together { images.len() } else { 1 };
        let mut images = images.into_iter().peekable();
        while images.peek().is_some() {
            self.infer_images(images.by_ref().take(together).collect());
        }
        for (job, values, shape, timings) in tensors {
            self.infer_tensor(job, &values, shape, timings);
        }
    }

    /// One run of the network. If an image makes it panic, the others run again, one by one.
    fn infer_images(&self, batch: Vec<(Job, Pixels, Timings)>) {
        let begin = Instant::now();
        let mut wanted = Vec::with_capacity(batch.len());
        for (job, pixels, timings) in batch {
            wanted.extend(self.still_wanted(job, begin).map(|job| (job, pixels, timings)));
        }
        let Some((first, ..)) = wanted.first() else { return };
        let outputs = distinct(wanted.iter().flat_map(|(job, ..)| &job.outputs));
        let names: Vec<&str> = outputs.iter().map(String::as_str).collect();
        let pixels: Vec<&Pixels> = wanted.iter().map(|(_, pixels, _)| pixels).collect();
        let size = pixels.len();
        let run = {
            let _caller = first.span.enter();
            let _infer = info_span!("infer", batch_size = size).entered();
            guarded(|| Ok(self.model.arrays_of_each(&pixels, &names)))
        };
        let took = begin.elapsed();
        match run {
            Ok(results) => {
                self.meters.infer.record(took);
                self.meters.batch_size.record(size as f64);
                for ((job, _, timings), result) in wanted.into_iter().zip(results) {
                    let timings = self.timings(&job, timings, begin, took);
                    let response = result.map_err(BatchError::Model).map(|arrays| Response {
                        outputs: chosen(&arrays, &outputs, &job.outputs),
                        timings,
                        batch_size: size,
                    });
                    self.answer(job, response);
                }
            }
            Err(_) if size > 1 => wanted.into_iter().for_each(|one| self.infer_images(vec![one])),
            Err(error) => {
                if let Some((job, ..)) = wanted.pop() {
                    self.answer(job, Err(error));
                }
            }
        }
    }

    fn infer_tensor(&self, job: Job, values: &[f32], shape: [usize; 4], timings: Timings) {
        let begin = Instant::now();
        let Some(job) = self.still_wanted(job, begin) else { return };
        let run = {
            let _caller = job.span.enter();
            let _infer = info_span!("infer", batch_size = shape[0]).entered();
            guarded(|| tensors(&self.model, values, shape, &job.outputs))
        };
        let took = begin.elapsed();
        self.meters.infer.record(took);
        self.meters.batch_size.record(shape[0] as f64);
        let timings = self.timings(&job, timings, begin, took);
        let response = run.map(|outputs| Response { outputs, timings, batch_size: shape[0] });
        self.answer(job, response);
    }

    /// A job's timings, with the network's, which began at `begin`.
    fn timings(&self, job: &Job, so_far: Timings, begin: Instant, infer: Duration) -> Timings {
        let worked = so_far.decode + so_far.preprocess;
        let queue = begin.saturating_duration_since(job.since).saturating_sub(worked);
        self.meters.queue.record(queue);
        Timings { queue, infer, ..so_far }
    }

    /// The job, if somebody still waits for it; else it is answered.
    fn still_wanted(&self, job: Job, now: Instant) -> Option<Job> {
        if job.is_wanted(now) {
            return Some(job);
        }
        self.answer(job, Err(BatchError::Deadline));
        None
    }

    fn answer(&self, job: Job, response: Result<Response, BatchError>) {
        // A caller that has gone away needs no answer.
        drop(job.reply.send(response));
    }
}

/// Decodes, resizes and crops; `None` for images that need none of it.
fn pixels(model: &Model, work: &Work, timings: &mut Timings) -> Result<Option<Pixels>, BatchError> {
    let decoded;
    let image = match work {
        Work::Normalized { .. } => return Ok(None),
        Work::Decoded(image) => image,
        Work::Encoded(bytes) => {
            let _decode = info_span!("decode", bytes = bytes.len()).entered();
            let begin = Instant::now();
            decoded = model.preprocessor()?.decode(bytes)?;
            timings.decode = begin.elapsed();
            &decoded
        }
    };
    let _preprocess = info_span!("preprocess").entered();
    let begin = Instant::now();
    let pixels = model.preprocessor()?.pixels(image)?;
    timings.preprocess = begin.elapsed();
    Ok(Some(pixels))
}

/// Of the arrays with these names, those that one request asked for.
fn chosen(arrays: &[Array], names: &[String], asked: &[String]) -> Vec<Array> {
    let place = |output: &String| names.iter().position(|name| name == output);
    asked.iter().filter_map(|output| Some(arrays[place(output)?].clone())).collect()
}

/// Runs the network on prepared images.
fn tensors(
    model: &Model,
    values: &[f32],
    shape: [usize; 4],
    outputs: &[String],
) -> Result<Vec<Array>, BatchError> {
    let distinct = distinct(outputs);
    let names: Vec<&str> = distinct.iter().map(String::as_str).collect();
    let images = Images::new(values, shape).map_err(Error::from)?;
    let mut run = model.run(images, &names)?;
    let array = |name: &&str| Ok(run.take(name).map_err(Error::from)?);
    let arrays: Vec<Array> = names.iter().map(array).collect::<Result<_, BatchError>>()?;
    Ok(chosen(&arrays, &distinct, outputs))
}

/// Each name once.
fn distinct<'a>(names: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::new();
    for name in names {
        if !distinct.contains(name) {
            distinct.push(name.clone());
        }
    }
    distinct
}

/// Calls `work`; a panic of it is an error.
fn guarded<T>(work: impl FnOnce() -> Result<T, BatchError>) -> Result<T, BatchError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(BatchError::Panicked(text(&*panic))))
}

/// What a panic says.
fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}
