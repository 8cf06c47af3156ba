//! What is asked of a model, for each image, without Python.

use effnet::engine::Array;
use effnet::preprocess::Pixels;
use effnet::{Classifier, Error, Model, Prediction};

use crate::image::Image;

/// What is asked of every image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    Classify { k: usize },
    Probabilities,
    Logits,
    Embed,
    FeatureMaps,
    Pixels,
    Preprocess,
}

/// A task, and who does it.
#[derive(Clone)]
pub(crate) enum Job {
    Classes(Classifier, Task),
    Features(Model, Task),
}

/// The answer for one image; the first dimension of its arrays is 1.
pub(crate) enum Answer {
    Predictions(Vec<Prediction>),
    Array(Array),
    Arrays(Vec<Array>),
    Pixels(Pixels),
}

impl Job {
    /// A task that this model can do.
    pub(crate) fn new(model: &Model, task: Task) -> Result<Self, Error> {
        Ok(match task {
            Task::Classify { .. } | Task::Probabilities => {
                Self::Classes(Classifier::new(model.clone())?, task)
            }
            _ => Self::Features(model.clone(), task),
        })
    }

    fn model(&self) -> &Model {
        match self {
            Self::Classes(classifier, _) => classifier,
            Self::Features(model, _) => model,
        }
    }

    /// The outputs of the network that the task needs; none if it needs no network.
    fn outputs(&self) -> Vec<String> {
        match self {
            Self::Classes(..) | Self::Features(_, Task::Logits) => vec!["logits".to_owned()],
            Self::Features(_, Task::Embed) => vec!["pre_logits".to_owned()],
            Self::Features(model, Task::FeatureMaps) => {
                (0..model.network().stage_ends().len()).map(|n| format!("stages.{n}")).collect()
            }
            Self::Features(..) => Vec::new(),
        }
    }

    /// The answer, of the outputs in the order of [`outputs`](Self::outputs).
    fn answer(&self, mut arrays: Vec<Array>) -> Result<Answer, Error> {
        Ok(match self {
            Self::Features(_, Task::FeatureMaps) => Answer::Arrays(arrays),
            Self::Features(..) => Answer::Array(arrays.remove(0)),
            Self::Classes(classifier, Task::Classify { k }) => {
                Answer::Predictions(classifier.top_k(&arrays[0].data, *k)?.classes)
            }
            Self::Classes(classifier, _) => {
                let data = classifier.probabilities_of(&arrays[0].data)?;
                Answer::Array(Array { shape: vec![1, data.len()], data })
            }
        })
    }

    /// The answer for an image of a task that needs no network.
    fn prepare(&self, image: &Image) -> Result<Answer, Error> {
        let preprocessor = self.model().preprocessor()?;
        Ok(match self {
            Self::Features(_, Task::Pixels) => Answer::Pixels(preprocessor.pixels(image)?),
            _ => {
                let (channels, height, width) = preprocessor.transform().config().input_size;
                let shape = vec![1, channels, height, width];
                Answer::Array(Array { data: preprocessor.input(image)?, shape })
            }
        })
    }

    /// The answer for an image.
    pub(crate) fn one(&self, image: &Image) -> Result<Answer, Error> {
        let names = self.outputs();
        if names.is_empty() {
            return self.prepare(image);
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let outputs = self.model().outputs(image, &names)?;
        let arrays = outputs.into_iter().map(|(_, output)| Ok(output.into_array()?));
        self.answer(arrays.collect::<Result<_, Error>>()?)
    }

    /// Calls `each` with the answer for every image, in order, until it fails. While one batch is in
    /// the network, the next is decoded.
    pub(crate) fn each<E>(
        &self,
        images: impl IntoIterator<Item = Image>,
        batch_size: usize,
        mut each: impl FnMut(Result<Answer, Error>) -> Result<(), E>,
    ) -> Result<(), E> {
        let names = self.outputs();
        if names.is_empty() {
            return images.into_iter().try_for_each(|image| each(self.prepare(&image)));
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.model().outputs_each(images, batch_size, &names, |_, outputs| {
            let arrays = outputs.and_then(|outputs| {
                outputs.into_iter().map(|(_, output)| Ok(output.into_array()?)).collect()
            });
            each(arrays.and_then(|arrays| self.answer(arrays)))
        })
    }
}
