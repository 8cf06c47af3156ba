//! The table: block strings of each family, then one row a variant.
//!
//! Source: `timm/models/efficientnet.py` (the `_gen_*` functions and the entry points below them).

use super::architecture::{Arch, DepthMultiplier, NumFeatures, SeKind};
use super::network::PadType;
use super::pruned::{B1_PRUNED, B2_PRUNED, B3_PRUNED};
use super::{Activation, DepthTrunc};

/// EfficientNet, <https://arxiv.org/abs/1905.11946>.
const EFFICIENTNET: Arch = Arch {
    name: "",
    arch_def: &[
        &["ds_r1_k3_s1_e1_c16_se0.25"],
        &["ir_r2_k3_s2_e6_c24_se0.25"],
        &["ir_r2_k5_s2_e6_c40_se0.25"],
        &["ir_r3_k3_s2_e6_c80_se0.25"],
        &["ir_r3_k5_s1_e6_c112_se0.25"],
        &["ir_r4_k5_s2_e6_c192_se0.25"],
        &["ir_r1_k3_s1_e6_c320_se0.25"],
    ],
    channel_multiplier: 1.0,
    channel_divisor: 8,
    round_limit: 0.9,
    depth_multiplier: DepthMultiplier::Uniform(1.0),
    depth_trunc: DepthTrunc::Ceil,
    fix_first_last: false,
    stem_size: 32,
    fix_stem: false,
    num_features: NumFeatures::Scaled(1280),
    act_layer: Activation::Silu,
    pad_type: PadType::Symmetric,
    bn_eps: 1e-5,
    se_layer: SeKind::SqueezeExcite,
    pruned: None,
};

/// EfficientNet-Lite: no squeeze-excitation, ReLU6, fixed stem and head.
const LITE: Arch = Arch {
    arch_def: &[
        &["ds_r1_k3_s1_e1_c16"],
        &["ir_r2_k3_s2_e6_c24"],
        &["ir_r2_k5_s2_e6_c40"],
        &["ir_r3_k3_s2_e6_c80"],
        &["ir_r3_k5_s1_e6_c112"],
        &["ir_r4_k5_s2_e6_c192"],
        &["ir_r1_k3_s1_e6_c320"],
    ],
    fix_first_last: true,
    fix_stem: true,
    num_features: NumFeatures::Fixed(1280),
    act_layer: Activation::Relu6,
    ..EFFICIENTNET
};

/// EfficientNet-EdgeTPU. `fc24`: its first expansion is computed from 24 channels, not the stem's 32.
const EDGE: Arch = Arch {
    arch_def: &[
        &["er_r1_k3_s1_e4_c24_fc24_noskip"],
        &["er_r2_k3_s2_e8_c32"],
        &["er_r4_k3_s2_e8_c48"],
        &["ir_r5_k5_s2_e8_c96"],
        &["ir_r4_k5_s1_e8_c144"],
        &["ir_r2_k5_s2_e8_c192"],
    ],
    act_layer: Activation::Relu,
    ..EFFICIENTNET
};

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

/// The arithmetic of weights trained in TensorFlow: `SAME` padding and its batch-norm epsilon.
const fn tf(arch: Arch) -> Arch {
    Arch { pad_type: PadType::Same, bn_eps: 1e-3, ..arch }
}

/// A row: `family`, under a name, scaled.
const fn row(name: &'static str, family: Arch, width: f64, depth: f64) -> Arch {
    Arch {
        name,
        channel_multiplier: width,
        depth_multiplier: DepthMultiplier::Uniform(depth),
        ..family
    }
}

/// Every architecture, in timm's order.
pub(super) static ARCHITECTURES: &[Arch] = &[
    row("efficientnet_b0", EFFICIENTNET, 1.0, 1.0),
    row("efficientnet_b1", EFFICIENTNET, 1.0, 1.1),
    row("efficientnet_b2", EFFICIENTNET, 1.1, 1.2),
    row("efficientnet_b3", EFFICIENTNET, 1.2, 1.4),
    row("efficientnet_b4", EFFICIENTNET, 1.4, 1.8),
    row("efficientnet_b5", EFFICIENTNET, 1.6, 2.2),
    row("efficientnet_b6", EFFICIENTNET, 1.8, 2.6),
    row("efficientnet_b7", EFFICIENTNET, 2.0, 3.1),
    row("efficientnet_b8", EFFICIENTNET, 2.2, 3.6),
    row("efficientnet_l2", EFFICIENTNET, 4.3, 5.3),
    row("efficientnet_es", EDGE, 1.0, 1.0),
    row("efficientnet_es_pruned", EDGE, 1.0, 1.0),
    row("efficientnet_em", EDGE, 1.0, 1.1),
    row("efficientnet_el", EDGE, 1.2, 1.4),
    row("efficientnet_el_pruned", EDGE, 1.2, 1.4),
    row("efficientnet_lite0", LITE, 1.0, 1.0),
    row("efficientnet_lite1", LITE, 1.0, 1.1),
    row("efficientnet_lite2", LITE, 1.1, 1.2),
    row("efficientnet_lite3", LITE, 1.2, 1.4),
    row("efficientnet_lite4", LITE, 1.4, 1.8),
    Arch { pruned: Some(B1_PRUNED), ..row("efficientnet_b1_pruned", tf(EFFICIENTNET), 1.0, 1.1) },
    Arch { pruned: Some(B2_PRUNED), ..row("efficientnet_b2_pruned", tf(EFFICIENTNET), 1.1, 1.2) },
    Arch { pruned: Some(B3_PRUNED), ..row("efficientnet_b3_pruned", tf(EFFICIENTNET), 1.2, 1.4) },
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
    row("tf_efficientnet_b0", tf(EFFICIENTNET), 1.0, 1.0),
    row("tf_efficientnet_b1", tf(EFFICIENTNET), 1.0, 1.1),
    row("tf_efficientnet_b2", tf(EFFICIENTNET), 1.1, 1.2),
    row("tf_efficientnet_b3", tf(EFFICIENTNET), 1.2, 1.4),
    row("tf_efficientnet_b4", tf(EFFICIENTNET), 1.4, 1.8),
    row("tf_efficientnet_b5", tf(EFFICIENTNET), 1.6, 2.2),
    row("tf_efficientnet_b6", tf(EFFICIENTNET), 1.8, 2.6),
    row("tf_efficientnet_b7", tf(EFFICIENTNET), 2.0, 3.1),
    row("tf_efficientnet_b8", tf(EFFICIENTNET), 2.2, 3.6),
    row("tf_efficientnet_l2", tf(EFFICIENTNET), 4.3, 5.3),
    row("tf_efficientnet_es", tf(EDGE), 1.0, 1.0),
    row("tf_efficientnet_em", tf(EDGE), 1.0, 1.1),
    row("tf_efficientnet_el", tf(EDGE), 1.2, 1.4),
    row("tf_efficientnet_lite0", tf(LITE), 1.0, 1.0),
    row("tf_efficientnet_lite1", tf(LITE), 1.0, 1.1),
    row("tf_efficientnet_lite2", tf(LITE), 1.1, 1.2),
    row("tf_efficientnet_lite3", tf(LITE), 1.2, 1.4),
    row("tf_efficientnet_lite4", tf(LITE), 1.4, 1.8),
    row("tf_efficientnetv2_s", tf(V2_S), 1.0, 1.0),
    row("tf_efficientnetv2_m", tf(V2_M), 1.0, 1.0),
    row("tf_efficientnetv2_l", tf(V2_L), 1.0, 1.0),
    row("tf_efficientnetv2_xl", tf(V2_XL), 1.0, 1.0),
    row("tf_efficientnetv2_b0", tf(V2_BASE), 1.0, 1.0),
    row("tf_efficientnetv2_b1", tf(V2_BASE), 1.0, 1.1),
    row("tf_efficientnetv2_b2", tf(V2_BASE), 1.1, 1.2),
    row("tf_efficientnetv2_b3", tf(V2_BASE), 1.2, 1.4),
];
