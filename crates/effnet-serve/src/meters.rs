//! What the process counts, as Prometheus reads it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tonic::{Code, Status};

use crate::ApiError;

/// From a tenth of a millisecond to what a client waits at most.
const SECONDS: [f64; 16] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0, 30.0,
];
const BATCH_SIZES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// How often samples move from where threads leave them into the histograms.
const UPKEEP: Duration = Duration::from_secs(5);

/// The recorder of this process; `None` if the program that the server is part of has its own.
static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Installs the recorder, once per process.
pub(crate) fn install() -> Option<&'static PrometheusHandle> {
    RECORDER.get_or_init(recorder).as_ref()
}

fn recorder() -> Option<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(|builder| {
            builder.set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &BATCH_SIZES)
        });
    let handle = builder.and_then(PrometheusBuilder::install_recorder).ok()?;
    metrics::describe_counter!("effnet_http_requests_total", "HTTP requests by route and status");
    metrics::describe_histogram!("effnet_http_request_seconds", "Time to the head of an answer");
    metrics::describe_counter!("effnet_grpc_requests_total", "gRPC calls by method and code");
    metrics::describe_histogram!("effnet_grpc_request_seconds", "Time to the head of an answer");
    metrics::describe_counter!("effnet_requests_total", "Images by model and outcome");
    metrics::describe_gauge!("effnet_queue_length", "Images that wait for a model");
    metrics::describe_histogram!("effnet_queue_seconds", "Time that an image waits");
    metrics::describe_histogram!("effnet_decode_seconds", "Time to decode an image");
    metrics::describe_histogram!("effnet_preprocess_seconds", "Time to resize and crop an image");
    metrics::describe_histogram!("effnet_infer_seconds", "Time of a run of the network");
    metrics::describe_histogram!("effnet_batch_size", "Images of a run of the network");
    let upkeep = handle.clone();
    let thread = std::thread::Builder::new().name("effnet-upkeep".to_owned());
    let running = thread.spawn(move || {
        loop {
            std::thread::sleep(UPKEEP);
            upkeep.run_upkeep();
        }
    });
    if let Err(error) = running {
        tracing::warn!(%error, "metrics take memory until they are read: no thread for their upkeep");
    }
    Some(handle)
}

/// What the process counts
#[utoipa::path(get, path = "/metrics", tag = "server", responses(
    (status = 200, description = "Prometheus's text format", content_type = "text/plain", body = String),
    (status = 404, description = "The program has its own recorder", body = crate::openapi::ErrorBody),
))]
pub(crate) async fn metrics() -> Response {
    match install() {
        Some(handle) => {
            ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render())
                .into_response()
        }
        None => ApiError::not_found("this program records metrics itself; ask it for them")
            .into_response(),
    }
}

/// Counts a request by its route and its status.
pub(crate) async fn count(request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("none", MatchedPath::as_str).to_owned();
    let method = method(request.method());
    let response = next.run(request).await;
    let status = response.status().as_str().to_owned();
    metrics::counter!("effnet_http_requests_total", "method" => method, "route" => route.clone(), "status" => status).increment(1);
    metrics::histogram!("effnet_http_request_seconds", "method" => method, "route" => route)
        .record(begin.elapsed());
    response
}

/// Counts a call by its method and its code. An answer here is one message, so what went wrong is
/// in its head.
pub(crate) async fn count_grpc(request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let response = next.run(request).await;
    let code = Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code());
    // Clients can invent methods, which must not become labels. All of those have this code, and
    // nothing else has.
    let method = if code == Code::Unimplemented { "other".to_owned() } else { path };
    metrics::counter!("effnet_grpc_requests_total", "method" => method.clone(), "code" => format!("{code:?}")).increment(1);
    metrics::histogram!("effnet_grpc_request_seconds", "method" => method).record(begin.elapsed());
    response
}

/// A method's name. Clients can invent methods, which must not become labels.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
