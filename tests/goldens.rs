//! Parity with timm on seeded weights: every architecture, stage by stage.
//!
//! `tests/parity/models/generate.py` recorded the references; its README says what they hold.

#![allow(clippy::panic)]

mod support;

use effnet::arch;
use support::golden::{Golden, Outputs};

/// The bar: largest absolute difference over the largest absolute value of the reference.
const TOLERANCE: f64 = 1e-4;

/// `total` shards of the table, so that the large architectures run beside each other.
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

/// How much a tensor is moved: 1%, but 10% inside a global context, whose softmax, layer norm and
/// gate undo most of a scaling. A constant added before the softmax is unobservable altogether.
fn factor(name: &str) -> Option<f32> {
    if name.ends_with("se.conv_attn.bias") {
        return None;
    }
    let in_global_context = name.contains("se.conv_attn.") || name.contains("se.mlp_scale.");
    Some(if in_global_context { 1.1 } else { 1.01 })
}

/// Small networks of different kinds, all of whose tensors are moved.
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

/// A comparison that cannot fail proves nothing: 1% on any one tensor must move the logits beyond
/// the tolerance. All tensors of small networks of every kind, and every 101st of the others but the
/// largest.
fn check_sensitivity(shard: usize, total: usize) {
    let mut quiet = Vec::new();
    for arch in arch::all().iter().skip(shard).step_by(total) {
        if ["l2", "xl", "b8", "xxl"].iter().any(|large| arch.name.ends_with(large)) {
            continue;
        }
        let every = if ALL_TENSORS.contains(&arch.name) { 1 } else { 101 };
        let golden = &Golden::all_of(arch.name)[0];
        let names = golden.tensor_names();
        let moved = names.iter().step_by(every).filter_map(|name| Some((name, factor(name)?)));
        for (name, logits) in golden.logits_with_each(moved) {
            if golden.compare_logits(&logits, TOLERANCE).is_ok() {
                quiet.push(format!("{} {name}", arch.name));
            }
        }
    }
    assert!(quiet.is_empty(), "1% on these tensors went unnoticed: {quiet:#?}");
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
