//! Figures of single layers.

use super::{Figures, Layer};
use crate::arch::{Activation, AntiAlias, Conv, Graph, Node, Norm, Op};

/// The layers of a graph whose values have these shapes.
pub(super) struct Counter<'g> {
    pub(super) graph: &'g Graph,
    pub(super) shapes: &'g [[usize; 3]],
}

impl Counter<'_> {
    /// The layers of node `index` that have a name in timm and something to count.
    pub(super) fn layers(&self, index: usize) -> Vec<Layer> {
        let node = &self.graph.nodes[index];
        let output = self.shapes[index + 1];
        let input = node.inputs.first().map_or(output, |value| self.shapes[value.index()]);
        let own = |kind: String, figures| vec![layer(&node.path, kind, output, figures)];
        match &node.op {
            Op::Conv { convs, bias } => match &convs[..] {
                [conv] => vec![conv_layer(&node.path, conv, *bias, output)],
                _ => {
                    let share = |(i, conv): (usize, &Conv)| {
                        let output = [conv.out_chs, output[1], output[2]];
                        conv_layer(&format!("{}.{i}", node.path), conv, false, output)
                    };
                    convs.iter().enumerate().map(share).collect()
                }
            },
            Op::CondConv { conv, num_experts } => {
                let (weights, experts) = (conv.weight_len() as u64, *num_experts as u64);
                let figures = Figures {
                    parameters: weights * experts,
                    macs: weights * (experts + positions(output)),
                    activations: weights + len(output),
                };
                let kind = conv_kind(conv).replacen("Conv2d", "CondConv2d", 1);
                own(format!("{kind} of {num_experts}"), figures)
            }
            Op::Norm { act } => {
                let (kind, figures) = norm(self.graph.norm, *act, output);
                own(kind, figures)
            }
            Op::AntiAlias(AntiAlias::Avg) => own("AvgPool2d 2x2 /2".to_owned(), Figures::default()),
            Op::AntiAlias(AntiAlias::Blur) => {
                let elements = len(output);
                let figures = Figures { parameters: 0, macs: 9 * elements, activations: elements };
                own("BlurPool2d 3x3 /2".to_owned(), figures)
            }
            Op::SqueezeExcite { rd_channels, .. } => squeeze_excite(node, *rd_channels),
            Op::GlobalContext { rd_channels, .. } => global_context(node, *rd_channels, output),
            Op::Pool => {
                let figures = Figures { macs: len(input), ..Figures::default() };
                own("AvgPool2d".to_owned(), figures)
            }
            Op::Routing { .. } | Op::Linear => {
                let (macs, activations) = ((input[0] * node.chs) as u64, node.chs as u64);
                let figures = Figures { parameters: macs + activations, macs, activations };
                own("Linear".to_owned(), figures)
            }
            Op::LayerScale => {
                let figures = Figures { parameters: node.chs as u64, ..Figures::default() };
                own("LayerScale2d".to_owned(), figures)
            }
            Op::Act(_)
            | Op::MultiQueryAttention { .. }
            | Op::MultiHeadAttention { .. }
            | Op::Add { .. } => Vec::new(),
        }
    }
}

fn layer(name: &str, kind: impl Into<String>, output: [usize; 3], figures: Figures) -> Layer {
    Layer { name: name.to_owned(), kind: kind.into(), output, figures }
}

/// Elements of a value.
fn len(shape: [usize; 3]) -> u64 {
    shape.iter().map(|&n| n as u64).product()
}

fn positions([_, h, w]: [usize; 3]) -> u64 {
    (h * w) as u64
}

fn conv_layer(name: &str, conv: &Conv, bias: bool, output: [usize; 3]) -> Layer {
    let weights = conv.weight_len() as u64;
    let figures = Figures {
        parameters: weights + if bias { conv.out_chs as u64 } else { 0 },
        macs: weights * positions(output),
        activations: len(output),
    };
    layer(name, conv_kind(conv), output, figures)
}

fn norm(norm: Norm, act: Option<Activation>, output: [usize; 3]) -> (String, Figures) {
    let (kind, each, parameters) = match norm {
        Norm::BatchNorm => ("BatchNorm", 2, 2),
        Norm::GroupNorm { .. } => ("GroupNorm", 5, 2),
        Norm::LayerNorm => ("LayerNorm", 5, 2),
        Norm::EvoNormS0 { .. } => ("EvoNormS0", 0, if act.is_some() { 3 } else { 2 }),
    };
    let parameters = parameters * output[0] as u64;
    let figures = Figures { parameters, macs: each * len(output), activations: 0 };
    let act = match (norm, act) {
        (Norm::EvoNormS0 { .. }, _) | (_, None) => String::new(),
        (_, Some(act)) => format!(" + {act:?}"),
    };
    (format!("{kind}{act}"), figures)
}

fn squeeze_excite(node: &Node, rd_channels: usize) -> Vec<Layer> {
    let reduce = Conv::pointwise(node.chs, rd_channels);
    let expand = Conv::pointwise(rd_channels, node.chs);
    [("conv_reduce", reduce), ("conv_expand", expand)].map(|fc| vector(node, fc)).to_vec()
}

fn global_context(node: &Node, rd_channels: usize, output: [usize; 3]) -> Vec<Layer> {
    let [channels, h, w] = output;
    let at = |leaf: &str| format!("{}.{leaf}", node.path);
    let attn = conv_layer(&at("conv_attn"), &Conv::pointwise(channels, 1), true, [1, h, w]);
    let figures = Figures { macs: len(output), activations: channels as u64, parameters: 0 };
    let context = layer(&at("context"), "MatMul", [channels, 1, 1], figures);
    let rd = rd_channels as u64;
    let figures = Figures { parameters: 2 * rd, macs: 5 * rd, activations: 0 };
    let norm = layer(&at("mlp_scale.norm"), "LayerNorm", [rd_channels, 1, 1], figures);
    let fc1 = vector(node, ("mlp_scale.fc1", Conv::pointwise(channels, rd_channels)));
    let fc2 = vector(node, ("mlp_scale.fc2", Conv::pointwise(rd_channels, channels)));
    vec![attn, context, fc1, norm, fc2]
}

/// A 1x1 convolution of a vector, with bias.
fn vector(node: &Node, (leaf, conv): (&str, Conv)) -> Layer {
    conv_layer(&format!("{}.{leaf}", node.path), &conv, true, [conv.out_chs, 1, 1])
}

fn conv_kind(conv: &Conv) -> String {
    let Conv { in_chs, out_chs, kernel_size, stride, groups } = *conv;
    let stride = if stride > 1 { format!(" /{stride}") } else { String::new() };
    let groups = match groups {
        1 => String::new(),
        n if n == in_chs && n == out_chs => " depthwise".to_owned(),
        n => format!(" in {n} groups"),
    };
    format!("Conv2d {kernel_size}x{kernel_size}{stride}{groups}")
}
