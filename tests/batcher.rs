//! The queue in front of a model: the same bits as the library, its spans and its meters.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use effnet::Model;
use effnet::batcher::{Batcher, BatcherOptions, Batching, Request};
use effnet::preprocess::ColorMode;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tracing::span::{Attributes, Id};
use tracing::{Instrument, Subscriber, info_span};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

const IMAGES: [&str; 3] = ["coffee.png", "rocket.jpg", "chelsea.png"];

fn bytes(image: &str) -> Vec<u8> {
    std::fs::read(format!("examples/images/{image}")).unwrap()
}

#[tokio::test]
async fn every_way_in_gives_the_bits_of_the_library_in_any_batch() {
    let model = Model::builder().build().unwrap();
    for batching in [Batching::Never, Batching::Always, Batching::Auto] {
        let mut options = BatcherOptions::default();
        options.batching = batching;
        let batcher = Batcher::new(&model, options).unwrap();
        let tasks: Vec<_> = IMAGES
            .iter()
            .cycle()
            .take(24)
            .enumerate()
            .map(|(n, image)| {
                let (batcher, model, bytes) = (batcher.clone(), model.clone(), bytes(image));
                tokio::spawn(async move {
                    let expected = [model.logits(&bytes).unwrap(), model.embed(&bytes).unwrap()];
                    let request = match n % 3 {
                        0 => Request::encoded(bytes),
                        1 => {
                            let image = effnet::preprocess::decode(
                                &bytes,
                                ColorMode::Rgb,
                                &Default::default(),
                            );
                            Request::decoded(image.unwrap())
                        }
                        _ => {
                            let preprocessor = model.preprocessor().unwrap();
                            let values = preprocessor.input(&bytes).unwrap();
                            Request::normalized(values, [1, 3, 224, 224]).unwrap()
                        }
                    };
                    let response =
                        batcher.run(request.outputs(["logits", "pre_logits"])).await.unwrap();
                    let got: Vec<Vec<f32>> =
                        response.outputs.into_iter().map(|array| array.data).collect();
                    assert!(got == expected, "{image} {n} {batching:?}");
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
}

type Named = Vec<(String, Option<String>)>;

/// Collects the names of spans with those of their parents.
struct Names(Arc<Mutex<Named>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Names {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let parent = context.span(id).and_then(|span| Some(span.parent()?.name().to_owned()));
        self.0.lock().unwrap().push((attributes.metadata().name().to_owned(), parent));
    }
}

#[tokio::test]
async fn spans_are_the_callers_and_every_answer_is_counted() {
    let names = Arc::new(Mutex::new(Vec::new()));
    let subscriber = tracing_subscriber::registry().with(Names(Arc::clone(&names)));
    // The batcher's threads have the process's subscriber.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let recorder = DebuggingRecorder::new();
    let meters = recorder.snapshotter();
    let batcher = metrics::with_local_recorder(&recorder, || {
        let model = Model::builder().name("mine").build().unwrap();
        Batcher::new(&model, BatcherOptions::default()).unwrap()
    });
    let caller = info_span!("caller");
    batcher.run(Request::encoded(bytes("coffee.png"))).instrument(caller).await.unwrap();
    for name in ["queue", "decode", "preprocess", "infer"] {
        let expected = (name.to_owned(), Some("caller".to_owned()));
        assert!(names.lock().unwrap().contains(&expected), "{name}: {names:?}");
    }
    let values: BTreeMap<String, DebugValue> = meters
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let labels = key.key().labels().map(|label| format!(" {}", label.value()));
            (format!("{}{}", key.key().name(), labels.collect::<String>()), value)
        })
        .collect();
    assert_eq!(values["effnet_requests_total mine ok"], DebugValue::Counter(1));
    for name in
        ["queue_seconds", "decode_seconds", "preprocess_seconds", "infer_seconds", "batch_size"]
    {
        let DebugValue::Histogram(values) = &values[&format!("effnet_{name} mine")] else {
            panic!("{name} is not a histogram")
        };
        assert!(values.len() == 1 && values[0].0 > 0.0, "{name}: {values:?}");
    }
}
