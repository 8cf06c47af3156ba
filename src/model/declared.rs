//! What a file of weights says about itself besides its tensors.

use super::described::Described;
use crate::Error;
use crate::labels::{ClassifierActivation, label_set_for};
use crate::pretrained::{Resolved, ValueSource, said_names, said_of_images};
use crate::weights::Checkpoint;

impl Described {
    /// Takes the activation, the classes' names, the norms' epsilon and what the file says about
    /// images. A configuration takes precedence over the file.
    pub(super) fn set_declared(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let declared = checkpoint.declared();
        let activation = declared.activation.as_ref().map(|said| said.value);
        // `None` means logits, which a loss turned into probabilities in training.
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
                    .push(format!("{file}: what it says about images is ignored: {key}: {reason}"));
            }
        }
        Ok(())
    }
}
