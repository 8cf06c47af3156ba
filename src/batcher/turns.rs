use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Turns on the CPU's cores, first come, first served.
///
/// A batcher whose model runs on the CPU decodes and computes in its turn. Batchers with clones of
/// the same `Turns` therefore never compete for cores, whatever the number of models.
#[derive(Debug, Clone, Default)]
pub struct Turns(Arc<Line>);

#[derive(Debug, Default)]
struct Line {
    numbers: Mutex<Numbers>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Numbers {
    next: u64,
    serving: u64,
}

/// A turn; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a>(&'a Line);

impl Turns {
    /// Waits for its turn.
    pub(super) fn take(&self) -> Turn<'_> {
        let line = &*self.0;
        let mut numbers = line.lock();
        let own = numbers.next;
        numbers.next += 1;
        while numbers.serving != own {
            numbers = line.moved.wait(numbers).unwrap_or_else(PoisonError::into_inner);
        }
        Turn(line)
    }
}

impl Line {
    /// The numbers are whole after a panic too.
    fn lock(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().serving += 1;
        self.0.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_at_a_time_in_the_order_of_arrival() {
        let (turns, order) = (Turns::default(), Mutex::new(Vec::new()));
        let (inside, first) = (AtomicUsize::new(0), turns.take());
        std::thread::scope(|scope| {
            for number in 0..8 {
                let arrived = turns.0.lock().next;
                let (turns, order, inside) = (&turns, &order, &inside);
                scope.spawn(move || {
                    let _turn = turns.take();
                    assert_eq!(inside.fetch_add(1, SeqCst), 0);
                    order.lock().unwrap().push(number);
                    std::thread::sleep(Duration::from_millis(1));
                    inside.fetch_sub(1, SeqCst);
                });
                while turns.0.lock().next == arrived {
                    std::thread::yield_now();
                }
            }
            drop(first);
        });
        assert_eq!(*order.lock().unwrap(), (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn a_panic_ends_its_turn() {
        let turns = Turns::default();
        let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _turn = turns.take();
            panic!("planted");
        }));
        assert!(panics.is_err());
        drop(turns.take());
    }
}
