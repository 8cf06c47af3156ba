//! HardCoRe-NAS, <https://arxiv.org/abs/2102.11646>. Source: `timm/models/hardcorenas.py`.

use super::mobilenet_v3::LARGE;
use crate::arch::architecture::Arch;

/// MobileNet V3's head and squeeze-and-excitation, with a wider stem.
const HARDCORENAS: Arch = Arch { stem_size: 32, ..LARGE };

/// The rows.
pub(super) const ROWS: &[Arch] = &[
    Arch {
        name: "hardcorenas_a",
        arch_def: &[
            &["ds_r1_k3_s1_e1_c16_nre"],
            &["ir_r1_k5_s2_e3_c24_nre", "ir_r1_k5_s1_e3_c24_nre_se0.25"],
            &["ir_r1_k5_s2_e3_c40_nre", "ir_r1_k5_s1_e6_c40_nre_se0.25"],
            &["ir_r1_k5_s2_e6_c80_se0.25", "ir_r1_k5_s1_e6_c80_se0.25"],
            &["ir_r1_k5_s1_e6_c112_se0.25", "ir_r1_k5_s1_e6_c112_se0.25"],
            &["ir_r1_k5_s2_e6_c192_se0.25", "ir_r1_k5_s1_e6_c192_se0.25"],
            &["cn_r1_k1_s1_c960"],
        ],
        ..HARDCORENAS
    },
    Arch {
        name: "hardcorenas_b",
        arch_def: &[
            &["ds_r1_k3_s1_e1_c16_nre"],
            &["ir_r1_k5_s2_e3_c24_nre", "ir_r1_k5_s1_e3_c24_nre_se0.25", "ir_r1_k3_s1_e3_c24_nre"],
            &["ir_r1_k5_s2_e3_c40_nre", "ir_r1_k5_s1_e3_c40_nre", "ir_r1_k5_s1_e3_c40_nre"],
            &[
                "ir_r1_k5_s2_e3_c80",
                "ir_r1_k5_s1_e3_c80",
                "ir_r1_k3_s1_e3_c80",
                "ir_r1_k3_s1_e3_c80",
            ],
            &[
                "ir_r1_k5_s1_e3_c112",
                "ir_r1_k3_s1_e3_c112",
                "ir_r1_k3_s1_e3_c112",
                "ir_r1_k3_s1_e3_c112",
            ],
            &[
                "ir_r1_k5_s2_e6_c192_se0.25",
                "ir_r1_k5_s1_e6_c192_se0.25",
                "ir_r1_k3_s1_e3_c192_se0.25",
            ],
            &["cn_r1_k1_s1_c960"],
        ],
        ..HARDCORENAS
    },
    Arch {
        name: "hardcorenas_c",
        arch_def: &[
            &["ds_r1_k3_s1_e1_c16_nre"],
            &["ir_r1_k5_s2_e3_c24_nre", "ir_r1_k5_s1_e3_c24_nre_se0.25"],
            &[
                "ir_r1_k5_s2_e3_c40_nre",
                "ir_r1_k5_s1_e3_c40_nre",
                "ir_r1_k5_s1_e3_c40_nre",
                "ir_r1_k5_s1_e3_c40_nre",
            ],
            &[
                "ir_r1_k5_s2_e4_c80",
                "ir_r1_k5_s1_e6_c80_se0.25",
                "ir_r1_k3_s1_e3_c80",
                "ir_r1_k3_s1_e3_c80",
            ],
            &[
                "ir_r1_k5_s1_e6_c112_se0.25",
                "ir_r1_k3_s1_e3_c112",
                "ir_r1_k3_s1_e3_c112",
                "ir_r1_k3_s1_e3_c112",
            ],
            &[
                "ir_r1_k5_s2_e6_c192_se0.25",
                "ir_r1_k5_s1_e6_c192_se0.25",
                "ir_r1_k3_s1_e3_c192_se0.25",
            ],
            &["cn_r1_k1_s1_c960"],
        ],
        ..HARDCORENAS
    },
    Arch {
        name: "hardcorenas_d",
        arch_def: &[
            &["ds_r1_k3_s1_e1_c16_nre"],
            &["ir_r1_k5_s2_e3_c24_nre_se0.25", "ir_r1_k5_s1_e3_c24_nre_se0.25"],
            &[
                "ir_r1_k5_s2_e3_c40_nre_se0.25",
                "ir_r1_k5_s1_e4_c40_nre_se0.25",
                "ir_r1_k3_s1_e3_c40_nre_se0.25",
            ],
            &[
                "ir_r1_k5_s2_e4_c80_se0.25",
                "ir_r1_k3_s1_e3_c80_se0.25",
                "ir_r1_k3_s1_e3_c80_se0.25",
                "ir_r1_k3_s1_e3_c80_se0.25",
            ],
            &[
                "ir_r1_k3_s1_e4_c112_se0.25",
                "ir_r1_k5_s1_e4_c112_se0.25",
                "ir_r1_k3_s1_e3_c112_se0.25",
                "ir_r1_k5_s1_e3_c112_se0.25",
            ],
            &[
                "ir_r1_k5_s2_e6_c192_se0.25",
                "ir_r1_k5_s1_e6_c192_se0.25",
                "ir_r1_k5_s1_e6_c192_se0.25",
                "ir_r1_k3_s1_e6_c192_se0.25",
            ],
            &["cn_r1_k1_s1_c960"],
        ],
        ..HARDCORENAS
    },
    Arch {
        name: "hardcorenas_e",
        arch_def: &[
            &["ds_r1_k3_s1_e1_c16_nre"],
            &["ir_r1_k5_s2_e3_c24_nre_se0.25", "ir_r1_k5_s1_e3_c24_nre_se0.25"],
            &[
                "ir_r1_k5_s2_e6_c40_nre_se0.25",
                "ir_r1_k5_s1_e4_c40_nre_se0.25",
                "ir_r1_k5_s1_e4_c40_nre_se0.25",
                "ir_r1_k3_s1_e3_c40_nre_se0.25",
            ],
            &["ir_r1_k5_s2_e4_c80_se0.25", "ir_r1_k3_s1_e6_c80_se0.25"],
            &[
                "ir_r1_k5_s1_e6_c112_se0.25",
                "ir_r1_k5_s1_e6_c112_se0.25",
                "ir_r1_k5_s1_e6_c112_se0.25",
                "ir_r1_k5_s1_e3_c112_se0.25",
            ],
            &[
                "ir_r1_k5_s2_e6_c192_se0.25",
                "ir_r1_k5_s1_e6_c192_se0.25",
                "ir_r1_k5_s1_e6_c192_se0.25",
                "ir_r1_k3_s1_e6_c192_se0.25",
            ],
            &["cn_r1_k1_s1_c960"],
        ],
        ..HARDCORENAS
    },
    Arch {
        name: "hardcorenas_f",
        arch_def: &[
            &["ds_r1_k3_s1_e1_c16_nre"],
            &["ir_r1_k5_s2_e3_c24_nre_se0.25", "ir_r1_k5_s1_e3_c24_nre_se0.25"],
            &["ir_r1_k5_s2_e6_c40_nre_se0.25", "ir_r1_k5_s1_e6_c40_nre_se0.25"],
            &[
                "ir_r1_k5_s2_e6_c80_se0.25",
                "ir_r1_k5_s1_e6_c80_se0.25",
                "ir_r1_k3_s1_e3_c80_se0.25",
                "ir_r1_k3_s1_e3_c80_se0.25",
            ],
            &[
                "ir_r1_k3_s1_e6_c112_se0.25",
                "ir_r1_k5_s1_e6_c112_se0.25",
                "ir_r1_k5_s1_e6_c112_se0.25",
                "ir_r1_k3_s1_e3_c112_se0.25",
            ],
            &[
                "ir_r1_k5_s2_e6_c192_se0.25",
                "ir_r1_k5_s1_e6_c192_se0.25",
                "ir_r1_k3_s1_e6_c192_se0.25",
                "ir_r1_k3_s1_e6_c192_se0.25",
            ],
            &["cn_r1_k1_s1_c960"],
        ],
        ..HARDCORENAS
    },
];
