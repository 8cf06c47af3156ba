//! The memory that all decoders of a process may take together.

use std::cell::RefCell;
use std::ops::Deref;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::{DecodeOptions, Limits};
use crate::preprocess::error::DecodeError;
use crate::preprocess::image::ColorMode;

/// Bytes that running decoders have reserved.
static RESERVED: Mutex<u64> = Mutex::new(0);
static RELEASED: Condvar = Condvar::new();

fn reserved() -> MutexGuard<'static, u64> {
    RESERVED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One call of [`decode`](super::decode): its options, and the memory that it holds until it ends.
pub(super) struct Job<'a> {
    mode: ColorMode,
    options: &'a DecodeOptions,
    share: RefCell<Option<Share>>,
}

impl<'a> Job<'a> {
    pub(super) fn new(mode: ColorMode, options: &'a DecodeOptions) -> Self {
        Self { mode, options, share: RefCell::new(None) }
    }

    /// The requested mode.
    pub(super) fn mode(&self) -> ColorMode {
        self.mode
    }

    /// Admits a picture if both limits allow it, and reserves its memory until the job ends. Its
    /// decoder takes `bytes` bytes per pixel. A job that waits for memory holds none, so waiting
    /// decoders always go on when the running ones end.
    pub(super) fn admit(
        &self,
        format: &'static str,
        width: u64,
        height: u64,
        bytes: u64,
    ) -> Result<(), DecodeError> {
        self.admit_beside(format, width, height, bytes, 0)
    }

    /// The same for a decoder that also takes `beside` bytes, whatever the picture's size.
    pub(super) fn admit_beside(
        &self,
        format: &'static str,
        width: u64,
        height: u64,
        bytes: u64,
        beside: u64,
    ) -> Result<(), DecodeError> {
        let Limits { max_pixels, max_alloc: limit } = self.options.limits;
        let pixels = width.saturating_mul(height);
        if pixels > max_pixels {
            return Err(DecodeError::TooManyPixels { width, height, limit: max_pixels });
        }
        let bytes =
            pixels.saturating_mul(bytes + self.mode.channels() as u64).saturating_add(beside);
        if bytes > limit {
            return Err(DecodeError::TooMuchMemory { format, limit });
        }
        self.share.replace(None);
        self.share.replace(Some(Share::take(bytes, limit)));
        Ok(())
    }
}

impl Deref for Job<'_> {
    type Target = DecodeOptions;

    fn deref(&self) -> &DecodeOptions {
        self.options
    }
}

/// Reserved bytes, which are released when this is dropped.
struct Share(u64);

impl Share {
    /// Waits until the bytes fit next to what others hold, or until nobody holds any.
    fn take(bytes: u64, limit: u64) -> Self {
        let full = |held: &mut u64| *held > 0 && held.saturating_add(bytes) > limit;
        let mut held =
            RELEASED.wait_while(reserved(), full).unwrap_or_else(PoisonError::into_inner);
        *held += bytes;
        Self(bytes)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        *reserved() -= self.0;
        RELEASED.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn jobs_share_one_budget_and_all_end() {
        let limits = Limits { max_alloc: 1 << 20, ..Default::default() };
        let options = DecodeOptions { limits, ..Default::default() };
        let (running, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    let job = Job::new(ColorMode::L, &options);
                    job.admit("PNG", 100, 1 << 10, 2).unwrap();
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(std::time::Duration::from_millis(2));
                    running.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert!(most.into_inner() <= 3);
        let job = Job::new(ColorMode::L, &options);
        assert!(matches!(
            job.admit("PNG", 1 << 10, 1 << 10, 1),
            Err(DecodeError::TooMuchMemory { limit, .. }) if limit == 1 << 20
        ));
    }
}
