//! Which class is explained.

use super::{ExplainError, Target};
use crate::Error;
use crate::tasks::{Classifier, Prediction};
use crate::weights::nearest;

/// The classes of an image that are explained, and how their score is made of the outputs.
#[derive(Debug)]
pub(super) struct Score {
    pub(super) class: Prediction,
    pub(super) versus: Option<Prediction>,
    /// A factor for each of the network's outputs; the score is the sum of the products.
    pub(super) factors: Vec<f32>,
}

impl Score {
    /// The score of `target` for an image with these logits.
    pub(super) fn new(
        classifier: &Classifier,
        target: Target,
        logits: &[f32],
    ) -> Result<Self, Error> {
        let mut classes: Vec<Prediction> = classifier.top_k(logits, usize::MAX)?.classes;
        // The best class other than the one it is compared with.
        let best =
            |other| classes.iter().map(|class| class.index).find(|&class| Some(class) != other);
        let class = target.class.or_else(|| best(target.versus)).unwrap_or_default();
        if target.versus == Some(class) {
            return Err(ExplainError::SameClass(class).into());
        }
        let has_two = logits.len() < classes.len();
        let mut factors = vec![0.0; logits.len()];
        for (class, sign) in [(Some(class), 1.0), (target.versus, -1.0)] {
            let Some(class) = class else { continue };
            // The negative class of a network with one output has that output negated.
            let (output, sign) = match (has_two, class) {
                (true, 0) => (0, -sign),
                (true, _) => (0, sign),
                (false, class) => (class, sign),
            };
            let unknown = || unknown(classifier, &class.to_string(), classes.len());
            *factors.get_mut(output).ok_or_else(unknown)? += sign;
        }
        let mut take = |index: usize| {
            let at = classes.iter().position(|class| class.index == index);
            at.map(|at| classes.remove(at))
                .ok_or_else(|| unknown(classifier, &index.to_string(), classes.len()))
        };
        Ok(Self { class: take(class)?, versus: target.versus.map(&mut take).transpose()?, factors })
    }

    /// The score of these logits.
    pub(super) fn of(&self, logits: &[f32]) -> f32 {
        self.factors.iter().zip(logits).map(|(factor, logit)| factor * logit).sum()
    }
}

impl Classifier {
    /// The index of the class that `name` means: an index, a synset, or a label, in capitals or not.
    /// A label may also be one of the names that timm's description of the class lists.
    ///
    /// # Errors
    ///
    /// A name that no class has, or several.
    ///
    /// ```
    /// # #[cfg(feature = "bundled")] {
    /// let classifier = effnet::Model::builder().build_classifier()?;
    /// for name in ["967", "n07920052", "Espresso"] {
    ///     assert_eq!(classifier.class(name)?, 967);
    /// }
    /// let error = classifier.class("expresso").unwrap_err().to_string();
    /// assert!(error.contains("did you mean \"espresso\"?"));
    /// # }
    /// # Ok::<(), effnet::Error>(())
    /// ```
    pub fn class(&self, name: &str) -> Result<usize, Error> {
        let labels = self.labels();
        let count = labels.map_or(self.num_classes(), |labels| labels.len());
        let name = name.trim();
        if let Some(index) = name.parse().ok().filter(|&index| index < count) {
            return Ok(index);
        }
        let all = || (0..count).filter_map(|index| Some((index, labels?.get(index)?)));
        let with = |is: &dyn Fn(&crate::labels::Label<'_>) -> bool| -> Vec<usize> {
            all().filter(|(_, label)| is(label)).map(|(index, _)| index).collect()
        };
        let same = |other: &str| other.to_lowercase() == name.to_lowercase();
        let mut found = with(&|label| label.synset == Some(name) || same(label.label));
        if found.is_empty() {
            found = with(&|label| label.lemmas.split(", ").any(same));
        }
        match found[..] {
            [index] => Ok(index),
            [] => Err(unknown(self, name, count)),
            _ => {
                let indices: Vec<String> = found.iter().map(ToString::to_string).collect();
                let model = self.provenance().model.clone();
                let (class, indices) = (name.to_owned(), indices.join(", "));
                Err(ExplainError::AmbiguousClass { model, class, indices }.into())
            }
        }
    }
}

fn unknown(classifier: &Classifier, name: &str, count: usize) -> Error {
    let labels = classifier.labels();
    let labels = (0..count).filter_map(|index| Some(labels?.get(index)?.label));
    ExplainError::UnknownClass {
        model: classifier.provenance().model.clone(),
        class: name.to_owned(),
        nearest: nearest(name, labels),
        last: count.saturating_sub(1),
    }
    .into()
}
