//! A model, which joins the other modules of the library.
//!
//! ```text
//! Input -> Pixels (H, W, C) u8 -> batch -> Engine -> named outputs -> a task of `tasks`
//! ```

mod batch;
mod builder;
mod declared;
mod decoders;
mod described;
mod find;
mod input;
mod load;
mod preprocessor;
mod target;

pub(crate) use batch::only;
pub use builder::ModelBuilder;
pub use described::Description;
pub use input::{AsInput, Input};
pub use preprocessor::Preprocessor;
pub(crate) use target::check_device;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use self::decoders::Decoders;
use self::find::Source;
use crate::Error;
use crate::arch::Network;
use crate::engine::{Array, Capabilities, Engine, EngineError, Images, Outputs};
use crate::evaluation::{Calibration, Fit};
use crate::labels::{ClassifierActivation, LabelSet};
use crate::preprocess::{Pixels, TransformError};
use crate::pretrained::{Resolved, ResolvedPreprocessing};
use crate::tasks::Answers;
use crate::weights::{Checkpoint, TensorSource};

/// A loaded model with its preprocessing. It runs the network; tasks such as
/// [`Classifier`](crate::Classifier) say what its outputs mean.
///
/// It is cheap to clone (clones share the weights) and works from any number of threads at once.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use effnet::Model;
/// let model = Model::builder().build()?;
/// let embedding = model.embed("examples/images/coffee.png")?;
/// assert_eq!(embedding.len(), 1280);
/// # }
/// # Ok::<(), effnet::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Model(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    network: Network,
    /// The names of the maps at the end of each resolution.
    stages: Vec<String>,
    engine: Arc<dyn Engine>,
    /// The most images that the device has had memory for at once, as far as is known.
    fits: AtomicUsize,
    /// `None` if no image has the network's number of channels.
    preprocessor: Option<Preprocessor>,
    labels: Option<LabelSet>,
    answers: Answers,
    decoders: Decoders,
    provenance: Provenance,
    /// Where the tensors are; `None` with a custom engine.
    source: Option<Source>,
}

/// Where a model's results come from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Provenance {
    /// The model's full name.
    pub model: String,
    /// Its architecture.
    pub architecture: String,
    /// Its pretrained tag.
    pub tag: Option<String>,
    /// The commit of its hub repository, if it comes from one.
    pub revision: Option<String>,
    /// The file that its weights come from, or `seeded:N`.
    pub weights: String,
    /// What runs it, and where.
    pub engine: Capabilities,
    /// The preprocessing values and where each comes from.
    pub preprocessing: ResolvedPreprocessing,
    /// What turns outputs into probabilities, and what says so.
    pub activation: Resolved<ClassifierActivation>,
    /// What the user may want to know: a retired name, ignored keys of a configuration.
    pub notes: Vec<String>,
}

impl Model {
    /// The settings of a new model.
    #[must_use]
    pub fn builder() -> ModelBuilder {
        ModelBuilder::default()
    }

    /// The network's outputs for an image, one per class; without a classifier, the pooled
    /// features.
    ///
    /// # Errors
    ///
    /// An image that cannot be read, or an engine that fails.
    pub fn logits(&self, image: impl AsInput) -> Result<Vec<f32>, Error> {
        self.output(image, "logits")
    }

    /// The feature map at the end of each resolution, each (1, C, h, w), coarsest last.
    ///
    /// # Errors
    ///
    /// As [`logits`](Self::logits).
    pub fn feature_maps(&self, image: impl AsInput) -> Result<Vec<Array>, Error> {
        let outputs = self.outputs(image, &self.stages())?;
        outputs.into_iter().map(|(_, output)| Ok(output.into_array()?)).collect()
    }

    /// The outputs with these names for an image: see [`Engine::run`].
    ///
    /// # Errors
    ///
    /// As [`logits`](Self::logits); a name that the network does not have.
    ///
    /// ```
    /// use effnet::Model;
    /// let model = Model::builder().model("efficientnet_lite0").weights("seeded:0").build()?;
    /// let outputs = model.outputs("examples/images/coffee.png", &["blocks.1.0", "logits"])?;
    /// assert_eq!(outputs.get("blocks.1.0").unwrap().shape(), [1, 24, 56, 56]);
    /// # Ok::<(), effnet::Error>(())
    /// ```
    pub fn outputs(&self, image: impl AsInput, outputs: &[&str]) -> Result<Outputs, Error> {
        self.run_pixels(&[&self.preprocessor()?.pixels(image)?], outputs)
    }

    /// An image as the network will see it, resized and cropped: (H, W, C) bytes.
    ///
    /// # Errors
    ///
    /// An image that cannot be read.
    pub fn pixels(&self, image: impl AsInput) -> Result<Pixels, Error> {
        self.preprocessor()?.pixels(image)
    }

    /// Runs the network on images that are already resized, of any size: see [`Engine::run`].
    ///
    /// # Errors
    ///
    /// Images that the network does not take, an output that it does not have, or an engine that
    /// fails.
    pub fn run(&self, images: Images<'_>, outputs: &[&str]) -> Result<Outputs, Error> {
        let expected = images.shape()[0];
        let run = self.0.engine.run(images, outputs)?;
        // A custom engine may give fewer outputs than were requested.
        for output in outputs {
            let found =
                run.get(output).map_or(0, |output| output.shape().first().copied().unwrap_or(0));
            if found != expected {
                let output = (*output).to_owned();
                return Err(EngineError::Images { output, expected, found }.into());
            }
        }
        Ok(run)
    }

    /// The number of outputs; 0 if the network has no classifier.
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

    /// The classes' names, if they are known.
    #[must_use]
    pub fn labels(&self) -> Option<&LabelSet> {
        self.0.labels.as_ref()
    }

    /// What prepares images.
    ///
    /// # Errors
    ///
    /// A network with 2 input channels, or 5 or more, which no image has; use [`run`](Self::run)
    /// with tensors.
    pub fn preprocessor(&self) -> Result<&Preprocessor, Error> {
        let Provenance { model, preprocessing, .. } = &self.0.provenance;
        self.0.preprocessor.as_ref().ok_or_else(|| Error::Preprocessing {
            model: model.clone(),
            source: TransformError::Channels(preprocessing.input_size.value.into()),
        })
    }

    /// Where the results come from.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.0.provenance
    }

    /// The SHA-256 of the weights file, in hexadecimal; `None` for generated weights. Computed on
    /// the first call.
    #[must_use]
    pub fn weights_digest(&self) -> Option<&str> {
        self.0.source.as_ref().and_then(Source::checkpoint).map(Checkpoint::digest)
    }

    /// Hands the network's tensors to `read`.
    ///
    /// # Errors
    ///
    /// A model with a custom engine, which has none; tensors that cannot be read; the error of `read`.
    pub(crate) fn with_tensors<T>(
        &self,
        read: impl FnOnce(&dyn TensorSource) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match &self.0.source {
            Some(source) => load::with_tensors(source, &self.0.network, read),
            None => Err(Error::Untrained { model: self.0.provenance.model.clone() }),
        }
    }

    /// The calibration of this model that follows from a fitted temperature.
    #[must_use]
    pub fn calibration(&self, fit: &Fit) -> Calibration {
        let Provenance { model, weights, preprocessing, .. } = self.provenance();
        let weights = self.weights_digest().unwrap_or(weights).to_owned();
        let about = [model.clone(), weights, preprocessing.in_one()];
        Calibration::new(about, self.num_classes(), fit)
    }

    /// What answers have to be like.
    pub(crate) fn answers(&self) -> &Answers {
        &self.0.answers
    }

    /// Runs a black batch, so that memory and plans are ready for the first images.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn warm_up(&self, batch_size: usize) -> Result<(), Error> {
        let [channels, height, width] = self.0.provenance.preprocessing.input_size.value;
        let shape = [batch_size.max(1), channels, height, width];
        let black = vec![0.0; shape.iter().product()];
        self.run(Images::new(&black, shape)?, &["logits"]).map(drop)
    }

    /// The names of the maps at the end of each resolution.
    fn stages(&self) -> Vec<&str> {
        self.0.stages.iter().map(String::as_str).collect()
    }

    /// The values of one output for an image.
    pub(crate) fn output(&self, image: impl AsInput, output: &str) -> Result<Vec<f32>, Error> {
        Ok(self.outputs(image, &[output])?.take(output)?.data)
    }
}
