//! MobileNet V3 and its relatives, whose head pools before its convolution. Source:
//! `timm/models/mobilenetv3.py`.

use super::efficientnet::EFFICIENTNET;
use super::{row, tf};
use crate::arch::architecture::{Arch, NumFeatures, RdRound, SeKind};
use crate::arch::{Activation, Head};

/// MobileNet V3-Large, <https://arxiv.org/abs/1905.02244>.
pub(super) const LARGE: Arch = Arch {
    arch_def: &[
        &["ds_r1_k3_s1_e1_c16_nre"],
        &["ir_r1_k3_s2_e4_c24_nre", "ir_r1_k3_s1_e3_c24_nre"],
        &["ir_r3_k5_s2_e3_c40_se0.25_nre"],
        &["ir_r1_k3_s2_e6_c80", "ir_r1_k3_s1_e2.5_c80", "ir_r2_k3_s1_e2.3_c80"],
        &["ir_r2_k3_s1_e6_c112_se0.25"],
        &["ir_r3_k5_s2_e6_c160_se0.25"],
        &["cn_r1_k1_s1_c960"],
    ],
    stem_size: 16,
    head: Head::PoolThenConv,
    num_features: NumFeatures::Fixed(1280),
    act_layer: Activation::HardSwish,
    se_layer: SeKind::SqueezeExcite {
        act: Some(Activation::Relu),
        gate: Activation::HardSigmoid,
        rd_round: RdRound::Divisible { round_limit: 0.9 },
    },
    se_from_exp: true,
    ..EFFICIENTNET
};

/// V3-Large without squeeze-and-excitation, hard swish or 5x5 kernels.
const LARGE_MINIMAL: Arch = Arch {
    arch_def: &[
        &["ds_r1_k3_s1_e1_c16"],
        &["ir_r1_k3_s2_e4_c24", "ir_r1_k3_s1_e3_c24"],
        &["ir_r3_k3_s2_e3_c40"],
        &["ir_r1_k3_s2_e6_c80", "ir_r1_k3_s1_e2.5_c80", "ir_r2_k3_s1_e2.3_c80"],
        &["ir_r2_k3_s1_e6_c112"],
        &["ir_r3_k3_s2_e6_c160"],
        &["cn_r1_k1_s1_c960"],
    ],
    act_layer: Activation::Relu,
    ..LARGE
};

/// MobileNet V3-Small.
const SMALL: Arch = Arch {
    arch_def: &[
        &["ds_r1_k3_s2_e1_c16_se0.25_nre"],
        &["ir_r1_k3_s2_e4.5_c24_nre", "ir_r1_k3_s1_e3.67_c24_nre"],
        &["ir_r1_k5_s2_e4_c40_se0.25", "ir_r2_k5_s1_e6_c40_se0.25"],
        &["ir_r2_k5_s1_e3_c48_se0.25"],
        &["ir_r3_k5_s2_e6_c96_se0.25"],
        &["cn_r1_k1_s1_c576"],
    ],
    num_features: NumFeatures::Fixed(1024),
    ..LARGE
};

/// V3-Small without squeeze-and-excitation, hard swish or 5x5 kernels.
const SMALL_MINIMAL: Arch = Arch {
    arch_def: &[
        &["ds_r1_k3_s2_e1_c16"],
        &["ir_r1_k3_s2_e4.5_c24", "ir_r1_k3_s1_e3.67_c24"],
        &["ir_r1_k3_s2_e4_c40", "ir_r2_k3_s1_e6_c40"],
        &["ir_r2_k3_s1_e3_c48"],
        &["ir_r3_k3_s2_e6_c96"],
        &["cn_r1_k1_s1_c576"],
    ],
    act_layer: Activation::Relu,
    ..SMALL
};

/// timm's V3-Large from before the official release.
const RW: Arch = Arch {
    arch_def: &[
        &["ds_r1_k3_s1_e1_c16_nre_noskip"],
        &["ir_r1_k3_s2_e4_c24_nre", "ir_r1_k3_s1_e3_c24_nre"],
        &["ir_r3_k5_s2_e3_c40_se0.25_nre"],
        &["ir_r1_k3_s2_e6_c80", "ir_r1_k3_s1_e2.5_c80", "ir_r2_k3_s1_e2.3_c80"],
        &["ir_r2_k3_s1_e6_c112_se0.25"],
        &["ir_r3_k5_s2_e6_c160_se0.25"],
        &["cn_r1_k1_s1_c960"],
    ],
    head: Head::PoolThenConvNoBias,
    bn_eps: 1e-3,
    se_layer: SeKind::SqueezeExcite {
        act: None,
        gate: Activation::HardSigmoid,
        rd_round: RdRound::Nearest,
    },
    ..LARGE
};

/// FBNetV3-B, <https://arxiv.org/abs/2006.02049>.
const FBNET_B: Arch = Arch {
    arch_def: &[
        &["ds_r2_k3_s1_e1_c16"],
        &["ir_r1_k5_s2_e4_c24", "ir_r3_k5_s1_e2_c24"],
        &["ir_r1_k5_s2_e5_c40_se0.25", "ir_r4_k5_s1_e3_c40_se0.25"],
        &["ir_r1_k5_s2_e5_c72", "ir_r4_k3_s1_e3_c72"],
        &["ir_r1_k3_s1_e5_c120_se0.25", "ir_r5_k5_s1_e3_c120_se0.25"],
        &["ir_r1_k3_s2_e6_c184_se0.25", "ir_r5_k5_s1_e4_c184_se0.25", "ir_r1_k5_s1_e6_c224_se0.25"],
        &["cn_r1_k1_s1_c1344"],
    ],
    round_limit: 0.95,
    head: Head::PoolThenConvNoBias,
    num_features: NumFeatures::Fixed(1984),
    se_layer: SeKind::SqueezeExcite {
        act: None,
        gate: Activation::HardSigmoid,
        rd_round: RdRound::Divisible { round_limit: 0.95 },
    },
    se_from_exp: false,
    ..LARGE
};

/// FBNetV3-D.
const FBNET_D: Arch = Arch {
    arch_def: &[
        &["ds_r2_k3_s1_e1_c16"],
        &["ir_r1_k3_s2_e5_c24", "ir_r5_k3_s1_e2_c24"],
        &["ir_r1_k5_s2_e4_c40_se0.25", "ir_r4_k3_s1_e3_c40_se0.25"],
        &["ir_r1_k3_s2_e5_c72", "ir_r4_k3_s1_e3_c72"],
        &["ir_r1_k3_s1_e5_c128_se0.25", "ir_r6_k5_s1_e3_c128_se0.25"],
        &["ir_r1_k3_s2_e6_c208_se0.25", "ir_r5_k5_s1_e5_c208_se0.25", "ir_r1_k5_s1_e6_c240_se0.25"],
        &["cn_r1_k1_s1_c1440"],
    ],
    stem_size: 24,
    ..FBNET_B
};

/// FBNetV3-G.
const FBNET_G: Arch = Arch {
    arch_def: &[
        &["ds_r3_k3_s1_e1_c24"],
        &["ir_r1_k5_s2_e4_c40", "ir_r4_k5_s1_e2_c40"],
        &["ir_r1_k5_s2_e4_c56_se0.25", "ir_r4_k5_s1_e3_c56_se0.25"],
        &["ir_r1_k5_s2_e5_c104", "ir_r4_k3_s1_e3_c104"],
        &["ir_r1_k3_s1_e5_c160_se0.25", "ir_r8_k5_s1_e3_c160_se0.25"],
        &["ir_r1_k3_s2_e6_c264_se0.25", "ir_r6_k5_s1_e5_c264_se0.25", "ir_r2_k5_s1_e6_c288_se0.25"],
        &["cn_r1_k1_s1_c1728"],
    ],
    stem_size: 32,
    ..FBNET_B
};

/// PP-LCNet, <https://arxiv.org/abs/2109.15099>.
const LCNET: Arch = Arch {
    arch_def: &[
        &["dsa_r1_k3_s1_c32"],
        &["dsa_r2_k3_s2_c64"],
        &["dsa_r2_k3_s2_c128"],
        &["dsa_r1_k3_s2_c256", "dsa_r1_k5_s1_c256"],
        &["dsa_r4_k5_s1_c256"],
        &["dsa_r2_k5_s2_c512_se0.25"],
    ],
    se_layer: SeKind::SqueezeExcite {
        act: Some(Activation::Relu),
        gate: Activation::HardSigmoid,
        rd_round: RdRound::Nearest,
    },
    ..LARGE
};

/// The rows.
pub(super) const ROWS: &[Arch] = &[
    row("mobilenetv3_large_075", LARGE, 0.75, 1.0),
    row("mobilenetv3_large_100", LARGE, 1.0, 1.0),
    row("mobilenetv3_large_150d", LARGE, 1.5, 1.2),
    Arch { fix_stem: true, ..row("mobilenetv3_small_050", SMALL, 0.5, 1.0) },
    row("mobilenetv3_small_075", SMALL, 0.75, 1.0),
    row("mobilenetv3_small_100", SMALL, 1.0, 1.0),
    row("mobilenetv3_rw", RW, 1.0, 1.0),
    row("tf_mobilenetv3_large_075", tf(LARGE), 0.75, 1.0),
    row("tf_mobilenetv3_large_100", tf(LARGE), 1.0, 1.0),
    row("tf_mobilenetv3_large_minimal_100", tf(LARGE_MINIMAL), 1.0, 1.0),
    row("tf_mobilenetv3_small_075", tf(SMALL), 0.75, 1.0),
    row("tf_mobilenetv3_small_100", tf(SMALL), 1.0, 1.0),
    row("tf_mobilenetv3_small_minimal_100", tf(SMALL_MINIMAL), 1.0, 1.0),
    row("fbnetv3_b", FBNET_B, 1.0, 1.0),
    row("fbnetv3_d", FBNET_D, 1.0, 1.0),
    row("fbnetv3_g", FBNET_G, 1.0, 1.0),
    row("lcnet_035", LCNET, 0.35, 1.0),
    row("lcnet_050", LCNET, 0.5, 1.0),
    row("lcnet_075", LCNET, 0.75, 1.0),
    row("lcnet_100", LCNET, 1.0, 1.0),
    row("lcnet_150", LCNET, 1.5, 1.0),
];
