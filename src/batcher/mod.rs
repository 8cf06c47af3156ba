//! Many callers, one model: a queue with limits, and the threads that decode and run what waits.
//!
//! ```text
//! callers -> queue (bounded) -> decode, resize in parallel -> network -> each caller's answer
//! ```
//!
//! A [`Batcher`] belongs in front of a [`Model`] that a service shares between its
//! requests. It refuses what it cannot do in time, skips what nobody waits for any more, and never
//! has more threads at work than the model was given. Its threads are its own: it needs a Tokio
//! runtime with a timer only for the futures of its callers.
//!
//! `tracing` spans (`queue`, `decode`, `preprocess`, `infer`) are children of the caller's. Meters
//! go through the facade of the crate `metrics`, each with the label `model`:
//!
//! | meter | |
//! | --- | --- |
//! | `effnet_requests_total` | answers, by `outcome`: `ok`, the kind of the error, or `cancelled` |
//! | `effnet_queue_length` | images that wait |
//! | `effnet_queue_seconds`, `effnet_decode_seconds`, `effnet_preprocess_seconds` | of each image |
//! | `effnet_infer_seconds`, `effnet_batch_size` | of each run of the network |

mod error;
mod meters;
mod queue;
mod request;
mod trial;
mod turns;
mod worker;

#[cfg(test)]
mod tests;

pub use error::BatchError;
pub use request::{Request, Response, Timings};
pub use turns::Turns;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use tokio::time::timeout_at;
use tracing::{Span, info_span};

use self::meters::{Meters, Pace};
use self::queue::{Job, Queue};
use self::trial::Trial;
use crate::engine::{Device, EngineError};
use crate::{Classifier, Error, Model, Predictions};

/// The pixels above which an image is large. Decoding one takes longer than all else in a turn, and a
/// small file may announce it: a turn has no more of them than there are threads, and smaller images
/// pass those that wait. Most cameras make smaller ones.
const LARGE: u64 = 1 << 24;

/// The settings of a [`Batcher`]; each has a default.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BatcherOptions {
    /// The most images that wait; requests with more are refused, unless nothing else waits. 256 by
    /// default.
    pub max_queue_size: usize,
    /// The most images that are decoded, and that may go through the network, together. 16 by
    /// default. Of those that have more than 16,777,216 pixels, at most as many as there are threads
    /// are decoded together; smaller ones do not wait for the others.
    pub max_batch_size: usize,
    /// How long a request waits for others to join it, if images are known to be faster together.
    /// 2 ms by default.
    pub max_queue_delay: Duration,
    /// Whether images that wait go through the network together.
    pub batching: Batching,
    /// The turns on the CPU that this batcher shares with others; its own by default.
    pub turns: Turns,
}

impl Default for BatcherOptions {
    fn default() -> Self {
        Self {
            max_queue_size: 256,
            max_batch_size: 16,
            max_queue_delay: Duration::from_millis(2),
            batching: Batching::Auto,
            turns: Turns::default(),
        }
    }
}

/// Whether images go through the network together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Batching {
    /// If they are faster together: on a CPU, the first turns with `max_batch_size` images are done
    /// either way and timed; always on other devices.
    #[default]
    Auto,
    /// Always.
    Always,
    /// One by one.
    Never,
}

/// A model behind a queue. It is cheap to clone; when the last clone is gone, its threads end.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use effnet::Model;
/// use effnet::batcher::{Batcher, BatcherOptions, Request};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let model = Model::builder().build()?;
/// let batcher = Batcher::new(&model, BatcherOptions::default())?;
/// let coffee = std::fs::read("examples/images/coffee.png")?;
/// let (predictions, timings) = batcher.classify(Request::encoded(coffee), 5).await?;
/// assert_eq!(predictions[0].label.as_deref(), Some("espresso"));
/// assert!(!timings.decode.is_zero() && !timings.infer.is_zero());
/// batcher.shutdown().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Batcher(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    /// Its channel closes when the threads have ended.
    ended: watch::Receiver<()>,
}

/// What the handles and the threads share.
#[derive(Debug)]
struct Shared {
    model: Model,
    /// `None` if the network has no classifier.
    classifier: Option<Classifier>,
    options: BatcherOptions,
    queue: Queue,
    pace: Pace,
    meters: Meters,
    /// Whether images go through the network together.
    trial: Trial,
    /// The outputs that the network has.
    outputs: Vec<String>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

impl Batcher {
    /// Starts the threads. Meters go to the recorder that is installed at this time.
    ///
    /// # Errors
    ///
    /// Threads that do not start.
    pub fn new(model: &Model, options: BatcherOptions) -> Result<Self, BatchError> {
        let on_cpu = model.engine().capabilities().device == Device::Cpu;
        let trial = match options.batching {
            Batching::Auto if on_cpu && options.max_batch_size > 1 => Trial::default(),
            Batching::Always | Batching::Auto => Trial::ended(options.max_batch_size > 1),
            Batching::Never => Trial::ended(false),
        };
        let options = BatcherOptions {
            max_queue_size: options.max_queue_size.max(1),
            max_batch_size: options.max_batch_size.max(1),
            ..options
        };
        let shared = Arc::new(Shared {
            queue: Queue::new(options.max_queue_size),
            pace: Pace::default(),
            meters: Meters::new(&model.provenance().model),
            trial,
            outputs: model.network().graph().outputs(),
            classifier: Classifier::new(model.clone()).ok(),
            options,
            model: model.clone(),
        });
        let ended = worker::start(&shared)?;
        Ok(Self(Arc::new(Handle { shared, ended })))
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.0.shared.model
    }

    /// The model as a classifier; `None` if its network has none.
    #[must_use]
    pub fn classifier(&self) -> Option<&Classifier> {
        self.0.shared.classifier.as_ref()
    }

    /// The settings; sizes of 0 are 1.
    #[must_use]
    pub fn options(&self) -> &BatcherOptions {
        &self.0.shared.options
    }

    /// Whether images that wait go through the network together; `None` while that is unknown.
    #[must_use]
    pub fn forms_batches(&self) -> Option<bool> {
        self.0.shared.trial.result()
    }

    /// Images that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.shared.queue.images()
    }

    /// Runs a request. If the future is dropped, work on it that has not begun is skipped.
    ///
    /// # Errors
    ///
    /// At once: a full queue, a deadline that cannot be met, an output that the network does not
    /// have, a batcher that is shut down. Later: an image that cannot be read, an engine that
    /// fails, a deadline that passes.
    pub async fn run(&self, request: Request) -> Result<Response, BatchError> {
        let mut asked = self.0.shared.meters.asked();
        let response = self.answer(request).await;
        asked.count(&response);
        response
    }

    async fn answer(&self, request: Request) -> Result<Response, BatchError> {
        let shared = &self.0.shared;
        let Request { work, outputs, deadline } = request;
        if let Some(output) = outputs.iter().find(|output| !shared.outputs.contains(output)) {
            let (output, taps) = (output.clone(), shared.outputs.clone());
            return Err(Error::Engine(EngineError::Output { output, taps }).into());
        }
        let (reply, answer) = oneshot::channel();
        let (span, since) = (Span::current(), Instant::now());
        let waiting = info_span!(parent: &span, "queue");
        let is_large = work.pixels(&shared.model) > LARGE;
        let job = Job { work, is_large, outputs, deadline, since, span, waiting, reply };
        shared.queue.push(job, shared.pace.get())?;
        shared.meters.waiting.set(shared.queue.images() as f64);
        let answer = match deadline {
            None => answer.await,
            Some(deadline) => {
                let in_time = timeout_at(deadline.into(), answer).await;
                in_time.map_err(|_| BatchError::Deadline)?
            }
        };
        // Only a thread that ends by a fault drops a job without an answer.
        answer.unwrap_or(Err(BatchError::Closed))
    }

    /// The `k` most probable classes of an image, best first, and where the time went.
    ///
    /// # Errors
    ///
    /// Those of [`run`](Self::run), a network without a classifier, and logits that are not finite.
    pub async fn classify(
        &self,
        request: Request,
        k: usize,
    ) -> Result<(Predictions, Timings), BatchError> {
        let Some(classifier) = self.classifier() else {
            let model = self.model().provenance().model.clone();
            return Err(Error::NoClassifier { model }.into());
        };
        let response = self.run(request.outputs(["logits"])).await?;
        let logits = response.outputs.into_iter().flat_map(|array| array.data).collect::<Vec<_>>();
        Ok((classifier.top_k(&logits, k)?, response.timings))
    }

    /// The embedding of an image (timm's `pre_logits`), and where the time went.
    ///
    /// # Errors
    ///
    /// Those of [`run`](Self::run).
    pub async fn embed(&self, request: Request) -> Result<(Vec<f32>, Timings), BatchError> {
        let response = self.run(request.outputs(["pre_logits"])).await?;
        let values = response.outputs.into_iter().flat_map(|array| array.data).collect();
        Ok((values, response.timings))
    }

    /// Takes no more requests, answers those that wait, and ends the threads.
    pub async fn shutdown(&self) {
        self.0.shared.queue.close();
        // The channel carries nothing: it only closes.
        while self.0.ended.clone().changed().await.is_ok() {}
    }
}
