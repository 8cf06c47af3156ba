//! gRPC: equal to the library, bit for bit; what is refused; gRPC's own parts.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use effnet::engine::Images;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Request};
use tower::ServiceExt;

use super::{
    FILES, MODEL, bits, byte_strings, classifier, file, little_endian, model, noise, server,
};
use crate::kserve::grpc::grpc;
use crate::kserve::grpc::proto::health::health_client::HealthClient;
use crate::kserve::grpc::proto::health::{HealthCheckRequest, health_check_response};
use crate::kserve::grpc::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use crate::kserve::grpc::proto::inference::infer_parameter::ParameterChoice;
use crate::kserve::grpc::proto::inference::model_infer_request::{
    InferInputTensor, InferRequestedOutputTensor,
};
use crate::kserve::grpc::proto::inference::*;
use crate::{Guard, GuardOptions};

type Client = GrpcInferenceServiceClient<Router>;

fn client() -> Client {
    Client::new(grpc(server())).max_decoding_message_size(usize::MAX)
}

fn tensor(name: &str, datatype: &str, shape: &[i64]) -> InferInputTensor {
    InferInputTensor {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.to_vec(),
        ..InferInputTensor::default()
    }
}

fn request(inputs: Vec<InferInputTensor>, raw: Vec<Bytes>) -> ModelInferRequest {
    ModelInferRequest {
        model_name: MODEL.to_owned(),
        id: "7".to_owned(),
        inputs,
        raw_input_contents: raw,
        ..ModelInferRequest::default()
    }
}

fn parameter(name: &str, value: ParameterChoice) -> BTreeMap<String, InferParameter> {
    BTreeMap::from([(name.to_owned(), InferParameter { parameter_choice: Some(value) })])
}

fn output(name: &str, parameters: BTreeMap<String, InferParameter>) -> InferRequestedOutputTensor {
    InferRequestedOutputTensor { name: name.to_owned(), parameters }
}

/// The numbers of the first output.
fn numbers(answer: &ModelInferResponse) -> Vec<f32> {
    match &answer.outputs[0].contents {
        Some(contents) => contents.fp32_contents.clone(),
        None => {
            let raw = answer.raw_output_contents[0].as_chunks().0.iter();
            raw.map(|value| f32::from_le_bytes(*value)).collect()
        }
    }
}

#[tokio::test]
async fn every_input_in_both_forms() {
    let files = FILES.map(file);
    let of_files = files.each_ref().map(|file| model().logits(&file[..]).unwrap()).concat();
    let images = noise(2, 31, 17);
    let of_pixels: Vec<_> = images.iter().map(|image| model().logits(image).unwrap()).collect();
    let pixels = images.iter().flat_map(|image| image.data().to_vec()).collect::<Vec<u8>>();
    let values = model().preprocessor().unwrap().input(&images[0]).unwrap();
    let run = model().run(Images::new(&values, [1, 3, 224, 224]).unwrap(), &["logits"]);
    let of_values = run.unwrap().take("logits").unwrap().data;

    let image = tensor("image", "BYTES", &[2]);
    let pixel = tensor("pixels", "UINT8", &[2, 17, 31, 3]);
    let input = tensor("input", "FP32", &[1, 3, 224, 224]);
    let contents = InferTensorContents::default;
    let cases = [
        (
            image,
            byte_strings(&files),
            of_files,
            InferTensorContents { bytes_contents: files.to_vec(), ..contents() },
        ),
        (
            pixel,
            pixels.clone(),
            of_pixels.concat(),
            InferTensorContents {
                uint_contents: pixels.iter().map(|&value| value.into()).collect(),
                ..contents()
            },
        ),
        (
            input,
            little_endian(&values),
            of_values,
            InferTensorContents { fp32_contents: values, ..contents() },
        ),
    ];
    for (tensor, raw, expected, contents) in cases {
        let name = tensor.name.clone();
        let asked = request(vec![tensor.clone()], vec![raw.into()]);
        let answer = client().model_infer(asked).await.unwrap().into_inner();
        assert_eq!(bits(&numbers(&answer)), bits(&expected), "{name}");
        assert_eq!((answer.id.as_str(), answer.model_version.as_str()), ("7", "1"));
        assert_eq!(answer.raw_output_contents.len(), 4, "{name}");
        let asked = request(vec![InferInputTensor { contents: Some(contents), ..tensor }], vec![]);
        let answer = client().model_infer(asked).await.unwrap().into_inner();
        assert_eq!(bits(&numbers(&answer)), bits(&expected), "{name}");
        assert_eq!(answer.raw_output_contents.len(), 0, "{name}");
    }
}

#[tokio::test]
async fn classes_and_names() {
    let coffee = file("coffee.png");
    let best = classifier().classify(&coffee[..], 2).unwrap();
    let mut asked = request(vec![tensor("image", "BYTES", &[1])], vec![]);
    asked.inputs[0].contents = Some(InferTensorContents {
        bytes_contents: vec![coffee],
        ..InferTensorContents::default()
    });
    asked.parameters = parameter("k", ParameterChoice::Int64Param(2));
    asked.outputs = vec![
        output("labels", BTreeMap::new()),
        output("logits", parameter("classification", ParameterChoice::Uint64Param(2))),
    ];
    for encoding in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Deflate)] {
        let mut client = client();
        if let Some(encoding) = encoding {
            client = client.send_compressed(encoding);
        }
        let answer = client.model_infer(asked.clone()).await.unwrap().into_inner();
        let texts = |place: usize| answer.outputs[place].contents.clone().unwrap().bytes_contents;
        let labels = best.iter().map(|best| Bytes::from(best.label.clone().unwrap()));
        assert_eq!(texts(0), labels.collect::<Vec<_>>());
        let class = |best: &effnet::Prediction| {
            let label = best.label.as_ref().unwrap();
            Bytes::from(format!("{}:{}:{label}", best.logit, best.index))
        };
        assert_eq!(texts(1), best.iter().map(class).collect::<Vec<_>>());
        assert_eq!(answer.outputs[1].shape, [1, 2]);
    }
}

#[tokio::test]
async fn what_is_refused() {
    let file = tensor("image", "BYTES", &[1]);
    let with = |contents| InferInputTensor { contents: Some(contents), ..file.clone() };
    let contents = InferTensorContents::default;
    let raw = |raw: &'static [u8]| vec![Bytes::from_static(raw)];
    let broken = raw(b"\x01\0\0\0x");
    let uint = InferTensorContents { uint_contents: vec![1, 2, 256], ..contents() };
    let pixels = InferInputTensor {
        contents: Some(uint.clone()),
        ..tensor("pixels", "UINT8", &[1, 1, 1, 3])
    };
    let parameters = parameter("binary_data_size", ParameterChoice::Int64Param(1));
    let named = InferInputTensor { parameters, ..file.clone() };
    let none = BTreeMap::from([("k".to_owned(), InferParameter::default())]);
    let no_value =
        ModelInferRequest { parameters: none, ..request(vec![file.clone()], broken.clone()) };
    let other = ModelInferRequest { model_name: "x".to_owned(), ..no_value.clone() };
    let other = ModelInferRequest { parameters: BTreeMap::new(), ..other };
    let version = ModelInferRequest { model_version: "9".to_owned(), ..request(vec![], vec![]) };
    let cases = [
        (request(vec![], vec![]), Code::InvalidArgument, "0 inputs"),
        (
            request(vec![file.clone()], vec![]),
            Code::InvalidArgument,
            "it has no data: give contents",
        ),
        (
            request(vec![], broken.clone()),
            Code::InvalidArgument,
            "1 raw_input_contents for 0 inputs",
        ),
        (
            request(vec![with(contents())], broken.clone()),
            Code::InvalidArgument,
            "it has contents and raw_input_contents",
        ),
        (
            request(vec![with(uint)], vec![]),
            Code::InvalidArgument,
            "BYTES is given in bytes_contents, not in uint_contents",
        ),
        (request(vec![with(contents())], vec![]), Code::InvalidArgument, "the data has 0"),
        (request(vec![pixels], vec![]), Code::InvalidArgument, "a value above 255"),
        (request(vec![named], broken.clone()), Code::InvalidArgument, "unknown parameter"),
        (
            request(vec![tensor("image", "BYTES", &[i64::MIN])], broken.clone()),
            Code::InvalidArgument,
            "a size below 0",
        ),
        (request(vec![file.clone()], raw(&[255; 4])), Code::InvalidArgument, "given as 4294967295"),
        (request(vec![file.clone()], broken), Code::InvalidArgument, "image"),
        (no_value, Code::InvalidArgument, "parameter \"k\" has no value"),
        (other, Code::NotFound, "no model \"x\""),
        (version, Code::NotFound, "lite"),
    ];
    for (request, code, expected) in cases {
        let status = client().model_infer(request).await.unwrap_err();
        assert_eq!(status.code(), code, "{expected}: {status}");
        assert!(status.message().contains(expected), "{expected}: {status}");
    }
}

#[tokio::test]
async fn deadlines() {
    let input = tensor("pixels", "UINT8", &[1, 1, 1, 3]);
    let mut asked = request(vec![input], vec![Bytes::from_static(&[1, 2, 3])]);
    let timed = |asked: &ModelInferRequest, timeout: &str| {
        let mut request = Request::new(asked.clone());
        request.metadata_mut().insert("grpc-timeout", timeout.parse().unwrap());
        request
    };
    let status = client().model_infer(timed(&asked, "1n")).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    client().model_infer(timed(&asked, "99999999H")).await.unwrap();
    for timeout in ["", "5", "S", "123456789S", "-1S", "1s"] {
        let status = client().model_infer(timed(&asked, timeout)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{timeout:?}: {status}");
    }
    asked.parameters = parameter("timeout", ParameterChoice::Int64Param(1));
    let status = client().model_infer(asked).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
}

#[tokio::test]
async fn messages_that_are_too_large() {
    let large = Bytes::from(vec![0; 8 << 20]);
    let asked = request(vec![tensor("image", "BYTES", &[1])], vec![large]);
    for encoding in [None, Some(CompressionEncoding::Gzip)] {
        let mut client = client();
        if let Some(encoding) = encoding {
            client = client.send_compressed(encoding);
        }
        let status = client.model_infer(asked.clone()).await.unwrap_err();
        assert!(matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted), "{status}");
    }
    // Two bytes each, two hundred when they are read.
    let asked = request(vec![InferInputTensor::default(); 1 << 14], vec![]);
    let status = client().model_infer(asked).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("more than 16384 fields"), "{status}");
    let contents = InferTensorContents {
        bytes_contents: vec![Bytes::new(); 1 << 14],
        ..InferTensorContents::default()
    };
    let input = InferInputTensor { contents: Some(contents), ..InferInputTensor::default() };
    let status = client().model_infer(request(vec![input], vec![])).await.unwrap_err();
    assert!(status.message().contains("more than 16384 fields"), "{status}");
}

#[tokio::test]
async fn a_long_name_fits_the_headers_of_an_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(axum::serve(listener, grpc(server())).into_future());
    let mut client = GrpcInferenceServiceClient::new(
        tonic::transport::Endpoint::from_shared(format!("http://{address}"))
            .unwrap()
            .timeout(Duration::from_secs(60))
            .connect_lazy(),
    );
    let asked = ModelMetadataRequest { name: "ü".repeat(100_000), version: String::new() };
    let status = client.model_metadata(asked).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status}");
    assert!(status.message().ends_with("..."));
    serving.abort();
}

#[tokio::test]
async fn health_metadata_and_repository() {
    let mut client = client();
    assert!(client.server_live(ServerLiveRequest {}).await.unwrap().into_inner().live);
    assert!(client.server_ready(ServerReadyRequest {}).await.unwrap().into_inner().ready);
    for (name, version, ready) in
        [(MODEL, "", true), (MODEL, "1", true), (MODEL, "2", false), ("x", "", false)]
    {
        let asked = ModelReadyRequest { name: name.to_owned(), version: version.to_owned() };
        assert_eq!(client.model_ready(asked).await.unwrap().into_inner().ready, ready, "{name}");
    }
    let about = client.server_metadata(ServerMetadataRequest {}).await.unwrap().into_inner();
    assert_eq!(about.name, "effnet");
    let asked = ModelMetadataRequest { name: MODEL.to_owned(), version: String::new() };
    let about = client.model_metadata(asked).await.unwrap().into_inner();
    assert_eq!(about.platform, "effnet");
    assert_eq!(about.inputs[2].shape, [-1, 3, 224, 224]);
    assert_eq!(about.outputs[3].shape, [-1, 1280]);
    let index = client.repository_index(RepositoryIndexRequest::default()).await.unwrap();
    assert_eq!(index.into_inner().models[0].state, "READY");
    let asked = RepositoryIndexRequest { repository_name: "b".to_owned(), ready: false };
    assert_eq!(client.repository_index(asked).await.unwrap_err().code(), Code::NotFound);

    let mut health = HealthClient::new(grpc(server()));
    for service in ["", "inference.GRPCInferenceService"] {
        let asked = HealthCheckRequest { service: service.to_owned() };
        let status = health.check(asked).await.unwrap().into_inner().status();
        assert_eq!(status, health_check_response::ServingStatus::Serving);
    }
    let asked = HealthCheckRequest { service: "other".to_owned() };
    assert_eq!(health.check(asked).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn calls_are_counted_by_method_and_code() {
    let mut client = client();
    client.server_live(Request::new(ServerLiveRequest {})).await.unwrap();
    let unknown = ModelMetadataRequest { name: "counted".to_owned(), version: String::new() };
    client.model_metadata(Request::new(unknown)).await.unwrap_err();
    for path in ["/inference.GRPCInferenceService/Invented", "/invented", "/"] {
        let call = axum::http::Request::post(path).header("content-type", "application/grpc");
        let call = call.body(axum::body::Body::empty()).unwrap();
        let answer = grpc(server()).oneshot(call).await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], "12", "{path}");
    }
    let text = crate::meters::install().unwrap().render();
    for line in [
        r#"effnet_grpc_requests_total{method="inference.GRPCInferenceService/ServerLive",code="Ok"} "#,
        r#"effnet_grpc_requests_total{method="inference.GRPCInferenceService/ModelMetadata",code="NotFound"} "#,
        r#"effnet_grpc_requests_total{method="other",code="Unimplemented"} "#,
        r#"effnet_grpc_request_seconds_count{method="inference.GRPCInferenceService/ServerLive"} "#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.to_lowercase().contains("invented"), "a client can invent labels:\n{text}");
}

#[tokio::test]
async fn what_unpacks_to_much_counts_with_the_bodies_of_all_requests() {
    let asked = request(vec![tensor("image", "BYTES", &[1])], vec![Bytes::from(vec![0; 100_000])]);
    let options = GuardOptions { max_body: 1000, ..GuardOptions::default() };
    let router = Guard::new(options).protect(grpc(server()));
    let mut client = Client::new(router).send_compressed(CompressionEncoding::Gzip);
    let status = client.model_infer(asked).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains("the bodies of all requests"), "{status}");
}
