//! MobileNet V1 and V2, MobileNet-EdgeTPU. Source: `timm/models/efficientnet.py`.

use super::efficientnet::EFFICIENTNET;
use super::row;
use crate::arch::architecture::{Arch, NumFeatures};
use crate::arch::{Activation, Head};

/// MobileNet V1, <https://arxiv.org/abs/1704.04861>.
const V1: Arch = Arch {
    arch_def: &[
        &["dsa_r1_k3_s1_c64"],
        &["dsa_r2_k3_s2_c128"],
        &["dsa_r2_k3_s2_c256"],
        &["dsa_r6_k3_s2_c512"],
        &["dsa_r2_k3_s2_c1024"],
    ],
    head: Head::Pool,
    num_features: NumFeatures::LastBlock,
    act_layer: Activation::Relu6,
    ..EFFICIENTNET
};

/// MobileNet V2, <https://arxiv.org/abs/1801.04381>.
const V2: Arch = Arch {
    arch_def: &[
        &["ds_r1_k3_s1_c16"],
        &["ir_r2_k3_s2_e6_c24"],
        &["ir_r3_k3_s2_e6_c32"],
        &["ir_r4_k3_s2_e6_c64"],
        &["ir_r3_k3_s1_e6_c96"],
        &["ir_r3_k3_s2_e6_c160"],
        &["ir_r1_k3_s1_e6_c320"],
    ],
    num_features: NumFeatures::AtLeast(1280),
    act_layer: Activation::Relu6,
    ..EFFICIENTNET
};

/// MobileNet V2 scaled in depth, with stem and head unscaled.
const V2_DEEP: Arch =
    Arch { fix_first_last: true, fix_stem: true, num_features: NumFeatures::Fixed(1280), ..V2 };

/// MobileNet-EdgeTPU.
const EDGETPU: Arch = Arch {
    arch_def: &[
        &["cn_r1_k1_s1_c16"],
        &["er_r1_k3_s2_e8_c32", "er_r3_k3_s1_e4_c32"],
        &["er_r1_k3_s2_e8_c48", "er_r3_k3_s1_e4_c48"],
        &["ir_r1_k3_s2_e8_c96", "ir_r3_k3_s1_e4_c96"],
        &["ir_r1_k3_s1_e8_c96_noskip", "ir_r3_k3_s1_e4_c96"],
        &["ir_r1_k5_s2_e8_c160", "ir_r3_k5_s1_e4_c160"],
        &["ir_r1_k3_s1_e8_c192"],
    ],
    num_features: NumFeatures::Fixed(1280),
    act_layer: Activation::Relu,
    ..EFFICIENTNET
};

/// MobileNet-EdgeTPU V2 XS, <https://arxiv.org/abs/2204.14007>.
const EDGETPU_V2_XS: Arch = Arch {
    arch_def: &[
        &["cn_r1_k1_s1_c16"],
        &["er_r1_k3_s2_e8_c32", "er_r1_k3_s1_e4_gs64_c32"],
        &[
            "er_r1_k3_s2_e8_c48",
            "er_r1_k3_s1_e4_gs64_c48",
            "er_r1_k3_s1_e4_c48",
            "er_r1_k3_s1_e4_gs64_c48",
        ],
        &["er_r1_k3_s2_e8_c96", "ir_r3_k3_s1_e4_c96"],
        &["ir_r1_k3_s1_e8_c144", "ir_r3_k3_s1_e4_c144"],
        &["ir_r1_k3_s2_e8_c160", "ir_r3_k3_s1_e4_c160"],
        &["ir_r1_k3_s1_e8_c192"],
    ],
    ..EDGETPU
};

/// MobileNet-EdgeTPU V2 S.
const EDGETPU_V2_S: Arch = Arch {
    arch_def: &[
        &["cn_r1_k1_s1_c24"],
        &["er_r1_k3_s2_e8_c48", "er_r1_k3_s1_e4_gs64_c48"],
        &[
            "er_r1_k3_s2_e8_c64",
            "er_r1_k3_s1_e4_gs64_c64",
            "er_r1_k3_s1_e4_c64",
            "er_r1_k3_s1_e4_gs64_c64",
        ],
        &["er_r1_k3_s2_e8_c128", "ir_r3_k3_s1_e4_c128"],
        &["ir_r1_k3_s1_e8_c160", "ir_r3_k3_s1_e4_c160"],
        &["ir_r1_k3_s2_e8_c192", "ir_r3_k3_s1_e4_c192"],
        &["ir_r1_k3_s1_e8_c256"],
    ],
    stem_size: 64,
    stem_kernel_size: 5,
    ..EDGETPU
};

/// MobileNet-EdgeTPU V2 M.
const EDGETPU_V2_M: Arch = Arch {
    arch_def: &[
        &["cn_r1_k1_s1_c32"],
        &["er_r1_k3_s2_e8_c64", "er_r1_k3_s1_e4_gs64_c64"],
        &[
            "er_r1_k3_s2_e8_c80",
            "er_r1_k3_s1_e4_gs64_c80",
            "er_r1_k3_s1_e4_c80",
            "er_r1_k3_s1_e4_gs64_c80",
        ],
        &["er_r1_k3_s2_e8_c160", "ir_r3_k3_s1_e4_c160"],
        &["ir_r1_k3_s1_e8_c192", "ir_r3_k3_s1_e4_c192"],
        &["ir_r1_k3_s2_e8_c240", "ir_r3_k3_s1_e4_c240"],
        &["ir_r1_k3_s1_e8_c320"],
    ],
    num_features: NumFeatures::Fixed(1344),
    ..EDGETPU_V2_S
};

/// MobileNet-EdgeTPU V2 L.
const EDGETPU_V2_L: Arch = Arch {
    arch_def: &[
        &["cn_r1_k1_s1_c32"],
        &["er_r1_k3_s2_e8_c64", "er_r1_k3_s1_e4_gs128_c64"],
        &[
            "er_r1_k3_s2_e8_c96",
            "er_r1_k3_s1_e4_gs128_c96",
            "er_r1_k3_s1_e4_c96",
            "er_r1_k3_s1_e4_gs128_c96",
        ],
        &["er_r1_k3_s2_e8_c192", "ir_r3_k3_s1_e4_c192"],
        &["ir_r1_k3_s1_e8_c240", "ir_r3_k3_s1_e4_c240"],
        &["ir_r1_k3_s2_e8_c256", "ir_r3_k3_s1_e4_c256"],
        &["ir_r1_k3_s1_e8_c384"],
    ],
    stem_kernel_size: 7,
    num_features: NumFeatures::Fixed(1408),
    ..EDGETPU_V2_S
};

/// The rows.
pub(super) const ROWS: &[Arch] = &[
    row("mobilenetv1_100", V1, 1.0, 1.0),
    Arch {
        head: Head::ConvThenPool,
        num_features: NumFeatures::AtLeast(1024),
        ..row("mobilenetv1_100h", V1, 1.0, 1.0)
    },
    row("mobilenetv1_125", V1, 1.25, 1.0),
    row("mobilenetv2_035", V2, 0.35, 1.0),
    row("mobilenetv2_050", V2, 0.5, 1.0),
    row("mobilenetv2_075", V2, 0.75, 1.0),
    row("mobilenetv2_100", V2, 1.0, 1.0),
    row("mobilenetv2_140", V2, 1.4, 1.0),
    row("mobilenetv2_110d", V2_DEEP, 1.1, 1.2),
    row("mobilenetv2_120d", V2_DEEP, 1.2, 1.4),
    row("mobilenet_edgetpu_100", EDGETPU, 1.0, 1.0),
    row("mobilenet_edgetpu_v2_xs", EDGETPU_V2_XS, 1.0, 1.0),
    row("mobilenet_edgetpu_v2_s", EDGETPU_V2_S, 1.0, 1.0),
    row("mobilenet_edgetpu_v2_m", EDGETPU_V2_M, 1.0, 1.0),
    row("mobilenet_edgetpu_v2_l", EDGETPU_V2_L, 1.0, 1.0),
];
