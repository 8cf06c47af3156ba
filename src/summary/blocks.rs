//! The layers of each kind of block, in the order of computation.

use super::count::Counter;
use super::{BlockSummary, Figures};
use crate::arch::{Activation, Attention, Block, Conv, MobileAttention, SeLayer};

impl Counter {
    /// Counts `block`, whose tensors are under `name`.
    pub(super) fn arch_block(&mut self, name: &str, block: &Block) -> BlockSummary {
        let at = |layer: &str| format!("{name}.{layer}");
        let mut detail = Vec::new();
        let stride = block.stride();
        let in_chs = self.shape[0];
        let has_skip = match block {
            Block::ConvBnAct(b) => {
                detail.push(format!("k{}", b.conv.kernel_size));
                self.conv(&at("conv"), b.conv, false);
                self.norm(&at("bn1"), Some(b.act));
                self.aa(name, b.aa);
                b.has_skip
            }
            Block::DepthwiseSeparable(b) => {
                if let Some(conv) = b.conv_s2d {
                    self.conv(&at("conv_s2d"), conv, false);
                    self.norm(&at("bn_s2d"), Some(b.act));
                    detail.push("s2d".to_owned());
                }
                detail.push(format!("k{}", b.conv_dw.kernel_size));
                self.conv(&at("conv_dw"), b.conv_dw, false);
                self.norm(&at("bn1"), Some(b.act));
                self.aa(name, b.aa);
                self.se(name, b.se);
                self.conv(&at("conv_pw"), Conv::pointwise(b.conv_dw.out_chs, b.out_chs), false);
                self.norm(&at("bn2"), b.pw_act.then_some(b.act));
                detail.extend(b.se.map(se_word));
                b.has_skip
            }
            Block::InvertedResidual(b) => {
                let mid_chs = b.conv_dw.in_chs;
                detail.push(format!("k{}", b.conv_dw.kernel_size));
                detail.push(ratio(mid_chs, in_chs));
                self.conv(&at("conv_pw"), Conv::pointwise(b.in_chs, mid_chs), false);
                self.norm(&at("bn1"), Some(b.act));
                self.conv(&at("conv_dw"), b.conv_dw, false);
                self.norm(&at("bn2"), Some(b.act));
                self.aa(name, b.aa);
                self.se(name, b.se);
                self.conv(&at("conv_pwl"), Conv::pointwise(mid_chs, b.out_chs), false);
                self.norm(&at("bn3"), None);
                detail.extend(b.se.map(se_word));
                b.has_skip
            }
            Block::MixedResidual(b) => {
                let kernels: Vec<_> = b.conv_dw.iter().map(|c| c.kernel_size.to_string()).collect();
                detail.push(format!("k{}", kernels.join(".")));
                detail.push(ratio(b.conv_dw.iter().map(|c| c.in_chs).sum(), in_chs));
                self.mixed(&at("conv_pw"), &b.conv_pw);
                self.norm(&at("bn1"), Some(b.act));
                self.mixed(&at("conv_dw"), &b.conv_dw);
                self.norm(&at("bn2"), Some(b.act));
                self.se(name, b.se);
                self.mixed(&at("conv_pwl"), &b.conv_pwl);
                self.norm(&at("bn3"), None);
                detail.extend(b.se.map(se_word));
                b.has_skip
            }
            Block::CondConvResidual(b) => {
                let (mid_chs, experts) = (b.conv_dw.in_chs, b.num_experts);
                detail.push(format!("k{}", b.conv_dw.kernel_size));
                detail.push(ratio(mid_chs, in_chs));
                let input = self.shape;
                self.pool(&at("routing_pool"));
                self.linear(&at("routing_fn"), b.in_chs, experts);
                self.shape = input;
                self.cond(&at("conv_pw"), Conv::pointwise(b.in_chs, mid_chs), experts);
                self.norm(&at("bn1"), Some(b.act));
                self.cond(&at("conv_dw"), b.conv_dw, experts);
                self.norm(&at("bn2"), Some(b.act));
                self.se(name, b.se);
                self.cond(&at("conv_pwl"), Conv::pointwise(mid_chs, b.out_chs), experts);
                self.norm(&at("bn3"), None);
                detail.extend(b.se.map(se_word));
                detail.push(format!("cc{experts}"));
                b.has_skip
            }
            Block::EdgeResidual(b) => {
                let mid_chs = b.conv_exp.out_chs;
                detail.push(format!("k{}", b.conv_exp.kernel_size));
                detail.push(ratio(mid_chs, in_chs));
                self.conv(&at("conv_exp"), b.conv_exp, false);
                self.norm(&at("bn1"), Some(b.act));
                self.aa(name, b.aa);
                self.se(name, b.se);
                self.conv(&at("conv_pwl"), Conv::pointwise(mid_chs, b.out_chs), false);
                self.norm(&at("bn2"), None);
                detail.extend(b.se.map(se_word));
                b.has_skip
            }
            Block::UniversalInvertedResidual(b) => {
                let word = |conv: Option<Conv>| conv.map_or(0, |conv| conv.kernel_size);
                detail.push(format!("a{} k{}", word(b.dw_start), word(b.dw_mid)));
                detail.push(ratio(b.mid_chs, in_chs));
                if let Some(conv) = b.dw_start {
                    self.conv_bn(&at("dw_start"), conv, None);
                }
                self.aa(name, b.aa.filter(|_| b.dw_mid.is_none()));
                self.conv_bn(&at("pw_exp"), Conv::pointwise(b.in_chs, b.mid_chs), Some(b.act));
                if let Some(conv) = b.dw_mid {
                    self.conv_bn(&at("dw_mid"), conv, Some(b.act));
                    self.aa(name, b.aa);
                }
                self.conv_bn(&at("pw_proj"), Conv::pointwise(b.mid_chs, b.out_chs), None);
                self.layer_scale(name, b.layer_scale);
                b.has_skip
            }
            Block::MobileAttention(b) => {
                detail.push(format!("h{} d{}", b.num_heads, b.key_dim));
                self.attention(name, b);
                b.has_skip
            }
        };
        if stride > 1 {
            detail.insert(1.min(detail.len()), format!("s{stride}"));
        }
        self.block(name, block.kind().token(), detail.join(" "), has_skip)
    }

    fn conv_bn(&mut self, name: &str, conv: Conv, act: Option<Activation>) {
        self.conv(&format!("{name}.conv"), conv, false);
        self.norm(&format!("{name}.bn"), act);
    }

    fn aa(&mut self, name: &str, aa: Option<crate::arch::AntiAlias>) {
        if let Some(aa) = aa {
            self.downsample(&format!("{name}.aa"), aa);
        }
    }

    fn layer_scale(&mut self, name: &str, enabled: bool) {
        if enabled {
            let parameters = self.shape[0] as u64;
            let figures = Figures { parameters, ..Figures::default() };
            self.push(&format!("{name}.layer_scale"), "LayerScale2d", figures);
        }
    }

    fn se(&mut self, name: &str, se: Option<SeLayer>) {
        let scaled = self.shape;
        let channels = scaled[0];
        match se {
            None => {}
            Some(SeLayer::SqueezeExcite { rd_channels, .. }) => {
                self.shape = [channels, 1, 1];
                let reduce = Conv::pointwise(channels, rd_channels);
                self.conv(&format!("{name}.se.conv_reduce"), reduce, true);
                let expand = Conv::pointwise(rd_channels, channels);
                self.conv(&format!("{name}.se.conv_expand"), expand, true);
            }
            Some(SeLayer::GlobalContext { rd_channels }) => {
                self.conv(&format!("{name}.se.conv_attn"), Conv::pointwise(channels, 1), true);
                self.shape = [channels, 1, 1];
                let macs = scaled.iter().map(|&n| n as u64).product();
                let figures = Figures { macs, activations: channels as u64, parameters: 0 };
                self.push(&format!("{name}.se.context"), "MatMul", figures);
                let fc1 = Conv::pointwise(channels, rd_channels);
                self.conv(&format!("{name}.se.mlp_scale.fc1"), fc1, true);
                let rd = rd_channels as u64;
                let figures = Figures { parameters: 2 * rd, macs: 5 * rd, activations: 0 };
                self.push(&format!("{name}.se.mlp_scale.norm"), "LayerNorm", figures);
                let fc2 = Conv::pointwise(rd_channels, channels);
                self.conv(&format!("{name}.se.mlp_scale.fc2"), fc2, true);
            }
        }
        self.shape = scaled;
    }

    fn attention(&mut self, name: &str, b: &MobileAttention) {
        let at = |layer: &str| format!("{name}.attn.{layer}");
        self.norm(&format!("{name}.norm"), None);
        let input = self.shape;
        match b.attn {
            Attention::MultiQuery { down_conv } => {
                let dim = b.num_heads * b.key_dim;
                self.conv(&at("query.proj"), Conv::pointwise(b.in_chs, dim), false);
                for part in ["key", "value"] {
                    self.shape = input;
                    if let Some(conv) = down_conv {
                        self.conv(&at(&format!("{part}.down_conv")), conv, false);
                        self.norm(&at(&format!("{part}.norm")), None);
                    }
                    let proj = Conv::pointwise(b.in_chs, b.key_dim);
                    self.conv(&at(&format!("{part}.proj")), proj, false);
                }
                self.shape = [dim, input[1], input[2]];
                self.conv(&at("output.proj"), Conv::pointwise(dim, b.out_chs), false);
            }
            Attention::MultiHead => {
                self.conv(&at("qkv"), Conv::pointwise(b.in_chs, 3 * b.in_chs), false);
                self.conv(&at("proj"), Conv::pointwise(b.in_chs, b.out_chs), false);
            }
        }
        self.layer_scale(name, b.layer_scale);
    }
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
