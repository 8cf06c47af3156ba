//! Errors and deadlines in gRPC's words.

use std::time::Duration;

use axum::http::StatusCode;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use crate::ApiError;

/// The code for each HTTP status that an [`ApiError`] has; others are internal.
const CODES: [(StatusCode, Code); 10] = [
    (StatusCode::BAD_REQUEST, Code::InvalidArgument),
    (StatusCode::UNAUTHORIZED, Code::Unauthenticated),
    (StatusCode::NOT_FOUND, Code::NotFound),
    (StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded),
    (StatusCode::CONFLICT, Code::FailedPrecondition),
    // Not RESOURCE_EXHAUSTED, after which clients may send the same again.
    (StatusCode::PAYLOAD_TOO_LARGE, Code::InvalidArgument),
    (StatusCode::UNPROCESSABLE_ENTITY, Code::InvalidArgument),
    (StatusCode::TOO_MANY_REQUESTS, Code::ResourceExhausted),
    (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable),
    (StatusCode::GATEWAY_TIMEOUT, Code::DeadlineExceeded),
];

/// The most bytes of a message. It travels in a header, whose size clients limit.
const MESSAGE: usize = 1024;

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        let code = CODES.iter().find(|(status, _)| *status == error.status);
        let mut message = error.message;
        if message.len() > MESSAGE {
            message.truncate(message.floor_char_boundary(MESSAGE));
            message.push_str("...");
        }
        Self::new(code.map_or(Code::Internal, |(_, code)| *code), message)
    }
}

/// The header `grpc-timeout`: at most eight digits and a unit.
pub(super) fn timeout(metadata: &MetadataMap) -> Result<Option<Duration>, ApiError> {
    let Some(value) = metadata.get("grpc-timeout") else { return Ok(None) };
    let timeout = value.to_str().ok().and_then(|text| {
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let is_number =
            (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let count: u64 = digits.parse().ok().filter(|_| is_number)?;
        Some(match unit {
            "H" => Duration::from_secs(count * 3600),
            "M" => Duration::from_secs(count * 60),
            "S" => Duration::from_secs(count),
            "m" => Duration::from_millis(count),
            "u" => Duration::from_micros(count),
            "n" => Duration::from_nanos(count),
            _ => return None,
        })
    });
    timeout.map(Some).ok_or_else(|| {
        let message = format!("grpc-timeout is {value:?}, not up to 8 digits and one of HMSmun");
        ApiError::bad_request(message)
    })
}
