//! The table of architectures against timm's: which there are, and the tensors of each.
//!
//! `tests/parity/models/layouts.py` recorded timm's names and shapes.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use effnet::arch::{self, Arch};
use effnet::models::EfficientNet;
use effnet::pretrained;
use effnet::weights::tensor_shapes;
use sha2::{Digest, Sha256};

const LAYOUTS: &str = include_str!("goldens/layouts.tsv");

/// The line that `layouts.py` writes for an architecture.
fn layout(arch: &Arch) -> String {
    let network = arch.network(&Default::default()).unwrap();
    let shapes = tensor_shapes(|vb| EfficientNet::new(&network, &vb)).unwrap();
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
    format!("{}\t{}\t{parameters}\t{digest}", arch.name, shapes.len())
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
