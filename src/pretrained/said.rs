//! What a file of weights says about itself, as a configuration.

use super::{CfgOrigin, PretrainedCfg};
use crate::labels::LabelNames;
use crate::weights::Declared;

/// The class names in the file, if there is one for each class, and the place in the file.
pub(crate) fn said_names(declared: &Declared, num_classes: usize) -> Option<(LabelNames, &str)> {
    let said = declared.classes.as_ref()?;
    let count = said.value.len();
    // One output tells two classes apart.
    let fits = count == num_classes || (num_classes, count) == (1, 2);
    fits.then(|| (LabelNames::List(said.value.clone()), said.place.as_str()))
}

/// How images are prepared, as far as the file says, or what is wrong with a value.
pub(crate) fn said_of_images(
    declared: &Declared,
    in_chans: usize,
) -> Result<Option<PretrainedCfg>, (&'static str, String)> {
    let square = declared.img_size.as_ref().map(|said| [in_chans, said.value, said.value]);
    let input_size = declared.input_size.as_ref().map(|said| said.value);
    let resize = declared.resize_size.as_ref().map(|said| said.value as f64);
    // Only the last word, as torchvision's enumeration may precede it. `random` is for training
    // only.
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
