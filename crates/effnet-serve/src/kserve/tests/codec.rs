//! Random bytes: refused or read, and never a panic or a fault of the server.

use std::time::Instant;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request};
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use serde_json::json;
use tower::ServiceExt;

use super::{MODEL, Random, byte_strings, file, post, server};
use crate::kserve::grpc::grpc;
use crate::kserve::grpc::proto::inference::model_infer_request::InferInputTensor;
use crate::kserve::grpc::proto::inference::{InferTensorContents, ModelInferRequest};
use crate::kserve::rest::Named;
use crate::kserve::rest::request::parse;

/// Some bytes changed, inserted, removed or repeated.
fn damaged(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.below(4) {
        let place = random.below(bytes.len() + 1);
        let end = (place + random.below(9)).min(bytes.len());
        match random.below(4) {
            0 => bytes.truncate(place),
            1 => bytes.insert(place, random.next() as u8),
            2 => drop(bytes.drain(place..end)),
            _ => bytes[place..end].fill_with(|| random.next() as u8),
        }
    }
    bytes
}

#[tokio::test]
async fn damaged_requests_over_http() {
    let raw = byte_strings(&[Bytes::from_static(b"abc"), Bytes::from_static(b"")]);
    let requests = [
        json!({
            "id": "1", "model_name": MODEL,
            "parameters": { "k": 3, "binary_data_output": true },
            "inputs": [{ "name": "image", "datatype": "BYTES", "shape": [2],
                "parameters": { "binary_data_size": raw.len() } }],
            "outputs": [{ "name": "labels", "parameters": { "binary_data": false } }],
        }),
        json!({ "inputs": [{ "name": "pixels", "datatype": "UINT8", "shape": [1, 2, 1, 3],
            "data": [[[[1, 2, 3]], [[4, 5, 6]]]] }] }),
        json!({ "inputs": [{ "name": "image", "datatype": "BYTES", "shape": [1],
            "data": ["aGVsbG8="] }] }),
    ];
    let mut random = Random(7);
    let (mut read, mut refused) = (0, 0);
    for round in 0..30_000 {
        let which = round % requests.len();
        let mut body = requests[which].to_string().into_bytes();
        let length = if random.below(4) > 0 { body.len() } else { random.below(2 * body.len()) };
        if which == 0 {
            body.extend(&raw);
        }
        let body = damaged(&mut random, &body);
        let mut headers = HeaderMap::new();
        if random.below(8) > 0 {
            headers.insert("inference-header-content-length", HeaderValue::from(length));
        }
        let body = Bytes::from(body);
        let named = Named { name: MODEL.to_owned(), version: None };
        match parse(&headers, &body, named, 4, Instant::now()) {
            Ok(_) => read += 1,
            Err(error) => {
                assert!(error.status.is_client_error(), "{error}");
                refused += 1;
            }
        }
        if round % 100 == 0 {
            let length = [("inference-header-content-length", length.to_string())];
            let answer = post(&format!("/v2/models/{MODEL}/infer"), &length, body).await;
            assert!(!answer.status.is_server_error(), "{:?}", answer.body);
        }
    }
    // Both ways were gone.
    assert!(read > 3_000 && refused > 10_000, "{read} {refused}");
}

#[tokio::test]
async fn damaged_messages_over_grpc() {
    let contents = InferTensorContents {
        bytes_contents: vec![file("rocket.jpg").slice(..50)],
        ..InferTensorContents::default()
    };
    let input = InferInputTensor {
        name: "image".to_owned(),
        datatype: "BYTES".to_owned(),
        shape: vec![1],
        contents: Some(contents),
        ..InferInputTensor::default()
    };
    let message = ModelInferRequest {
        model_name: MODEL.to_owned(),
        inputs: vec![input],
        ..ModelInferRequest::default()
    }
    .encode_to_vec();
    let (service, mut random) = (grpc(server()), Random(9));
    let mut codes = std::collections::BTreeMap::new();
    for _ in 0..5_000 {
        let message = damaged(&mut random, &message);
        let mut body = BytesMut::new();
        body.put_u8(0);
        body.put_u32(message.len() as u32);
        body.put_slice(&message);
        let mut body = body.to_vec();
        if random.below(10) == 0 {
            body = damaged(&mut random, &body);
        }
        let request = Request::post("/inference.GRPCInferenceService/ModelInfer")
            .header("content-type", "application/grpc")
            .body(Body::from(body))
            .unwrap();
        let answer = service.clone().oneshot(request).await.unwrap();
        let status = tonic::Status::from_header_map(answer.headers()).unwrap();
        *codes.entry(format!("{:?}", status.code())).or_insert(0) += 1;
        assert_ne!(status.code(), tonic::Code::Unknown, "{status}");
    }
    assert!(codes["InvalidArgument"] > 2_000 && codes["NotFound"] > 20, "{codes:?}");
}
