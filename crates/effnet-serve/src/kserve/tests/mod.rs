//! Tests of the codecs, and of what they share.

mod codec;
mod grpc;
mod outputs;
mod rest;
mod rest_errors;

use std::sync::OnceLock;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, HeaderName, Request, StatusCode};
use effnet::preprocess::{ColorMode, Image};
use effnet::{Classifier, Model};
use serde_json::Value;
use tower::ServiceExt;

use crate::{Limits, ModelSpec, Models, Server};

/// What requests call the model.
const MODEL: &str = "lite";
const FILES: [&str; 2] = ["coffee.png", "rocket.jpg"];

/// One server for all tests; its limits are small enough to be passed.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let models = Models::default();
        let spec = ModelSpec {
            name: Some(MODEL.to_owned()),
            model: Some("tf_efficientnet_lite0".into()),
            weights: Some("seeded:0".into()),
            ..ModelSpec::default()
        };
        models.add(spec).unwrap();
        // A thread of a runtime cannot wait for another runtime.
        let load = || tokio::runtime::Runtime::new().unwrap().block_on(models.load_all()).unwrap();
        std::thread::scope(|scope| scope.spawn(load).join().unwrap());
        Server::new(models, Limits { max_body: 8 << 20, max_images: 4, ..Limits::default() })
    })
}

fn model() -> Model {
    server().models().get(Some(MODEL), None).unwrap().batcher.model().clone()
}

fn classifier() -> Classifier {
    Classifier::new(model()).unwrap()
}

fn file(name: &str) -> Bytes {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/images");
    std::fs::read(format!("{folder}/{name}")).unwrap().into()
}

/// Images of one size, without a photograph's order.
fn noise(count: usize, width: u32, height: u32) -> Vec<Image> {
    let mut random = Random(1);
    let size = width as usize * height as usize * 3;
    let image = |_| {
        let data = (0..size).map(|_| random.next() as u8).collect();
        Image::new(ColorMode::Rgb, width, height, data).unwrap()
    };
    (0..count).map(image).collect()
}

/// Marsaglia's xorshift, the same on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 8
    }

    fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// BYTES as the protocol writes them.
fn byte_strings(elements: &[Bytes]) -> Vec<u8> {
    let mut raw = Vec::new();
    for element in elements {
        raw.extend((element.len() as u32).to_le_bytes());
        raw.extend_from_slice(element);
    }
    raw
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// An answer over HTTP.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        let length = self.headers.get("inference-header-content-length");
        let length = length.map(|length| length.to_str().unwrap().parse().unwrap());
        serde_json::from_slice(&self.body[..length.unwrap_or(self.body.len())]).unwrap()
    }

    fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }
}

async fn ask(request: Request<Body>) -> Answer {
    let response = crate::router(server()).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Answer { status: parts.status, headers: parts.headers, body }
}

async fn get(path: &str) -> Answer {
    ask(Request::get(path).body(Body::empty()).unwrap()).await
}

async fn post(path: &str, headers: &[(&str, String)], body: impl Into<Body>) -> Answer {
    let mut request = Request::post(path).body(body.into()).unwrap();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    ask(request).await
}

/// Asks the model, with bytes after the JSON if there are any.
async fn infer(json: &Value, raw: &[u8]) -> Answer {
    let mut body = json.to_string().into_bytes();
    let length = ("Inference-Header-Content-Length", body.len().to_string());
    let headers = if raw.is_empty() { vec![] } else { vec![length] };
    body.extend(raw);
    post(&format!("/v2/models/{MODEL}/infer"), &headers, body).await
}
