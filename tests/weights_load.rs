//! Strict loading: one report of everything that does not fit.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use effnet::weights::{
    Checkpoint, Mismatch, NamedTensor, Values, WeightsError, load, serialize, tensor_shapes,
};

#[path = "weights_support/lite0.rs"]
#[allow(dead_code)] // the block kinds are for the conventions
mod lite0;

const CPU: Device = Device::Cpu;

/// A checkpoint of zeros with these names and shapes.
fn checkpoint<S: AsRef<str>>(tensors: &[(S, Vec<usize>)]) -> Checkpoint {
    let zeros = vec![0f32; tensors.iter().map(|(_, s)| s.iter().product()).max().unwrap_or(0)];
    let named: Vec<_> = tensors
        .iter()
        .map(|(name, shape)| NamedTensor {
            name: name.as_ref(),
            shape,
            values: Values::F32(&zeros[..shape.iter().product()]),
        })
        .collect();
    Checkpoint::from_bytes("w.safetensors", serialize(&named, &BTreeMap::new()).unwrap()).unwrap()
}

/// A model with three tensors.
fn three(vb: &VarBuilder<'_>) -> Result<[Tensor; 3]> {
    Ok([
        vb.pp("conv_stem").get((4, 3, 3, 3), "weight")?,
        vb.pp("classifier").get((10, 4), "weight")?,
        vb.pp("classifier").get(10, "bias")?,
    ])
}

fn three_tensors() -> Vec<(&'static str, Vec<usize>)> {
    vec![
        ("conv_stem.weight", vec![4, 3, 3, 3]),
        ("classifier.weight", vec![10, 4]),
        ("classifier.bias", vec![10]),
    ]
}

fn mismatch(tensors: &[(&str, Vec<usize>)]) -> Mismatch {
    match load(&checkpoint(tensors), None, DType::F32, &CPU, |vb| three(&vb)) {
        Err(WeightsError::Mismatch(mismatch)) => *mismatch,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_that_fits_is_applied_in_the_order_asked() {
    let mut tensors = three_tensors();
    tensors.push(("bn1.num_batches_tracked", vec![]));
    let ([_, _, bias], report) =
        load(&checkpoint(&tensors), None, DType::BF16, &CPU, |vb| three(&vb)).unwrap();
    assert_eq!(report.applied, ["conv_stem.weight", "classifier.weight", "classifier.bias"]);
    assert_eq!(report.ignored, ["bn1.num_batches_tracked"]);
    assert_eq!((report.file.as_str(), report.convention), ("w.safetensors", None));
    assert_eq!((bias.dims(), bias.dtype()), (&[10][..], DType::BF16));
}

#[test]
fn everything_that_does_not_fit_is_in_one_error() {
    let mismatch = mismatch(&[
        ("conv_stm.weight", vec![4, 3, 3, 3]),
        ("classifier.weight", vec![10, 5]),
        ("num_batches_tracked_not", vec![]),
        ("classifier.bias", vec![10]),
    ]);
    let missing: Vec<_> =
        mismatch.missing.iter().map(|m| (m.name.as_str(), m.nearest.as_deref())).collect();
    assert_eq!(missing, [("conv_stem.weight", Some("conv_stm.weight"))]);
    let unexpected: Vec<_> =
        mismatch.unexpected.iter().map(|u| (u.name.as_str(), u.nearest.as_deref())).collect();
    assert_eq!(
        unexpected,
        [("conv_stm.weight", Some("conv_stem.weight")), ("num_batches_tracked_not", None)]
    );
    assert_eq!(mismatch.misshapen.len(), 1);
    assert_eq!(mismatch.applied, 1);
    assert_eq!(
        mismatch.to_string(),
        "w.safetensors: not this model's tensors: 1 missing, 2 unexpected, 1 misshapen, 1 fit: \
         name the architecture that the file was made for\n  \
         missing `conv_stem.weight`; the file has `conv_stm.weight`\n  \
         unexpected `conv_stm.weight`; the model has `conv_stem.weight`\n  \
         unexpected `num_batches_tracked_not`\n  \
         misshapen `classifier.weight`: [10, 5] in the file, [10, 4] in the model"
    );
}

#[test]
fn a_classifier_of_another_size_is_one_line_with_its_number_of_classes() {
    let mut tensors = three_tensors();
    tensors[1].1 = vec![7, 4];
    tensors[2].1 = vec![7];
    let found = mismatch(&tensors);
    assert_eq!(found.num_classes(), Some((7, 10)));
    assert_eq!(
        found.to_string(),
        "w.safetensors: its classifier has 7 classes, the model was built for 10: set num_classes to 7"
    );
    // Something else is wrong too, so there is no such advice.
    tensors[0].1 = vec![5, 3, 3, 3];
    assert_eq!(mismatch(&tensors).num_classes(), None);
    // Weight and bias contradict each other, or the features differ: no advice either.
    let mut tensors = three_tensors();
    tensors[1].1 = vec![7, 4];
    tensors[2].1 = vec![8];
    assert_eq!(mismatch(&tensors).num_classes(), None);
    let mut tensors = three_tensors();
    tensors[1].1 = vec![7, 5];
    assert_eq!(mismatch(&tensors).num_classes(), None);
}

#[test]
fn each_single_fault_in_a_whole_network_is_found() {
    let shapes = tensor_shapes(|vb| lite0::build(&vb, 3)).unwrap();
    let fits = |tensors: &[(String, Vec<usize>)]| {
        load(&checkpoint(tensors), None, DType::F32, &CPU, |vb| lite0::build(&vb, 3))
            .map(|(_, r)| r)
    };
    assert_eq!(fits(&shapes).unwrap().applied.len(), shapes.len());
    for i in (0..shapes.len()).step_by(29) {
        let counts = |tensors: &[(String, Vec<usize>)]| match fits(tensors).unwrap_err() {
            WeightsError::Mismatch(m) => (m.missing.len(), m.unexpected.len(), m.misshapen.len()),
            other => panic!("{other}"),
        };
        let mut planted = shapes.clone();
        let (name, shape) = planted.remove(i);
        assert_eq!(counts(&planted), (1, 0, 0), "{name}");
        planted.insert(i, (format!("{name}_"), shape));
        assert_eq!(counts(&planted), (1, 1, 0), "{name}");
        let mut planted = shapes.clone();
        planted[i].1.push(1);
        assert_eq!(counts(&planted), (0, 0, 1), "{name}");
    }
}

#[test]
fn another_networks_file_gives_a_short_message() {
    let names: Vec<_> =
        (0..100_000).map(|i| (format!("layer1.{i}.{}", "x".repeat(i % 150)), vec![0])).collect();
    let error = load(&checkpoint(&names), None, DType::F32, &CPU, |vb| lite0::build(&vb, 1000))
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(
            "247 missing, 100000 unexpected, 0 misshapen, 0 fit: the file is another network's"
        ),
        "{text}"
    );
    assert!(text.contains("and 99988 more") && text.len() < 12_000, "{}", text.len());
}

#[test]
fn a_tensor_asked_for_twice_is_listed_once() {
    let twice = |vb: VarBuilder<'_>| Ok([three(&vb)?, three(&vb)?]);
    let (_, report) = load(&checkpoint(&three_tensors()), None, DType::F32, &CPU, twice).unwrap();
    assert_eq!(report.applied.len(), 3);
    let Err(WeightsError::Mismatch(m)) =
        load(&checkpoint(&[("a", vec![1])]), None, DType::F32, &CPU, twice)
    else {
        panic!("a file without the tensors was accepted")
    };
    assert_eq!((m.missing.len(), m.unexpected.len()), (3, 1));
    assert_eq!(tensor_shapes(twice).unwrap().len(), 3);
}

#[test]
fn a_value_that_is_not_finite_stops_the_load_by_name() {
    let mut values = [0f32; 10];
    values[9] = f32::NAN;
    let zeros = [0f32; 108];
    let tensors = [
        NamedTensor { name: "conv_stem.weight", shape: &[4, 3, 3, 3], values: Values::F32(&zeros) },
        NamedTensor {
            name: "classifier.weight",
            shape: &[10, 4],
            values: Values::F32(&zeros[..40]),
        },
        NamedTensor { name: "classifier.bias", shape: &[10], values: Values::F32(&values) },
    ];
    let file =
        Checkpoint::from_bytes("nan", serialize(&tensors, &BTreeMap::new()).unwrap()).unwrap();
    let error = load(&file, None, DType::F32, &CPU, |vb| three(&vb)).unwrap_err();
    assert!(
        matches!(&error, WeightsError::NonFinite { tensor, index: 9, .. } if tensor == "classifier.bias"),
        "{error}"
    );
}

#[test]
fn what_the_model_says_is_passed_on() {
    let fails = |vb: VarBuilder<'_>| -> Result<()> {
        three(&vb)?;
        Err(candle_core::Error::Msg("no such layer".into()))
    };
    let error = load(&checkpoint(&three_tensors()), None, DType::F32, &CPU, fails).unwrap_err();
    assert!(
        error.to_string().contains("w.safetensors") && error.to_string().contains("no such layer"),
        "{error}"
    );
    // The missing tensor is the likelier cause, and tensors that the model did not reach are not
    // unexpected.
    let stops = |vb: VarBuilder<'_>| -> Result<()> {
        vb.get(3, "bn1.weight")?;
        Err(candle_core::Error::Msg("no such layer".into()))
    };
    let error = load(&checkpoint(&three_tensors()), None, DType::F32, &CPU, stops).unwrap_err();
    assert!(
        matches!(&error, WeightsError::Mismatch(m) if m.missing.len() == 1 && m.unexpected.is_empty()),
        "{error}"
    );
}

#[test]
fn a_shape_probe_needs_no_memory() {
    // 2^44 values could not be allocated.
    let big = tensor_shapes(|vb| vb.get((1 << 22, 1 << 22), "w")).unwrap();
    assert_eq!(big, [("w".to_owned(), vec![1 << 22, 1 << 22])]);
    // Nor are tensors allocated that a load finds missing.
    let error = load(&checkpoint(&[("v", vec![1])]), None, DType::F32, &CPU, |vb| {
        vb.get((1 << 22, 1 << 22), "w")
    });
    assert!(matches!(error, Err(WeightsError::Mismatch(_))));
}

#[cfg(feature = "bundled")]
mod bundled {
    use super::*;
    use effnet::weights::{BUNDLED_MODEL, bundled};

    #[test]
    fn the_bundled_weights_are_whole_and_fit() {
        let file = bundled().unwrap();
        let (tensors, report) =
            load(&file, None, DType::F32, &CPU, |vb| lite0::build(&vb, 1000)).unwrap();
        assert!(report.ignored.is_empty());
        assert_eq!(tensors.iter().map(Tensor::elem_count).sum::<usize>(), 4_694_024);
        assert_eq!(file.metadata()["model"], BUNDLED_MODEL);
        assert_eq!(file.metadata()["license"], "Apache-2.0");
        let readme = include_str!("../weights-map/bundled/README.md");
        assert!(readme.contains(&format!("sha256 `{}` |", file.digest())), "{}", file.digest());
    }

    #[test]
    fn one_class_too_few_is_refused() {
        let error = load(&bundled().unwrap(), None, DType::F32, &CPU, |vb| lite0::build(&vb, 999))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "bundled weights of tf_efficientnet_lite0.in1k: its classifier has 1000 classes, \
             the model was built for 999: set num_classes to 1000"
        );
    }
}
