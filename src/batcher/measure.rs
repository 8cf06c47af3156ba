//! Whether images are faster together.

use std::time::{Duration, Instant};

use crate::Model;

/// The longest run that is tried.
const LONGEST: Duration = Duration::from_millis(250);
/// Runs of each size; the fastest counts, the first makes memory and plans ready.
const RUNS: usize = 4;
/// A batch must take less than this share of the time of its images one by one.
const WORTH: f64 = 0.95;

/// The fastest of some runs of black images.
fn fastest(model: &Model, images: usize) -> Option<Duration> {
    let run = || {
        let begin = Instant::now();
        model.warm_up(images).ok().map(|()| begin.elapsed())
    };
    (0..RUNS).map(|_| run()).min().flatten()
}

/// The time of one image, and whether a batch of up to `most` is faster than its images one by one.
/// A model that fails, or that is so slow that a batch would hold everybody up, forms none.
pub(super) fn measure(model: &Model, most: usize) -> (Duration, bool) {
    let Some(one) = fastest(model, 1) else { return (Duration::ZERO, false) };
    let fits = (LONGEST.as_secs_f64() / one.as_secs_f64().max(1e-9)) as usize;
    let images = most.min(fits);
    if images < 2 {
        return (one, false);
    }
    let pays =
        |together: Duration| together.as_secs_f64() < WORTH * one.as_secs_f64() * images as f64;
    (one, fastest(model, images).is_some_and(pays))
}
