//! What a file of weights says about itself beside its tensors.

use super::described::Described;
use crate::Error;
use crate::labels::{ClassifierActivation, LabelNames, label_set_for};
use crate::pretrained::{CfgOrigin, PretrainedCfg, Resolved, ValueSource};
use crate::weights::{Checkpoint, Declared};

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
        if let (None, Some(said)) = (&self.cfg.label_names, &declared.classes)
            && (said.value.len() == self.num_classes
                || (self.num_classes, said.value.len()) == (1, 2))
        {
            let names = LabelNames::List(said.value.clone());
            self.labels = label_set_for(self.num_classes, Some(&names), None)?;
            let (file, place) = (checkpoint.file(), &said.place);
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

/// How images are prepared as far as the file says it, or what is wrong with a value.
fn said_of_images(
    declared: &Declared,
    in_chans: usize,
) -> Result<Option<PretrainedCfg>, (&'static str, String)> {
    let square = declared.img_size.as_ref().map(|said| [in_chans, said.value, said.value]);
    let input_size = declared.input_size.as_ref().map(|said| said.value);
    let resize = declared.resize_size.as_ref().map(|said| said.value as f64);
    // The word alone where torchvision's enumeration is before it; a choice at random is for training.
    let filter = |text: &str| text.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let interpolation = declared.interpolation.as_ref().map(|said| filter(&said.value));
    let cfg = PretrainedCfg {
        origin: CfgOrigin::Checkpoint,
        input_size: input_size.filter(|[channels, ..]| *channels == in_chans).or(square),
        crop_pct: declared
            .crop_pct
            .as_ref()
            .map(|said| said.value)
            .or_else(|| Some(square?[1] as f64 / resize?)),
        interpolation: interpolation.filter(|filter| filter != "random"),
        mean: declared.mean.as_ref().map(|said| said.value.clone()),
        std: declared.std.as_ref().map(|said| said.value.clone()),
        ..PretrainedCfg::default()
    };
    cfg.validate()?;
    let nothing = PretrainedCfg { origin: CfgOrigin::Checkpoint, ..PretrainedCfg::default() };
    Ok((cfg != nothing).then_some(cfg))
}
