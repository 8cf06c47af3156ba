//! What a batcher counts, through the facade of the crate `metrics`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};

use super::BatchError;
use crate::ErrorKind;

/// The meters of one model. They belong to the recorder that is installed when they are made.
pub(super) struct Meters {
    model: String,
    pub(super) waiting: Gauge,
    pub(super) queue: Histogram,
    pub(super) decode: Histogram,
    pub(super) preprocess: Histogram,
    pub(super) infer: Histogram,
    pub(super) batch_size: Histogram,
    ok: Counter,
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meters").field("model", &self.model).finish_non_exhaustive()
    }
}

impl Meters {
    pub(super) fn new(model: &str) -> Self {
        let model = model.to_owned();
        let seconds = |name: &'static str| metrics::histogram!(name, "model" => model.clone());
        Self {
            waiting: metrics::gauge!("effnet_queue_length", "model" => model.clone()),
            queue: seconds("effnet_queue_seconds"),
            decode: seconds("effnet_decode_seconds"),
            preprocess: seconds("effnet_preprocess_seconds"),
            infer: seconds("effnet_infer_seconds"),
            batch_size: seconds("effnet_batch_size"),
            ok: outcome(&model, "ok"),
            model,
        }
    }

    /// A request that has no answer yet.
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked { meters: self, is_answered: false }
    }
}

/// A request that is counted once: by its answer, or as cancelled if its caller goes away.
pub(super) struct Asked<'a> {
    meters: &'a Meters,
    is_answered: bool,
}

impl Asked<'_> {
    /// Counts the answer.
    pub(super) fn count<T>(&mut self, answer: &Result<T, BatchError>) {
        self.is_answered = true;
        match answer {
            Ok(_) => self.meters.ok.increment(1),
            Err(error) => outcome(&self.meters.model, word(error.kind())).increment(1),
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            outcome(&self.meters.model, "cancelled").increment(1);
        }
    }
}

fn outcome(model: &str, outcome: &'static str) -> Counter {
    metrics::counter!("effnet_requests_total", "model" => model.to_owned(), "outcome" => outcome)
}

fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Image => "image",
        ErrorKind::TooLarge => "too_large",
        ErrorKind::Model => "model",
        ErrorKind::Device => "device",
        ErrorKind::Overloaded => "overloaded",
        ErrorKind::Deadline => "deadline",
        ErrorKind::Internal => "internal",
    }
}

/// The time that an image takes, from the latest runs.
#[derive(Debug, Default)]
pub(super) struct Pace(AtomicU64);

impl Pace {
    /// Takes into account that `images` took `time`.
    pub(super) fn note(&self, time: Duration, images: usize) {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let new = nanos(time) / u64::try_from(images.max(1)).unwrap_or(u64::MAX);
        let old = self.0.load(Relaxed);
        let mean = if old == 0 { new } else { old - old / 8 + new / 8 };
        self.0.store(mean, Relaxed);
    }

    /// The time of one image; 0 before the first.
    pub(super) fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Relaxed))
    }
}
