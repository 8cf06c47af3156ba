use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tracing::Span;

use super::request::Work;
use super::{BatchError, Response};

/// A request that waits.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) work: Work,
    /// Whether its image is large: see [`LARGE`](super::LARGE).
    pub(super) is_large: bool,
    pub(super) outputs: Vec<String>,
    pub(super) deadline: Option<Instant>,
    pub(super) since: Instant,
    /// The caller's span.
    pub(super) span: Span,
    /// Open as long as the job waits.
    pub(super) waiting: Span,
    pub(super) reply: oneshot::Sender<Result<Response, BatchError>>,
}

impl Job {
    /// How many images it has.
    pub(super) fn images(&self) -> usize {
        match self.work {
            Work::Encoded(_) | Work::Decoded(_) => 1,
            Work::Normalized { shape, .. } => shape[0],
        }
    }

    /// Whether somebody still waits for the answer.
    pub(super) fn is_wanted(&self, now: Instant) -> bool {
        !self.reply.is_closed() && self.deadline.is_none_or(|deadline| now < deadline)
    }
}

/// Requests in the order of their arrival, with at most `most` images, or a single request with more.
#[derive(Debug)]
pub(super) struct Queue {
    most: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    is_closed: bool,
}

/// What a wait ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Requests are there.
    Ready,
    /// None is there, and none will come.
    Closed,
}

impl State {
    fn images(&self) -> usize {
        self.jobs.iter().map(Job::images).sum()
    }

    /// Images whose turns come before this job's. Small ones pass large ones.
    fn before(&self, job: &Job) -> usize {
        let waits = |other: &&Job| job.is_large || !other.is_large;
        self.jobs.iter().filter(waits).map(Job::images).sum()
    }
}

impl Queue {
    pub(super) fn new(most: usize) -> Self {
        Self { most, state: Mutex::default(), changed: Condvar::new() }
    }

    /// The jobs are whole after a panic too.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Images that wait.
    pub(super) fn images(&self) -> usize {
        self.lock().images()
    }

    /// Adds a job. `pace` is the time of one image; a job whose deadline would pass before its turn
    /// is refused.
    pub(super) fn push(&self, job: Job, pace: Duration) -> Result<(), BatchError> {
        let now = Instant::now();
        let mut state = self.lock();
        if state.is_closed {
            return Err(BatchError::Closed);
        }
        if job.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(BatchError::Deadline);
        }
        let time = |waiting: usize| pace.saturating_mul(times(waiting + job.images()));
        let is_refused = |state: &State| {
            let is_late = |deadline| now + time(state.before(&job)) > deadline;
            let is_full = state.images() + job.images() > self.most;
            !state.jobs.is_empty() && (is_full || job.deadline.is_some_and(is_late))
        };
        if is_refused(&state) {
            // Jobs that nobody waits for do not count.
            state.jobs.retain(|job| job.is_wanted(now));
        }
        if is_refused(&state) {
            let retry_after = time(state.before(&job)).max(Duration::from_millis(1));
            return Err(BatchError::Overloaded { waiting: state.images(), retry_after });
        }
        state.jobs.push_back(job);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for jobs: until there are `most` images, or the first has waited for `delay`.
    pub(super) fn wait(&self, most: usize, delay: Duration) -> Wait {
        let mut state = self.lock();
        loop {
            let Some(first) = state.jobs.front() else {
                if state.is_closed {
                    return Wait::Closed;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = delay.saturating_sub(first.since.elapsed());
            if left.is_zero() || state.is_closed || state.images() >= most {
                return Wait::Ready;
            }
            let woken = self.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The first job, and those after it that make at most `most` images together. Large ones beyond
    /// `most_large`, at least 1, keep their places, and are passed by those behind them.
    pub(super) fn take(&self, most: usize, most_large: usize) -> Vec<Job> {
        let mut state = self.lock();
        let (mut jobs, mut images, mut large, mut passed) = (Vec::new(), 0, 0, 0);
        while let Some(next) = state.jobs.get(passed) {
            if next.is_large && large == most_large {
                passed += 1;
                continue;
            }
            if !jobs.is_empty() && images + next.images() > most {
                break;
            }
            images += next.images();
            large += usize::from(next.is_large);
            jobs.extend(state.jobs.remove(passed));
        }
        jobs
    }

    /// Refuses all further jobs, and drops those that wait.
    pub(super) fn end(&self) {
        self.close();
        self.lock().jobs.clear();
    }

    /// Refuses all further jobs; those that wait stay.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }
}

fn times(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
