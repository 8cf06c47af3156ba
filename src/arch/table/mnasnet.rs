//! Networks found by search: MnasNet, FBNet, Single-Path NAS. Source: `timm/models/efficientnet.py`.

use super::efficientnet::EFFICIENTNET;
use super::row;
use crate::arch::Activation;
use crate::arch::architecture::{Arch, NumFeatures};

/// MnasNet-B1, <https://arxiv.org/abs/1807.11626>.
const B1: Arch = Arch {
    arch_def: &[
        &["ds_r1_k3_s1_c16_noskip"],
        &["ir_r3_k3_s2_e3_c24"],
        &["ir_r3_k5_s2_e3_c40"],
        &["ir_r3_k5_s2_e6_c80"],
        &["ir_r2_k3_s1_e6_c96"],
        &["ir_r4_k5_s2_e6_c192"],
        &["ir_r1_k3_s1_e6_c320_noskip"],
    ],
    num_features: NumFeatures::Fixed(1280),
    act_layer: Activation::Relu,
    ..EFFICIENTNET
};

/// MnasNet-A1, with squeeze-and-excitation.
const A1: Arch = Arch {
    arch_def: &[
        &["ds_r1_k3_s1_e1_c16_noskip"],
        &["ir_r2_k3_s2_e6_c24"],
        &["ir_r3_k5_s2_e3_c40_se0.25"],
        &["ir_r4_k3_s2_e6_c80"],
        &["ir_r2_k3_s1_e6_c112_se0.25"],
        &["ir_r3_k5_s2_e6_c160_se0.25"],
        &["ir_r1_k3_s1_e6_c320"],
    ],
    ..B1
};

/// MnasNet-Small.
const SMALL: Arch = Arch {
    arch_def: &[
        &["ds_r1_k3_s1_c8"],
        &["ir_r1_k3_s2_e3_c16"],
        &["ir_r2_k3_s2_e6_c16"],
        &["ir_r4_k5_s2_e6_c32_se0.25"],
        &["ir_r3_k3_s1_e6_c32_se0.25"],
        &["ir_r3_k5_s2_e6_c88_se0.25"],
        &["ir_r1_k3_s1_e6_c144"],
    ],
    stem_size: 8,
    ..B1
};

/// FBNet-C, <https://arxiv.org/abs/1812.03443>. timm builds it with this epsilon where it loads
/// pretrained weights, and with 1e-5 otherwise.
const FBNETC: Arch = Arch {
    arch_def: &[
        &["ir_r1_k3_s1_e1_c16"],
        &["ir_r1_k3_s2_e6_c24", "ir_r2_k3_s1_e1_c24"],
        &["ir_r1_k5_s2_e6_c32", "ir_r1_k5_s1_e3_c32", "ir_r1_k5_s1_e6_c32", "ir_r1_k3_s1_e6_c32"],
        &["ir_r1_k5_s2_e6_c64", "ir_r1_k5_s1_e3_c64", "ir_r2_k5_s1_e6_c64"],
        &["ir_r3_k5_s1_e6_c112", "ir_r1_k5_s1_e3_c112"],
        &["ir_r4_k5_s2_e6_c184"],
        &["ir_r1_k3_s1_e6_c352"],
    ],
    stem_size: 16,
    num_features: NumFeatures::Fixed(1984),
    bn_eps: 1e-3,
    ..B1
};

/// Single-Path NAS for the Pixel 1, <https://arxiv.org/abs/1904.02877>.
const SPNASNET: Arch = Arch {
    arch_def: &[
        &["ds_r1_k3_s1_c16_noskip"],
        &["ir_r3_k3_s2_e3_c24"],
        &["ir_r1_k5_s2_e6_c40", "ir_r3_k3_s1_e3_c40"],
        &["ir_r1_k5_s2_e6_c80", "ir_r3_k3_s1_e3_c80"],
        &["ir_r1_k5_s1_e6_c96", "ir_r3_k5_s1_e3_c96"],
        &["ir_r4_k5_s2_e6_c192"],
        &["ir_r1_k3_s1_e6_c320_noskip"],
    ],
    ..B1
};

/// The rows.
pub(super) const ROWS: &[Arch] = &[
    row("mnasnet_050", B1, 0.5, 1.0),
    row("mnasnet_075", B1, 0.75, 1.0),
    row("mnasnet_100", B1, 1.0, 1.0),
    row("mnasnet_140", B1, 1.4, 1.0),
    row("semnasnet_050", A1, 0.5, 1.0),
    row("semnasnet_075", A1, 0.75, 1.0),
    row("semnasnet_100", A1, 1.0, 1.0),
    row("semnasnet_140", A1, 1.4, 1.0),
    row("mnasnet_small", SMALL, 1.0, 1.0),
    row("fbnetc_100", FBNETC, 1.0, 1.0),
    row("spnasnet_100", SPNASNET, 1.0, 1.0),
];
