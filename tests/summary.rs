//! Compares the figures of every network with timm's and fvcore's.
//!
//! `tests/parity/counts/generate.py` recorded the operations, `tests/parity/models/layouts.py` the
//! parameters.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use effnet::arch::{self, Arch, DepthMultiplier};
use effnet::summary::{Summary, SummaryError};

const COUNTS: &str = include_str!("goldens/counts.tsv");
/// Recorded by `tests/parity/models/num_features.py`.
const NUM_FEATURES: &str = include_str!("goldens/num_features.tsv");
const LAYOUTS: &str = include_str!("goldens/layouts.tsv");

fn summary(arch: &Arch) -> Summary {
    Summary::new(&arch.network(&Default::default()).unwrap(), 97, 129).unwrap()
}

#[test]
fn counts_are_timms() {
    let parameters: HashMap<&str, u64> = LAYOUTS
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            (fields[0], fields[2].parse().unwrap())
        })
        .collect();
    let counts: HashMap<&str, (u64, u64)> = COUNTS
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            (fields[0], (fields[1].parse().unwrap(), fields[2].parse().unwrap()))
        })
        .collect();
    let mut wrong = Vec::new();
    for arch in arch::all() {
        let total = summary(arch).total;
        let (macs, activations) = counts[arch.name];
        let expected = (parameters[arch.name], macs, activations);
        if (total.parameters, total.macs, total.activations) != expected {
            wrong.push(format!("{}: {total:?}, expected {expected:?}", arch.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(counts.len(), arch::all().len());
}

#[test]
fn b0_scaled_as_b4_is_b4() {
    let b0 = arch::find("efficientnet_b0").unwrap();
    let scaled =
        Arch { channel_multiplier: 1.4, depth_multiplier: DepthMultiplier::Uniform(1.8), ..*b0 };
    let b4 = summary(arch::find("efficientnet_b4").unwrap());
    assert_eq!(summary(&scaled).stages, b4.stages);
    assert_ne!(summary(b0).stages, b4.stages);
}

#[test]
fn an_image_of_no_use_is_refused() {
    let network = |name| arch::find(name).unwrap().network(&Default::default()).unwrap();
    let b0 = network("efficientnet_b0");
    assert_eq!(Summary::new(&b0, 0, 224), Err(SummaryError::Size { height: 0, width: 224 }));
    assert_eq!(Summary::new(&b0, 1, 1).unwrap().total.parameters, 5_288_548);
    let error = Summary::new(&network("mobilenetv4_conv_aa_medium"), 16, 64).unwrap_err();
    assert!(error.to_string().contains("nothing is left of it at `blocks."), "{error}");
}

#[test]
fn features_are_timms_num_features() {
    let rows: Vec<(&str, &str)> =
        NUM_FEATURES.lines().map(|line| line.split_once('\t').unwrap()).collect();
    assert_eq!(rows.len(), arch::all().len());
    for (name, expected) in rows {
        let network = arch::find(name).unwrap().network(&Default::default()).unwrap();
        assert_eq!(network.feature_chs().to_string(), expected, "{name}");
    }
}
