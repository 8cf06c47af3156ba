//! A span and a line of the log for every request.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use hyper::body::{Body as _, Frame, SizeHint};
use std::net::SocketAddr;
use tracing::field::{Empty, display};
use tracing::{Instrument, Span, debug, error_span, info};

use super::trace::{TraceParent, new_trace, request_id};

const REQUEST_ID: &str = "x-request-id";
/// Routes that are asked again and again without anything happening.
const QUIET: [&str; 5] =
    ["/health/live", "/health/ready", "/metrics", "/v2/health/live", "/v2/health/ready"];

/// Gives every request of a router an id, a span and a line in the log.
pub fn traced(router: Router) -> Router {
    router.layer(from_fn(trace))
}

/// Notes the model that answers the present request.
pub(crate) fn note_model(name: &str) {
    Span::current().record("model", name);
}

/// Notes the key that the present request has.
pub(crate) fn note_key(name: &str) {
    Span::current().record("key", name);
}

async fn trace(request: Request, next: Next) -> Response {
    let since = Instant::now();
    let headers = request.headers();
    let (id, parent) = (request_id(headers), TraceParent::of(headers));
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let is_quiet = QUIET.contains(&route);
    // Whatever is logged at all says of which request it is.
    let span = error_span!(
        "request",
        method = %request.method(),
        route,
        request_id = id.to_str().unwrap_or_default(),
        trace_id = Empty,
        client = Empty,
        key = Empty,
        model = Empty,
    );
    if let Some(ConnectInfo(client)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        span.record("client", display(client.ip()));
    }
    #[cfg(feature = "otlp")]
    let exported = super::otlp::join(&span, parent.as_ref(), headers);
    #[cfg(not(feature = "otlp"))]
    let exported = None;
    let trace = exported.or(parent.map(|parent| parent.trace)).unwrap_or_else(new_trace);
    span.record("trace_id", display(format_args!("{trace:032x}")));

    let mut response = next.run(request).instrument(span.clone()).await;
    response.headers_mut().insert(REQUEST_ID, id);
    let status = response.status();
    let grpc_status = grpc_status(response.headers());
    response.map(|body| {
        let line = Line { span, since, status, is_quiet, bytes: 0, is_whole: false, grpc_status };
        let is_whole = body.is_end_stream();
        Body::new(Logged { body, line: Line { is_whole, ..line } })
    })
}

fn grpc_status(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get("grpc-status").cloned()
}

/// What the log says of a request, once its answer is over.
struct Line {
    span: Span,
    since: Instant,
    status: StatusCode,
    grpc_status: Option<HeaderValue>,
    is_quiet: bool,
    bytes: u64,
    /// Whether the whole answer was handed over.
    is_whole: bool,
}

impl Line {
    fn write(&self) {
        let status = self.status.as_u16();
        let ms = self.since.elapsed().as_micros() as f64 / 1e3;
        let grpc_status = self.grpc_status.as_ref().and_then(|value| value.to_str().ok());
        let (bytes, message) = (self.bytes, if self.is_whole { "answered" } else { "cut off" });
        let _entered = self.span.enter();
        match self.is_quiet {
            true => debug!(status, grpc_status, bytes, ms, "{message}"),
            false => info!(status, grpc_status, bytes, ms, "{message}"),
        }
    }
}

/// A body whose end is logged.
struct Logged {
    body: Body,
    line: Line,
}

impl hyper::body::Body for Logged {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Self { body, line } = &mut *self;
        let frame = ready!(Pin::new(&mut *body).poll_frame(context));
        match &frame {
            None => line.is_whole = true,
            Some(Ok(frame)) => {
                line.bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
                if let Some(trailers) = frame.trailers_ref() {
                    line.grpc_status = grpc_status(trailers);
                }
                line.is_whole = body.is_end_stream() || frame.is_trailers();
            }
            Some(Err(_)) => {}
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

impl Drop for Logged {
    fn drop(&mut self) {
        self.line.write();
    }
}
