//! A request for inference, whatever codec it came through.
//!
//! ```text
//! Tensor -> images, one batcher::Request each; or one Request for normalized images
//!        -> logits, pre_logits of all images -> logits, probabilities, labels, embedding
//! ```

use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use effnet::batcher::{BatchError, Batcher, Request, Response};
use effnet::labels::top_k;
use effnet::preprocess::{ColorMode, Image};
use effnet::{Error, ErrorKind, Prediction};
use futures_util::StreamExt;

use super::metadata::{Made, Signature, Spec, names};
use super::parameters::{Parameters, refuse_rest, take_count};
use super::tensor::{Data, Output, Tensor, Values, sizes, too_many_images};
use crate::in_order::in_order;
use crate::{ApiError, Server};

/// A request without its codec's own parameters.
#[derive(Debug)]
pub(super) struct InferRequest {
    pub(super) model: String,
    pub(super) version: Option<String>,
    pub(super) parameters: Parameters,
    pub(super) inputs: Vec<Tensor>,
    /// All outputs of the model if there are none here.
    pub(super) outputs: Vec<Requested>,
    /// When the answer must be there.
    pub(super) deadline: Instant,
}

/// An output that a request asks for.
#[derive(Debug)]
pub(super) struct Requested {
    pub(super) name: String,
    pub(super) parameters: Parameters,
}

/// An answer.
#[derive(Debug)]
pub(super) struct InferResponse {
    pub(super) model: String,
    pub(super) version: String,
    pub(super) outputs: Vec<Output>,
}

/// An output to make.
struct Wanted {
    made: Made,
    /// In place of all values, this many classes as `value:index:label`.
    classification: Option<usize>,
}

/// What the library calls the outputs.
const LOGITS: &str = "logits";
const PRE_LOGITS: &str = "pre_logits";

/// Names of the best classes, if the request does not say how many.
const LABELS: usize = 5;

/// Runs a request.
pub(super) async fn infer(
    server: &Server,
    request: InferRequest,
) -> Result<InferResponse, ApiError> {
    let loaded = server.models().get(Some(&request.model), request.version.as_deref())?;
    let outputs = infer_on(&loaded.batcher, server.limits().max_images, request).await?;
    Ok(InferResponse { model: loaded.name.clone(), version: loaded.version.clone(), outputs })
}

/// Runs a request on its model; it may have `most` images.
pub(super) async fn infer_on(
    batcher: &Batcher,
    most: usize,
    mut request: InferRequest,
) -> Result<Vec<Output>, ApiError> {
    let signature = Signature::of(batcher.model());

    let deadline = deadline(&mut request)?;
    let k = take_count(&mut request.parameters, "k", "the request")?;
    refuse_rest(&request.parameters, "the request", &["k", "timeout"])?;
    let wanted = wanted(request.outputs, &signature, &request.model)?;
    let has = |made| wanted.iter().any(|output| output.made == made);
    if k.is_some() && !has(Made::Labels) {
        return Err(ApiError::bad_request(
            "the request: parameter \"k\" counts names in the output labels, which is not asked \
             for; for other outputs there is their parameter classification",
        ));
    }
    let k = k.map_or(LABELS, count);

    let [input] = <[Tensor; 1]>::try_from(request.inputs).map_err(|inputs| {
        let (inputs, known) = (inputs.len(), names(&signature.inputs));
        ApiError::bad_request(format!("{inputs} inputs: a request has one, of {known}"))
    })?;
    check(&input, &signature.inputs, &request.model)?;
    let images = input.shape.first().copied().unwrap_or_default();
    if images == 0 {
        return Err(ApiError::bad_request(format!("input {:?}: it has no images", input.name)));
    }
    if images > most {
        return Err(too_many_images(&input.name, images, most));
    }

    let mut taps = Vec::new();
    if wanted.iter().any(|output| output.made != Made::Embedding) {
        taps.push(LOGITS);
    }
    if has(Made::Embedding) {
        taps.push(PRE_LOGITS);
    }
    let rows = run(batcher, requests(input)?, &taps, deadline).await?;
    wanted.iter().map(|output| rows.output(output, batcher, k)).collect()
}

/// The request's deadline, or an earlier one by its parameter `timeout`.
fn deadline(request: &mut InferRequest) -> Result<Instant, ApiError> {
    let timeout = take_count(&mut request.parameters, "timeout", "the request")?;
    let own = timeout.and_then(|micros| Instant::now().checked_add(Duration::from_micros(micros)));
    Ok(own.map_or(request.deadline, |own| own.min(request.deadline)))
}

/// A count that may be larger than anything there is.
fn count(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// The outputs to make; each at most once.
fn wanted(
    requested: Vec<Requested>,
    signature: &Signature,
    model: &str,
) -> Result<Vec<Wanted>, ApiError> {
    if requested.is_empty() {
        let all = Made::ALL.into_iter().filter(|made| signature.makes(*made));
        return Ok(all.map(|made| Wanted { made, classification: None }).collect());
    }
    let mut wanted: Vec<Wanted> = Vec::new();
    for Requested { name, mut parameters } in requested {
        let known = |made: &Made| made.name() == name && signature.makes(*made);
        let Some(made) = Made::ALL.into_iter().find(known) else {
            let known = names(&signature.outputs);
            return Err(ApiError::bad_request(format!("no output {name:?}: {model} has {known}")));
        };
        if wanted.iter().any(|output| output.made == made) {
            return Err(ApiError::bad_request(format!("output {name:?} is asked for twice")));
        }
        let owner = format!("output {name:?}");
        let has_classes = matches!(made, Made::Logits | Made::Probabilities);
        let mut classification = None;
        if has_classes {
            classification = take_count(&mut parameters, "classification", &owner)?.map(count);
        }
        refuse_rest(&parameters, &owner, if has_classes { &["classification"] } else { &[] })?;
        wanted.push(Wanted { made, classification });
    }
    Ok(wanted)
}

/// Whether the model takes this tensor.
fn check(input: &Tensor, specs: &[Spec], model: &str) -> Result<(), ApiError> {
    let refused = |reason| Err(ApiError::bad_request(reason));
    let Some(spec) = specs.iter().find(|spec| spec.name == input.name) else {
        let known = names(specs);
        return refused(format!("no input {:?}: {model} takes one of {known}", input.name));
    };
    let (datatype, expected) = (input.data.datatype(), spec.datatype);
    if datatype != expected {
        let (datatype, expected) = (datatype.name(), expected.name());
        return refused(format!("input {:?}: datatype {datatype}, not {expected}", input.name));
    }
    let fits =
        |(&dim, &expected): (&usize, &i64)| expected == -1 || i64::try_from(dim) == Ok(expected);
    if input.shape.len() != spec.shape.len() || !input.shape.iter().zip(&spec.shape).all(fits) {
        return refused(format!(
            "input {:?}: shape {:?} does not fit {}, where -1 is any size",
            input.name,
            input.shape,
            sizes(&spec.shape)
        ));
    }
    Ok(())
}

/// What to give to the batcher for a tensor that the model takes.
fn requests(input: Tensor) -> Result<Vec<Request>, ApiError> {
    let Tensor { name, shape, data } = input;
    match (data, shape.as_slice()) {
        (Data::Bytes(files), _) => Ok(files.into_iter().map(Request::encoded).collect()),
        (Data::Uint8(pixels), &[_, height, width, channels]) => {
            images(&pixels, [height, width, channels])
                .ok_or_else(|| {
                    let message = format!("input {name:?}: shape {shape:?} makes no images");
                    ApiError::bad_request(message)
                })
                .map(|images| images.into_iter().map(Request::decoded).collect())
        }
        (Data::Fp32(values), &[images, channels, height, width]) => {
            if let Some(place) = values.iter().position(|value| !value.is_finite()) {
                return Err(ApiError::bad_request(format!(
                    "input {name:?}: element {place} is {}, not a finite number",
                    values[place]
                )));
            }
            let request = Request::normalized(values, [images, channels, height, width]);
            Ok(vec![request.map_err(Error::from)?])
        }
        _ => Err(ApiError::bad_request(format!("input {name:?}: shape {shape:?} is no image's"))),
    }
}

/// Images of one size, one after the other.
fn images(pixels: &Bytes, [height, width, channels]: [usize; 3]) -> Option<Vec<Image>> {
    let mode = ColorMode::from_channels(channels)?;
    let size = height.checked_mul(width)?.checked_mul(channels).filter(|&size| size > 0)?;
    let (height, width) = (u32::try_from(height).ok()?, u32::try_from(width).ok()?);
    let image = |data: &[u8]| Image::new(mode, width, height, data.to_vec()).ok();
    pixels.chunks_exact(size).map(image).collect()
}

/// What the network gave for all images of a request, image after image.
#[derive(Debug, Default)]
struct Rows {
    images: usize,
    logits: Vec<f32>,
    embedding: Vec<f32>,
}

/// Runs all requests, as many at once as [`in_order`] allows. The first error is the answer.
async fn run(
    batcher: &Batcher,
    requests: Vec<Request>,
    taps: &[&str],
    deadline: Instant,
) -> Result<Rows, ApiError> {
    let count = requests.len();
    let runs = requests
        .into_iter()
        .map(|request| batcher.run(request.outputs(taps.iter().copied()).deadline(deadline)));
    let mut answers = pin!(in_order(batcher, runs).enumerate());
    let mut rows = Rows::default();
    while let Some((place, answer)) = answers.next().await {
        let Response { outputs, .. } = answer.map_err(|error| placed(error, place, count))?;
        rows.images += outputs.first().and_then(|array| array.shape.first()).unwrap_or(&0);
        for (tap, array) in taps.iter().zip(outputs) {
            finite(tap, &array.data)?;
            let row = if *tap == LOGITS { &mut rows.logits } else { &mut rows.embedding };
            row.extend(array.data);
        }
    }
    Ok(rows)
}

/// JSON has no other numbers, and nothing can be said of a class whose score is none.
fn finite(output: &str, values: &[f32]) -> Result<(), ApiError> {
    let Some(place) = values.iter().position(|value| !value.is_finite()) else { return Ok(()) };
    Err(ApiError::bad_request(format!(
        "{output}: value {place} is {}: the weights or the input hold values that are too large",
        values[place]
    )))
}

/// The error of one of several images.
fn placed(error: BatchError, place: usize, count: usize) -> ApiError {
    let is_image = matches!(error.kind(), ErrorKind::Image | ErrorKind::TooLarge);
    let mut error = ApiError::from(error);
    if is_image && count > 1 {
        error.message = format!("image {place} of {count}, counted from 0: {}", error.message);
    }
    error
}

impl Rows {
    /// `k` is how many names the output `labels` has.
    fn output(&self, wanted: &Wanted, model: &Batcher, k: usize) -> Result<Output, ApiError> {
        let made = wanted.made;
        match (made, wanted.classification) {
            (Made::Embedding, _) => Ok(self.numbers(made, self.embedding.clone())),
            (Made::Labels, _) => self.best(made, model, k, |best| best.label.unwrap_or_default()),
            (Made::Logits, None) => Ok(self.numbers(made, self.logits.clone())),
            (Made::Logits, Some(k)) => {
                self.best(made, model, k, |best| class(best.logit, best.index, best.label))
            }
            (Made::Probabilities, None) => {
                let activation = model.model().provenance().activation.value;
                let mut values = Vec::with_capacity(self.logits.len());
                for logits in self.each_logits() {
                    let mut classes = top_k(logits, activation, usize::MAX).map_err(Error::from)?;
                    classes.sort_unstable_by_key(|scored| scored.index);
                    values.extend(classes.iter().filter_map(|scored| scored.probability));
                }
                Ok(self.numbers(made, values))
            }
            (Made::Probabilities, Some(k)) => self.best(made, model, k, |best| {
                class(best.probability.unwrap_or_default(), best.index, best.label)
            }),
        }
    }

    fn each_logits(&self) -> impl Iterator<Item = &[f32]> {
        let classes = self.logits.len() / self.images.max(1);
        self.logits.chunks_exact(classes.max(1))
    }

    /// The same number of values for each image.
    fn numbers(&self, made: Made, values: Vec<f32>) -> Output {
        let each = values.len() / self.images.max(1);
        Output { name: made.name(), shape: vec![self.images, each], values: Values::Fp32(values) }
    }

    /// A text for each of the best `k` classes of each image.
    fn best(
        &self,
        made: Made,
        model: &Batcher,
        k: usize,
        text: impl Fn(Prediction) -> String,
    ) -> Result<Output, ApiError> {
        let mut texts = Vec::new();
        if let Some(classifier) = model.classifier() {
            for logits in self.each_logits() {
                texts.extend(classifier.top_k(logits, k)?.into_iter().map(&text));
            }
        }
        let each = texts.len() / self.images.max(1);
        Ok(Output {
            name: made.name(),
            shape: vec![self.images, each],
            values: Values::Text(texts),
        })
    }
}

/// A class as Triton writes it.
fn class(value: f32, index: usize, label: Option<String>) -> String {
    match label {
        Some(label) => format!("{value}:{index}:{label}"),
        None => format!("{value}:{index}"),
    }
}
