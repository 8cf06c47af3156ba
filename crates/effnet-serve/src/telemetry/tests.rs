use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use super::*;

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Text {
    fn lines(&self) -> Vec<Value> {
        let text = std::mem::take(&mut *self.0.lock().unwrap());
        let lines = String::from_utf8(text).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Text {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn app() -> Router {
    traced(
        Router::new()
            .route(
                "/number/{n}",
                get(|| async {
                    note_model("b0");
                    note_key("alice");
                    "seven"
                }),
            )
            .route("/health/live", get(|| async {})),
    )
}

async fn send(path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, String) {
    let request =
        headers.iter().fold(Request::get(path), |r, (name, value)| r.header(*name, *value));
    let answer = app().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_request_is_one_line_with_its_ids() {
    let text = Text::default();
    let layer = log::layer(LogFormat::Json, text.clone(), false);
    let _log =
        tracing::subscriber::set_default(tracing_subscriber::Registry::default().with(layer));

    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let given = [("x-request-id", "order-7"), ("traceparent", &*parent)];
    let (_, headers, _) = send("/number/7", &given).await;
    assert_eq!(headers["x-request-id"], "order-7");
    let lines = text.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let (line, span) = (&lines[0], &lines[0]["span"]);
    for (key, value) in [("status", 200), ("bytes", 5)] {
        assert_eq!(line[key], value, "{line}");
    }
    assert!(line["ms"].is_f64() && line["message"] == "answered", "{line}");
    for (key, value) in [
        ("method", "GET"),
        ("route", "/number/{n}"),
        ("request_id", "order-7"),
        ("trace_id", trace),
        ("model", "b0"),
        ("key", "alice"),
    ] {
        assert_eq!(span[key], value, "{line}");
    }

    // Ids that cannot stand in a log are not taken.
    let given = [("x-request-id", "a b"), ("traceparent", "00-0-0-01")];
    let (_, headers, _) = send("/nowhere", &given).await;
    let line = &text.lines()[0];
    assert_eq!(line["status"], 404);
    assert_eq!(line["span"]["route"], "none");
    assert_eq!(line["span"]["request_id"], headers["x-request-id"].to_str().unwrap());
    assert_eq!(headers["x-request-id"].len(), 32);
    assert_eq!(line["span"]["trace_id"].as_str().unwrap().len(), 32);

    // What nobody waits for to its end is cut off.
    let request = Request::get("/number/7").body(Body::empty()).unwrap();
    drop(app().oneshot(request).await.unwrap());
    assert_eq!(text.lines()[0]["message"], "cut off");
}
