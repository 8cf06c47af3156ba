//! Traces for an OpenTelemetry collector, by OTLP over gRPC.

use axum::http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider,
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracerProvider, Tracer};
use tracing::level_filters::LevelFilter;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use super::LogError;
use super::trace::TraceParent;

/// Sends the spans of requests to a collector.
#[derive(Debug)]
pub(super) struct Export(SdkTracerProvider);

impl Export {
    /// Must be called within a Tokio runtime, which sends the spans.
    pub(super) fn start(endpoint: &str) -> Result<Self, LogError> {
        let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build();
        let exporter = exporter.map_err(|error| LogError::Export {
            endpoint: endpoint.to_owned(),
            wrong: error.to_string(),
        })?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(Resource::builder().with_service_name("effnet").build())
            .build();
        Ok(Self(provider))
    }

    /// effnet's own spans, whatever the level of the log is.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let tracer: Tracer = self.0.tracer("effnet");
        let own = Targets::new().with_target("effnet", LevelFilter::INFO);
        tracing_opentelemetry::layer().with_tracer(tracer).with_filter(own)
    }

    /// Sends what has not been sent. It waits for the collector, at most some seconds.
    pub(super) fn end(self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last traces are lost");
        }
    }
}

/// Makes a span part of the caller's trace, and returns the trace that it is part of; `None` if
/// nothing is exported.
pub(super) fn join(span: &Span, parent: Option<&TraceParent>, headers: &HeaderMap) -> Option<u128> {
    if let Some(parent) = parent {
        let state = headers.get("tracestate").and_then(|state| state.to_str().ok());
        let state = state.and_then(|state| state.parse().ok()).unwrap_or(TraceState::NONE);
        let context = SpanContext::new(
            TraceId::from(parent.trace),
            SpanId::from(parent.span),
            TraceFlags::new(parent.flags),
            true,
            state,
        );
        // It fails only if nothing is exported.
        let _ = span.set_parent(Context::new().with_remote_span_context(context));
    }
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then(|| u128::from_be_bytes(context.trace_id().to_bytes()))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, Bytes};
    use axum::extract::Request;
    use axum::routing::{get, post};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;
    use tower::ServiceExt;
    use tracing_subscriber::Registry;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::listen::{ListenOptions, serve};

    #[tokio::test(flavor = "multi_thread")]
    async fn spans_reach_the_collector_in_the_trace_of_the_caller() {
        let (sender, mut exported) = mpsc::unbounded_channel();
        let collect = move |body: Bytes| {
            sender.send(body).unwrap();
            // An empty message, uncompressed.
            async { ([("content-type", "application/grpc"), ("grpc-status", "0")], [0; 5]) }
        };
        let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let collector = Router::new().route(path, post(collect));
        tokio::spawn(serve(
            vec![(listener, collector)],
            ListenOptions::default(),
            std::future::pending(),
        ));

        let export = Export::start(&endpoint).unwrap();
        let log = tracing::subscriber::set_default(Registry::default().with(export.layer()));
        let app = super::super::traced(Router::new().route("/seven", get(|| async { "7" })));
        let trace = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128;
        let request = Request::get("/seven")
            .header("traceparent", format!("00-{trace:032x}-00f067aa0ba902b7-01"))
            .header("tracestate", "vendor=opaque-value");
        drop(app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap());
        drop(log);
        tokio::task::spawn_blocking(|| export.end()).await.unwrap();
        let spans = exported.recv().await.unwrap();
        for part in [&trace.to_be_bytes()[..], b"request", b"/seven", b"vendor=opaque-value"] {
            let is_there = spans.windows(part.len()).any(|bytes| bytes == part);
            assert!(is_there, "{part:?} in {spans:?}");
        }
    }
}
