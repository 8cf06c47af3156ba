//! Signs that a file is close to a network but cannot be run.

use super::ConvertError;
use crate::weights::Checkpoint;

const FLOAT: &str = "save the state dict of the float model";
const MERGE: &str = "put them into the weights with `merge_and_unload()`, and save that model";

/// Parts of tensor names that must all be there, what such a file is, and the remedy.
const TELLTALES: [(&[&str], &str, &str); 8] = [
    (&[".lora_A."], "a model with peft adapters besides its weights", MERGE),
    (&["_packed_params."], "a model quantized by torch.ao", FLOAT),
    (&[".scale", ".zero_point"], "a model quantized by torch.ao", FLOAT),
    (
        &["encoder.model.", "segmentation_head."],
        "a network for segmentation, of segmentation_models_pytorch, with timm's blocks but not its head",
        "the features of such a network cannot be computed: name a whole network",
    ),
    (
        &["decoder.", "segmentation_head."],
        "a network for segmentation, of segmentation_models_pytorch",
        "save its encoder alone, `model.encoder.state_dict()`, to take features",
    ),
    (
        &["0.", "1.2.running_mean", "1.4.weight", "1.6.running_mean", "1.8.weight"],
        "a network of fastai's `vision_learner`, whose head has two linear layers and two norms",
        "train timm's or torchvision's network with its own classifier, by `Learner(dls, model, ...)`",
    ),
    (
        &["backbone.layers.0.conv.weight", "backbone.layers.0.bn.weight", "head.fc.weight"],
        "a network by MMPretrain's names, which are not known",
        "train it with timm, by `TIMMBackbone`, or by another library that is known",
    ),
    (
        &["backbone.conv1.conv.weight", "backbone.conv1.bn.weight", "head.fc.weight"],
        "a network by MMPretrain's names, which are not known",
        "train it with timm, by `TIMMBackbone`, or by another library that is known",
    ),
];

/// What a file is, if its names show that it is not a network that can be run.
pub(super) fn find(checkpoint: &Checkpoint) -> Option<ConvertError> {
    let has = |part: &&str| {
        // A part that begins with a dot or underscore may be anywhere in a name; others must begin
        // one.
        let is_of = |name: &str| match part.starts_with(['.', '_']) {
            true => name.contains(part) || name.ends_with(part.trim_end_matches('.')),
            false => name.starts_with(part),
        };
        checkpoint.names().chain(checkpoint.unreadable_names()).any(is_of)
    };
    let found = TELLTALES.iter().find(|(parts, ..)| parts.iter().all(has));
    found.map(|&(_, what, remedy)| ConvertError::NoNetwork {
        file: checkpoint.file().to_owned(),
        what,
        remedy,
    })
}
