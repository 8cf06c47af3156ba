//! An HTTP service that shares one classifier between all requests.
//!
//!     cargo run --release --example service -- 127.0.0.1:8080
//!     curl --data-binary @examples/images/coffee.png http://127.0.0.1:8080/classify
//!
//! Inference runs on blocking threads, so that the runtime keeps answering. A semaphore admits one
//! image per core, to be decoded in parallel, and makes the others wait. In the network, images
//! take turns, each with all cores.

#![allow(clippy::print_stdout, reason = "an example speaks to its reader")]

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use effnet::{Classifier, Model, Outcome, Record};
use tokio::sync::Semaphore;

#[derive(Clone)]
struct Service {
    classifier: Classifier,
    slots: Arc<Semaphore>,
}

async fn classify(State(service): State<Service>, body: Bytes) -> (StatusCode, Json<Record>) {
    // The semaphore is never closed.
    let _slot = service.slots.acquire().await;
    let classifier = service.classifier.clone();
    let work = move || classifier.record("body", classifier.classify(&*body, 5));
    match tokio::task::spawn_blocking(work).await {
        Ok(record) if matches!(record.outcome, Outcome::Predictions(_)) => {
            (StatusCode::OK, Json(record))
        }
        Ok(record) => (StatusCode::UNPROCESSABLE_ENTITY, Json(record)),
        Err(panic) => {
            let outcome = Outcome::Error(panic.to_string());
            let model = service.classifier.provenance().model.clone();
            let record = Record { image: "body".to_owned(), model, outcome };
            (StatusCode::INTERNAL_SERVER_ERROR, Json(record))
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let cores = std::thread::available_parallelism()?.get();
    let service = Service {
        classifier: Model::builder().build_classifier()?,
        slots: Arc::new(Semaphore::new(cores)),
    };
    let router = Router::new()
        .route("/classify", post(classify))
        .layer(DefaultBodyLimit::max(32 << 20))
        .with_state(service);
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}
