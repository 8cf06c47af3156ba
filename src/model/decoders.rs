//! The threads that decode images, separate from those of the engine.

use std::num::NonZero;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rayon::ThreadPool;
use rayon::prelude::*;

use crate::threads;

/// Threads that prepare images. They are started when there is more than one image.
#[derive(Debug)]
pub(super) struct Decoders {
    /// The most threads that may work at once, those of the engine included. `None` for as many
    /// decoders as the machine has cores, in addition to the engine's threads.
    threads: Option<usize>,
    /// If it holds `None`, only the caller's thread works.
    pool: OnceLock<Option<ThreadPool>>,
}

impl Decoders {
    pub(super) fn new(threads: Option<usize>) -> Self {
        Self { threads, pool: OnceLock::new() }
    }

    /// How many images are prepared at once, 1 or more.
    pub(super) fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
        self.threads.unwrap_or_else(cores).max(1)
    }

    fn pool(&self) -> Option<&ThreadPool> {
        let start = || match self.threads() {
            1 => None,
            // If no thread starts, the caller's thread remains.
            threads => threads::pool(threads).ok(),
        };
        self.pool.get_or_init(start).as_ref()
    }

    /// Applies `prepare` to every item, and keeps their order.
    pub(super) fn all<T: Sync, P: Send>(
        &self,
        items: &[T],
        prepare: impl Fn(&T) -> P + Sync,
    ) -> Vec<P> {
        let pool = if items.len() > 1 { self.pool() } else { None };
        match pool {
            Some(pool) => pool.install(|| items.par_iter().map(&prepare).collect()),
            None => items.iter().map(prepare).collect(),
        }
    }

    /// Takes `items` in batches of `size` through `prepare` and `infer`, and hands each its result,
    /// in order, until `each` fails. While one batch is in the network, the next is taken and
    /// prepared; if the number of threads is limited, the two take turns. At most two batches are
    /// in memory. Gives how long `infer` worked, and how long it waited for its input.
    pub(super) fn batches<T: Send + Sync, P: Send, R, E>(
        &self,
        items: impl IntoIterator<Item = T>,
        size: usize,
        prepare: impl Fn(&T) -> P + Sync,
        mut infer: impl FnMut(Vec<P>) -> Vec<R>,
        mut each: impl FnMut(T, R) -> Result<(), E>,
    ) -> Result<[Duration; 2], E> {
        let mut items = items.into_iter();
        let mut take = || items.by_ref().take(size.max(1)).collect::<Vec<T>>();
        let mut batch = take();
        let (begin, mut worked) = (Instant::now(), Duration::ZERO);
        let mut infer = |prepared| {
            let begin = Instant::now();
            let results = infer(prepared);
            worked += begin.elapsed();
            results
        };
        let mut prepared = self.all(&batch, &prepare);
        while !batch.is_empty() {
            let next = take();
            let mut prepared_next = None;
            let beside = self.threads.is_none() && !next.is_empty();
            let results = match if beside { self.pool() } else { None } {
                Some(pool) => pool.in_place_scope(|scope| {
                    let (next, prepare, prepared_next) = (&next, &prepare, &mut prepared_next);
                    scope.spawn(move |_| {
                        *prepared_next = Some(next.par_iter().map(prepare).collect());
                    });
                    infer(prepared)
                }),
                None => infer(prepared),
            };
            batch.into_iter().zip(results).try_for_each(|(item, result)| each(item, result))?;
            prepared = prepared_next.unwrap_or_else(|| self.all(&next, &prepare));
            batch = next;
        }
        Ok([worked, begin.elapsed().saturating_sub(worked)])
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    fn run(decoders: &Decoders, stop_at: u32) -> (Vec<u32>, usize) {
        let taken = AtomicUsize::new(0);
        let items = (0..50).inspect(|_| {
            taken.fetch_add(1, SeqCst);
        });
        let (busy, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = || {
            most.fetch_max(busy.fetch_add(1, SeqCst) + 1, SeqCst);
            std::thread::sleep(Duration::from_millis(2));
            busy.fetch_sub(1, SeqCst);
        };
        let prepare = |item: &u32| {
            work();
            item * 2
        };
        let infer = |prepared: Vec<u32>| {
            work();
            prepared.iter().map(|value| value + 1).collect()
        };
        let mut seen = Vec::new();
        let ended = decoders.batches(items, 8, prepare, infer, |item: u32, result: u32| {
            assert_eq!(result, item * 2 + 1);
            assert!(
                taken.load(SeqCst) <= item as usize / 8 * 8 + 16,
                "more than two batches are held"
            );
            seen.push(item);
            if item == stop_at { Err(()) } else { Ok(()) }
        });
        assert_eq!(ended.is_err(), stop_at < 50);
        (seen, most.into_inner())
    }

    #[test]
    fn every_item_has_its_result_in_order_until_the_caller_stops() {
        for threads in [None, Some(1), Some(3)] {
            let decoders = Decoders::new(threads);
            assert_eq!(run(&decoders, 50).0, (0..50).collect::<Vec<u32>>());
            assert_eq!(run(&decoders, 9).0, (0..10).collect::<Vec<u32>>());
        }
    }

    #[test]
    fn bounded_threads_are_never_more() {
        for threads in 1..4 {
            let (_, most) = run(&Decoders::new(Some(threads)), 50);
            assert_eq!(most, threads, "with {threads}");
        }
    }
}
