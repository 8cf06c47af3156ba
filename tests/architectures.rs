//! Compares the table of architectures with timm's: the names, the tensors of each, and its
//! `feature_info`. Also compares the graphs with the Candle modules.
//!
//! `tests/parity/models/layouts.py` recorded timm's names and shapes.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use candle_core::{DType, Device, Tensor};
use effnet::arch::{self, Arch, NetworkOptions, Norm};
use effnet::models::EfficientNet;
use effnet::pretrained;
use effnet::weights::{seeded, tensor_shapes};
use sha2::{Digest, Sha256};

const LAYOUTS: &str = include_str!("goldens/layouts.tsv");

/// The line that `layouts.py` writes for an architecture.
fn layout(arch: &Arch) -> String {
    let graph = arch.network(&Default::default()).unwrap().graph();
    let shapes = graph.tensors();
    let is_parameter = |name: &str| !name.contains("running_");
    let parameters: usize = shapes
        .iter()
        .filter(|(name, _)| is_parameter(name))
        .map(|(_, shape)| shape.iter().product::<usize>())
        .sum();
    let mut lines: Vec<String> = shapes
        .iter()
        .map(|(name, shape)| {
            let shape: Vec<String> = shape.iter().map(ToString::to_string).collect();
            format!("{name} {}\n", shape.join("x"))
        })
        .collect();
    lines.sort();
    let digest = Sha256::digest(lines.concat());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let stages = (0..).map_while(|stage| graph.tap(&format!("stages.{stage}")));
    let maps: Vec<_> = stages.map(|tap| format!("{}/{}", tap.chs, tap.reduction)).collect();
    format!("{}\t{}\t{parameters}\t{digest}\t{}", arch.name, shapes.len(), maps.join(" "))
}

#[test]
fn every_architecture_of_timm_is_in_the_table() {
    let ours: BTreeSet<&str> = arch::all().iter().map(|arch| arch.name).collect();
    let timms: BTreeSet<&str> = pretrained::architectures().collect();
    assert_eq!(arch::all().len(), ours.len(), "two rows of one name");
    assert_eq!(timms.len(), 154);
    let missing: Vec<_> = timms.difference(&ours).collect();
    let foreign: Vec<_> = ours.difference(&timms).collect();
    assert!(missing.is_empty() && foreign.is_empty(), "missing {missing:?}, foreign {foreign:?}");
}

#[test]
fn tensors_have_timms_names_and_shapes() {
    let recorded: BTreeSet<&str> = LAYOUTS.lines().collect();
    assert_eq!(recorded.len(), arch::all().len());
    let wrong: Vec<String> =
        arch::all().iter().map(layout).filter(|line| !recorded.contains(line.as_str())).collect();
    assert!(wrong.is_empty(), "other tensors than timm's: {wrong:#?}");
}

#[test]
fn a_layout_that_differs_is_noticed() {
    let arch = arch::find("mobilenetv3_small_100").unwrap();
    assert!(LAYOUTS.lines().any(|line| line == layout(arch)));
    let wider = Arch { channel_multiplier: 1.2, ..*arch };
    assert!(!LAYOUTS.lines().any(|line| line == layout(&wider)));
}

#[test]
fn channels_divide_into_the_groups_of_norms() {
    for norm in [Norm::GroupNorm { group_size: 16 }, Norm::EvoNormS0 { group_size: 16 }] {
        let arch = Arch { norm, ..*arch::find("test_efficientnet").unwrap() };
        let error = arch.network(&Default::default()).unwrap_err().to_string();
        assert_eq!(error, "`test_efficientnet`: 24 channels do not divide into groups of 16");
    }
}

#[test]
fn the_modules_ask_for_the_graphs_tensors() {
    for arch in arch::all() {
        for (in_chans, num_classes) in [(3, 1000), (1, 0)] {
            let options = NetworkOptions { in_chans, num_classes, ..Default::default() };
            let network = arch.network(&options).unwrap();
            let mut asked = tensor_shapes(|vb| EfficientNet::new(&network, &vb)).unwrap();
            let mut described = network.graph().tensors();
            asked.sort();
            described.sort();
            assert_eq!(asked, described, "{}", arch.name);
        }
    }
}

#[test]
fn the_modules_maps_have_the_graphs_shapes() {
    // One of each kind of block, head and padding, at odd sides, where paddings differ.
    for name in [
        "efficientnet_b0",
        "efficientnet_blur_b0",
        "efficientnet_x_b3",
        "lcnet_050",
        "mobilenetv4_conv_aa_medium",
        "mobilenetv4_hybrid_medium",
        "test_efficientnet_gn",
        "tf_efficientnet_cc_b0_4e",
        "tf_efficientnetv2_b0",
        "tf_mixnet_s",
    ] {
        let arch = arch::find(name).unwrap();
        let network = arch.network(&Default::default()).unwrap();
        let graph = network.graph();
        let shapes = graph.shapes(75, 106);
        let vb = seeded::var_builder(0, DType::F32, &Device::Cpu);
        let model = EfficientNet::new(&network, &vb).unwrap();
        let xs = Tensor::zeros((1, 3, 75, 106), DType::F32, &Device::Cpu).unwrap();
        let (features, stages) = model.forward_intermediates(&xs, false, false).unwrap();
        let of = |tap: &str| {
            let [c, h, w] = shapes[graph.tap(tap).unwrap().value.index()];
            vec![1, c, h, w]
        };
        assert_eq!(features.dims(), of("features"), "{name}");
        for (i, stage) in stages.iter().enumerate() {
            assert_eq!(stage.dims(), of(&format!("stages.{i}")), "{name} stage {i}");
        }
        assert_eq!(graph.tap(&format!("stages.{}", stages.len())), None);
    }
}
