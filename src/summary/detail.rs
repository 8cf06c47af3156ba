//! A block's numbers in a few words.

use crate::arch::{Block, Conv, SeLayer};

/// The numbers of a block that reads `in_chs` channels, such as `k3 s2 e6 se`.
pub(super) fn detail(block: &Block, in_chs: usize) -> String {
    let k = |conv: &Conv| format!("k{}", conv.kernel_size);
    let (mut words, se) = match block {
        Block::ConvBnAct(b) => (vec![k(&b.conv)], None),
        Block::DepthwiseSeparable(b) => {
            let s2d = b.conv_s2d.map(|_| "s2d".to_owned());
            (s2d.into_iter().chain([k(&b.conv_dw)]).collect(), b.se)
        }
        Block::InvertedResidual(b) => (vec![k(&b.conv_dw), ratio(b.conv_dw.in_chs, in_chs)], b.se),
        Block::MixedResidual(b) => {
            let kernels: Vec<_> = b.conv_dw.iter().map(|c| c.kernel_size.to_string()).collect();
            let mid_chs = b.conv_dw.iter().map(|c| c.in_chs).sum();
            (vec![format!("k{}", kernels.join(".")), ratio(mid_chs, in_chs)], b.se)
        }
        Block::CondConvResidual(b) => (vec![k(&b.conv_dw), ratio(b.conv_dw.in_chs, in_chs)], b.se),
        Block::EdgeResidual(b) => (vec![k(&b.conv_exp), ratio(b.conv_exp.out_chs, in_chs)], b.se),
        Block::UniversalInvertedResidual(b) => {
            let side = |conv: Option<Conv>| conv.map_or(0, |conv| conv.kernel_size);
            let sides = format!("a{} k{}", side(b.dw_start), side(b.dw_mid));
            (vec![sides, ratio(b.mid_chs, in_chs)], None)
        }
        Block::MobileAttention(b) => (vec![format!("h{} d{}", b.num_heads, b.key_dim)], None),
    };
    words.extend(se.map(se_word));
    if let Block::CondConvResidual(b) = block {
        words.push(format!("cc{}", b.num_experts));
    }
    if block.stride() > 1 {
        words.insert(1, format!("s{}", block.stride()));
    }
    words.join(" ")
}

/// `e6`: expanded channels over input channels.
fn ratio(mid_chs: usize, in_chs: usize) -> String {
    let ratio = (mid_chs as f64 / in_chs as f64 * 100.0).round() / 100.0;
    format!("e{ratio}")
}

fn se_word(se: SeLayer) -> String {
    match se {
        SeLayer::SqueezeExcite { .. } => "se",
        SeLayer::GlobalContext { .. } => "gc",
    }
    .to_owned()
}
