//! The classifier: the one place that joins the rooms.
//!
//! ```text
//! Input -> Pixels -> (N, 3, H, W) -> Engine -> logits -> Vec<Prediction>
//! ```

mod builder;
mod decoders;
mod input;
mod prediction;
mod resolve;

pub use builder::ClassifierBuilder;
pub use input::Input;
pub use prediction::{Outcome, Prediction, Record};

use std::sync::Arc;

use self::decoders::Decoders;
use crate::Error;
use crate::arch::Network;
use crate::engine::{Array, Engine, Images, Outputs, Wanted};
use crate::labels::{LabelSet, top_k};
use crate::preprocess::{DecodeOptions, EvalTransform, Pixels};
use crate::pretrained::ResolvedPreprocessing;
use crate::weights::Checkpoint;

/// A loaded model with its preprocessing and labels.
///
/// It is cheap to clone (clones share the weights) and works from any number of threads at once.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use effnet::Classifier;
/// let classifier = Classifier::builder().build()?;
/// let best = &classifier.classify("examples/images/coffee.png", 5)?[0];
/// assert_eq!(best.label.as_deref(), Some("espresso"));
/// # }
/// # Ok::<(), effnet::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Classifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    network: Network,
    engine: Box<dyn Engine>,
    transform: EvalTransform,
    labels: Option<LabelSet>,
    decode: DecodeOptions,
    decoders: Decoders,
    provenance: Provenance,
    checkpoint: Option<Checkpoint>,
}

/// How a classifier's results come about.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Provenance {
    /// The model's full name.
    pub model: String,
    /// Its architecture.
    pub architecture: String,
    /// Its pretrained tag.
    pub tag: Option<String>,
    /// The commit of its hub repository, where it comes from one.
    pub revision: Option<String>,
    /// The file that its weights come from, or `seeded:N`.
    pub weights: String,
    /// The engine that runs it.
    pub engine: &'static str,
    /// The device that it runs on.
    pub device: String,
    /// The preprocessing's values and where each comes from.
    pub preprocessing: ResolvedPreprocessing,
    /// What the user may want to know: a retired name, keys of a configuration that were ignored.
    pub notes: Vec<String>,
}

impl Classifier {
    /// Settings of a new classifier.
    #[must_use]
    pub fn builder() -> ClassifierBuilder {
        ClassifierBuilder::default()
    }

    /// The `k` most probable classes of an image, best first; fewer where the model has fewer.
    ///
    /// # Errors
    ///
    /// An image that cannot be read, or an engine that fails.
    pub fn classify<'a>(
        &self,
        image: impl Into<Input<'a>>,
        k: usize,
    ) -> Result<Vec<Prediction>, Error> {
        self.top_k(&self.logits(image)?, k)
    }

    /// [`classify`](Self::classify) for many images in one batch: decoding runs in parallel, an
    /// image that fails does not stop the others. Results are in the order of `images`.
    pub fn classify_batch<'a, I>(
        &self,
        images: &'a [I],
        k: usize,
    ) -> Vec<Result<Vec<Prediction>, Error>>
    where
        I: Sync,
        Input<'a>: From<&'a I>,
    {
        self.infer(self.prepare(images), k)
    }

    /// Classifies any number of images in batches of `batch_size`; while one batch is in the
    /// network, the next is decoded. `each` gets every image with its result, in order; an error of
    /// `each` ends the run at once.
    ///
    /// # Errors
    ///
    /// That of `each`.
    pub fn classify_each<'a, I, E>(
        &self,
        images: &'a [I],
        batch_size: usize,
        k: usize,
        each: impl FnMut(&'a I, Result<Vec<Prediction>, Error>) -> Result<(), E>,
    ) -> Result<(), E>
    where
        I: Sync,
        Input<'a>: From<&'a I>,
    {
        let prepare = |image: &'a I| self.normalized(image.into());
        let infer = |prepared| self.infer(prepared, k);
        self.0.decoders.batches(images, batch_size, prepare, infer, each)
    }

    /// The network's outputs for an image, one a class.
    ///
    /// # Errors
    ///
    /// As [`classify`](Self::classify).
    pub fn logits<'a>(&self, image: impl Into<Input<'a>>) -> Result<Vec<f32>, Error> {
        self.batch_logits(&self.normalized(image.into())?, 1)
    }

    /// The probability of every class: the softmax of [`logits`](Self::logits).
    ///
    /// # Errors
    ///
    /// As [`classify`](Self::classify).
    pub fn probabilities<'a>(&self, image: impl Into<Input<'a>>) -> Result<Vec<f32>, Error> {
        let logits = self.logits(image)?;
        let mut probabilities = vec![0.0; logits.len()];
        for scored in top_k(&logits, logits.len())? {
            probabilities[scored.index] = scored.probability;
        }
        Ok(probabilities)
    }

    /// The pooled features that the classifier reads (timm's `pre_logits`): an embedding.
    ///
    /// # Errors
    ///
    /// As [`classify`](Self::classify).
    pub fn embed<'a>(&self, image: impl Into<Input<'a>>) -> Result<Vec<f32>, Error> {
        let wanted = Wanted { pre_logits: true, ..Wanted::default() };
        let outputs = self.run_one(image.into(), wanted)?;
        Ok(outputs.pre_logits.map(|array| array.data).unwrap_or_default())
    }

    /// The feature map at the end of each resolution, each (1, C, h, w), coarsest last.
    ///
    /// # Errors
    ///
    /// As [`classify`](Self::classify).
    pub fn feature_maps<'a>(&self, image: impl Into<Input<'a>>) -> Result<Vec<Array>, Error> {
        let outputs = self.run_one(image.into(), Wanted { stages: true, ..Wanted::default() })?;
        Ok(outputs.stages)
    }

    /// An image as the network will see it, resized and cropped: (H, W, 3) bytes.
    ///
    /// # Errors
    ///
    /// An image that cannot be read.
    pub fn pixels<'a>(&self, image: impl Into<Input<'a>>) -> Result<Pixels, Error> {
        image.into().pixels(&self.0.decode, &self.0.transform)
    }

    /// Runs the network on images that are already normalized, of any size.
    ///
    /// # Errors
    ///
    /// Images that the network does not take, or an engine that fails.
    pub fn run(&self, images: Images<'_>, wanted: Wanted) -> Result<Outputs, Error> {
        Ok(self.0.engine.run(images, wanted)?)
    }

    /// The `k` most probable classes of one image's logits, best first.
    ///
    /// # Errors
    ///
    /// Logits that are not finite.
    pub fn top_k(&self, logits: &[f32], k: usize) -> Result<Vec<Prediction>, Error> {
        let labels = self.0.labels.as_ref();
        let scored = top_k(logits, k)?;
        Ok(scored.into_iter().map(|scored| Prediction::new(scored, labels)).collect())
    }

    /// The JSON form of a result.
    #[must_use]
    pub fn record(
        &self,
        image: impl Into<String>,
        result: Result<Vec<Prediction>, Error>,
    ) -> Record {
        let outcome = match result {
            Ok(predictions) => Outcome::Predictions(predictions),
            Err(error) => Outcome::Error(error.to_string()),
        };
        Record { image: image.into(), model: self.0.provenance.model.clone(), outcome }
    }

    /// Number of classes; 0 where the network has no classifier.
    #[must_use]
    pub fn num_classes(&self) -> usize {
        self.0.network.num_classes
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.0.network
    }

    /// What runs the network.
    #[must_use]
    pub fn engine(&self) -> &dyn Engine {
        &*self.0.engine
    }

    /// The classes' names, where they are known.
    #[must_use]
    pub fn labels(&self) -> Option<&LabelSet> {
        self.0.labels.as_ref()
    }

    /// The preprocessing of images.
    #[must_use]
    pub fn transform(&self) -> &EvalTransform {
        &self.0.transform
    }

    /// How the results come about.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.0.provenance
    }

    /// SHA-256 of the weights' file, in hexadecimal; `None` for generated weights. Computed at the
    /// first call.
    #[must_use]
    pub fn weights_digest(&self) -> Option<&str> {
        self.0.checkpoint.as_ref().map(Checkpoint::digest)
    }

    fn normalized(&self, image: Input<'_>) -> Result<Vec<f32>, Error> {
        let transform = &self.0.transform;
        let pixels = image.pixels(&self.0.decode, transform)?;
        let mut input = vec![0.0; transform.input_len()];
        let error = |source| Error::Transform { image: image.name(), source };
        transform.normalize(&pixels, &mut input).map_err(error)?;
        Ok(input)
    }

    fn run_one(&self, image: Input<'_>, wanted: Wanted) -> Result<Outputs, Error> {
        self.run_batch(&self.normalized(image)?, 1, wanted)
    }

    fn run_batch(&self, input: &[f32], n: usize, wanted: Wanted) -> Result<Outputs, Error> {
        let (channels, height, width) = self.0.transform.config().input_size;
        self.run(Images::new(input, [n, channels, height, width])?, wanted)
    }

    /// The logits of `n` prepared images, one row after the other.
    fn batch_logits(&self, input: &[f32], n: usize) -> Result<Vec<f32>, Error> {
        let outputs = self.run_batch(input, n, Wanted { logits: true, ..Wanted::default() })?;
        Ok(outputs.logits.map(|array| array.data).unwrap_or_default())
    }

    fn prepare<'a, I>(&self, images: &'a [I]) -> Vec<Result<Vec<f32>, Error>>
    where
        I: Sync,
        Input<'a>: From<&'a I>,
    {
        self.0.decoders.all(images, |image| self.normalized(image.into()))
    }

    /// One result for each prepared image, the good ones in one batch.
    fn infer(
        &self,
        prepared: Vec<Result<Vec<f32>, Error>>,
        k: usize,
    ) -> Vec<Result<Vec<Prediction>, Error>> {
        let mut batch = Vec::new();
        let good = prepared.iter().flatten().count();
        prepared.iter().flatten().for_each(|input| batch.extend_from_slice(input));
        let logits = if good == 0 { Ok(Vec::new()) } else { self.batch_logits(&batch, good) };
        let logits = match logits {
            Ok(logits) => logits,
            // Rare and fatal to the batch: each image meets the error in a run of its own.
            Err(_) => {
                let alone = |input: Vec<f32>| self.top_k(&self.batch_logits(&input, 1)?, k);
                return prepared.into_iter().map(|input| input.and_then(alone)).collect();
            }
        };
        let mut rows = logits.chunks_exact((logits.len() / good.max(1)).max(1));
        prepared
            .into_iter()
            .map(|input| input.and_then(|_| self.top_k(rows.next().unwrap_or_default(), k)))
            .collect()
    }
}
