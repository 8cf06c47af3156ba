//! A blocking call as a future that any async runtime can await.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use super::HubError;

/// Tells a running transfer to stop.
#[derive(Debug, Clone, Default)]
pub(super) struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// # Errors
    /// [`HubError::Cancelled`] once the transfer has been told to stop.
    pub(super) fn check(&self) -> Result<(), HubError> {
        if self.0.load(Ordering::Relaxed) { Err(HubError::Cancelled) } else { Ok(()) }
    }
}

/// A download that runs on a separate thread. Dropping it stops the transfer; what is on disk by
/// then stays, and the next download continues from there.
#[must_use = "a download that is dropped is stopped"]
#[derive(Debug)]
pub struct Download<T> {
    state: Arc<Mutex<State<T>>>,
    cancel: Cancel,
}

#[derive(Debug)]
struct State<T> {
    result: Option<Result<T, HubError>>,
    waker: Option<Waker>,
}

impl<T: Send + 'static> Download<T> {
    /// Runs `work` on a new thread.
    pub(super) fn spawn(
        work: impl FnOnce(&Cancel) -> Result<T, HubError> + Send + 'static,
    ) -> Self {
        let cancel = Cancel::default();
        let state = Arc::new(Mutex::new(State { result: None, waker: None }));
        let (its_state, its_cancel) = (state.clone(), cancel.clone());
        let finish = move |state: &Mutex<State<T>>, result| {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.result = Some(result);
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
        };
        let spawned = thread::Builder::new()
            .name("effnet-hub".to_owned())
            .spawn(move || finish(&its_state, work(&its_cancel)));
        if let Err(source) = spawned {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.result = Some(Err(HubError::Thread { source }));
        }
        Self { state, cancel }
    }
}

impl<T> Future for Download<T> {
    type Output = Result<T, HubError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Download<T> {
    fn drop(&mut self) {
        self.cancel.0.store(true, Ordering::Relaxed);
    }
}
