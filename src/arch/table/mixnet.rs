//! MixNet, <https://arxiv.org/abs/1907.09595>. Source: `timm/models/efficientnet.py`.

use super::efficientnet::EFFICIENTNET;
use super::{row, tf};
use crate::arch::architecture::{Arch, NumFeatures};
use crate::arch::{Activation, DepthTrunc};

/// MixNet-S.
const S: Arch = Arch {
    arch_def: &[
        &["ds_r1_k3_s1_e1_c16"],
        &["ir_r1_k3_a1.1_p1.1_s2_e6_c24", "ir_r1_k3_a1.1_p1.1_s1_e3_c24"],
        &["ir_r1_k3.5.7_s2_e6_c40_se0.5_nsw", "ir_r3_k3.5_a1.1_p1.1_s1_e6_c40_se0.5_nsw"],
        &["ir_r1_k3.5.7_p1.1_s2_e6_c80_se0.25_nsw", "ir_r2_k3.5_p1.1_s1_e6_c80_se0.25_nsw"],
        &[
            "ir_r1_k3.5.7_a1.1_p1.1_s1_e6_c120_se0.5_nsw",
            "ir_r2_k3.5.7.9_a1.1_p1.1_s1_e3_c120_se0.5_nsw",
        ],
        &["ir_r1_k3.5.7.9.11_s2_e6_c200_se0.5_nsw", "ir_r2_k3.5.7.9_p1.1_s1_e6_c200_se0.5_nsw"],
    ],
    depth_trunc: DepthTrunc::Round,
    stem_size: 16,
    num_features: NumFeatures::Fixed(1536),
    act_layer: Activation::Relu,
    ..EFFICIENTNET
};

/// MixNet-M; the larger ones are scaled from it.
const M: Arch = Arch {
    arch_def: &[
        &["ds_r1_k3_s1_e1_c24"],
        &["ir_r1_k3.5.7_a1.1_p1.1_s2_e6_c32", "ir_r1_k3_a1.1_p1.1_s1_e3_c32"],
        &["ir_r1_k3.5.7.9_s2_e6_c40_se0.5_nsw", "ir_r3_k3.5_a1.1_p1.1_s1_e6_c40_se0.5_nsw"],
        &["ir_r1_k3.5.7_s2_e6_c80_se0.25_nsw", "ir_r3_k3.5.7.9_a1.1_p1.1_s1_e6_c80_se0.25_nsw"],
        &["ir_r1_k3_s1_e6_c120_se0.5_nsw", "ir_r3_k3.5.7.9_a1.1_p1.1_s1_e3_c120_se0.5_nsw"],
        &["ir_r1_k3.5.7.9_s2_e6_c200_se0.5_nsw", "ir_r3_k3.5.7.9_p1.1_s1_e6_c200_se0.5_nsw"],
    ],
    stem_size: 24,
    ..S
};

/// The rows.
pub(super) const ROWS: &[Arch] = &[
    row("mixnet_s", S, 1.0, 1.0),
    row("mixnet_m", M, 1.0, 1.0),
    row("mixnet_l", M, 1.3, 1.0),
    row("mixnet_xl", M, 1.6, 1.2),
    row("mixnet_xxl", M, 2.4, 1.3),
    row("tf_mixnet_s", tf(S), 1.0, 1.0),
    row("tf_mixnet_m", tf(M), 1.0, 1.0),
    row("tf_mixnet_l", tf(M), 1.3, 1.0),
];
