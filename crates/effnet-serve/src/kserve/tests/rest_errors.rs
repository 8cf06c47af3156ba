//! REST: what is refused, and what is said of it.

// A case is written with its values.
#![allow(clippy::needless_pass_by_value)]

use std::io::Write;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{MODEL, byte_strings, file, infer, post, server};
use crate::{Guard, GuardOptions};

/// A request with this input, and with these bytes after the JSON.
async fn refused(case: &str, input: Value, raw: &[u8], expected: &str) {
    let answer = infer(&json!({ "inputs": [input] }), raw).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{case}: {:?}", answer.body);
    let error = answer.error();
    assert!(error.contains(expected), "{case}: {error}");
    assert!(!error.contains('\n'), "{case}: {error}");
}

fn image(shape: Value, data: Value) -> Value {
    json!({ "name": "image", "datatype": "BYTES", "shape": shape, "data": data })
}

fn pixels(shape: Value, data: Value) -> Value {
    json!({ "name": "pixels", "datatype": "UINT8", "shape": shape, "data": data })
}

fn binary(name: &str, datatype: &str, shape: Value, size: Value) -> Value {
    json!({
        "name": name, "datatype": datatype, "shape": shape,
        "parameters": { "binary_data_size": size },
    })
}

#[tokio::test]
async fn inputs_in_json() {
    let huge = json!([1u64 << 40, 1u64 << 40, 3, 3]);
    let cases = [
        (
            "no such input",
            json!({ "name": "img", "datatype": "BYTES", "shape": [1], "data": ["AA=="] }),
            "no input \"img\": lite takes one of image, pixels, input",
        ),
        (
            "no such datatype",
            json!({ "name": "input", "datatype": "FP64", "shape": [1], "data": [1] }),
            "input \"input\": datatype \"FP64\" is not one of BYTES, UINT8 and FP32",
        ),
        (
            "another datatype",
            json!({ "name": "input", "datatype": "UINT8", "shape": [1], "data": [1] }),
            "input \"input\": datatype UINT8, not FP32",
        ),
        ("rank", image(json!([1, 1]), json!(["AA=="])), "shape [1, 1] does not fit [-1]"),
        (
            "channels",
            pixels(json!([1, 1, 1, 4]), json!([1, 2, 3, 4])),
            "shape [1, 1, 1, 4] does not fit [-1, -1, -1, 3], where -1 is any size",
        ),
        (
            "a side of 0",
            pixels(json!([1, 0, 1, 3]), json!([])),
            "shape [1, 0, 1, 3] makes no images",
        ),
        ("no images", image(json!([0]), json!([])), "it has no images"),
        ("below 0", image(json!([-1]), json!([])), "shape [-1] has a size below 0"),
        ("a product above 2^64", pixels(huge, json!([])), "has too many elements"),
        (
            "a large product",
            pixels(json!([1, 1u64 << 30, 1u64 << 30, 3]), json!([1])),
            "has 3458764513820540928 elements, the data has 1",
        ),
        ("dimensions", image(json!([1, 1, 1, 1, 1]), json!([])), "its shape has 5 dimensions"),
        ("too few", pixels(json!([1, 1, 2, 3]), json!([1, 2])), "has 6 elements, the data has 2"),
        (
            "too many",
            pixels(json!([1, 1, 1, 3]), json!([1, 2, 3, 4])),
            "more elements than the 3 of shape [1, 1, 1, 3]",
        ),
        (
            "256",
            pixels(json!([1, 1, 1, 3]), json!([0, 255, 256])),
            "integer `256`, expected lists of whole numbers from 0 to 255",
        ),
        ("-1", pixels(json!([1, 1, 1, 3]), json!([0, 255, -1])), "integer `-1`, expected lists of"),
        (
            "0.5",
            pixels(json!([1, 1, 1, 3]), json!([0, 255, 0.5])),
            "expected lists of whole numbers",
        ),
        ("text", pixels(json!([1, 1, 1, 3]), json!(["0"])), "a string, expected lists of whole"),
        ("null", pixels(json!([1, 1, 1, 3]), json!([null])), "null, expected lists of whole"),
        ("number", pixels(json!([1, 1, 1, 3]), json!(7)), "an element without a list around it"),
        (
            "not nested as the shape",
            pixels(json!([1, 1, 2, 3]), json!([[[[1, 2], [3, 4], [5, 6]]]])),
            "a list of 2 entries in dimension 3 of shape [1, 1, 2, 3]",
        ),
        (
            "half nested",
            pixels(json!([1, 1, 1, 3]), json!([[1, 2, 3]])),
            "not nested as shape [1, 1, 1, 3] is",
        ),
        ("nested too deep", image(json!([1]), json!([["AA=="]])), "nested deeper than shape [1]"),
        ("flat and nested", pixels(json!([1, 1, 1, 3]), json!([1, 2, [3]])), "not nested as shape"),
        (
            "not base64",
            image(json!([2]), json!(["AAAA", "a photo"])),
            "element 1 is not base64 text, as BYTES are in JSON",
        ),
        (
            "no data",
            json!({ "name": "image", "datatype": "BYTES", "shape": [1] }),
            "it has no data",
        ),
        (
            "parameter",
            json!({
                "name": "image", "datatype": "BYTES", "shape": [1], "data": ["AA=="],
                "parameters": { "shared_memory_region": "a" },
            }),
            "input \"image\": unknown parameter \"shared_memory_region\" (\"a\"): it has binary_data_size",
        ),
        (
            "a size without a length",
            binary("image", "BYTES", json!([1]), json!(4)),
            "binary_data_size is 4, but 0 bytes are left",
        ),
    ];
    for (case, input, expected) in cases {
        refused(case, input, &[], expected).await;
    }
    let values = vec![json!(0.0); 3 * 224 * 224 - 1];
    let input = |last: &str| {
        let rest: Vec<String> = values.iter().map(Value::to_string).collect();
        format!(
            r#"{{"inputs":[{{"name":"input","datatype":"FP32","shape":[1,3,224,224],"data":[{},{last}]}}]}}"#,
            rest.join(",")
        )
    };
    let path = format!("/v2/models/{MODEL}/infer");
    let answer = post(&path, &[], input("1e39")).await;
    assert!(answer.error().contains("element 150527 is inf, not a finite number"));
    let answer = post(&path, &[], input("1e999")).await;
    assert!(answer.error().contains("number out of range"), "{}", answer.error());
}

#[tokio::test]
async fn too_many_images() {
    // Five elements of no bytes.
    let files = [0; 20];
    for (input, raw) in [
        (image(json!([5]), json!(["", "", "", "", ""])), &[][..]),
        (pixels(json!([5, 1, 1, 3]), json!(vec![0; 15])), &[]),
        (binary("image", "BYTES", json!([5]), json!(20)), &files),
        (binary("image", "BYTES", json!([1u64 << 40]), json!(20)), &files),
    ] {
        let answer = infer(&json!({ "inputs": [input] }), raw).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{:?}", answer.body);
        assert!(answer.error().contains("images; a request may have 4: send more requests"));
    }
}

#[tokio::test]
async fn lengths_that_lie() {
    let one = byte_strings(&[Bytes::from_static(b"abc")]);
    let max = u64::MAX;
    let cases: [(&str, Value, &[u8], &str); 13] = [
        (
            "more than there is",
            binary("image", "BYTES", json!([1]), json!(8)),
            &one,
            "binary_data_size is 8, but 7 bytes are left",
        ),
        (
            "more than anything",
            binary("image", "BYTES", json!([1]), json!(max)),
            &one,
            "is 18446744",
        ),
        (
            "negative",
            binary("image", "BYTES", json!([1]), json!(-1)),
            &one,
            "binary_data_size is -1, not a number of bytes",
        ),
        (
            "text",
            binary("image", "BYTES", json!([1]), json!("7")),
            &one,
            "binary_data_size is \"7\", not a number of bytes",
        ),
        (
            "less than there is",
            binary("image", "BYTES", json!([1]), json!(6)),
            &one,
            "element 0: its length is given as 3, but 2 bytes are left",
        ),
        (
            "bytes of nobody",
            binary("image", "BYTES", json!([1]), json!(7)),
            b"\x03\0\0\0abcdef",
            "3 bytes after the JSON belong to no input",
        ),
        (
            "length cut off",
            binary("image", "BYTES", json!([1]), json!(3)),
            &one[..3],
            "element 0: 3 bytes left for its length, which has 4",
        ),
        (
            "a length of 4 GB",
            binary("image", "BYTES", json!([1]), json!(4)),
            &[255; 4],
            "its length is given as 4294967295, but 0 bytes are left",
        ),
        (
            "fewer elements",
            binary("image", "BYTES", json!([2]), json!(7)),
            &one,
            "shape [2] has 2 elements, the data has 1",
        ),
        (
            "more elements",
            binary("image", "BYTES", json!([1]), json!(14)),
            &[&one[..], &one].concat(),
            "7 bytes are left after the 1 elements of shape [1]",
        ),
        (
            "pixels",
            binary("pixels", "UINT8", json!([1, 1, 1, 3]), json!(7)),
            &one,
            "shape [1, 1, 1, 3] of UINT8 has 3 elements of 1 bytes, the data has 7 bytes",
        ),
        (
            "floats",
            binary("input", "FP32", json!([1, 3, 224, 224]), json!(7)),
            &one,
            "of FP32 has 150528 elements of 4 bytes, the data has 7 bytes",
        ),
        (
            "floats above 2^64 bytes",
            binary("input", "FP32", json!([1u64 << 62]), json!(7)),
            &one,
            "elements of 4 bytes, the data has 7 bytes",
        ),
    ];
    for (case, input, raw, expected) in cases {
        refused(case, input, raw, expected).await;
    }
    let path = format!("/v2/models/{MODEL}/infer");
    for (length, expected) in [
        ("3", "the request's JSON: EOF"),
        ("99999", "Inference-Header-Content-Length is 99999, but the body has 14 bytes"),
        ("+1", "is \"+1\", not a number of bytes"),
        ("99999999999999999999999", "not a number of bytes"),
        ("", "not a number of bytes"),
    ] {
        let headers = [("Inference-Header-Content-Length", length.to_owned())];
        let answer = post(&path, &headers, r#"{"inputs": []}"#).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.error().contains(expected), "{length}: {}", answer.error());
    }
}

#[tokio::test]
async fn what_is_around_the_inputs() {
    let coffee = json!({
        "name": "pixels", "datatype": "UINT8", "shape": [1, 1, 1, 3], "data": [1, 2, 3],
    });
    let outputs = |outputs: Value| json!({ "inputs": [coffee], "outputs": outputs });
    let parameters = |parameters: Value| json!({ "inputs": [coffee], "parameters": parameters });
    let cases = [
        (json!({ "inputs": [] }), "0 inputs: a request has one, of image, pixels, input"),
        (json!({ "inputs": [coffee, coffee] }), "2 inputs: a request has one"),
        (json!({ "inputs": [coffee], "input": 1 }), "unknown field `input`"),
        (json!({}), "missing field `inputs`"),
        (
            json!({ "inputs": [coffee], "model_name": "x" }),
            "model_name is \"x\", the path names \"lite\"",
        ),
        (
            outputs(json!([{ "name": "scores" }])),
            "no output \"scores\": lite has logits, probabilities, labels, embedding",
        ),
        (
            outputs(json!([{ "name": "logits" }, { "name": "logits" }])),
            "\"logits\" is asked for twice",
        ),
        (
            outputs(json!([{ "name": "logits", "parameters": { "classification": 0 } }])),
            "output \"logits\": parameter \"classification\" is 0, not a whole number from 1",
        ),
        (
            outputs(json!([{ "name": "logits", "parameters": { "classification": true } }])),
            "parameter \"classification\" is true",
        ),
        (
            outputs(json!([{ "name": "embedding", "parameters": { "classification": 1 } }])),
            "output \"embedding\": unknown parameter \"classification\" (1): it has none",
        ),
        (
            outputs(json!([{ "name": "logits", "parameters": { "binary_data": 1 } }])),
            "output \"logits\": parameter \"binary_data\" is 1, not true or false",
        ),
        (
            outputs(json!([{ "name": "logits", "parameters": { "a": [] } }])),
            "invalid type: sequence, expected a string, a number, true or false",
        ),
        (
            json!({ "inputs": [coffee], "outputs": [{ "name": "logits" }], "parameters": { "k": 2 } }),
            "parameter \"k\" counts names in the output labels, which is not asked for",
        ),
        (
            parameters(json!({ "k": 0 })),
            "the request: parameter \"k\" is 0, not a whole number from 1",
        ),
        (parameters(json!({ "timeout": -5 })), "parameter \"timeout\" is -5, not a whole number"),
        (parameters(json!({ "timeout": 1.5 })), "parameter \"timeout\" is 1.5, not a whole number"),
        (
            parameters(json!({ "priority": 1 })),
            "the request: unknown parameter \"priority\" (1): it has k, timeout",
        ),
        (parameters(json!({ "binary_data_output": "yes" })), "\"yes\", not true or false"),
    ];
    for (request, expected) in cases {
        let answer = infer(&request, &[]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{request}: {:?}", answer.body);
        assert!(answer.error().contains(expected), "{request}: {}", answer.error());
    }
    let late = infer(&parameters(json!({ "timeout": 1 })), &[]).await;
    assert_eq!(late.status, StatusCode::GATEWAY_TIMEOUT);
    // More names than there are classes, and a time-out beyond the server's: no errors.
    let most = infer(&parameters(json!({ "k": u64::MAX, "timeout": u64::MAX })), &[]).await;
    assert_eq!(most.status, StatusCode::OK);
    assert_eq!(most.json()["outputs"][2]["shape"], json!([1, 1000]));
    for (path, status) in [
        ("/v2/models/other/infer", StatusCode::NOT_FOUND),
        ("/v2/models/lite/versions/9/infer", StatusCode::NOT_FOUND),
        ("/v2/models/%FF/infer", StatusCode::BAD_REQUEST),
        ("/v2/models/lite/versions/1/infer", StatusCode::OK),
    ] {
        let answer = post(path, &[], json!({ "inputs": [coffee] }).to_string()).await;
        assert_eq!(answer.status, status, "{path}");
    }
}

#[tokio::test]
async fn the_broken_image_of_several() {
    let files = [file("coffee.png"), Bytes::from_static(b"no image"), file("rocket.jpg")];
    let raw = byte_strings(&files);
    let input = binary("image", "BYTES", json!([3]), json!(raw.len()));
    let answer = infer(&json!({ "inputs": [input] }), &raw).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.error().starts_with("image 1 of 3, counted from 0: "), "{}", answer.error());
    let raw = byte_strings(&files[1..2]);
    let input = binary("image", "BYTES", json!([1]), json!(raw.len()));
    let answer = infer(&json!({ "inputs": [input] }), &raw).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!answer.error().contains("counted from 0"), "{}", answer.error());
}

#[tokio::test]
async fn bodies_that_are_too_large_or_no_bodies() {
    let path = format!("/v2/models/{MODEL}/infer");
    let encoded = |encoding: &str| [("content-encoding", encoding.to_owned())];
    let answer = post(&path, &[], vec![b' '; (8 << 20) + 1]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer.error().contains("more than 8388608 bytes"), "{}", answer.error());
    // 32 MiB in 32 KiB.
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&vec![b' '; 32 << 20]).unwrap();
    let bomb = gzip.finish().unwrap();
    assert!(bomb.len() < 1 << 16);
    let answer = post(&path, &encoded("gzip"), bomb.clone()).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let answer = post(&path, &encoded("gzip"), bomb[..bomb.len() / 10].to_vec()).await;
    assert!(answer.status.is_client_error(), "{:?}", answer.body);
    let answer = post(&path, &encoded("deflate"), bomb).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.error().contains("the body cannot be read"), "{}", answer.error());
    let answer = post(&path, &encoded("br"), "{}").await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let answer = post(&path, &encoded("identity"), "{}").await;
    assert!(answer.error().contains("missing field `inputs`"), "{}", answer.error());
    // An error is not compressed: clients do not expect it.
    let accepts = [("accept-encoding", "gzip, deflate".to_owned())];
    let answer = post(&path, &accepts, " ".repeat(2000)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(!answer.headers.contains_key("content-encoding"));
    assert!(answer.error().contains("the request's JSON: EOF"));
}

#[tokio::test]
async fn the_repository_says_what_it_does_not_do() {
    let path = format!("/v2/repository/models/{MODEL}/load");
    let answer = post(&path, &[], r#"{"parameters":{"config":"{}"}}"#).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.error().contains("loading \"lite\": unknown parameter \"config\""));
    let answer = post("/v2/repository/index", &[], r#"{"redy":true}"#).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.error().contains("unknown field `redy`"));
}

#[tokio::test]
async fn what_unpacks_to_much_counts_with_the_bodies_of_all_requests() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&vec![b' '; 100_000]).unwrap();
    let body = gzip.finish().unwrap();
    assert!(body.len() < 1000);
    // All bodies together have 16 times as much.
    let options = GuardOptions { max_body: 1000, ..GuardOptions::default() };
    let router = Guard::new(options).protect(crate::router(server()));
    let request = Request::post(format!("/v2/models/{MODEL}/infer"));
    let request = request.header("content-encoding", "gzip").body(Body::from(body)).unwrap();
    let answer = router.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "1");
}

#[tokio::test]
async fn parameters_without_end() {
    let many: serde_json::Map<String, Value> =
        (0..100_000).map(|number| (number.to_string(), json!(1))).collect();
    let answer = infer(&json!({ "inputs": [], "parameters": many }), &[]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.error().contains("more than 64 parameters"), "{}", answer.error());
}

#[tokio::test]
async fn what_an_error_quotes_is_short() {
    let name = "\0".repeat(100_000);
    let input = json!({ "name": name, "datatype": "FP64", "shape": [1], "data": [1] });
    let answer = infer(&json!({ "inputs": [input] }), &[]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.body.len() < 5000, "{} bytes", answer.body.len());
}
