//! Parity with timm on seeded weights: every architecture, stage by stage.
//!
//! `tests/parity/models/generate.py` recorded the references; its README says what they hold.

#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use effnet::arch;
use support::golden::{Golden, Outputs};

/// The bar: largest absolute difference over the largest absolute value of the reference.
const TOLERANCE: f64 = 1e-4;

/// Checks one of `total` shards of the table, so that large architectures run in parallel.
fn check_shard(shard: usize, total: usize) {
    for arch in arch::all().iter().skip(shard).step_by(total) {
        for golden in Golden::all_of(arch.name) {
            let outputs = Outputs::seeded(&golden, |_, _| {});
            if let Err(report) = golden.compare(&outputs, TOLERANCE) {
                panic!("{report}");
            }
        }
    }
}

#[test]
fn candle_engine_equals_timm_0() {
    check_shard(0, 2);
}

#[test]
fn candle_engine_equals_timm_1() {
    check_shard(1, 2);
}

#[test]
fn every_architecture_has_a_golden_and_timms_parameter_count() {
    for arch in arch::all() {
        let golden = &Golden::all_of(arch.name)[0];
        assert_eq!(golden.parameter_count(), golden.parameters, "{}", arch.name);
    }
}

/// The factor that moves a tensor by 1%.
const FACTOR: f32 = 1.01;

/// Tensors on which no output depends: they add the same to the logits of a softmax at every
/// position. `conv_attn` is the map of a global context. A key's norm turns its bias and mean into
/// a vector whose product with a query is the same for all keys.
const UNOBSERVABLE: [&str; 3] =
    ["se.conv_attn.bias", "attn.key.norm.bias", "attn.key.norm.running_mean"];

/// Small networks of different kinds. All their tensors are moved here too.
const ALL_TENSORS: [&str; 16] = [
    "tf_efficientnet_lite0",
    "efficientnet_b0",
    "efficientnet_es",
    "tf_efficientnetv2_b0",
    "efficientnet_cc_b0_4e",
    "lcnet_035",
    "mobilenet_edgetpu_v2_xs",
    "mobilenetv1_100",
    "mobilenetv3_small_050",
    "mobilenetv4_conv_small_035",
    "mobilenetv4_hybrid_medium_075",
    "test_efficientnet",
    "test_efficientnet_evos",
    "test_efficientnet_gn",
    "test_efficientnet_ln",
    "tf_mixnet_s",
];

/// Architecture, number of observable tensors, change of the logits in units of the tolerance when
/// the quietest tensor is moved, and its name. `tests/parity/models/sensitivity.py` found these by
/// moving all tensors.
const MARGINS: &str = include_str!("goldens/margins.tsv");

struct Margin {
    architecture: &'static str,
    observable: usize,
    margin: f64,
    quietest: &'static str,
}

fn margins() -> Vec<Margin> {
    let read = |line: &'static str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let &[architecture, observable, margin, quietest] = &*fields else { panic!("{line}") };
        let (observable, margin) = (observable.parse().unwrap(), margin.parse().unwrap());
        Margin { architecture, observable, margin, quietest }
    };
    MARGINS.lines().map(read).collect()
}

fn observable(golden: &Golden) -> Vec<String> {
    let mut names = golden.tensor_names();
    names.retain(|name| !UNOBSERVABLE.iter().any(|suffix| name.ends_with(suffix)));
    names
}

#[test]
fn one_percent_on_each_tensor_was_found_to_show() {
    let margins = margins();
    let recorded: BTreeSet<&str> = margins.iter().map(|m| m.architecture).collect();
    assert_eq!(recorded, arch::all().iter().map(|arch| arch.name).collect());
    for m in margins {
        let golden = &Golden::all_of(m.architecture)[0];
        assert_eq!(observable(golden).len(), m.observable, "{}", m.architecture);
        assert!(m.margin > 1.0, "{} {}: {}", m.architecture, m.quietest, m.margin);
    }
}

/// A comparison that cannot fail proves nothing: 1% on any one tensor must move the logits beyond
/// the tolerance. For each architecture this moves the quietest tensor, which must give the
/// recorded margin, and every 101st; for some small networks it moves all tensors.
fn check_sensitivity(shard: usize, total: usize) {
    let mut quiet = Vec::new();
    for m in margins().iter().skip(shard).step_by(total) {
        let golden = &Golden::all_of(m.architecture)[0];
        let names = observable(golden);
        let every = if ALL_TENSORS.contains(&m.architecture) { 1 } else { 101 };
        let mut moved: Vec<&str> = names.iter().step_by(every).map(String::as_str).collect();
        moved.push(m.quietest);
        for (name, change) in golden.logits_moved_by_each(&moved, FACTOR) {
            let margin = change / TOLERANCE;
            if margin <= 1.0 || name == m.quietest && (margin - m.margin).abs() > 0.2 {
                quiet.push(format!("{} {name}: {margin:.2}", m.architecture));
            }
        }
    }
    assert!(quiet.is_empty(), "1% on these went unnoticed, or not as recorded: {quiet:#?}");
}

#[test]
fn one_percent_on_any_tensor_is_caught_0() {
    check_sensitivity(0, 2);
}

#[test]
fn one_percent_on_any_tensor_is_caught_1() {
    check_sensitivity(1, 2);
}

#[test]
fn a_failing_comparison_names_the_first_stage_that_diverges() {
    let golden = &Golden::all_of("efficientnet_b0")[0];
    let outputs = Outputs::seeded(golden, |name, values| {
        if name == "blocks.3.1.bn2.weight" {
            values.iter_mut().for_each(|v| *v *= 1.01);
        }
    });
    let report = golden.compare(&outputs, TOLERANCE).unwrap_err();
    assert!(report.contains("first diverges at stages.4"), "{report}");
}
