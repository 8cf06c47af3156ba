//! What files have in them that are near to a network's, and are no network that can be run.

use super::ConvertError;
use crate::weights::Checkpoint;

const FLOAT: &str = "save the state dict of the float model";
const MERGE: &str = "put them into the weights with `merge_and_unload()`, and save that model";

/// Parts of tensors' names that all have to be there, what that is, and the remedy.
const TELLTALES: [(&[&str], &str, &str); 8] = [
    (&[".lora_A."], "a model with adapters of peft's beside its weights", MERGE),
    (&["_packed_params."], "a quantized model of torch.ao's", FLOAT),
    (&[".scale", ".zero_point"], "a quantized model of torch.ao's", FLOAT),
    (
        &["encoder.model.", "segmentation_head."],
        "a network for segmentation, of segmentation_models_pytorch, with timm's blocks and not its head",
        "no features of such a network are computed: name a whole one",
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
        // A part that begins with a dot is in a name, others are at the beginning of one's own.
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
