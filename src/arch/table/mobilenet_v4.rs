//! MobileNet V4, <https://arxiv.org/abs/2404.10518>. Source: `timm/models/mobilenetv3.py`.

use super::efficientnet::EFFICIENTNET;
use super::row;
use crate::arch::architecture::{Arch, NumFeatures};
use crate::arch::{Activation, AntiAlias, Head};

/// MobileNet V4-Conv-Small.
const CONV_SMALL: Arch = Arch {
    arch_def: &[
        &["cn_r1_k3_s2_e1_c32", "cn_r1_k1_s1_e1_c32"],
        &["cn_r1_k3_s2_e1_c96", "cn_r1_k1_s1_e1_c64"],
        &["uir_r1_a5_k5_s2_e3_c96", "uir_r4_a0_k3_s1_e2_c96", "uir_r1_a3_k0_s1_e4_c96"],
        &[
            "uir_r1_a3_k3_s2_e6_c128",
            "uir_r1_a5_k5_s1_e4_c128",
            "uir_r1_a0_k5_s1_e4_c128",
            "uir_r1_a0_k5_s1_e3_c128",
            "uir_r2_a0_k3_s1_e4_c128",
        ],
        &["cn_r1_k1_s1_c960"],
    ],
    head: Head::PoolThenConvNorm,
    num_features: NumFeatures::Fixed(1280),
    act_layer: Activation::Relu,
    ..EFFICIENTNET
};

/// MobileNet V4-Conv-Medium.
const CONV_MEDIUM: Arch = Arch {
    arch_def: &[
        &["er_r1_k3_s2_e4_c48"],
        &["uir_r1_a3_k5_s2_e4_c80", "uir_r1_a3_k3_s1_e2_c80"],
        &[
            "uir_r1_a3_k5_s2_e6_c160",
            "uir_r2_a3_k3_s1_e4_c160",
            "uir_r1_a3_k5_s1_e4_c160",
            "uir_r1_a3_k3_s1_e4_c160",
            "uir_r1_a3_k0_s1_e4_c160",
            "uir_r1_a0_k0_s1_e2_c160",
            "uir_r1_a3_k0_s1_e4_c160",
        ],
        &[
            "uir_r1_a5_k5_s2_e6_c256",
            "uir_r1_a5_k5_s1_e4_c256",
            "uir_r2_a3_k5_s1_e4_c256",
            "uir_r1_a0_k0_s1_e4_c256",
            "uir_r1_a3_k0_s1_e4_c256",
            "uir_r1_a3_k5_s1_e2_c256",
            "uir_r1_a5_k5_s1_e4_c256",
            "uir_r2_a0_k0_s1_e4_c256",
            "uir_r1_a5_k0_s1_e2_c256",
        ],
        &["cn_r1_k1_s1_c960"],
    ],
    ..CONV_SMALL
};

/// MobileNet V4-Conv-Large.
const CONV_LARGE: Arch = Arch {
    arch_def: &[
        &["er_r1_k3_s2_e4_c48"],
        &["uir_r1_a3_k5_s2_e4_c96", "uir_r1_a3_k3_s1_e4_c96"],
        &[
            "uir_r1_a3_k5_s2_e4_c192",
            "uir_r3_a3_k3_s1_e4_c192",
            "uir_r1_a3_k5_s1_e4_c192",
            "uir_r5_a5_k3_s1_e4_c192",
            "uir_r1_a3_k0_s1_e4_c192",
        ],
        &[
            "uir_r4_a5_k5_s2_e4_c512",
            "uir_r1_a5_k0_s1_e4_c512",
            "uir_r1_a5_k3_s1_e4_c512",
            "uir_r2_a5_k0_s1_e4_c512",
            "uir_r1_a5_k3_s1_e4_c512",
            "uir_r1_a5_k5_s1_e4_c512",
            "uir_r3_a5_k0_s1_e4_c512",
        ],
        &["cn_r1_k1_s1_c960"],
    ],
    stem_size: 24,
    ..CONV_SMALL
};

/// MobileNet V4-Hybrid-Medium, with attention.
const HYBRID_MEDIUM: Arch = Arch {
    arch_def: &[
        &["er_r1_k3_s2_e4_c48"],
        &["uir_r1_a3_k5_s2_e4_c80", "uir_r1_a3_k3_s1_e2_c80"],
        &[
            "uir_r1_a3_k5_s2_e6_c160",
            "uir_r1_a0_k0_s1_e2_c160",
            "uir_r1_a3_k3_s1_e4_c160",
            "uir_r1_a3_k5_s1_e4_c160",
            "mqa_r1_k3_h4_s1_v2_d64_c160",
            "uir_r1_a3_k3_s1_e4_c160",
            "mqa_r1_k3_h4_s1_v2_d64_c160",
            "uir_r1_a3_k0_s1_e4_c160",
            "mqa_r1_k3_h4_s1_v2_d64_c160",
            "uir_r1_a3_k3_s1_e4_c160",
            "mqa_r1_k3_h4_s1_v2_d64_c160",
            "uir_r1_a3_k0_s1_e4_c160",
        ],
        &[
            "uir_r1_a5_k5_s2_e6_c256",
            "uir_r1_a5_k5_s1_e4_c256",
            "uir_r2_a3_k5_s1_e4_c256",
            "uir_r1_a0_k0_s1_e2_c256",
            "uir_r1_a3_k5_s1_e2_c256",
            "uir_r1_a0_k0_s1_e2_c256",
            "uir_r1_a0_k0_s1_e4_c256",
            "mqa_r1_k3_h4_s1_d64_c256",
            "uir_r1_a3_k0_s1_e4_c256",
            "mqa_r1_k3_h4_s1_d64_c256",
            "uir_r1_a5_k5_s1_e4_c256",
            "mqa_r1_k3_h4_s1_d64_c256",
            "uir_r1_a5_k0_s1_e4_c256",
            "mqa_r1_k3_h4_s1_d64_c256",
            "uir_r1_a5_k0_s1_e4_c256",
        ],
        &["cn_r1_k1_s1_c960"],
    ],
    layer_scale: true,
    ..CONV_SMALL
};

/// MobileNet V4-Hybrid-Large, with attention.
const HYBRID_LARGE: Arch = Arch {
    arch_def: &[
        &["er_r1_k3_s2_e4_c48"],
        &["uir_r1_a3_k5_s2_e4_c96", "uir_r1_a3_k3_s1_e4_c96"],
        &[
            "uir_r1_a3_k5_s2_e4_c192",
            "uir_r3_a3_k3_s1_e4_c192",
            "uir_r1_a3_k5_s1_e4_c192",
            "uir_r2_a5_k3_s1_e4_c192",
            "mqa_r1_k3_h8_s1_v2_d48_c192",
            "uir_r1_a5_k3_s1_e4_c192",
            "mqa_r1_k3_h8_s1_v2_d48_c192",
            "uir_r1_a5_k3_s1_e4_c192",
            "mqa_r1_k3_h8_s1_v2_d48_c192",
            "uir_r1_a5_k3_s1_e4_c192",
            "mqa_r1_k3_h8_s1_v2_d48_c192",
            "uir_r1_a3_k0_s1_e4_c192",
        ],
        &[
            "uir_r4_a5_k5_s2_e4_c512",
            "uir_r1_a5_k0_s1_e4_c512",
            "uir_r1_a5_k3_s1_e4_c512",
            "uir_r2_a5_k0_s1_e4_c512",
            "uir_r1_a5_k3_s1_e4_c512",
            "uir_r1_a5_k5_s1_e4_c512",
            "mqa_r1_k3_h8_s1_d64_c512",
            "uir_r1_a5_k0_s1_e4_c512",
            "mqa_r1_k3_h8_s1_d64_c512",
            "uir_r1_a5_k0_s1_e4_c512",
            "mqa_r1_k3_h8_s1_d64_c512",
            "uir_r1_a5_k0_s1_e4_c512",
            "mqa_r1_k3_h8_s1_d64_c512",
            "uir_r1_a5_k0_s1_e4_c512",
        ],
        &["cn_r1_k1_s1_c960"],
    ],
    stem_size: 24,
    act_layer: Activation::Gelu,
    ..HYBRID_MEDIUM
};

/// The rows.
pub(super) const ROWS: &[Arch] = &[
    Arch { fix_stem: true, ..row("mobilenetv4_conv_small_035", CONV_SMALL, 0.35, 1.0) },
    Arch { fix_stem: true, ..row("mobilenetv4_conv_small_050", CONV_SMALL, 0.5, 1.0) },
    row("mobilenetv4_conv_small", CONV_SMALL, 1.0, 1.0),
    row("mobilenetv4_conv_medium", CONV_MEDIUM, 1.0, 1.0),
    row("mobilenetv4_conv_large", CONV_LARGE, 1.0, 1.0),
    row("mobilenetv4_hybrid_medium", HYBRID_MEDIUM, 1.0, 1.0),
    row("mobilenetv4_hybrid_large", HYBRID_LARGE, 1.0, 1.0),
    Arch {
        aa_layer: Some(AntiAlias::Avg),
        ..row("mobilenetv4_conv_aa_medium", CONV_MEDIUM, 1.0, 1.0)
    },
    Arch {
        aa_layer: Some(AntiAlias::Blur),
        ..row("mobilenetv4_conv_blur_medium", CONV_MEDIUM, 1.0, 1.0)
    },
    Arch {
        aa_layer: Some(AntiAlias::Avg),
        ..row("mobilenetv4_conv_aa_large", CONV_LARGE, 1.0, 1.0)
    },
    Arch { fix_stem: true, ..row("mobilenetv4_hybrid_medium_075", HYBRID_MEDIUM, 0.75, 1.0) },
    Arch { fix_stem: true, ..row("mobilenetv4_hybrid_large_075", HYBRID_LARGE, 0.75, 1.0) },
];
