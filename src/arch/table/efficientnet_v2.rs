//! EfficientNetV2. Source: `timm/models/efficientnet.py`.

use super::efficientnet::EFFICIENTNET;
use super::{row, tf};
use crate::arch::architecture::{Arch, DepthMultiplier, NumFeatures, SeKind};

/// EfficientNetV2 B0-B3, <https://arxiv.org/abs/2104.00298>.
const V2_BASE: Arch = Arch {
    arch_def: &[
        &["cn_r1_k3_s1_e1_c16_skip"],
        &["er_r2_k3_s2_e4_c32"],
        &["er_r2_k3_s2_e4_c48"],
        &["ir_r3_k3_s2_e4_c96_se0.25"],
        &["ir_r5_k3_s1_e6_c112_se0.25"],
        &["ir_r8_k3_s2_e6_c192_se0.25"],
    ],
    round_limit: 0.0,
    ..EFFICIENTNET
};

/// EfficientNetV2-S.
const V2_S: Arch = Arch {
    arch_def: &[
        &["cn_r2_k3_s1_e1_c24_skip"],
        &["er_r4_k3_s2_e4_c48"],
        &["er_r4_k3_s2_e4_c64"],
        &["ir_r6_k3_s2_e4_c128_se0.25"],
        &["ir_r9_k3_s1_e6_c160_se0.25"],
        &["ir_r15_k3_s2_e6_c256_se0.25"],
    ],
    stem_size: 24,
    ..EFFICIENTNET
};

/// timm's V2-S from before the official release: another first stage, last stage and head.
const V2_RW_S: Arch = Arch {
    arch_def: &[
        &["er_r2_k3_s1_e1_c24"],
        &["er_r4_k3_s2_e4_c48"],
        &["er_r4_k3_s2_e4_c64"],
        &["ir_r6_k3_s2_e4_c128_se0.25"],
        &["ir_r9_k3_s1_e6_c160_se0.25"],
        &["ir_r15_k3_s2_e6_c272_se0.25"],
    ],
    num_features: NumFeatures::Scaled(1792),
    ..V2_S
};

/// EfficientNetV2-M.
const V2_M: Arch = Arch {
    arch_def: &[
        &["cn_r3_k3_s1_e1_c24_skip"],
        &["er_r5_k3_s2_e4_c48"],
        &["er_r5_k3_s2_e4_c80"],
        &["ir_r7_k3_s2_e4_c160_se0.25"],
        &["ir_r14_k3_s1_e6_c176_se0.25"],
        &["ir_r18_k3_s2_e6_c304_se0.25"],
        &["ir_r5_k3_s1_e6_c512_se0.25"],
    ],
    num_features: NumFeatures::Fixed(1280),
    ..V2_S
};

/// EfficientNetV2-L.
const V2_L: Arch = Arch {
    arch_def: &[
        &["cn_r4_k3_s1_e1_c32_skip"],
        &["er_r7_k3_s2_e4_c64"],
        &["er_r7_k3_s2_e4_c96"],
        &["ir_r10_k3_s2_e4_c192_se0.25"],
        &["ir_r19_k3_s1_e6_c224_se0.25"],
        &["ir_r25_k3_s2_e6_c384_se0.25"],
        &["ir_r7_k3_s1_e6_c640_se0.25"],
    ],
    stem_size: 32,
    ..V2_M
};

/// EfficientNetV2-XL.
const V2_XL: Arch = Arch {
    arch_def: &[
        &["cn_r4_k3_s1_e1_c32_skip"],
        &["er_r8_k3_s2_e4_c64"],
        &["er_r8_k3_s2_e4_c96"],
        &["ir_r16_k3_s2_e4_c192_se0.25"],
        &["ir_r24_k3_s1_e6_c256_se0.25"],
        &["ir_r32_k3_s2_e6_c512_se0.25"],
        &["ir_r8_k3_s1_e6_c640_se0.25"],
    ],
    ..V2_L
};

/// The rows.
pub(super) const ROWS: &[Arch] = &[
    row("efficientnetv2_rw_t", V2_S, 0.8, 0.9),
    Arch { se_layer: SeKind::GlobalContext, ..row("gc_efficientnetv2_rw_t", V2_S, 0.8, 0.9) },
    row("efficientnetv2_rw_s", V2_RW_S, 1.0, 1.0),
    Arch {
        depth_multiplier: DepthMultiplier::PerStage(&[1.2, 1.2, 1.2, 1.2, 1.6, 1.6]),
        ..row("efficientnetv2_rw_m", V2_RW_S, 1.2, 1.0)
    },
    row("efficientnetv2_s", V2_S, 1.0, 1.0),
    row("efficientnetv2_m", V2_M, 1.0, 1.0),
    row("efficientnetv2_l", V2_L, 1.0, 1.0),
    row("efficientnetv2_xl", V2_XL, 1.0, 1.0),
    row("tf_efficientnetv2_s", tf(V2_S), 1.0, 1.0),
    row("tf_efficientnetv2_m", tf(V2_M), 1.0, 1.0),
    row("tf_efficientnetv2_l", tf(V2_L), 1.0, 1.0),
    row("tf_efficientnetv2_xl", tf(V2_XL), 1.0, 1.0),
    row("tf_efficientnetv2_b0", tf(V2_BASE), 1.0, 1.0),
    row("tf_efficientnetv2_b1", tf(V2_BASE), 1.0, 1.1),
    row("tf_efficientnetv2_b2", tf(V2_BASE), 1.1, 1.2),
    row("tf_efficientnetv2_b3", tf(V2_BASE), 1.2, 1.4),
];
