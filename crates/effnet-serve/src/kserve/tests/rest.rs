//! REST: equal to the library, bit for bit, whatever the form.

use std::io::{Read, Write};

use axum::http::StatusCode;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use effnet::engine::Images;
use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::{Value, json};

use super::{
    Answer, FILES, MODEL, bits, byte_strings, classifier, file, get, infer, little_endian, model,
    noise, post,
};

/// The numbers of an output, from the JSON or from the bytes after it.
fn numbers(answer: &Answer, name: &str) -> Vec<f32> {
    match raw(answer, name) {
        Some(raw) => raw.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect(),
        None => {
            let output = output(answer, name);
            let data = output["data"].as_array().unwrap();
            data.iter().map(|value| value.as_f64().unwrap() as f32).collect()
        }
    }
}

fn texts(answer: &Answer, name: &str) -> Vec<String> {
    let Some(mut raw) = raw(answer, name) else {
        let output = output(answer, name);
        let data = output["data"].as_array().unwrap();
        return data.iter().map(|text| text.as_str().unwrap().to_owned()).collect();
    };
    let mut texts = Vec::new();
    while !raw.is_empty() {
        let length = u32::from_le_bytes(raw[..4].try_into().unwrap()) as usize;
        texts.push(String::from_utf8(raw[4..4 + length].to_vec()).unwrap());
        raw = raw.slice(4 + length..);
    }
    texts
}

fn output(answer: &Answer, name: &str) -> Value {
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    let json = answer.json();
    let outputs = json["outputs"].as_array().unwrap();
    outputs.iter().find(|output| output["name"] == name).unwrap().clone()
}

fn raw(answer: &Answer, name: &str) -> Option<Bytes> {
    let length = answer.headers.get("inference-header-content-length")?;
    let mut place: usize = length.to_str().unwrap().parse().unwrap();
    for output in answer.json()["outputs"].as_array().unwrap() {
        let Some(size) = output["parameters"]["binary_data_size"].as_u64() else { continue };
        if output["name"] == name {
            return Some(answer.body.slice(place..place + size as usize));
        }
        place += size as usize;
    }
    None
}

fn is_equal(answer: &Answer, expected: &[Vec<f32>], case: &str) {
    let images = expected.len();
    let values: Vec<f32> = expected.concat();
    assert_eq!(output(answer, "logits")["shape"], json!([images, 1000]), "{case}");
    assert_eq!(bits(&numbers(answer, "logits")), bits(&values), "{case}");
}

#[tokio::test]
async fn files_as_bytes_and_as_base64() {
    let files = FILES.map(file);
    let expected = files.each_ref().map(|file| model().logits(&file[..]).unwrap());
    let texts = files.each_ref().map(|file| BASE64_STANDARD.encode(file));
    let raw = byte_strings(&files);
    for is_binary in [false, true] {
        let parameters = json!({ "binary_data_output": is_binary });
        let request = json!({
            "parameters": parameters,
            "inputs": [{ "name": "image", "datatype": "BYTES", "shape": [2], "data": texts }],
        });
        is_equal(&infer(&request, &[]).await, &expected, "base64");
        let request = json!({
            "parameters": parameters,
            "inputs": [{
                "name": "image", "datatype": "BYTES", "shape": [2],
                "parameters": { "binary_data_size": raw.len() },
            }],
        });
        is_equal(&infer(&request, &raw).await, &expected, "bytes");
    }
}

#[tokio::test]
async fn pixels_nested_flat_and_as_bytes() {
    let images = noise(2, 31, 17);
    let expected: Vec<_> = images.iter().map(|image| model().logits(image).unwrap()).collect();
    let flat = images.iter().flat_map(|image| image.data().to_vec()).collect::<Vec<u8>>();
    let rows = |image: &effnet::preprocess::Image| {
        let pixels: Vec<_> = image.data().chunks(3).map(|pixel| json!(pixel)).collect();
        json!(pixels.chunks(31).collect::<Vec<_>>())
    };
    let nested: Vec<Value> = images.iter().map(rows).collect();
    for data in [json!(flat), json!(nested)] {
        let input = json!({
            "name": "pixels", "datatype": "UINT8", "shape": [2, 17, 31, 3], "data": data,
        });
        is_equal(&infer(&json!({ "inputs": [input] }), &[]).await, &expected, "JSON");
    }
    let input = json!({
        "name": "pixels", "datatype": "UINT8", "shape": [2, 17, 31, 3],
        "parameters": { "binary_data_size": flat.len() },
    });
    is_equal(&infer(&json!({ "inputs": [input] }), &flat).await, &expected, "bytes");
}

#[tokio::test]
async fn normalized_images_as_numbers_and_as_bytes() {
    let input = |name: &str| model().preprocessor().unwrap().input(&file(name)[..]).unwrap();
    let values = FILES.map(input).concat();
    let images = Images::new(&values, [2, 3, 224, 224]).unwrap();
    let run = model().run(images, &["logits"]).unwrap().take("logits").unwrap();
    let expected: Vec<Vec<f32>> = run.rows().map(<[f32]>::to_vec).collect();
    let input = json!({
        "name": "input", "datatype": "FP32", "shape": [2, 3, 224, 224], "data": values,
    });
    is_equal(&infer(&json!({ "inputs": [input] }), &[]).await, &expected, "JSON");
    let raw = little_endian(&values);
    let input = json!({
        "name": "input", "datatype": "FP32", "shape": [2, 3, 224, 224],
        "parameters": { "binary_data_size": raw.len() },
    });
    is_equal(&infer(&json!({ "inputs": [input] }), &raw).await, &expected, "bytes");
}

/// A request for one file, with these parameters and outputs.
async fn coffee(parameters: Value, outputs: Value) -> Answer {
    let raw = byte_strings(&[file("coffee.png")]);
    let request = json!({
        "id": "a \"7\"",
        "parameters": parameters,
        "inputs": [{
            "name": "image", "datatype": "BYTES", "shape": [1],
            "parameters": { "binary_data_size": raw.len() },
        }],
        "outputs": outputs,
    });
    infer(&request, &raw).await
}

#[tokio::test]
async fn every_output_is_the_librarys() {
    let coffee_file = &file("coffee.png")[..];
    let best = classifier().classify(coffee_file, 3).unwrap();
    let labels: Vec<String> = best.iter().map(|best| best.label.clone().unwrap()).collect();
    for is_binary in [false, true] {
        let parameters = json!({ "k": 3, "binary_data_output": is_binary });
        let answer = coffee(parameters, json!([])).await;
        is_equal(&answer, &[model().logits(coffee_file).unwrap()], "logits");
        let probabilities = classifier().probabilities(coffee_file).unwrap();
        assert_eq!(bits(&numbers(&answer, "probabilities")), bits(&probabilities));
        let embedding = model().embed(coffee_file).unwrap();
        assert_eq!(bits(&numbers(&answer, "embedding")), bits(&embedding));
        assert_eq!(output(&answer, "embedding")["shape"], json!([1, 1280]));
        assert_eq!(texts(&answer, "labels"), labels);
        assert_eq!(output(&answer, "labels")["shape"], json!([1, 3]));
        let json = answer.json();
        assert_eq!(json["id"], "a \"7\"");
        assert_eq!((&json["model_name"], &json["model_version"]), (&json!(MODEL), &json!("1")));
    }

    // An output's own parameter goes before the request's.
    let outputs = json!([
        { "name": "probabilities", "parameters": { "classification": 2, "binary_data": true } },
        { "name": "logits", "parameters": { "classification": 1 } },
        { "name": "labels" },
    ]);
    let answer = coffee(json!(null), outputs).await;
    let class = |best: &effnet::Prediction, value: f32| {
        format!("{value}:{}:{}", best.index, best.label.as_ref().unwrap())
    };
    let classes = best[..2].iter().map(|best| class(best, best.probability.unwrap()));
    assert_eq!(texts(&answer, "probabilities"), classes.collect::<Vec<_>>());
    assert!(raw(&answer, "probabilities").is_some());
    assert_eq!(output(&answer, "probabilities")["datatype"], "BYTES");
    assert_eq!(output(&answer, "logits")["data"], json!([class(&best[0], best[0].logit)]));
    assert_eq!(output(&answer, "labels")["shape"], json!([1, 5]));
    let names = answer.json()["outputs"].as_array().unwrap().len();
    assert_eq!(names, 3);
}

#[tokio::test]
async fn the_same_request_compressed() {
    let images = noise(1, 224, 224);
    let body = json!({
        "inputs": [{
            "name": "pixels", "datatype": "UINT8", "shape": [1, 224, 224, 3],
            "data": images[0].data(),
        }],
        "outputs": [{ "name": "logits", "parameters": { "binary_data": true } }],
    });
    let body = body.to_string().into_bytes();
    let expected = little_endian(&model().logits(&images[0]).unwrap());
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&body).unwrap();
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(&body).unwrap();
    let path = format!("/v2/models/{MODEL}/infer");
    for (encoding, body) in [("gzip", gzip.finish().unwrap()), ("deflate", zlib.finish().unwrap())]
    {
        let headers =
            [("content-encoding", encoding.to_owned()), ("accept-encoding", encoding.to_owned())];
        let answer = post(&path, &headers, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        assert_eq!(answer.headers["content-encoding"], encoding);
        let mut plain = Vec::new();
        match encoding {
            "gzip" => GzDecoder::new(&answer.body[..]).read_to_end(&mut plain).unwrap(),
            _ => ZlibDecoder::new(&answer.body[..]).read_to_end(&mut plain).unwrap(),
        };
        let length = answer.headers["inference-header-content-length"].to_str().unwrap();
        assert!(plain[length.parse::<usize>().unwrap()..] == expected, "{encoding}");
    }
}

#[tokio::test]
async fn health_and_metadata() {
    assert_eq!(get("/v2/health/live").await.json(), json!({ "live": true }));
    assert_eq!(get("/v2/health/ready").await.json(), json!({ "ready": true }));
    assert_eq!(get("/v2").await.json()["name"], "effnet");
    for version in ["", "/versions/1"] {
        let path = format!("/v2/models/{MODEL}{version}");
        let ready = get(&format!("{path}/ready")).await;
        assert_eq!(ready.json(), json!({ "name": MODEL, "ready": true }));
        let metadata = get(&path).await.json();
        assert_eq!(metadata["platform"], "effnet");
        assert_eq!(metadata["versions"], json!(["1"]));
        assert_eq!(metadata["inputs"][2]["shape"], json!([-1, 3, 224, 224]));
        assert_eq!(metadata["outputs"][3]["shape"], json!([-1, 1280]));
    }
    for path in ["/v2/models/other", "/v2/models/other/ready", "/v2/models/lite/versions/9"] {
        let answer = get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(!answer.error().is_empty());
    }
    let index = post("/v2/repository/index", &[], r#"{"ready":true}"#).await;
    assert_eq!(
        index.json(),
        json!([{ "name": MODEL, "version": "1", "state": "READY", "reason": "" }])
    );
}
