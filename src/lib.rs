//! EfficientNet-family image classification with timm's names and timm's answers.
//!
//! ```text
//! bytes -> Image -> pixels (H,W,C) u8 -> Engine -> named outputs -> a task: classes, embedding
//!   preprocess::decode  ::EvalTransform                 logits, pre_logits, features, stages.N
//! ```
//!
//! A [`Model`] runs; a task says what its outputs mean. [`Classifier`] goes the whole way:
//!
//! ```
//! # #[cfg(feature = "bundled")] {
//! use effnet::Model;
//!
//! let classifier = Model::builder().build_classifier()?; // the weights inside the program
//! let predictions = classifier.classify("examples/images/coffee.png", 5)?;
//! assert_eq!(predictions[0].label.as_deref(), Some("espresso"));
//! # }
//! # Ok::<(), effnet::Error>(())
//! ```
//!
//! The modules behind it can be used on their own:
//!
//! - [`preprocess`]: from encoded bytes to the network's input, with Pillow's bytes;
//! - [`arch`]: the architectures as data, `models`: as Candle modules (with the feature `candle`);
//! - [`weights`]: strict loading of checkpoints, [`pretrained`]: timm's table of them;
//! - [`conventions`]: checkpoints of other libraries recognised, and converted between conventions;
//! - `sources` (with the feature of that name): images of folders, lists, archives and tables, any number of them;
//! - [`evaluation`]: how good a classifier is, and what makes its probabilities hold;
//! - [`engine`]: what runs a network; [`labels`]: the classes' names, top-k;
//! - [`explain`]: which parts of an image speak for a class;
//! - `batcher` (with the feature of that name): a queue in front of a model, for services;
//! - `hub` (with the feature of that name): files from the Hugging Face hub.

pub mod arch;
#[cfg(feature = "batcher")]
pub mod batcher;
pub mod conventions;
#[cfg(feature = "cuda")]
mod cuda;
pub mod engine;
mod error;
pub mod evaluation;
#[cfg(feature = "hub")]
pub mod hub;
pub mod labels;
mod model;
#[cfg(feature = "candle")]
pub mod models;
mod names;
pub mod preprocess;
pub mod pretrained;
mod replace;
#[cfg(feature = "sources")]
pub mod sources;
pub mod summary;
mod tasks;
mod text;
mod threads;
#[doc(hidden)]
pub mod unstable;
pub mod weights;

pub use image;
#[cfg(feature = "candle")]
pub use {candle_core, candle_nn};

pub use error::{Error, ErrorKind};
pub use model::{AsInput, Description, Input, Model, ModelBuilder, Preprocessor, Provenance};
pub use names::UnknownName;
pub use tasks::explain;
pub use tasks::{
    Answer, AnswerOptions, Classifier, EmbeddingOutcome, EmbeddingRecord, Labelled, Outcome,
    Prediction, Predictions, Record, Validation,
};

/// The documents whose Rust blocks are tests.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../docs/extending.md")]
    mod extending {}
    #[cfg(all(feature = "batcher", feature = "bundled"))]
    #[doc = include_str!("../docs/library.md")]
    mod library {}
}
