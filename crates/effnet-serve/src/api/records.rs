//! From an upload to the records of its images.

use std::pin::pin;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use effnet::ErrorKind;
use effnet::batcher::{BatchError, Batcher, Request, Timings};
use futures_util::StreamExt;
use serde::Serialize;

use super::upload::Upload;
use crate::in_order::in_order;
use crate::{ApiError, Server};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Gives the images of an upload to `run`, as many at once as [`in_order`] allows, and answers with
/// what `record` makes of each. If the first is refused because too many wait, so is the request; a
/// later one's refusal is in its record.
pub(super) async fn answer<T, R, F>(
    server: &Server,
    batcher: &Batcher,
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
        .map(|image| (image.name, Request::encoded(image.bytes).deadline(deadline)))
        .unzip();
    let mut answers = pin!(in_order(batcher, requests.into_iter().map(run)));
    let mut sum: Option<Timings> = None;
    let mut failure = None;
    let mut records: Vec<R> = Vec::with_capacity(names.len());
    for name in names {
        let Some(result) = answers.next().await else { break };
        let result = match result {
            Ok((outcome, timings)) => {
                add(sum.get_or_insert_default(), timings);
                Ok(outcome)
            }
            Err(error) => {
                let is_refused = error.kind() == ErrorKind::Overloaded;
                let error = ApiError::from(error);
                if is_refused && upload.is_list && records.is_empty() {
                    return error.into_response();
                }
                let message = error.message.clone();
                failure = Some(error);
                Err(message)
            }
        };
        records.push(record(name, result));
    }
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
