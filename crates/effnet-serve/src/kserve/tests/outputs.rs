//! Networks without some of the outputs, and with others.

use std::time::{Duration, Instant};

use bytes::Bytes;
use effnet::Model;
use effnet::batcher::{Batcher, BatcherOptions};
use effnet::labels::{ClassifierActivation, LabelNames};
use serde_json::json;

use super::noise;
use crate::ApiError;
use crate::kserve::infer::{InferRequest, Requested, infer_on};
use crate::kserve::metadata::{Signature, names};
use crate::kserve::parameters::Parameters;
use crate::kserve::tensor::{Header, Output, Values};

fn start(builder: effnet::ModelBuilder) -> Batcher {
    let model = builder.weights("seeded:0").build().unwrap();
    Batcher::new(&model, BatcherOptions::default()).unwrap()
}

async fn ask(batcher: &Batcher, outputs: &[(&str, Parameters)]) -> Result<Vec<Output>, ApiError> {
    ask_many(batcher, 1, outputs).await
}

async fn ask_many(
    batcher: &Batcher,
    images: usize,
    outputs: &[(&str, Parameters)],
) -> Result<Vec<Output>, ApiError> {
    let pixels: Bytes =
        noise(images, 8, 8).iter().flat_map(|image| image.data().to_vec()).collect();
    let header = Header::new("pixels".to_owned(), "UINT8", &[images as i64, 8, 8, 3], images)?;
    let requested = |(name, parameters): &(&str, Parameters)| Requested {
        name: (*name).to_owned(),
        parameters: parameters.clone(),
    };
    let request = InferRequest {
        model: "m".to_owned(),
        version: None,
        parameters: Parameters::new(),
        inputs: vec![header.with_raw(pixels)?],
        outputs: outputs.iter().map(requested).collect(),
        deadline: Instant::now() + Duration::from_secs(60),
    };
    infer_on(batcher, images, request).await
}

fn classes(count: usize) -> Parameters {
    serde_json::from_value(json!({ "classification": count })).unwrap()
}

fn given(batcher: &Batcher) -> String {
    names(&Signature::of(batcher.model()).outputs)
}

#[tokio::test]
async fn features_without_classes() {
    let batcher = start(Model::builder().model("mobilenetv3_small_050").num_classes(0));
    assert_eq!(given(&batcher), "embedding");
    let answer = ask(&batcher, &[]).await.unwrap();
    // The width that the metadata tells is the one that the network gives.
    let features = Signature::of(batcher.model()).outputs[0].shape[1];
    assert_eq!(answer[0].sizes(), [1, features]);
    let error = ask(&batcher, &[("logits", Parameters::new())]).await.unwrap_err();
    assert_eq!(error.message, "no output \"logits\": m has embedding");
}

#[tokio::test]
async fn more_images_than_the_queue_holds() {
    let model = Model::builder().model("test_efficientnet").weights("seeded:0").build().unwrap();
    let mut options = BatcherOptions::default();
    options.max_queue_size = 2;
    let batcher = Batcher::new(&model, options).unwrap();
    let answer = ask_many(&batcher, 9, &[("logits", Parameters::new())]).await.unwrap();
    let rows: Vec<f32> =
        noise(9, 8, 8).iter().flat_map(|image| model.logits(image).unwrap()).collect();
    assert_eq!(answer[0].values, Values::Fp32(rows));
}

#[tokio::test]
async fn one_output_is_two_classes() {
    let labels = LabelNames::parse("cat\ndog").unwrap();
    let builder = Model::builder().model("mobilenetv3_small_050").num_classes(1).labels(labels);
    let batcher = start(builder);
    let classifier = batcher.classifier().unwrap();
    let answer = ask(&batcher, &[]).await.unwrap();
    let shapes: Vec<_> = answer.iter().map(|output| output.sizes()).collect();
    assert_eq!(shapes[..3], [vec![1, 1], vec![1, 2], vec![1, 2]]);
    let image = &noise(1, 8, 8)[0];
    assert_eq!(answer[1].values, Values::Fp32(classifier.probabilities(image).unwrap()));
    let best = classifier.classify(image, 2).unwrap();
    let answer = ask(&batcher, &[("logits", classes(2))]).await.unwrap();
    let text = |best: &effnet::Prediction| {
        format!("{}:{}:{}", best.logit, best.index, best.label.as_ref().unwrap())
    };
    assert_eq!(answer[0].values, Values::Text(best.iter().map(text).collect()));
}

#[tokio::test]
async fn classes_without_names_or_probabilities() {
    let builder = Model::builder().model("mobilenetv3_small_050").num_classes(3);
    let batcher = start(builder.activation(ClassifierActivation::None));
    assert_eq!(given(&batcher), "logits, embedding");
    let answer = ask(&batcher, &[("logits", classes(9))]).await.unwrap();
    assert_eq!(answer[0].sizes(), [1, 3]);
    let best = batcher.classifier().unwrap().classify(&noise(1, 8, 8)[0], 3).unwrap();
    let text = |best: &effnet::Prediction| format!("{}:{}", best.logit, best.index);
    assert_eq!(answer[0].values, Values::Text(best.iter().map(text).collect()));
}
