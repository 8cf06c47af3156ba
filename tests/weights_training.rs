//! What training leaves: the network's tensors are found in it, nothing in it is run, and what it says
//! about the model is told.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use effnet::weights::{Checkpoint, NamedTensor, Values, serialize};

fn path(name: &str) -> PathBuf {
    Path::new("tests/data/pth/training").join(name)
}

fn open(name: &str) -> Checkpoint {
    Checkpoint::open(path(name)).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_weights_or_their_averages_are_found_in_what_libraries_leave() {
    for (name, expected, notes) in [
        ("timm.pth.tar", "network", &["those under `state_dict`, without 15 tensors beside"][..]),
        ("timm_ema.pth.tar", "averages", &["those under `state_dict_ema`, without 23 tensors"]),
        ("torchvision.pth", "network", &["those under `model`, without"]),
        ("torchvision_ema.pth", "averages", &["those under `model_ema`", "prefix module."]),
        ("averaged.pth", "averages", &["the prefix module. was taken off 8 names"]),
        ("ema_key.pth", "averages", &["those under `ema`", "prefix module."]),
        ("tutorial.pth", "network", &["those under `model_state_dict`, without 1 tensors"]),
        ("net.pth", "network", &["those under `net`"]),
        ("weights.pth", "network", &["those under `weights`"]),
        ("params.pth", "network", &["those under `params_ema`, without 8 tensors beside them"]),
        ("classes.pth", "network", &["those under `model`"]),
        ("parallel.pth", "network", &["those under `state_dict`", "under `model`", "module."]),
        ("compiled.pth", "network", &["the prefix _orig_mod. was taken off 8 names"]),
        ("compiled_part.pth", "network", &["the prefix _orig_mod. was taken off 1 names"]),
        ("lightning_plain.ckpt", "network", &["those under `state_dict`", "those under `net`"]),
        ("module.pth", "network", &["a module of the class `__main__.Network`"]),
        ("module_legacy.pth", "network", &["a module of the class `__main__.Network`"]),
        ("module_parallel.pth", "network", &["DataParallel`", "prefix module."]),
        ("module_key.pth", "network", &["class `__main__.Network`", "those under `model`"]),
        ("accepted.pth", "network", &["those under `state_dict`, without 3 tensors beside"]),
        ("foreign_2.pth", "network", &["those under `state_dict`"]),
        ("foreign_3.pth", "network", &["those under `state_dict`"]),
        ("foreign_4.pth", "network", &["those under `state_dict`"]),
        ("foreign_5.pth", "network", &["those under `state_dict`"]),
        ("double.pth", "network", &[]),
    ] {
        let found = open(name);
        let expected = open(&format!("{expected}.safetensors"));
        let floats = |file: &Checkpoint| -> Vec<String> {
            file.names().filter(|name| !name.ends_with("tracked")).map(str::to_owned).collect()
        };
        let mut names = floats(&found);
        names.sort();
        let mut wanted = floats(&expected);
        wanted.sort();
        assert_eq!(names, wanted, "{name}");
        for tensor in names {
            assert_eq!(found.shape(&tensor), expected.shape(&tensor), "{name}: {tensor}");
            let values = found.read_f32(&tensor).unwrap();
            assert_eq!(values, expected.read_f32(&tensor).unwrap(), "{name}: {tensor}");
        }
        let note = found.note().unwrap_or_default();
        assert!(notes.iter().all(|said| note.contains(said)), "{name}: {note}");
        assert_eq!(notes.is_empty(), note.is_empty(), "{name}: {note}");
    }
}

/// The same tensors by flat names, as safetensors has them.
fn flat(named: &[(&str, &[usize])]) -> Checkpoint {
    let values: Vec<Vec<f32>> =
        named.iter().map(|(_, shape)| vec![1.0; shape.iter().product()]).collect();
    let tensors: Vec<_> = named
        .iter()
        .zip(&values)
        .map(|(&(name, shape), values)| NamedTensor { name, shape, values: Values::F32(values) })
        .collect();
    Checkpoint::from_bytes("flat", serialize(&tensors, &BTreeMap::new()).unwrap()).unwrap()
}

#[test]
fn a_dictionarys_key_and_the_beginning_of_a_name_are_one_wrapper() {
    for (name, key) in [
        ("torchvision_ema.pth", "model_ema.module"),
        ("ema_key.pth", "ema.module"),
        ("params.pth", "params_ema"),
        ("net.pth", "net"),
        ("lightning_plain.ckpt", "state_dict.net"),
    ] {
        let pickled = open(name);
        let names: Vec<String> = pickled.names().map(|tensor| format!("{key}.{tensor}")).collect();
        let tensors: Vec<_> = names
            .iter()
            .zip(pickled.names())
            .map(|(flat, tensor)| (flat.as_str(), pickled.shape(tensor).unwrap()))
            .collect();
        let mut flat_names: Vec<_> = flat(&tensors).names().map(str::to_owned).collect();
        let mut names: Vec<_> = pickled.names().map(str::to_owned).collect();
        (flat_names.sort(), names.sort());
        assert_eq!(flat_names, names, "{name}");
    }
}

#[test]
fn a_head_beside_the_backbone_stays_and_what_is_no_layer_is_named() {
    let file = open("lightning.ckpt");
    assert_eq!(file.shape("fc.weight"), Some(&[5, 2][..]));
    assert_eq!(file.read_f32("fc.weight").unwrap()[..3], [0.0, 0.25, 0.5]);
    let (expected, stem) = (open("network.safetensors"), "conv_stem.weight");
    let found = file.read_f32("model.conv_stem.weight").unwrap();
    assert_eq!(found, expected.read_f32(stem).unwrap());
    assert_eq!(file.shape("criterion.weight"), None);
    let note = file.note().unwrap();
    for said in ["those under `state_dict`", "no layer: criterion.weight, matrix.confmat"] {
        assert!(note.contains(said), "{note}");
    }
    // A batch norm before a head is a layer.
    let file = flat(&[
        ("net.stem.weight", &[2, 3, 1, 1]),
        ("head.0.weight", &[2]),
        ("head.0.running_mean", &[2]),
        ("head.1.weight", &[5, 2]),
        ("loss_fn.pos_weight", &[5]),
    ]);
    assert_eq!(file.names().len(), 4);
    assert_eq!(file.note(), Some("left out what can be no layer: loss_fn.pos_weight"));
    let parts = open("parts.pth");
    assert_eq!(parts.shape("head.weight"), Some(&[3, 2][..]));
    assert!(parts.shape("backbone.conv_stem.weight").is_some());
    assert_eq!(parts.note(), Some("1 tensors of the optimizer were left out"));
}

#[test]
fn what_a_file_says_about_its_model_is_told_with_its_place() {
    let architecture = |file: &Checkpoint| {
        let said = file.declared().architectures.iter();
        said.map(|said| format!("{}={}", said.place, said.value)).collect::<Vec<_>>()
    };
    let timm = open("timm.pth.tar");
    let names = ["arch=tf_efficientnet_lite0", "args.model=tf_efficientnet_lite0"];
    assert_eq!(architecture(&timm), names);
    let said = timm.declared();
    assert_eq!(said.num_classes.as_ref().unwrap().value, 3);
    assert_eq!(said.num_classes.as_ref().unwrap().place, "args.num_classes");
    assert_eq!(said.in_chans.as_ref().unwrap().value, 3);
    assert_eq!(said.input_size, None);
    assert_eq!(said.img_size.as_ref().unwrap().value, 64);
    assert_eq!(said.crop_pct.as_ref().unwrap().value, 0.9);
    assert_eq!(said.mean.as_ref().unwrap().value, [0.5, 0.4, 0.3]);
    assert_eq!(said.std.as_ref().unwrap().value, [0.2, 0.25, 0.3]);
    assert_eq!(said.interpolation.as_ref().unwrap().value, "bicubic");
    assert_eq!(said.bn_eps, None);
    let torchvision = open("torchvision.pth");
    assert_eq!(architecture(&torchvision), ["args.model=efficientnet_b0"]);
    assert_eq!(torchvision.declared().resize_size.as_ref().unwrap().value, 256);
    assert_eq!(torchvision.declared().img_size.as_ref().unwrap().value, 224);
    let lightning = open("lightning.ckpt");
    assert_eq!(architecture(&lightning), ["hyper_parameters.model_name=tf_efficientnetv2_b0"]);
    assert_eq!(lightning.declared().num_classes.as_ref().unwrap().value, 5);
    assert_eq!(
        architecture(&open("lightning_plain.ckpt")),
        ["hyper_parameters.arch=efficientnet_b0"]
    );
    let classes = open("classes.pth");
    assert_eq!(architecture(&classes), ["arch=efficientnet_b1"]);
    assert_eq!(classes.declared().classes.as_ref().unwrap().value, ["a", "b", "c"]);
    assert_eq!(classes.declared().num_classes.as_ref().unwrap().place, "config.num_classes");
    let weights = open("weights.pth");
    let said = weights.declared().classes.as_ref().unwrap();
    assert_eq!(
        (&*said.place, said.value.as_slice()),
        ("class_to_idx", &["cat", "dog", "emu"].map(str::to_owned)[..])
    );

    let metadata = [
        ("format", "pt"),
        ("architecture", "efficientnet_b0"),
        ("num_classes", "3"),
        ("id2label", r#"{"0": "a", "2": "c", "1": "b"}"#),
        ("config", r#"{"img_size": 96}"#),
    ];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let one = NamedTensor { name: "a", shape: &[1], values: Values::F32(&[1.0]) };
    let bytes = serialize(&[one], &BTreeMap::from(metadata)).unwrap();
    let file = Checkpoint::from_bytes("metadata", bytes).unwrap();
    assert_eq!(architecture(&file), ["__metadata__.architecture=efficientnet_b0"]);
    let said = file.declared();
    assert_eq!(said.num_classes.as_ref().unwrap().value, 3);
    assert_eq!(said.classes.as_ref().unwrap().value, ["a", "b", "c"]);
    assert_eq!(said.img_size.as_ref().unwrap().place, "__metadata__.config.img_size");
}

#[test]
fn only_a_tensor_that_is_needed_and_cannot_be_read_is_an_error() {
    for (name, tensor, message) in [
        (
            "quantized.pth",
            "conv_stem.weight",
            "is quantized: save the state dict of the float model (`torch._utils._rebuild_qtensor`)",
        ),
        (
            "numpy_weight.pth",
            "bn1.weight",
            "is an array of NumPy: save it with torch.save as tensors",
        ),
    ] {
        let file = open(name);
        assert_eq!(file.shape(tensor), None, "{name}");
        assert!(file.read_f32("classifier.weight").is_ok(), "{name}");
        let error = file.read_f32(tensor).unwrap_err().to_string();
        assert!(error.contains(&format!("tensor `{tensor}` {message}")), "{error}");
        let error = effnet::weights::load(
            &file,
            None,
            candle_core::DType::F32,
            &candle_core::Device::Cpu,
            |vb| vb.get(1, tensor),
        );
        assert!(error.unwrap_err().to_string().contains(message), "{name}");
    }
}

#[test]
fn what_is_no_file_of_weights_is_named_with_the_remedy() {
    for (name, what, remedy) in [
        ("arrays_0.pkl", "a Python pickle that torch.save did not write", "save its tensors"),
        ("arrays_4.pkl", "a Python pickle that torch.save did not write", "save its tensors"),
        ("arrays.npz", "an archive of NumPy arrays (.npz)", "safetensors.numpy.save_file"),
        ("packed.tar", "a tar archive", "unpack it"),
        ("packed.tar.gz", "a gzip file", "unpack it"),
        ("script.pt", "a TorchScript program", "model.state_dict()"),
        ("program.pt2", "a program of torch.export", "model.state_dict()"),
    ] {
        let error = Checkpoint::open(path(name)).unwrap_err().to_string();
        let expected = format!("{name}: this is {what}, not safetensors, PyTorch or Keras: ");
        assert!(error.contains(&expected) && error.contains(remedy), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}
