//! A request's body that has limits: its size, its pace, and the size of all bodies together.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{Version, header};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep, timeout};

/// The bytes that must come in the time for them.
const PIECE: usize = 16 << 10;
/// How long the rest of a refused body is read. A client that is still sending would otherwise lose
/// the answer with the connection.
const LINGER: Duration = Duration::from_secs(2);

/// Bytes of all bodies that are being worked on.
#[derive(Debug)]
pub(super) struct Bodies {
    most: usize,
    now: AtomicUsize,
}

impl Bodies {
    pub(super) fn new(most: usize) -> Self {
        Self { most, now: AtomicUsize::new(0) }
    }

    /// Whether there is so little room left that bodies which take long must make some.
    fn is_crowded(&self) -> bool {
        self.now.load(Ordering::Relaxed) > self.most / 2
    }
}

/// Why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the body is too large")]
    TooLarge,
    #[error("the body comes too slowly")]
    Slow,
    #[error("the body takes too long while those of other requests wait for room")]
    Late,
    #[error("the bodies of all requests are too large")]
    Crowded,
}

/// What happened to a body, and its share of all bodies' bytes until the request is answered.
#[derive(Debug)]
pub(crate) struct Account {
    bodies: Arc<Bodies>,
    /// What came, or what it unpacks to if that is more.
    bytes: AtomicUsize,
    fault: OnceLock<Fault>,
}

impl Account {
    pub(super) fn get(&self) -> Option<Fault> {
        self.fault.get().copied()
    }

    /// Counts the first `bytes` of the body, as they came or unpacked. How many these may be is for
    /// others to say.
    pub(crate) fn hold(&self, bytes: usize) -> Result<(), Fault> {
        let more = bytes.saturating_sub(self.bytes.fetch_max(bytes, Ordering::Relaxed));
        let together = self.bodies.now.fetch_add(more, Ordering::Relaxed) + more;
        match together > self.bodies.most {
            true => Err(self.fail(Fault::Crowded)),
            false => Ok(()),
        }
    }

    /// The same bytes, which count until all parts of them are dropped: work that waits is not
    /// dropped at once when its client vanishes.
    pub(crate) fn keep(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Kept { bytes, _account: Arc::clone(self) })
    }

    fn fail(&self, fault: Fault) -> Fault {
        *self.fault.get_or_init(|| fault)
    }
}

struct Kept {
    bytes: Bytes,
    _account: Arc<Account>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.bodies.now.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}

/// A body with limits.
pub(super) struct Guarded {
    /// `None` once it has been read to its end.
    body: Option<Body>,
    /// Whether the client sends the body before it is asked for, on a connection that must carry it.
    is_unasked: bool,
    max_body: usize,
    pace: Duration,
    begun: Instant,
    /// When the next piece must be there.
    timer: Option<Pin<Box<Sleep>>>,
    /// Bytes of the present piece.
    piece: usize,
    /// Bytes that came.
    bytes: usize,
    account: Arc<Account>,
}

impl Guarded {
    pub(super) fn new(
        body: Body,
        head: &Parts,
        max_body: usize,
        pace: Duration,
        bodies: &Arc<Bodies>,
    ) -> (Self, Arc<Account>) {
        let bodies = Arc::clone(bodies);
        let account = Account { bodies, bytes: AtomicUsize::new(0), fault: OnceLock::new() };
        let account = Arc::new(account);
        let body = (!body.is_end_stream()).then_some(body);
        // HTTP/2 can refuse the rest of a body; HTTP/1 can only read it or close the connection.
        let is_unasked =
            head.version < Version::HTTP_2 && !head.headers.contains_key(header::EXPECT);
        let guarded = Self {
            body,
            is_unasked,
            max_body,
            pace,
            begun: Instant::now(),
            timer: None,
            piece: 0,
            bytes: 0,
            account: Arc::clone(&account),
        };
        (guarded, account)
    }

    /// The bytes that the request's head announces.
    pub(super) fn announced(&self) -> u64 {
        self.body.as_ref().map_or(0, |body| body.size_hint().lower())
    }

    fn fail(&self, fault: Fault) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Poll::Ready(Some(Err(axum::Error::new(self.account.fail(fault)))))
    }
}

impl hyper::body::Body for Guarded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(fault) = self.account.get() {
            return Poll::Ready(Some(Err(axum::Error::new(fault))));
        }
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(context) else {
            let pace = this.pace;
            let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(pace)));
            ready!(timer.as_mut().poll(context));
            return self.fail(Fault::Slow);
        };
        let Some(Ok(frame)) = frame else {
            // The end, or a client that is gone: nothing is left to be read.
            this.body = None;
            return Poll::Ready(frame);
        };
        let is_over = body.is_end_stream();
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        this.bytes += bytes;
        if this.bytes > this.max_body {
            return self.fail(Fault::TooLarge);
        }
        if let Err(fault) = this.account.hold(this.bytes) {
            return self.fail(fault);
        }
        // A client that keeps to the pace could hold the bytes that it has sent for hours.
        let is_late = !is_over && this.begun.elapsed() > this.pace;
        if is_late && this.account.bodies.is_crowded() {
            return self.fail(Fault::Late);
        }
        this.piece += bytes;
        if this.piece >= PIECE {
            this.piece = 0;
            if let Some(timer) = &mut this.timer {
                timer.as_mut().reset(Instant::now() + this.pace);
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let wants_more =
            self.is_unasked && !matches!(self.account.get(), Some(Fault::Slow | Fault::Late));
        let Some(mut body) = self.body.take().filter(|body| wants_more && !body.is_end_stream())
        else {
            return;
        };
        if let Ok(runtime) = Handle::try_current() {
            let mut left = self.max_body;
            runtime.spawn(timeout(LINGER, async move {
                while let Some(Ok(frame)) = body.frame().await {
                    let bytes = frame.data_ref().map_or(0, Bytes::len);
                    let Some(rest) = left.checked_sub(bytes) else { break };
                    left = rest;
                }
            }));
        }
    }
}
