//! An answer in HTTP: JSON, and after it the bytes of tensors.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::request::{Binary, HEADER_LENGTH};
use crate::ApiError;
use crate::kserve::infer::InferResponse;
use crate::kserve::tensor::Values;

/// The outputs of a model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceResponse)]
pub(super) struct Json<'a> {
    model_name: &'a str,
    model_version: &'a str,
    /// What the request has.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    outputs: Vec<Output<'a>>,
}

/// An output of a model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OutputTensor)]
struct Output<'a> {
    name: &'static str,
    /// `FP32` or `BYTES`.
    datatype: &'static str,
    /// The images, and the elements of each.
    #[schema(value_type = Vec<usize>)]
    shape: &'a [usize],
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Parameters>,
    /// The elements in one list; absent if they are bytes after the JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<List<'a>>,
}

/// What is said about an output.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OutputParameters)]
struct Parameters {
    /// How many bytes after the JSON are the output's.
    binary_data_size: usize,
}

/// Numbers, or texts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OutputData)]
#[serde(untagged)]
enum List<'a> {
    Fp32(&'a [f32]),
    Text(&'a [String]),
}

/// Writes an answer.
pub(super) fn write(
    answer: &InferResponse,
    id: Option<&str>,
    binary: &Binary,
) -> Result<Response, ApiError> {
    let mut bytes = Vec::new();
    let mut outputs = Vec::with_capacity(answer.outputs.len());
    let mut is_binary = false;
    for output in &answer.outputs {
        let (mut parameters, mut data) = (None, None);
        if binary.has(output.name) {
            is_binary = true;
            let raw = output.raw();
            parameters = Some(Parameters { binary_data_size: raw.len() });
            bytes.extend(raw);
        } else {
            data = Some(match &output.values {
                Values::Fp32(values) => List::Fp32(values),
                Values::Text(texts) => List::Text(texts),
            });
        }
        let datatype = output.datatype().name();
        outputs.push(Output {
            name: output.name,
            datatype,
            shape: &output.shape,
            parameters,
            data,
        });
    }
    let json = Json { model_name: &answer.model, model_version: &answer.version, id, outputs };
    let mut body = serde_json::to_vec(&json).map_err(|_| ApiError::fault())?;
    let length = HeaderValue::from(body.len());
    let media_type = if is_binary { "application/octet-stream" } else { "application/json" };
    body.extend(bytes);
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    if is_binary {
        headers.insert(HEADER_LENGTH, length);
    }
    Ok(response)
}
