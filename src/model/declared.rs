//! What a file of weights says about itself beside its tensors.

use super::described::Described;
use crate::Error;
use crate::labels::{ClassifierActivation, label_set_for};
use crate::pretrained::{Resolved, ValueSource, said_names, said_of_images};
use crate::weights::Checkpoint;

impl Described {
    /// The activation, the classes' names, the epsilon of its norms and what a file says of images; a
    /// configuration goes before it.
    pub(super) fn set_declared(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let declared = checkpoint.declared();
        let activation = declared.activation.as_ref().map(|said| said.value);
        // `None` are logits, of which a loss made probabilities in training.
        let activation = activation.filter(|&said| said != ClassifierActivation::None);
        if let (None, Some(value)) = (&self.activation, activation) {
            self.activation = Some(Resolved { value, source: ValueSource::Checkpoint });
        }
        if let (None, Some((names, place))) =
            (&self.cfg.label_names, said_names(declared, self.num_classes))
        {
            self.labels = label_set_for(self.num_classes, Some(&names), None)?;
            let file = checkpoint.file();
            self.notes.push(format!("{file}: the classes are named as its `{place}` says"));
        }
        if let Some(said) = &declared.bn_eps {
            self.arch.bn_eps = said.value;
            let (file, place, bn_eps) = (checkpoint.file(), &said.place, said.value);
            self.notes
                .push(format!("{file}: batch norm's epsilon is {bn_eps:e}, as its `{place}` says"));
        }
        match said_of_images(declared, self.in_chans) {
            Ok(said) => self.said = said,
            Err((key, reason)) => {
                let file = checkpoint.file();
                self.notes
                    .push(format!("{file}: what it says of images is left aside: {key}: {reason}"));
            }
        }
        Ok(())
    }
}
