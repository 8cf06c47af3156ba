//! A request for inference in HTTP: JSON, and after it the bytes of tensors.

use std::borrow::Cow;
use std::time::Instant;

use axum::body::Bytes;
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{Named, data};
use crate::ApiError;
use crate::kserve::infer::{InferRequest, Requested};
use crate::kserve::parameters::{Parameter, Parameters, read, refuse_rest, take_bool};
use crate::kserve::tensor::{Header, Tensor};

/// The length of the JSON, if bytes follow it; in answers too.
pub(super) const HEADER_LENGTH: &str = "inference-header-content-length";

/// What the handler needs to know.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// To be given back.
    pub(super) id: Option<String>,
    pub(super) request: InferRequest,
    pub(super) binary: Binary,
}

/// Which outputs to give as bytes after the JSON.
#[derive(Debug)]
pub(crate) struct Binary {
    /// Outputs of which the request does not say it.
    others: bool,
    named: Vec<(String, bool)>,
}

impl Binary {
    pub(super) fn has(&self, output: &str) -> bool {
        let named = self.named.iter().find(|(name, _)| name == output);
        named.map_or(self.others, |(_, is_binary)| *is_binary)
    }
}

/// A request for inference.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = InferenceRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct Json<'a> {
    /// The answer has it too.
    id: Option<String>,
    /// What the path says, as KServe's client repeats it.
    model_name: Option<String>,
    /// `k`: how many `labels`; `timeout`: microseconds until the answer must be there;
    /// `binary_data_output`: whether outputs are bytes after the JSON.
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "read")]
    parameters: Option<Parameters>,
    /// One of the model's inputs.
    #[serde(borrow)]
    #[schema(min_items = 1, max_items = 1)]
    inputs: Vec<Input<'a>>,
    /// All of the model's outputs if absent.
    outputs: Option<Vec<Output>>,
}

/// An input of a request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = InferenceInput)]
#[serde(deny_unknown_fields)]
struct Input<'a> {
    /// `image`, `pixels` or `input`.
    #[schema(pattern = "^(image|pixels|input)$")]
    name: String,
    /// `BYTES` for `image`, `UINT8` for `pixels`, `FP32` for `input`.
    #[serde(borrow)]
    #[schema(value_type = String, pattern = "^(BYTES|UINT8|FP32)$")]
    datatype: Cow<'a, str>,
    /// The images, and for `pixels` and `input` their sizes.
    #[schema(min_items = 1, max_items = 4)]
    shape: Vec<i64>,
    /// `binary_data_size`: how many bytes after the JSON are the input's.
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "read")]
    parameters: Option<Parameters>,
    /// The elements, in one list or in lists within lists; `BYTES` in base64.
    #[serde(borrow)]
    #[schema(value_type = Option<Vec<serde_json::Value>>)]
    data: Option<&'a RawValue>,
}

/// An output that a request asks for.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = InferenceOutput)]
#[serde(deny_unknown_fields)]
struct Output {
    /// `logits`, `probabilities`, `labels` or `embedding`.
    #[schema(pattern = "^(logits|probabilities|labels|embedding)$")]
    name: String,
    /// `classification`: how many of the best classes to give in place of all `logits` or `probabilities`;
    /// `binary_data`: whether it is bytes after the JSON.
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "read")]
    parameters: Option<Parameters>,
}

/// Reads a request. Bytes of images are slices of `body`.
pub(crate) fn parse(
    headers: &HeaderMap,
    body: &Bytes,
    named: Named,
    max_images: usize,
    deadline: Instant,
) -> Result<Parsed, ApiError> {
    let json_length = header_length(headers, body.len())?;
    let (text, mut binary) = (&body[..json_length], body.slice(json_length..));
    let Json { id, model_name, parameters, inputs, outputs } = serde_json::from_slice(text)
        .map_err(|error| ApiError::bad_request(format!("the request's JSON: {error}")))?;
    if let Some(model) = model_name.filter(|model| *model != named.name) {
        return Err(ApiError::bad_request(format!(
            "the request's JSON: model_name is {model:?}, the path names {:?}",
            named.name
        )));
    }

    let inputs = inputs.into_iter().map(|input| tensor(input, &mut binary, max_images));
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    if !binary.is_empty() {
        return Err(ApiError::bad_request(format!(
            "{} bytes after the JSON belong to no input: their sizes are the inputs' parameters \
             binary_data_size",
            binary.len()
        )));
    }

    let mut parameters = parameters.unwrap_or_default();
    let others = take_bool(&mut parameters, "binary_data_output", "the request")?;
    let mut named_binary = Vec::new();
    let mut requested = Vec::new();
    for Output { name, parameters } in outputs.unwrap_or_default() {
        let mut parameters = parameters.unwrap_or_default();
        let owner = format!("output {name:?}");
        if let Some(is_binary) = take_bool(&mut parameters, "binary_data", &owner)? {
            named_binary.push((name.clone(), is_binary));
        }
        requested.push(Requested { name, parameters });
    }
    Ok(Parsed {
        id,
        request: InferRequest {
            model: named.name,
            version: named.version,
            parameters,
            inputs,
            outputs: requested,
            deadline,
        },
        binary: Binary { others: others.unwrap_or(false), named: named_binary },
    })
}

/// How many bytes of the body are JSON.
fn header_length(headers: &HeaderMap, body: usize) -> Result<usize, ApiError> {
    let Some(value) = headers.get(HEADER_LENGTH) else { return Ok(body) };
    let text = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(length) = text.and_then(|text| text.parse::<usize>().ok()) else {
        return Err(ApiError::bad_request(format!(
            "Inference-Header-Content-Length is {value:?}, not a number of bytes"
        )));
    };
    if length > body {
        return Err(ApiError::bad_request(format!(
            "Inference-Header-Content-Length is {length}, but the body has {body} bytes"
        )));
    }
    Ok(length)
}

/// An input, from JSON or from the bytes that follow.
fn tensor(input: Input<'_>, binary: &mut Bytes, max_images: usize) -> Result<Tensor, ApiError> {
    let Input { name, datatype, shape, parameters, data } = input;
    let header = Header::new(name, &datatype, &shape, max_images)?;
    let mut parameters = parameters.unwrap_or_default();
    let size = parameters.remove("binary_data_size");
    refuse_rest(&parameters, &format!("input {:?}", header.name()), &["binary_data_size"])?;
    match (data, size) {
        (Some(data), None) => {
            let data = data::parse(&header, data)?;
            header.with(data)
        }
        (None, Some(size)) => {
            let length = match size {
                Parameter::Integer(size) => usize::try_from(size).ok(),
                _ => None,
            };
            let Some(length) = length else {
                let reason = format!("binary_data_size is {size}, not a number of bytes");
                return Err(header.refused(reason));
            };
            if length > binary.len() {
                return Err(header.refused(format!(
                    "binary_data_size is {length}, but {} bytes are left after the JSON of \
                     Inference-Header-Content-Length bytes",
                    binary.len()
                )));
            }
            header.with_raw(binary.split_to(length))
        }
        (Some(_), Some(_)) => Err(header.refused("it has data and binary_data_size: give one")),
        (None, None) => Err(header.refused(
            "it has no data: give data, or the parameter binary_data_size and bytes after the JSON",
        )),
    }
}
