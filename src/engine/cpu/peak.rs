//! The machine's arithmetic peak, measured.

use std::time::{Duration, Instant};

use super::kernels::KernelTable;
use super::{CpuError, Isa};

/// Multiply-adds in a chain between two readings of the clock: 30 to 300 µs.
const ROUNDS: usize = 20_000;
/// The number of windows. The best one counts: some are undisturbed by whatever else the machine
/// does.
const WINDOWS: usize = 30;
/// Length of a window.
const WINDOW: Duration = Duration::from_millis(3);

impl Isa {
    /// The most that `threads` threads can compute with this instruction set, in 10^9 floating
    /// point operations per second: multiply-adds, which are two operations each, on values in
    /// registers.
    ///
    /// Takes 90 ms, in which all threads compute at once; the best 3 ms count.
    ///
    /// # Errors
    ///
    /// An instruction set that this machine does not run, or threads that do not start.
    ///
    /// ```
    /// use effnet::engine::Isa;
    /// assert!(Isa::choose()?.peak_gflops(1)? > 0.1);
    /// # Ok::<(), effnet::engine::CpuError>(())
    /// ```
    pub fn peak_gflops(self, threads: usize) -> Result<f64, CpuError> {
        let kernels =
            KernelTable::of(self).ok_or_else(|| CpuError::Isa { word: self.name().to_owned() })?;
        let start = Instant::now();
        // The windows are the same for all threads: cores that run at once slow each other down.
        let rate = |window: usize| {
            let end = start + WINDOW * (window as u32 + 1);
            let (from, mut operations) = (Instant::now(), 0);
            while Instant::now() < end {
                // SAFETY: the machine has the kernels' instruction set.
                operations += unsafe { (kernels.peak)(ROUNDS) };
            }
            operations as f64 / from.elapsed().max(WINDOW).as_secs_f64()
        };
        let windows = || -> [f64; WINDOWS] { std::array::from_fn(rate) };
        std::thread::scope(|scope| {
            let spawn = |_| std::thread::Builder::new().spawn_scoped(scope, windows);
            let others: Vec<_> = (1..threads).map(spawn).collect::<Result<_, _>>()?;
            let mut sums = windows();
            for rates in others.into_iter().filter_map(|other| other.join().ok()) {
                sums.iter_mut().zip(rates).for_each(|(sum, rate)| *sum += rate);
            }
            Ok(sums.into_iter().fold(0.0, f64::max) / 1e9)
        })
        .map_err(CpuError::Threads)
    }
}
