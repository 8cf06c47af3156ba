//! EfficientNet and its relatives. Source: `timm/models/efficientnet.py`.

use super::{row, tf};
use crate::arch::architecture::{Arch, DepthMultiplier, NumFeatures, RdRound, SeKind};
use crate::arch::pruned::{B1_PRUNED, B2_PRUNED, B3_PRUNED};
use crate::arch::{Activation, AntiAlias, DepthTrunc, Head, Norm, PadType};

/// EfficientNet, <https://arxiv.org/abs/1905.11946>.
pub(super) const EFFICIENTNET: Arch = Arch {
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
    stem_kernel_size: 3,
    fix_stem: false,
    group_size: None,
    experts_multiplier: 1,
    head: Head::ConvThenPool,
    num_features: NumFeatures::Scaled(1280),
    act_layer: Activation::Silu,
    pad_type: PadType::Symmetric,
    norm: Norm::BatchNorm,
    bn_eps: 1e-5,
    aa_layer: None,
    se_layer: SeKind::SqueezeExcite {
        act: None,
        gate: Activation::Sigmoid,
        rd_round: RdRound::Nearest,
    },
    se_from_exp: false,
    layer_scale: false,
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

/// CondConv, <https://arxiv.org/abs/1904.04971>: the last stages mix their kernels for each image.
const CONDCONV: Arch = Arch {
    arch_def: &[
        &["ds_r1_k3_s1_e1_c16_se0.25"],
        &["ir_r2_k3_s2_e6_c24_se0.25"],
        &["ir_r2_k5_s2_e6_c40_se0.25"],
        &["ir_r3_k3_s2_e6_c80_se0.25"],
        &["ir_r3_k5_s1_e6_c112_se0.25_cc4"],
        &["ir_r4_k5_s2_e6_c192_se0.25_cc4"],
        &["ir_r1_k3_s1_e6_c320_se0.25_cc4"],
    ],
    ..EFFICIENTNET
};

/// CondConv with twice the experts.
const CONDCONV_8E: Arch = Arch { experts_multiplier: 2, ..CONDCONV };

/// EfficientNet-X, <https://arxiv.org/abs/2102.05610>: space-to-depth, and fused blocks with ReLU.
const X: Arch = Arch {
    arch_def: &[
        &["ds_r1_k3_s1_e1_c16_se0.25_d1"],
        &["er_r2_k3_s2_e6_c24_se0.25_nre"],
        &["er_r2_k5_s2_e6_c40_se0.25_nre"],
        &["ir_r3_k3_s2_e6_c80_se0.25"],
        &["ir_r3_k5_s1_e6_c112_se0.25"],
        &["ir_r4_k5_s2_e6_c192_se0.25"],
        &["ir_r1_k3_s1_e6_c320_se0.25"],
    ],
    ..EFFICIENTNET
};

/// EfficientNet-H, after EfficientNet-X: the early stages expand less.
const H: Arch = Arch {
    arch_def: &[
        &["ds_r1_k3_s1_e1_c16_se0.25_d1"],
        &["er_r2_k3_s2_e4_c24_se0.25_nre"],
        &["er_r2_k5_s2_e4_c40_se0.25_nre"],
        &["ir_r3_k3_s2_e4_c80_se0.25"],
        &["ir_r3_k5_s1_e6_c112_se0.25"],
        &["ir_r4_k5_s2_e6_c192_se0.25"],
        &["ir_r1_k3_s1_e6_c320_se0.25"],
    ],
    ..EFFICIENTNET
};

/// TinyNet, <https://arxiv.org/abs/2010.14819>: EfficientNet scaled down.
const TINYNET: Arch = Arch {
    depth_trunc: DepthTrunc::Round,
    fix_stem: true,
    num_features: NumFeatures::AtLeast(1280),
    ..EFFICIENTNET
};

/// timm's smallest network, for tests.
const TEST: Arch = Arch {
    arch_def: &[
        &["cn_r1_k3_s1_e1_c16_skip"],
        &["er_r1_k3_s2_e4_c24"],
        &["er_r1_k3_s2_e4_c32"],
        &["ir_r1_k3_s2_e4_c48_se0.25"],
        &["ir_r1_k3_s2_e4_c64_se0.25"],
    ],
    round_limit: 0.0,
    stem_size: 24,
    num_features: NumFeatures::Scaled(256),
    ..EFFICIENTNET
};

/// The rows.
pub(super) const ROWS: &[Arch] = &[
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
    Arch {
        norm: Norm::GroupNorm { group_size: 8 },
        ..row("efficientnet_b0_gn", EFFICIENTNET, 1.0, 1.0)
    },
    Arch {
        group_size: Some(8),
        norm: Norm::GroupNorm { group_size: 8 },
        ..row("efficientnet_b0_g8_gn", EFFICIENTNET, 1.0, 1.0)
    },
    // timm has EvoNorm here only in a comment: the network has batch norm.
    Arch {
        group_size: Some(16),
        channel_divisor: 16,
        ..row("efficientnet_b0_g16_evos", EFFICIENTNET, 1.0, 1.0)
    },
    Arch {
        channel_divisor: 16,
        norm: Norm::GroupNorm { group_size: 16 },
        ..row("efficientnet_b3_gn", EFFICIENTNET, 1.2, 1.4)
    },
    Arch {
        group_size: Some(8),
        channel_divisor: 16,
        norm: Norm::GroupNorm { group_size: 16 },
        ..row("efficientnet_b3_g8_gn", EFFICIENTNET, 1.2, 1.4)
    },
    Arch { aa_layer: Some(AntiAlias::Blur), ..row("efficientnet_blur_b0", EFFICIENTNET, 1.0, 1.0) },
    row("efficientnet_es", EDGE, 1.0, 1.0),
    row("efficientnet_es_pruned", EDGE, 1.0, 1.0),
    row("efficientnet_em", EDGE, 1.0, 1.1),
    row("efficientnet_el", EDGE, 1.2, 1.4),
    row("efficientnet_el_pruned", EDGE, 1.2, 1.4),
    row("efficientnet_cc_b0_4e", CONDCONV, 1.0, 1.0),
    row("efficientnet_cc_b0_8e", CONDCONV_8E, 1.0, 1.0),
    row("efficientnet_cc_b1_8e", CONDCONV_8E, 1.0, 1.1),
    row("efficientnet_lite0", LITE, 1.0, 1.0),
    row("efficientnet_lite1", LITE, 1.0, 1.1),
    row("efficientnet_lite2", LITE, 1.1, 1.2),
    row("efficientnet_lite3", LITE, 1.2, 1.4),
    row("efficientnet_lite4", LITE, 1.4, 1.8),
    Arch { pruned: Some(B1_PRUNED), ..row("efficientnet_b1_pruned", tf(EFFICIENTNET), 1.0, 1.1) },
    Arch { pruned: Some(B2_PRUNED), ..row("efficientnet_b2_pruned", tf(EFFICIENTNET), 1.1, 1.2) },
    Arch { pruned: Some(B3_PRUNED), ..row("efficientnet_b3_pruned", tf(EFFICIENTNET), 1.2, 1.4) },
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
    row("tf_efficientnet_cc_b0_4e", tf(CONDCONV), 1.0, 1.0),
    row("tf_efficientnet_cc_b0_8e", tf(CONDCONV_8E), 1.0, 1.0),
    row("tf_efficientnet_cc_b1_8e", tf(CONDCONV_8E), 1.0, 1.1),
    row("tf_efficientnet_lite0", tf(LITE), 1.0, 1.0),
    row("tf_efficientnet_lite1", tf(LITE), 1.0, 1.1),
    row("tf_efficientnet_lite2", tf(LITE), 1.1, 1.2),
    row("tf_efficientnet_lite3", tf(LITE), 1.2, 1.4),
    row("tf_efficientnet_lite4", tf(LITE), 1.4, 1.8),
    row("efficientnet_x_b3", X, 1.2, 1.4),
    row("efficientnet_x_b5", X, 1.6, 2.2),
    row("efficientnet_h_b5", H, 1.92, 2.2),
    row("tinynet_a", TINYNET, 1.0, 1.2),
    row("tinynet_b", TINYNET, 0.75, 1.1),
    row("tinynet_c", TINYNET, 0.54, 0.85),
    row("tinynet_d", TINYNET, 0.54, 0.695),
    row("tinynet_e", TINYNET, 0.51, 0.6),
    row("test_efficientnet", TEST, 1.0, 1.0),
    Arch { norm: Norm::GroupNorm { group_size: 8 }, ..row("test_efficientnet_gn", TEST, 1.0, 1.0) },
    Arch { norm: Norm::LayerNorm, ..row("test_efficientnet_ln", TEST, 1.0, 1.0) },
    Arch {
        norm: Norm::EvoNormS0 { group_size: 8 },
        ..row("test_efficientnet_evos", TEST, 1.0, 1.0)
    },
];
