//! EfficientNet-family image classification on Candle, with timm's names and timm's answers.
//!
//! ```text
//! bytes -> Image -> pixels (H,W,C) u8 -> batch (N,C,H,W) f32 -> logits (N,classes) -> Vec<Prediction>
//!   preprocess::decode  ::EvalTransform               engine                  labels
//! ```
//!
//! [`Classifier`] goes the whole way:
//!
//! ```
//! # #[cfg(feature = "bundled")] {
//! use effnet::Classifier;
//!
//! let classifier = Classifier::builder().build()?; // the weights inside the program
//! let predictions = classifier.classify("examples/images/coffee.png", 5)?;
//! assert_eq!(predictions[0].label.as_deref(), Some("espresso"));
//! # }
//! # Ok::<(), effnet::Error>(())
//! ```
//!
//! The rooms behind it can be used alone:
//!
//! - [`preprocess`]: from encoded bytes to the network's input, with Pillow's bytes;
//! - [`arch`]: the architectures as data, [`models`]: as Candle modules;
//! - [`weights`]: strict loading of checkpoints, [`pretrained`]: timm's table of them;
//! - [`convert`]: checkpoints of other libraries recognised, and converted between conventions;
//! - [`engine`]: what runs a network; [`labels`]: the classes' names, top-k;
//! - `hub` (with the feature of that name): files from the Hugging Face hub.

pub mod arch;
mod classifier;
#[cfg(feature = "cli")]
pub mod cli;
pub mod convert;
pub mod engine;
mod error;
#[cfg(feature = "hub")]
pub mod hub;
pub mod labels;
pub mod models;
pub mod preprocess;
pub mod pretrained;
mod replace;
pub mod summary;
mod text;
mod threads;
#[doc(hidden)]
pub mod unstable;
pub mod weights;

pub use classifier::{
    Classifier, ClassifierBuilder, Description, Input, Outcome, Prediction, Preprocessor,
    Provenance, Record,
};
pub use error::Error;
