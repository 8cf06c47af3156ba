//! From an upload to the records of its images.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use effnet::batcher::{BatchError, Request, Timings};
use futures_util::future::join_all;
use serde::Serialize;

use super::upload::Upload;
use crate::{ApiError, Server};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Gives all images of an upload to `run` at once, and answers with what `record` makes of each.
pub(super) async fn answer<T, R, F>(
    server: &Server,
    upload: Upload,
    run: impl Fn(Request) -> F,
    record: impl Fn(String, Result<T, String>) -> R,
) -> Response
where
    R: Serialize,
    F: Future<Output = Result<(T, Timings), BatchError>>,
{
    let deadline = server.deadline();
    let (names, requests): (Vec<_>, Vec<_>) = upload
        .images
        .into_iter()
        .map(|image| (image.name, run(Request::encoded(image.bytes).deadline(deadline))))
        .unzip();
    let mut sum: Option<Timings> = None;
    let mut failure = None;
    let results = join_all(requests).await.into_iter().zip(names).map(|(result, name)| {
        let result = match result {
            Ok((outcome, timings)) => {
                add(sum.get_or_insert_default(), timings);
                Ok(outcome)
            }
            Err(error) => {
                let error = ApiError::from(error);
                let message = error.message.clone();
                failure = Some(error);
                Err(message)
            }
        };
        record(name, result)
    });
    let mut records: Vec<R> = results.collect();
    let mut response = match (upload.is_list, failure) {
        (true, _) => Json(records).into_response(),
        (false, None) => Json(records.pop()).into_response(),
        (false, Some(error)) => error.with_body(records.pop()),
    };
    if let Some(sum) = sum
        && let Ok(value) = HeaderValue::try_from(server_timing(&sum))
    {
        response.headers_mut().insert(SERVER_TIMING, value);
    }
    response
}

fn add(sum: &mut Timings, timings: Timings) {
    sum.queue += timings.queue;
    sum.decode += timings.decode;
    sum.preprocess += timings.preprocess;
    sum.infer += timings.infer;
}

/// The header's value, in milliseconds.
fn server_timing(timings: &Timings) -> String {
    let part = |name: &str, time: Duration| format!("{name};dur={:.3}", time.as_secs_f64() * 1e3);
    [
        part("queue", timings.queue),
        part("decode", timings.decode),
        part("preprocess", timings.preprocess),
        part("infer", timings.infer),
    ]
    .join(", ")
}
