use std::fmt::Display;
use std::ops::Deref;

use super::{Outcome, Prediction, Predictions, Record};
use crate::Error;
use crate::labels::{ClassifierActivation, Scored, top_k_at};
use crate::model::{AsInput, Model, ModelBuilder, only};

/// A model whose outputs are classes.
///
/// It is cheap to clone (clones share the weights) and works from any number of threads at once.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use effnet::Classifier;
/// let classifier = Classifier::new(effnet::Model::builder().build()?)?;
/// let best = &classifier.classify("examples/images/coffee.png", 5)?[0];
/// assert_eq!(best.label.as_deref(), Some("espresso"));
/// # }
/// # Ok::<(), effnet::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Classifier {
    model: Model,
}

/// A classifier has all methods of a model.
impl Deref for Classifier {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.model
    }
}

impl ModelBuilder {
    /// Builds a model, as [`build`](Self::build) does, whose outputs are classes.
    ///
    /// # Errors
    ///
    /// Those of [`build`](Self::build), and a network without a classifier.
    pub fn build_classifier(self) -> Result<Classifier, Error> {
        Classifier::new(self.build()?)
    }
}

impl Classifier {
    /// Takes the outputs of `model` as classes.
    ///
    /// # Errors
    ///
    /// A network without a classifier.
    pub fn new(model: Model) -> Result<Self, Error> {
        match model.num_classes() {
            0 => Err(Error::NoClassifier { model: model.provenance().model.clone() }),
            _ => Ok(Self { model }),
        }
    }

    /// The `k` most probable classes of an image, best first; fewer if the model has fewer. A
    /// network with one output has two classes, see [`top_k`](crate::labels::top_k()).
    /// [`AnswerOptions`](crate::AnswerOptions) add an answer, or make the list a set.
    ///
    /// # Errors
    ///
    /// An image that cannot be read, or an engine that fails.
    pub fn classify(&self, image: impl AsInput, k: usize) -> Result<Predictions, Error> {
        self.top_k(&self.model.logits(image)?, k)
    }

    /// [`classify`](Self::classify) for many images in one batch: decoding runs in parallel, and an
    /// image that fails does not stop the others. Results are in the order of `images`.
    ///
    /// The batch needs memory for all images; [`classify_each`](Self::classify_each) takes any
    /// number.
    pub fn classify_batch<I>(&self, images: &[I], k: usize) -> Vec<Result<Predictions, Error>>
    where
        I: AsInput + Sync,
    {
        self.model.batch(images, &["logits"], |logits| self.top_k(&only(logits)?, k))
    }

    /// Classifies any number of images in batches of `batch_size`. While one batch is in the
    /// network, the next is taken from `images` and decoded; no further images are held. `each`
    /// gets every image with its result, in order; an error from `each` ends the run at once.
    ///
    /// # Errors
    ///
    /// The error of `each`.
    ///
    /// ```
    /// # #[cfg(feature = "bundled")] {
    /// let classifier = effnet::Model::builder().build_classifier()?;
    /// let images = std::iter::repeat("examples/images/coffee.png"); // any number
    /// let mut seen = 0;
    /// let ended = classifier.classify_each(images, 2, 1, |image, result| {
    ///     println!("{image}: {:?}", result.unwrap()[0].label);
    ///     seen += 1;
    ///     if seen < 3 { Ok(()) } else { Err("enough") }
    /// });
    /// assert_eq!((ended, seen), (Err("enough"), 3));
    /// # }
    /// # Ok::<(), effnet::Error>(())
    /// ```
    pub fn classify_each<I, E>(
        &self,
        images: impl IntoIterator<Item = I>,
        batch_size: usize,
        k: usize,
        each: impl FnMut(I, Result<Predictions, Error>) -> Result<(), E>,
    ) -> Result<(), E>
    where
        I: AsInput + Send + Sync,
    {
        let result = |logits| self.top_k(&only(logits)?, k);
        self.model.each(images, batch_size, &["logits"], result, each)
    }

    /// The probability of every class: the softmax of the logits, or the sigmoid of each. A network
    /// with one output has two, the positive class's last.
    ///
    /// # Errors
    ///
    /// Those of [`classify`](Self::classify), and outputs that do not become probabilities.
    pub fn probabilities(&self, image: impl AsInput) -> Result<Vec<f32>, Error> {
        self.probabilities_of(&self.model.logits(image)?)
    }

    /// The probability of every class, of one image's logits: see
    /// [`probabilities`](Self::probabilities).
    ///
    /// # Errors
    ///
    /// Logits that are not finite, and outputs that do not become probabilities.
    pub fn probabilities_of(&self, logits: &[f32]) -> Result<Vec<f32>, Error> {
        let temperature = self.model.answers().temperature();
        let mut classes = top_k_at(logits, self.activation(), usize::MAX, temperature)?;
        classes.sort_unstable_by_key(|scored| scored.index);
        let probabilities = classes.into_iter().map(|scored| scored.probability);
        probabilities.collect::<Option<_>>().ok_or(Error::NoProbabilities)
    }

    /// The `k` most probable classes of one image's logits, best first.
    ///
    /// # Errors
    ///
    /// Logits that are not finite.
    pub fn top_k(&self, logits: &[f32], k: usize) -> Result<Predictions, Error> {
        let (labels, answers) = (self.model.labels(), self.model.answers());
        let temperature = answers.temperature();
        let mut scored = top_k_at(logits, self.activation(), answers.classes(k), temperature)?;
        // The labels for one output are those of a pair of classes, even if the output is not
        // turned into a pair.
        let is_alone = logits.len() == 1 && self.activation() == ClassifierActivation::None;
        let positive = usize::from(is_alone);
        let prediction = |s: Scored| Prediction::new(s, s.index + positive, labels);
        let answer = answers.answer(&scored, prediction);
        scored.truncate(answers.listed(&scored, k));
        let classes = scored.into_iter().map(prediction).collect();
        Ok(Predictions { classes, answer, coverage: answers.coverage() })
    }

    /// The JSON form of a result. The error may be the caller's own.
    #[must_use]
    pub fn record(
        &self,
        image: impl Into<String>,
        result: Result<Predictions, impl Display>,
    ) -> Record {
        let model = &self.model.provenance().model;
        match result {
            Ok(Predictions { classes, answer, coverage }) => {
                let outcome = Outcome::Predictions(classes);
                Record { answer, coverage, ..Record::new(image, model, outcome) }
            }
            Err(error) => Record::new(image, model, Outcome::Error(error.to_string())),
        }
    }

    pub(super) fn activation(&self) -> ClassifierActivation {
        self.model.provenance().activation.value
    }
}
