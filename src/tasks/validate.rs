//! A classifier's answers against right ones.

use super::Classifier;
use crate::Error;
use crate::evaluation::{Evaluation, EvaluationReport, Fit, Named};
use crate::labels::{ClassifierActivation, LabelError};
use crate::model::{AsInput, Input, Model, only};

/// An image and the class that it shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled<I> {
    /// What results call the image.
    pub name: String,
    /// The image.
    pub image: I,
    /// The class: its index, or its place among the valid labels.
    pub target: usize,
    /// All classes that are right, by ImageNet's ReaL labels; none if people found no class.
    pub real: Option<Vec<usize>>,
}

impl<I: AsInput> AsInput for Labelled<I> {
    fn as_input(&self) -> Input<'_> {
        self.image.as_input()
    }
}

/// Compares a classifier's answers with right ones: the figures of timm's `validate.py`, and more.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use effnet::{Labelled, Model, Validation};
/// let classifier = Model::builder().build_classifier()?;
/// let coffee = |target| Labelled {
///     name: "coffee".to_owned(),
///     image: "examples/images/coffee.png",
///     target,
///     real: None,
/// };
/// let mut validation = Validation::new(&classifier, None)?;
/// classifier.validate_each([coffee(967), coffee(968)], 8, &mut validation, |image, result| {
///     result.map(|is_worst| println!("{}: {is_worst}", image.name))
/// })?;
/// let report = validation.report();
/// assert_eq!((report.accuracy.top1, report.accuracy.top5), (0.5, 1.0));
/// assert_eq!(report.confusion[0].answer.label.as_deref(), Some("espresso"));
/// # }
/// # Ok::<(), effnet::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Validation {
    evaluation: Evaluation,
    valid: Option<Vec<usize>>,
    names: Vec<Named>,
}

impl Validation {
    /// For the answers of `classifier`; if `valid` is given, only among these of its classes (timm's
    /// `--valid-labels`). A target is then a place in this list.
    ///
    /// # Errors
    ///
    /// A classifier whose classes do not exclude each other, or a valid label that is not a class.
    pub fn new(classifier: &Classifier, valid: Option<Vec<usize>>) -> Result<Self, Error> {
        let (outputs, activation) = (classifier.num_classes(), classifier.activation());
        let is_alone = outputs == 1 && activation == ClassifierActivation::Sigmoid;
        if !(is_alone || activation == ClassifierActivation::Softmax) {
            let activation = activation.to_string();
            return Err(Error::NotExclusive { setting: "validation", activation });
        }
        let classes = outputs.max(2);
        let valid_or_all = valid.clone().unwrap_or_else(|| (0..classes).collect());
        if let Some(&class) = valid_or_all.iter().find(|class| **class >= classes) {
            return Err(LabelError::NoSuchClass { class, num_classes: classes }.into());
        }
        let name = |index: usize| {
            let label = classifier.labels().and_then(|labels| labels.get(index));
            Named {
                index,
                synset: label.and_then(|label| label.synset).map(str::to_owned),
                label: label.map(|label| label.label.to_owned()),
            }
        };
        let names: Vec<Named> = valid_or_all.into_iter().map(name).collect();
        Ok(Self { evaluation: Evaluation::new(names.len()), valid, names })
    }

    /// Counts an image with these outputs of the network. The result says whether it is one of the
    /// worst mistakes so far.
    ///
    /// # Errors
    ///
    /// Outputs that are not finite, or a target that is no class.
    pub fn add<I>(&mut self, image: &Labelled<I>, logits: &[f32]) -> Result<bool, Error> {
        let chosen: Vec<f32>;
        let logits = match (logits, &self.valid) {
            // The sigmoid of one output is the softmax of it and 0.
            (&[positive], _) => &[0.0, positive],
            (_, None) => logits,
            (_, Some(valid)) => {
                chosen = valid.iter().filter_map(|&class| logits.get(class)).copied().collect();
                &chosen
            }
        };
        let is_worst = self.evaluation.add(&image.name, logits, image.target)?;
        if let Some(real) = &image.real {
            self.evaluation.add_real(logits, real);
        }
        Ok(is_worst)
    }

    /// How many images were counted, and how many of them are right.
    #[must_use]
    pub fn counted(&self) -> [u64; 2] {
        [self.evaluation.images(), self.evaluation.right()]
    }

    /// The classes that answers are chosen from, by target.
    #[must_use]
    pub fn classes(&self) -> &[Named] {
        &self.names
    }

    /// Fits a temperature: see [`Fit`].
    ///
    /// # Errors
    ///
    /// Images that no temperature fits.
    pub fn fit(&self) -> Result<Fit, Error> {
        self.evaluation.fit().map_err(Error::Calibration)
    }

    /// All figures but the temperature's.
    #[must_use]
    pub fn report(&self) -> EvaluationReport {
        self.evaluation.report(|class| self.names[class].clone())
    }
}

impl Classifier {
    /// Adds the answers for any number of images to `validation`, as
    /// [`classify_each`](Self::classify_each) classifies them. An image that fails is not counted.
    /// `each` gets every image with the result of [`Validation::add`].
    ///
    /// # Errors
    ///
    /// The error of `each`.
    pub fn validate_each<I, E>(
        &self,
        images: impl IntoIterator<Item = Labelled<I>>,
        batch_size: usize,
        validation: &mut Validation,
        mut each: impl FnMut(&Labelled<I>, Result<bool, Error>) -> Result<(), E>,
    ) -> Result<(), E>
    where
        I: AsInput + Send + Sync,
    {
        let model: &Model = self;
        model.each(images, batch_size, &["logits"], only, |image, logits| {
            let result = logits.and_then(|logits| validation.add(&image, &logits));
            each(&image, result)
        })
    }
}
