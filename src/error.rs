//! The library's error: one variant per cause, each a single line that says what to do next.

use std::path::PathBuf;

use crate::arch::ArchError;
use crate::conventions::ConvertError;
#[cfg(any(test, feature = "wgpu"))]
use crate::engine::WgpuError;
use crate::engine::{CpuError, EngineError};
use crate::evaluation::CalibrationError;
use crate::labels::LabelError;
use crate::preprocess::{DecodeError, ImageSizeError, TransformError};
use crate::pretrained::PretrainedError;
use crate::tasks::explain::ExplainError;
use crate::text::file_name;
use crate::weights::WeightsError;

/// What an [`Error`] is about, for code that answers a request with a status.
///
/// ```
/// use effnet::ErrorKind;
/// let status = |kind| match kind {
///     ErrorKind::Image => 422,
///     ErrorKind::TooLarge => 413,
///     ErrorKind::Overloaded => 503,
///     _ => 500,
/// };
/// let model = effnet::Model::builder().model("efficientnet_lite0").weights("seeded:0").build()?;
/// let error = model.embed(b"no image").unwrap_err();
/// assert_eq!(status(error.kind()), 422);
/// # Ok::<(), effnet::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An image that cannot be read or decoded.
    Image,
    /// An image that asks for more than the limits allow.
    TooLarge,
    /// The model: its name, its files, or what was asked of it.
    Model,
    /// The device.
    Device,
    /// The system will not start the threads now, or too many requests wait; it may work later.
    Overloaded,
    /// An answer that was not ready in time.
    Deadline,
    /// A fault of this library or of what it runs on.
    Internal,
}

/// Anything that can go wrong between a model's name and its predictions.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model's name or its configuration.
    #[error(transparent)]
    Model(#[from] PretrainedError),
    /// The hub, or the cache of its files.
    #[cfg(feature = "hub")]
    #[error(transparent)]
    Hub(#[from] crate::hub::HubError),
    /// The model's architecture.
    #[error(transparent)]
    Arch(#[from] ArchError),
    /// The model's weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Weights by another library's names.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// The model's class labels.
    #[error(transparent)]
    Labels(#[from] LabelError),
    /// Class names given by the caller that do not fit the model.
    #[error("`ModelBuilder::labels`: {0}")]
    GivenLabels(LabelError),
    /// A network without a classifier was asked for classes.
    #[error(
        "{model} has no classifier: its outputs are features, not classes; `Model::embed` returns them"
    )]
    NoClassifier {
        /// The model.
        model: String,
    },
    /// The softmax of one output is always 1.
    #[error(
        "{model} has one output, whose softmax is always 1: `ModelBuilder::activation` takes \
         sigmoid (the default here) or none"
    )]
    OneOutput {
        /// The model.
        model: String,
    },
    /// Probabilities were asked for, but the activation is none.
    #[error(
        "the activation none makes no probabilities: ask for the logits, or give `ModelBuilder::activation` sigmoid or softmax"
    )]
    NoProbabilities,
    /// A calibration.
    #[error(transparent)]
    Calibration(CalibrationError),
    /// What needs classes that exclude each other.
    #[error(
        "{setting} needs classes of which one applies, and the activation is {activation}: set \
         `ModelBuilder::activation` to softmax if that is right"
    )]
    NotExclusive {
        /// What was asked for.
        setting: &'static str,
        /// The activation.
        activation: String,
    },
    /// A least probability that is none.
    #[error("`AnswerOptions::min_probability` is from 0 to 1, and not {0}")]
    MinProbability(f32),
    /// A coverage without a calibration.
    #[error(
        "`AnswerOptions::coverage` needs `AnswerOptions::calibration`: `effnet validate` makes one"
    )]
    NeedsCalibration,
    /// Classes to roll up, without the probability that ends it.
    #[error("`AnswerOptions::roll_up` needs `AnswerOptions::min_probability`, such as 0.9")]
    NeedsMinProbability,
    /// Classes to roll up that have no names.
    #[error("`AnswerOptions::roll_up`: the model's classes have no names")]
    NoLabels,
    /// Classes that cannot be rolled up.
    #[error("`AnswerOptions::roll_up`: {0}")]
    RollUp(LabelError),
    /// The model's preprocessing.
    #[error("{model}: {source}")]
    Preprocessing {
        /// The model.
        model: String,
        /// What is wrong with it.
        source: TransformError,
    },
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// An explanation that cannot be given.
    #[error(transparent)]
    Explain(#[from] ExplainError),
    /// A model without weights: timm lists the architecture, but nobody has published weights.
    #[error(
        "{model} has no pretrained weights: set `ModelBuilder::weights` to a checkpoint, \
         or to `seeded:N` for generated ones"
    )]
    Untrained {
        /// The model.
        model: String,
    },
    /// An architecture that timm has and this library lacks.
    #[error("architecture {architecture} is not built in; `effnet models` lists those that are")]
    Unbuilt {
        /// The architecture.
        architecture: String,
    },
    /// Candle's engine was asked for, in a program without the feature `candle`.
    #[error("Candle's operations are not in this program: build it with the feature `candle`")]
    NeedsCandle,
    /// Weights that are on the hub, in a program without the feature `hub`.
    #[error(
        "{repo} is on the Hugging Face hub, and this program was built without \
         the feature `hub`: download config.json and model.safetensors of https://huggingface.co/{repo} into a folder \
         and name the folder, or set `ModelBuilder::weights` to the weights alone"
    )]
    NeedsHub {
        /// Its repository on the hub.
        repo: String,
    },
    /// A file whose number of classes is not the caller's.
    #[error(
        "{file}: its classifier has {found} classes, the model was built for {asked}: \
         set `ModelBuilder::num_classes` to {found}"
    )]
    NumClasses {
        /// The file.
        file: String,
        /// Classes of its classifier.
        found: usize,
        /// Classes that were asked for.
        asked: usize,
    },
    /// One checkpoint was named as the model and another as its weights.
    #[error(
        "{}: this is a file of weights, and another is given: name one of them",
        file_name(model)
    )]
    TwoCheckpoints {
        /// The file that was named as the model.
        model: PathBuf,
    },
    /// No model was named, and none is inside the program.
    #[error("name a model: this program was built without the feature `bundled`")]
    NoModel,
    /// An argument of a `config.json` that would change the network in a way not supported here.
    #[error("{}: model_args.{key} = {value:?} is not supported", file_name(file))]
    ModelArg {
        /// The configuration file.
        file: PathBuf,
        /// The argument.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// A `seeded:` source without a whole number.
    #[error("weights {0:?}: `seeded:` needs a whole number after it, such as seeded:0")]
    Seed(String),
    /// A device that is not compiled in or does not answer.
    #[error("device {device:?} is not available: {reason}")]
    Device {
        /// The device's name.
        device: String,
        /// Why.
        reason: String,
    },
    /// An image that cannot be read.
    #[error("{image}: {source}")]
    Read {
        /// The image's path.
        image: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Something that was named as an image, and why it is none that can be read.
    #[error("{image}: {reason}")]
    Unreadable {
        /// What it is called.
        image: String,
        /// What is wrong.
        reason: String,
    },
    /// An image that cannot be decoded.
    #[error("{image}: {source}")]
    Decode {
        /// The image's path, or what it is if it has none.
        image: String,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// Pixels that do not make an image.
    #[error("{image}: {source}")]
    ImageSize {
        /// What the image is called.
        image: String,
        /// What is wrong with it.
        source: ImageSizeError,
    },
    /// An image that cannot be resized.
    #[error("{image}: {source}")]
    Transform {
        /// The image's path, or what it is if it has none.
        image: String,
        /// What is wrong with it.
        source: TransformError,
    },
}

impl Error {
    /// What it is about.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        #[cfg(any(test, feature = "wgpu"))]
        if let Self::Engine(EngineError::Wgpu(error)) = self {
            return match error {
                WgpuError::TooLarge { .. } => ErrorKind::TooLarge,
                WgpuError::OutOfMemory => ErrorKind::Overloaded,
                _ => ErrorKind::Device,
            };
        }
        match self {
            Self::Decode {
                source: DecodeError::TooManyPixels { .. } | DecodeError::TooMuchMemory { .. },
                ..
            }
            | Self::Engine(EngineError::Cpu(CpuError::TooLarge { .. })) => ErrorKind::TooLarge,
            Self::Read { .. }
            | Self::Unreadable { .. }
            | Self::Decode { .. }
            | Self::ImageSize { .. }
            | Self::Transform { .. } => ErrorKind::Image,
            Self::Device { .. } => ErrorKind::Device,
            Self::Engine(
                EngineError::Threads { .. }
                | EngineError::Memory { .. }
                | EngineError::Cpu(CpuError::Threads(_)),
            ) => ErrorKind::Overloaded,
            Self::Engine(EngineError::Run(_) | EngineError::Cpu(CpuError::Failed)) => {
                ErrorKind::Internal
            }
            _ => ErrorKind::Model,
        }
    }
}
