//! Too many requests, too little time, and faults of the engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use effnet::engine::{Capabilities, Engine, EngineError, Images, Outputs};
use reqwest::Response;
use serde_json::{Value, json};

use crate::support::{Gate, Running, error, photograph, zeros};

async fn classify(running: &Running) -> Response {
    running.post("/classify?k=1").body(photograph("coffee.png")).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_into_the_queue_is_refused_with_a_time_to_come_back() {
    let gate = Gate::default();
    let running = Running::of_engine(gate.clone(), |options, _| {
        (options.batcher.max_queue_size, options.batcher.max_batch_size) = (1, 1);
    })
    .await;
    let running = Arc::new(running);
    let ask = || {
        let running = Arc::clone(&running);
        tokio::spawn(async move { classify(&running).await.status().as_u16() })
    };
    let first = ask();
    gate.is_reached().await;
    let second = ask();
    let loaded = running.server.models().get(None, None).unwrap();
    while loaded.batcher.waiting() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let refused = classify(&running).await;
    assert!(refused.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    let (status, says) = error(refused).await;
    assert_eq!(status, 429);
    assert!(says.starts_with("1 images are waiting"), "{says}");
    // Many images are refused with their first.
    let many = running.post("/classify").json(&json!({ "images": ["AA==", "AA=="] })).send().await;
    let many = many.unwrap();
    assert!(many.headers().contains_key("retry-after"));
    assert_eq!(error(many).await, (429, says));
    gate.open();
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (200, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_image_that_does_not_fit_is_refused_alone() {
    let gate = Gate::default();
    let running = Running::of_engine(gate.clone(), |options, _| {
        (options.batcher.max_queue_size, options.batcher.max_batch_size) = (2, 2);
    })
    .await;
    let running = Arc::new(running);
    let ask = |images: usize| {
        let running = Arc::clone(&running);
        tokio::spawn(async move {
            let body = json!({ "images": vec![STANDARD.encode(photograph("coffee.png")); images] });
            let answer = running.post("/classify?k=1").json(&body).send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        })
    };
    let first = ask(1);
    gate.is_reached().await;
    let loaded = running.server.models().get(None, None).unwrap();
    let waiting = async |count| {
        while loaded.batcher.waiting() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let second = ask(1);
    waiting(1).await;
    let two = ask(2);
    waiting(2).await;
    gate.open();
    assert_eq!((first.await.unwrap().0, second.await.unwrap().0), (200, 200));
    let (status, two) = two.await.unwrap();
    assert_eq!(status, 200, "{two}");
    assert!(two[0]["predictions"].is_array(), "{two}");
    assert!(two[1]["error"].as_str().unwrap().starts_with("2 images are waiting"), "{two}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_late_is_an_error() {
    let gate = Gate::default();
    let running = Running::of_engine(gate.clone(), |_, limits| {
        limits.timeout = Duration::from_millis(300);
    })
    .await;
    let (status, says) = error(classify(&running).await).await;
    assert_eq!((status, &*says), (504, "the answer was not ready by the request's deadline"));
    gate.open();
}

/// Panics while it is told to.
#[derive(Debug, Clone, Default)]
struct Faulty(Arc<AtomicBool>);

impl Engine for Faulty {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new("faulty")
    }

    fn run(&self, images: Images<'_>, outputs: &[&str]) -> Result<Outputs, EngineError> {
        assert!(!self.0.load(SeqCst), "planted at /srv/secret");
        Ok(zeros(images, outputs))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_the_engine_is_the_error_of_its_request() {
    let engine = Faulty::default();
    let running = Running::of_engine(engine.clone(), |_, _| ()).await;
    engine.0.store(true, SeqCst);
    let response = classify(&running).await;
    assert_eq!(response.status(), 500);
    let body: Value = response.json().await.unwrap();
    let says = "a fault of the server stopped the work on this request";
    assert_eq!(body, json!({ "image": "image", "model": "mock", "error": says }));
    engine.0.store(false, SeqCst);
    assert_eq!(classify(&running).await.status(), 200);
}
