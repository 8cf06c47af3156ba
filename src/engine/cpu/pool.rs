//! The engine's threads: they spin for work for a moment, then sleep.
//!
//! A job is a sequence of steps, each with tasks in as many equal shares as there are threads. A
//! thread takes the tasks of its own share one by one, then what is left of the others', so that in
//! each step it reads mostly what it wrote in the one before. A step begins when the one before is
//! done. No thread waits for one that has not arrived: the caller takes tasks too, all of them if
//! need be, so on a busy machine a job is delayed by at most the tasks that a descheduled thread
//! holds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

/// Rounds of waiting before a thread yields its core.
const SPINS: usize = 2_000;
/// Rounds without work between two offers of the core to other threads.
const YIELD_EVERY: usize = 200;
/// Rounds without work before a thread sleeps: about 100 µs, or a few small layers.
const IDLE_SPINS: usize = 20_000;

/// The low bits of a [`Counter`]'s words count tasks. The others identify the job, so that counters
/// never need resetting.
const TASK_BITS: u32 = 24;

/// For one step and one thread: how many tasks of its share have been claimed, and how many tasks
/// of any share it has done. It has its own cache line, which moves to another core once or twice
/// per step.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Counter {
    claimed: AtomicU64,
    done: AtomicU64,
}

impl Counter {
    /// The next of the share's `len` tasks in job `round`, if any is left.
    fn claim(&self, round: u64, len: usize) -> Option<usize> {
        let first = round << TASK_BITS;
        let mut claimed = self.claimed.load(Relaxed);
        loop {
            // If the word is of an earlier job, nothing of this one has been claimed.
            let next = claimed.max(first);
            let task = (next - first) as usize;
            if task >= len {
                return None;
            }
            match self.claimed.compare_exchange_weak(claimed, next + 1, Relaxed, Relaxed) {
                Ok(_) => return Some(task),
                Err(now) => claimed = now,
            }
        }
    }

    /// The number of tasks done in job `round`.
    fn done(&self, round: u64) -> usize {
        self.done.load(Acquire).saturating_sub(round << TASK_BITS) as usize
    }
}

/// Work in steps.
pub(super) trait Job: Sync {
    /// Steps; at most as many as the pool was made for.
    fn steps(&self) -> usize;
    /// Tasks of a step.
    fn tasks(&self, step: usize) -> usize;
    /// Runs one task.
    ///
    /// # Safety
    ///
    /// Called once per task, after all tasks of earlier steps; no two threads have the same number.
    unsafe fn run(&self, thread: usize, step: usize, task: usize);
}

/// What a job's threads share; lives on the caller's stack.
struct Open<'a> {
    job: &'a dyn Job,
    counters: &'a [Counter],
    threads: usize,
    round: u64,
    failed: AtomicBool,
}

#[derive(Debug)]
struct Shared {
    /// The current job's [`Open`], or null.
    open: std::sync::atomic::AtomicPtr<()>,
    /// Rises with every job, so that a thread joins each at most once.
    round: AtomicU64,
    /// Threads that may be looking at the job.
    inside: AtomicUsize,
    sleeping: Mutex<usize>,
    wake: Condvar,
    stop: AtomicBool,
}

/// Threads that work alongside the caller.
#[derive(Debug)]
pub(super) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// One for each thread of each step.
    counters: Vec<Counter>,
}

impl Pool {
    /// Starts `threads - 1` threads (the caller is the first) for jobs of at most `steps` steps;
    /// fewer if the system will not start more.
    pub(super) fn new(threads: usize, steps: usize) -> Self {
        Self::with(threads, steps, Builder::spawn)
    }

    fn with(
        threads: usize,
        steps: usize,
        spawn: impl Fn(Builder, Box<dyn FnOnce() + Send>) -> std::io::Result<JoinHandle<()>>,
    ) -> Self {
        let shared = Arc::new(Shared {
            open: std::sync::atomic::AtomicPtr::new(std::ptr::null_mut()),
            round: AtomicU64::new(0),
            inside: AtomicUsize::new(0),
            sleeping: Mutex::new(0),
            wake: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let mut pool = Self { shared, threads: Vec::new(), counters: Vec::new() };
        for thread in 1..threads {
            let shared = Arc::clone(&pool.shared);
            let builder = Builder::new().name(format!("effnet-{thread}"));
            match spawn(builder, Box::new(move || shared.serve(thread))) {
                Ok(handle) => pool.threads.push(handle),
                Err(_) => break,
            }
        }
        pool.counters = (0..pool.threads() * steps).map(|_| Counter::default()).collect();
        pool
    }

    /// Threads that work on a job, the caller included.
    pub(super) fn threads(&self) -> usize {
        self.threads.len() + 1
    }

    /// Runs `job` to its end; `false` if a task panicked. `&mut` allows only one job at a time.
    pub(super) fn run(&mut self, job: &dyn Job) -> bool {
        let shared = &*self.shared;
        let open = Open {
            job,
            counters: &self.counters,
            threads: self.threads(),
            round: shared.round.fetch_add(1, SeqCst) + 1,
            failed: AtomicBool::new(false),
        };
        if !self.threads.is_empty() {
            shared.open.store((&raw const open).cast_mut().cast(), SeqCst);
            if *shared.sleeping.lock().unwrap_or_else(PoisonError::into_inner) > 0 {
                shared.wake.notify_all();
            }
        }
        open.participate(0);
        if !self.threads.is_empty() {
            // A thread that enters after this sees no job; one that entered before is counted.
            shared.open.store(std::ptr::null_mut(), SeqCst);
            wait(|| shared.inside.load(SeqCst) == 0);
        }
        !open.failed.load(Relaxed)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        {
            let _sleeping = self.shared.sleeping.lock().unwrap_or_else(PoisonError::into_inner);
            self.shared.wake.notify_all();
        }
        for thread in self.threads.drain(..) {
            // A thread catches its tasks' panics, so there is nothing to report.
            drop(thread.join());
        }
    }
}

impl Shared {
    /// A thread's life.
    fn serve(&self, thread: usize) {
        let mut last = 0;
        let news = |last: u64| {
            self.stop.load(SeqCst)
                || (self.round.load(SeqCst) != last && !self.open.load(SeqCst).is_null())
        };
        loop {
            let mut spins = 0;
            while !news(last) && spins < IDLE_SPINS {
                std::hint::spin_loop();
                spins += 1;
                // The caller's next thread, such as one that sends an answer, may need this core.
                if spins > SPINS && spins % YIELD_EVERY == 0 {
                    std::thread::yield_now();
                }
            }
            if !news(last) {
                let mut sleeping = self.sleeping.lock().unwrap_or_else(PoisonError::into_inner);
                *sleeping += 1;
                // The caller publishes the job before it takes the lock: either the job is seen
                // here, or the caller sees this sleeper.
                while !news(last) {
                    sleeping = self.wake.wait(sleeping).unwrap_or_else(PoisonError::into_inner);
                }
                *sleeping -= 1;
            }
            if self.stop.load(SeqCst) {
                return;
            }
            self.inside.fetch_add(1, SeqCst);
            let round = self.round.load(SeqCst);
            let open = self.open.load(SeqCst).cast_const().cast::<Open<'_>>();
            if !open.is_null() {
                // SAFETY: the caller clears the pointer, then waits until nobody is inside, before
                // the job leaves its stack; this thread was inside before it saw the pointer.
                unsafe { &*open }.participate(thread);
                last = round;
            }
            self.inside.fetch_sub(1, SeqCst);
        }
    }
}

impl Open<'_> {
    /// Takes tasks until the last step is done.
    fn participate(&self, thread: usize) {
        for step in 0..self.job.steps() {
            let tasks = self.job.tasks(step);
            let counters = &self.counters[step * self.threads..][..self.threads];
            let mut done = 0;
            for i in 0..self.threads {
                let share = (thread + i) % self.threads;
                let first = tasks * share / self.threads;
                let len = tasks * (share + 1) / self.threads - first;
                while let Some(task) = counters[share].claim(self.round, len) {
                    // SAFETY: the counter hands out each task once; the wait below orders the steps.
                    let run = || unsafe { self.job.run(thread, step, first + task) };
                    if catch_unwind(AssertUnwindSafe(run)).is_err() {
                        self.failed.store(true, Relaxed);
                    }
                    done += 1;
                }
            }
            let word = (self.round << TASK_BITS) + done;
            counters[thread].done.store(word, Release);
            wait(|| counters.iter().map(|c| c.done(self.round)).sum::<usize>() == tasks);
        }
    }
}

/// Waits for other threads' tasks, which are short unless a thread has lost its core.
fn wait(over: impl Fn() -> bool) {
    let mut spins = 0;
    while !over() {
        if spins < SPINS {
            std::hint::spin_loop();
            spins += 1;
        } else {
            std::thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sums {
        cells: Vec<AtomicUsize>,
        fail: bool,
    }

    impl Job for Sums {
        fn steps(&self) -> usize {
            20
        }
        fn tasks(&self, step: usize) -> usize {
            step % 4 * 3
        }
        unsafe fn run(&self, _: usize, step: usize, task: usize) {
            assert!(!self.fail || step != 7 || task != 2, "planted");
            // Every earlier step is complete.
            for s in 0..step {
                assert_eq!(self.cells[s].load(Relaxed), self.tasks(s));
            }
            self.cells[step].fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn every_task_runs_once_and_steps_are_in_order() {
        for threads in [1, 2, 5] {
            let mut pool = Pool::new(threads, 20);
            for _ in 0..200 {
                let job =
                    Sums { cells: (0..20).map(|_| AtomicUsize::new(0)).collect(), fail: false };
                assert!(pool.run(&job));
                for (step, cell) in job.cells.iter().enumerate() {
                    assert_eq!(cell.load(Relaxed), job.tasks(step));
                }
            }
        }
    }

    #[test]
    fn threads_that_do_not_start_are_fewer_threads() {
        let started = AtomicUsize::new(0);
        let mut pool = Pool::with(5, 20, |builder, work| match started.fetch_add(1, Relaxed) {
            0 | 1 => builder.spawn(work),
            _ => Err(std::io::ErrorKind::WouldBlock.into()),
        });
        assert_eq!(pool.threads(), 3);
        let job = Sums { cells: (0..20).map(|_| AtomicUsize::new(0)).collect(), fail: false };
        assert!(pool.run(&job));
    }

    #[test]
    fn a_panic_is_reported_and_the_pool_lives_on() {
        let mut pool = Pool::new(3, 20);
        for fail in [true, false] {
            let job = Sums { cells: (0..20).map(|_| AtomicUsize::new(0)).collect(), fail };
            assert_eq!(pool.run(&job), !fail);
        }
    }
}
