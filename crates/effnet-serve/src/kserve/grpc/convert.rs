//! The protocol's messages as the rest of the server has them, and back.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;

use super::proto::inference::infer_parameter::ParameterChoice;
use super::proto::inference::model_infer_request::InferInputTensor;
use super::proto::inference::model_infer_response::InferOutputTensor;
use super::proto::inference::model_metadata_response::TensorMetadata;
use super::proto::inference::model_repository_parameter::ParameterChoice as RepositoryChoice;
use super::proto::inference::{
    InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse,
    ModelRepositoryParameter,
};
use crate::ApiError;
use crate::kserve::infer::{InferRequest, InferResponse, Requested};
use crate::kserve::metadata::Spec;
use crate::kserve::parameters::{Parameter, Parameters, refuse_rest};
use crate::kserve::tensor::{Data, Datatype, Header, Output, Tensor, Values};

pub(super) fn metadata(specs: Vec<Spec>) -> Vec<TensorMetadata> {
    let tensor = |spec: Spec| TensorMetadata {
        name: spec.name.to_owned(),
        datatype: spec.datatype.name().to_owned(),
        shape: spec.shape,
    };
    specs.into_iter().map(tensor).collect()
}

/// Reads a request.
pub(super) fn request(
    request: ModelInferRequest,
    max_images: usize,
    deadline: Instant,
) -> Result<InferRequest, ApiError> {
    let ModelInferRequest {
        model_name,
        model_version,
        parameters,
        inputs,
        outputs,
        raw_input_contents,
        ..
    } = request;
    let inputs = if raw_input_contents.is_empty() {
        let tensors = inputs.into_iter().map(|input| {
            let (header, contents) = header(input, max_images)?;
            let contents = contents.ok_or_else(|| {
                header
                    .refused("it has no data: give contents, or raw_input_contents of the request")
            })?;
            tensor(header, contents)
        });
        tensors.collect::<Result<Vec<_>, _>>()?
    } else {
        if raw_input_contents.len() != inputs.len() {
            return Err(ApiError::bad_request(format!(
                "{} raw_input_contents for {} inputs: there must be one for each",
                raw_input_contents.len(),
                inputs.len()
            )));
        }
        let tensors = inputs.into_iter().zip(raw_input_contents).map(|(input, raw)| {
            let (header, contents) = header(input, max_images)?;
            if contents.is_some() {
                return Err(header.refused("it has contents and raw_input_contents: give one"));
            }
            header.with_raw(raw)
        });
        tensors.collect::<Result<Vec<_>, _>>()?
    };
    let outputs = outputs.into_iter().map(|output| {
        let parameters = convert_all(output.parameters, infer_parameter)?;
        Ok(Requested { name: output.name, parameters })
    });
    Ok(InferRequest {
        model: model_name,
        version: Some(model_version).filter(|version| !version.is_empty()),
        parameters: convert_all(parameters, infer_parameter)?,
        inputs,
        outputs: outputs.collect::<Result<_, ApiError>>()?,
        deadline,
    })
}

fn header(
    input: InferInputTensor,
    max_images: usize,
) -> Result<(Header, Option<InferTensorContents>), ApiError> {
    let header = Header::new(input.name, &input.datatype, &input.shape, max_images)?;
    let parameters = convert_all(input.parameters, infer_parameter)?;
    refuse_rest(&parameters, &format!("input {:?}", header.name()), &[])?;
    Ok((header, input.contents))
}

/// A tensor whose elements are in the field of its datatype.
fn tensor(header: Header, contents: InferTensorContents) -> Result<Tensor, ApiError> {
    let expected = match header.datatype() {
        Datatype::Bytes => "bytes_contents",
        Datatype::Uint8 => "uint_contents",
        Datatype::Fp32 => "fp32_contents",
    };
    let fields = [
        ("bool_contents", contents.bool_contents.len()),
        ("int_contents", contents.int_contents.len()),
        ("int64_contents", contents.int64_contents.len()),
        ("uint_contents", contents.uint_contents.len()),
        ("uint64_contents", contents.uint64_contents.len()),
        ("fp32_contents", contents.fp32_contents.len()),
        ("fp64_contents", contents.fp64_contents.len()),
        ("bytes_contents", contents.bytes_contents.len()),
    ];
    let others = fields.iter().find(|(name, length)| *name != expected && *length > 0);
    if let Some((name, _)) = others {
        let datatype = header.datatype().name();
        return Err(header.refused(format!("{datatype} is given in {expected}, not in {name}")));
    }
    let data = match header.datatype() {
        Datatype::Bytes => Data::Bytes(contents.bytes_contents),
        Datatype::Fp32 => Data::Fp32(contents.fp32_contents),
        Datatype::Uint8 => {
            let values = contents.uint_contents.iter().map(|&value| u8::try_from(value));
            let values: Result<Vec<u8>, _> = values.collect();
            let values = values.map_err(|_| {
                header.refused("uint_contents has a value above 255, the most of UINT8")
            })?;
            Data::Uint8(values.into())
        }
    };
    header.with(data)
}

/// Makes a message of an answer: in raw bytes, or in the field of each datatype.
pub(super) fn response(answer: InferResponse, id: String, is_raw: bool) -> ModelInferResponse {
    let mut response = ModelInferResponse {
        model_name: answer.model,
        model_version: answer.version,
        id,
        ..ModelInferResponse::default()
    };
    for output in answer.outputs {
        let mut tensor = InferOutputTensor {
            name: output.name.to_owned(),
            datatype: output.datatype().name().to_owned(),
            shape: output.sizes(),
            ..InferOutputTensor::default()
        };
        if is_raw {
            response.raw_output_contents.push(output.raw().into());
        } else {
            tensor.contents = Some(contents(output));
        }
        response.outputs.push(tensor);
    }
    response
}

fn contents(output: Output) -> InferTensorContents {
    let mut contents = InferTensorContents::default();
    match output.values {
        Values::Fp32(values) => contents.fp32_contents = values,
        Values::Text(texts) => {
            contents.bytes_contents = texts.into_iter().map(Bytes::from).collect();
        }
    }
    contents
}

fn infer_parameter(parameter: InferParameter) -> Option<Parameter> {
    Some(match parameter.parameter_choice? {
        ParameterChoice::BoolParam(value) => Parameter::Bool(value),
        ParameterChoice::Int64Param(value) => Parameter::Integer(value.into()),
        ParameterChoice::Uint64Param(value) => Parameter::Integer(value.into()),
        ParameterChoice::DoubleParam(value) => Parameter::Float(value),
        ParameterChoice::StringParam(value) => Parameter::Text(value),
    })
}

/// Parameters of loading and unloading. Bytes are files of a model, which Triton takes.
pub(super) fn repository_parameters(
    parameters: BTreeMap<String, ModelRepositoryParameter>,
) -> Result<Parameters, ApiError> {
    convert_all(parameters, |parameter| {
        Some(match parameter.parameter_choice? {
            RepositoryChoice::BoolParam(value) => Parameter::Bool(value),
            RepositoryChoice::Int64Param(value) => Parameter::Integer(value.into()),
            RepositoryChoice::StringParam(value) => Parameter::Text(value),
            RepositoryChoice::BytesParam(value) => {
                Parameter::Text(format!("{} bytes", value.len()))
            }
        })
    })
}

fn convert_all<P>(
    parameters: BTreeMap<String, P>,
    convert: impl Fn(P) -> Option<Parameter>,
) -> Result<Parameters, ApiError> {
    let converted = parameters.into_iter().map(|(name, parameter)| match convert(parameter) {
        Some(parameter) => Ok((name, parameter)),
        None => Err(ApiError::bad_request(format!("parameter {name:?} has no value"))),
    });
    converted.collect()
}
