//! What training libraries save, made by `tests/parity/pth/libraries.py`, is read, or named with
//! the remedy.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use effnet::Model;
use effnet::conventions::recognize;
use effnet::weights::Checkpoint;

fn path(name: &str) -> PathBuf {
    Path::new("tests/data/pth/libraries").join(name)
}

#[test]
fn a_network_is_found_in_what_libraries_put_around_it() {
    for (name, model, classes) in [
        ("fastai_plain.pth", "lcnet_035", 2),
        ("mp_rank_00_model_states.pt", "lcnet_035", 5),
        ("peft_merged.pth", "lcnet_035", 5),
        ("encoder.pth", "efficientnet-b0", 0),
    ] {
        let checkpoint = Checkpoint::open(path(name)).unwrap();
        let found = recognize(&checkpoint, None, None).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(
            (found.model.name.as_str(), found.network.num_classes),
            (model, classes),
            "{name}"
        );
    }
    // A folder with only weights is opened like its file; this one has no network.
    let error = Model::builder().model(path("accelerate")).build().unwrap_err().to_string();
    assert!(error.contains("not a network of this family"), "{error}");
}

#[test]
fn what_cannot_be_run_is_named_with_the_remedy() {
    for (name, what, remedy) in [
        ("fastai.pth", "a network of fastai's `vision_learner`", "with its own classifier"),
        ("fastai_timm.pth", "a network of fastai's `vision_learner`", "with its own classifier"),
        ("segmentation.pth", "a network for segmentation", "`model.encoder.state_dict()`"),
        ("segmentation_timm.pth", "a network for segmentation", "name a whole network"),
        ("peft.pth", "a model with peft adapters", "`merge_and_unload()`"),
        ("peft/adapter_model.safetensors", "a model with peft adapters", "`merge_and_unload()`"),
        ("quantized.pth", "a model quantized", "the float model"),
        // Of which all but the classifier is there.
        ("quantized_classifier.pth", "a model quantized", "the float model"),
        ("mmpretrain.pth", "a network by MMPretrain's names", "train it with timm"),
        ("mmpretrain_mobilenet.pth", "a network by MMPretrain's names", "train it with timm"),
    ] {
        let checkpoint = Checkpoint::open(path(name)).unwrap();
        for architecture in [None, Some("efficientnet_b0")] {
            let error = recognize(&checkpoint, None, architecture).unwrap_err().to_string();
            assert!(error.contains(&format!("this is {what}")), "{name}: {error}");
            assert!(error.contains(remedy) && !error.contains('\n'), "{name}: {error}");
        }
    }
    for (name, what) in [
        ("fsdp", "a folder of torch.distributed's checkpoint"),
        ("fsdp/__0_0.distcp", "a part of torch.distributed's checkpoint"),
        ("fsdp/.metadata", "the table of torch.distributed's checkpoint"),
        ("peft", "a folder of peft's adapters"),
    ] {
        let error = Model::builder().model(path(name)).build().unwrap_err().to_string();
        assert!(error.contains(&format!("this is {what}, not safetensors")), "{name}: {error}");
    }
}
