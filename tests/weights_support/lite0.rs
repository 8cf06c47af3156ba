//! Requests the tensors of timm's `tf_efficientnet_lite0`.

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

/// One stage: block kind, repeats, kernel, channels out. (`tf_efficientnet_lite0`, timm
/// `efficientnet.py`, `_gen_efficientnet_lite` with multipliers 1 and 1.)
const STAGES: [(&str, usize, usize, usize); 7] = [
    ("ds", 1, 3, 16),
    ("ir", 2, 3, 24),
    ("ir", 2, 5, 40),
    ("ir", 3, 3, 80),
    ("ir", 3, 5, 112),
    ("ir", 4, 5, 192),
    ("ir", 1, 3, 320),
];

/// The block kinds, stage by stage.
pub(crate) fn block_kinds() -> Vec<Vec<&'static str>> {
    STAGES.iter().map(|&(kind, repeats, ..)| vec![kind; repeats]).collect()
}

/// Asks `vb` for every tensor of the network.
pub(crate) fn build(vb: &VarBuilder<'_>, num_classes: usize) -> Result<Vec<Tensor>> {
    let mut got = Vec::new();
    conv(&vb.pp("conv_stem"), 32, 3, 3, &mut got)?;
    norm(&vb.pp("bn1"), 32, &mut got)?;
    let mut chs = 32;
    for (stage, &(kind, repeats, kernel, out)) in STAGES.iter().enumerate() {
        for block in 0..repeats {
            let vb = vb.pp("blocks").pp(stage).pp(block);
            if kind == "ds" {
                conv(&vb.pp("conv_dw"), chs, 1, kernel, &mut got)?;
                norm(&vb.pp("bn1"), chs, &mut got)?;
                conv(&vb.pp("conv_pw"), out, chs, 1, &mut got)?;
                norm(&vb.pp("bn2"), out, &mut got)?;
            } else {
                let mid = chs * 6;
                conv(&vb.pp("conv_pw"), mid, chs, 1, &mut got)?;
                norm(&vb.pp("bn1"), mid, &mut got)?;
                conv(&vb.pp("conv_dw"), mid, 1, kernel, &mut got)?;
                norm(&vb.pp("bn2"), mid, &mut got)?;
                conv(&vb.pp("conv_pwl"), out, mid, 1, &mut got)?;
                norm(&vb.pp("bn3"), out, &mut got)?;
            }
            chs = out;
        }
    }
    conv(&vb.pp("conv_head"), 1280, chs, 1, &mut got)?;
    norm(&vb.pp("bn2"), 1280, &mut got)?;
    got.push(vb.pp("classifier").get((num_classes, 1280), "weight")?);
    got.push(vb.pp("classifier").get(num_classes, "bias")?);
    Ok(got)
}

fn conv(
    vb: &VarBuilder<'_>,
    out: usize,
    inp: usize,
    kernel: usize,
    got: &mut Vec<Tensor>,
) -> Result<()> {
    got.push(vb.get((out, inp, kernel, kernel), "weight")?);
    Ok(())
}

fn norm(vb: &VarBuilder<'_>, chs: usize, got: &mut Vec<Tensor>) -> Result<()> {
    for name in ["weight", "bias", "running_mean", "running_var"] {
        got.push(vb.get(chs, name)?);
    }
    Ok(())
}
