//! The classifier: the one place that joins the rooms.
//!
//! ```text
//! Input -> Pixels -> (N, 3, H, W) -> Engine -> logits -> Vec<Prediction>
//! ```

mod builder;
mod declared;
mod decoders;
mod described;
mod device;
mod each;
mod input;
mod prediction;
mod preprocessor;
mod resolve;

pub use builder::ClassifierBuilder;
pub use described::Description;
pub use input::Input;
pub use prediction::{Outcome, Prediction, Record};
pub use preprocessor::Preprocessor;

use std::sync::Arc;

use self::decoders::Decoders;
use self::each::Row;
use crate::Error;
use crate::arch::Network;
use crate::engine::{Array, Engine, Images, Outputs, Wanted};
use crate::labels::{ClassifierActivation, LabelSet, top_k};
use crate::preprocess::{Pixels, TransformError};
use crate::pretrained::{Resolved, ResolvedPreprocessing};
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
    /// `None` for a number of input channels that no image has.
    preprocessor: Option<Preprocessor>,
    labels: Option<LabelSet>,
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
    /// What makes probabilities of the outputs, and what says so.
    pub activation: Resolved<ClassifierActivation>,
    /// What the user may want to know: a retired name, keys of a configuration that were ignored.
    pub notes: Vec<String>,
}

impl Classifier {
    /// Settings of a new classifier.
    #[must_use]
    pub fn builder() -> ClassifierBuilder {
        ClassifierBuilder::default()
    }

    /// The `k` most probable classes of an image, best first; fewer where the model has fewer. A
    /// network with one output has two classes, see [`top_k`](crate::labels::top_k()).
    ///
    /// # Errors
    ///
    /// An image that cannot be read, an engine that fails, or a network without classifier.
    pub fn classify<'a>(
        &self,
        image: impl Into<Input<'a>>,
        k: usize,
    ) -> Result<Vec<Prediction>, Error> {
        self.check_classifier()?;
        self.top_k(&self.logits(image)?, k)
    }

    /// The network's outputs for an image, one a class.
    ///
    /// # Errors
    ///
    /// As [`classify`](Self::classify).
    pub fn logits<'a>(&self, image: impl Into<Input<'a>>) -> Result<Vec<f32>, Error> {
        self.rows(&self.preprocessor()?.input(image)?, 1, Row::Logits)
    }

    /// The probability of every class: the softmax of [`logits`](Self::logits), or the sigmoid of
    /// each. Of a network with one output there are two, the positive class's last.
    ///
    /// # Errors
    ///
    /// As [`classify`](Self::classify); outputs of which no probabilities are made.
    pub fn probabilities<'a>(&self, image: impl Into<Input<'a>>) -> Result<Vec<f32>, Error> {
        self.check_classifier()?;
        let mut classes = top_k(&self.logits(image)?, self.activation(), usize::MAX)?;
        classes.sort_unstable_by_key(|scored| scored.index);
        let probabilities = classes.into_iter().map(|scored| scored.probability);
        probabilities.collect::<Option<_>>().ok_or(Error::NoProbabilities)
    }

    /// The pooled features that the classifier reads (timm's `pre_logits`): an embedding.
    ///
    /// # Errors
    ///
    /// As [`classify`](Self::classify).
    pub fn embed<'a>(&self, image: impl Into<Input<'a>>) -> Result<Vec<f32>, Error> {
        self.rows(&self.preprocessor()?.input(image)?, 1, Row::PreLogits)
    }

    /// The feature map at the end of each resolution, each (1, C, h, w), coarsest last.
    ///
    /// # Errors
    ///
    /// As [`classify`](Self::classify).
    pub fn feature_maps<'a>(&self, image: impl Into<Input<'a>>) -> Result<Vec<Array>, Error> {
        let wanted = Wanted { stages: true, ..Wanted::default() };
        let outputs = self.run_batch(&self.preprocessor()?.input(image)?, 1, wanted)?;
        Ok(outputs.stages)
    }

    /// An image as the network will see it, resized and cropped: (H, W, 3) bytes.
    ///
    /// # Errors
    ///
    /// An image that cannot be read.
    pub fn pixels<'a>(&self, image: impl Into<Input<'a>>) -> Result<Pixels, Error> {
        self.preprocessor()?.pixels(image)
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
    /// Logits that are not finite, or a network without classifier.
    pub fn top_k(&self, logits: &[f32], k: usize) -> Result<Vec<Prediction>, Error> {
        self.check_classifier()?;
        let labels = self.0.labels.as_ref();
        let scored = top_k(logits, self.activation(), k)?;
        // The labels of one output are those of a pair of classes, whether or not it is made one.
        let is_alone = logits.len() == 1 && self.activation() == ClassifierActivation::None;
        let positive = usize::from(is_alone);
        Ok(scored.into_iter().map(|s| Prediction::new(s, s.index + positive, labels)).collect())
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

    /// Number of outputs; 0 where the network has no classifier. Of one output two classes are made.
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

    /// What prepares images.
    ///
    /// # Errors
    ///
    /// A network of 2, 5 or more input channels, which no image has; [`run`](Self::run) takes its tensors.
    pub fn preprocessor(&self) -> Result<&Preprocessor, Error> {
        let Provenance { model, preprocessing, .. } = &self.0.provenance;
        self.0.preprocessor.as_ref().ok_or_else(|| Error::Preprocessing {
            model: model.clone(),
            source: TransformError::Channels(preprocessing.input_size.value.into()),
        })
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

    fn activation(&self) -> ClassifierActivation {
        self.0.provenance.activation.value
    }

    /// That the outputs are classes.
    fn check_classifier(&self) -> Result<(), Error> {
        match self.num_classes() {
            0 => Err(Error::NoClassifier { model: self.0.provenance.model.clone() }),
            _ => Ok(()),
        }
    }

    fn run_batch(&self, input: &[f32], n: usize, wanted: Wanted) -> Result<Outputs, Error> {
        let [channels, height, width] = self.0.provenance.preprocessing.input_size.value;
        self.run(Images::new(input, [n, channels, height, width])?, wanted)
    }
}
