//! What a file of weights says about its outputs.

use super::resolve::Described;
use crate::Error;
use crate::labels::{ClassifierActivation, LabelNames, label_set_for};
use crate::pretrained::{Resolved, ValueSource};
use crate::weights::{Activation, Checkpoint};

impl Described {
    /// The activation and the classes' names that a file says beside its tensors; a configuration goes
    /// before it.
    pub(super) fn set_declared(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let declared = checkpoint.declared();
        let activation = declared.activation.as_ref().and_then(|said| match said.value {
            Activation::Softmax => Some(ClassifierActivation::Softmax),
            Activation::Sigmoid => Some(ClassifierActivation::Sigmoid),
            // Logits, of which a loss made probabilities in training.
            _ => None,
        });
        if let (None, Some(value)) = (&self.activation, activation) {
            self.activation = Some(Resolved { value, source: ValueSource::Checkpoint });
        }
        if let (None, Some(said)) = (&self.cfg.label_names, &declared.classes)
            && (said.value.len() == self.num_classes
                || (self.num_classes, said.value.len()) == (1, 2))
        {
            let names = LabelNames::List(said.value.clone());
            self.labels = label_set_for(self.num_classes, Some(&names), None)?;
            let (file, place) = (checkpoint.file(), &said.place);
            self.notes.push(format!("{file}: the classes are named as its `{place}` says"));
        }
        Ok(())
    }
}
