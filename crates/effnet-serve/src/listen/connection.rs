//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, Response, Version, header};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;
use tracing::debug;

use super::activity::{Activity, Due};
use super::io::Watched;
use super::{Phase, Shared};

/// The most bytes of a request's head in HTTP/1, and of what is read ahead. All connections may have
/// them at once, before anybody has shown a key. HTTP/2 takes heads of 16 KiB.
const HEAD: usize = 64 << 10;

/// Serves a connection until its end.
pub(super) async fn run(stream: TcpStream, router: Router, shared: &Arc<Shared>) {
    // Answers are written whole; waiting to fill a packet only delays them.
    let (Ok(peer), Ok(())) = (stream.peer_addr(), stream.set_nodelay(true)) else { return };
    let Some(config) = &shared.options.tls else {
        return http(stream, peer, router, shared).await;
    };
    let handshake = TlsAcceptor::from(Arc::clone(config)).accept(stream);
    match timeout(shared.options.header_timeout, handshake).await {
        Ok(Ok(stream)) => http(stream, peer, router, shared).await,
        Ok(Err(error)) => debug!(%peer, %error, "no TLS"),
        Err(_) => debug!(%peer, "the handshake of TLS takes too long"),
    }
}

/// What happens to a connection from outside.
enum Event {
    Over,
    Due(Due),
    Phase,
}

async fn http<S>(stream: S, peer: SocketAddr, router: Router, shared: &Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::new());
    let io = TokioIo::new(Watched { stream, activity: Arc::clone(&activity) });
    let service = service_fn(|request: Request<Incoming>| {
        let taken = Taken::new(&activity, shared, request.version());
        answer(router.clone(), request, peer, taken)
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http2().timer(TokioTimer::new());
    // A client that ends its side is taken to be gone: otherwise work would be done for all who are.
    builder.http1().max_buf_size(HEAD);
    let mut connection = pin!(builder.serve_connection(io, service));

    let options = &shared.options;
    let mut phase = shared.phase.subscribe();
    let mut now = *phase.borrow_and_update();
    let (mut entered, mut closed) = (Instant::now(), None);
    let mut timer = pin!(sleep_until(entered + options.header_timeout));
    loop {
        let driven = poll_fn(|context| {
            if connection.as_mut().poll(context).is_ready() {
                return Poll::Ready(Event::Over);
            }
            loop {
                let due = activity.due(options, now, entered);
                // What does not end although it was told to is dropped.
                let late =
                    |at| (Instant::max(at, closed.unwrap_or(at) + options.body_timeout), Due::Drop);
                let due = if closed.is_some() { due.map(|(at, _)| late(at)) } else { due };
                let Some((at, due)) = due else { return Poll::Pending };
                if at < timer.deadline() || timer.is_elapsed() {
                    timer.as_mut().reset(at);
                }
                ready!(timer.as_mut().poll(context));
                if at <= Instant::now() {
                    return Poll::Ready(Event::Due(due));
                }
            }
        });
        let event = tokio::select! {
            biased;
            event = driven => event,
            _ = phase.changed() => Event::Phase,
        };
        match event {
            Event::Over | Event::Due(Due::Drop) => return,
            Event::Due(Due::Close) => {
                connection.as_mut().graceful_shutdown();
                closed = Some(Instant::now());
            }
            Event::Phase => {
                (now, entered) = (*phase.borrow_and_update(), Instant::now());
                // HTTP/2 says which requests it still takes.
                if now == Phase::Closing && activity.is_http2() && closed.is_none() {
                    connection.as_mut().graceful_shutdown();
                    closed = Some(Instant::now());
                }
            }
        }
    }
}

async fn answer(
    router: Router,
    request: Request<Incoming>,
    peer: SocketAddr,
    taken: Taken,
) -> Result<Response<Answer>, Infallible> {
    let version = request.version();
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    let mut response = router.oneshot(request).await?;
    if version < Version::HTTP_2 && *taken.shared.phase.borrow() >= Phase::Closing {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    taken.activity.owes();
    Ok(response.map(|body| Answer { body, taken, owes: true }))
}

/// A request without an answer.
struct Taken {
    activity: Arc<Activity>,
    shared: Arc<Shared>,
}

impl Taken {
    fn new(activity: &Arc<Activity>, shared: &Arc<Shared>, version: Version) -> Self {
        activity.request(version == Version::HTTP_2);
        shared.requests.fetch_add(1, Ordering::Relaxed);
        Self { activity: Arc::clone(activity), shared: Arc::clone(shared) }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.shared.requests.fetch_sub(1, Ordering::Relaxed);
        self.activity.answered();
    }
}

/// The body of an answer, on its way.
struct Answer {
    body: Body,
    taken: Taken,
    /// Whether the head or the last piece may still be on its way.
    owes: bool,
}

impl Answer {
    fn pay(&mut self) {
        if std::mem::take(&mut self.owes) {
            self.taken.activity.paid();
        }
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.pay();
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_some() {
            self.owes = true;
            self.taken.activity.owes();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.pay();
    }
}
