//! The tensors that a graph's operations take: timm's names, and their shapes.

use super::{Graph, Node, Op};
use crate::arch::{Conv, Norm};

impl Graph {
    /// All tensors with their shapes, in the order of computation.
    ///
    /// ```
    /// use effnet::arch;
    /// let network = arch::find("efficientnet_b0").unwrap().network(&Default::default())?;
    /// let tensors = network.graph().tensors();
    /// assert_eq!(tensors[0], ("conv_stem.weight".to_owned(), vec![32, 3, 3, 3]));
    /// assert_eq!(tensors.last().unwrap(), &("classifier.bias".to_owned(), vec![1000]));
    /// # Ok::<(), effnet::arch::ArchError>(())
    /// ```
    #[must_use]
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        self.nodes.iter().flat_map(|node| self.tensors_of(node)).collect()
    }

    /// The tensors of one of its nodes.
    #[must_use]
    pub fn tensors_of(&self, node: &Node) -> Vec<(String, Vec<usize>)> {
        let chs = node.chs;
        let inputs = node.inputs.first().map_or(0, |value| self.chs(*value));
        let mut tensors = Vec::new();
        let mut push = |leaf: &str, shape: &[usize]| {
            tensors.push((format!("{}.{leaf}", node.path), shape.to_vec()));
        };
        match &node.op {
            Op::Conv { convs, bias } => {
                match &convs[..] {
                    [conv] => push("weight", &weight_shape(conv)),
                    _ => {
                        for (i, conv) in convs.iter().enumerate() {
                            push(&format!("{i}.weight"), &weight_shape(conv));
                        }
                    }
                }
                if *bias {
                    push("bias", &[chs]);
                }
            }
            Op::CondConv { conv, num_experts } => {
                push("weight", &[*num_experts, conv.weight_len()]);
            }
            Op::Routing { .. } | Op::Linear => {
                push("weight", &[chs, inputs]);
                push("bias", &[chs]);
            }
            Op::Norm { act } => {
                push("weight", &[chs]);
                push("bias", &[chs]);
                match self.norm {
                    Norm::BatchNorm => {
                        push("running_mean", &[chs]);
                        push("running_var", &[chs]);
                    }
                    Norm::EvoNormS0 { .. } if act.is_some() => push("v", &[chs]),
                    Norm::GroupNorm { .. } | Norm::LayerNorm | Norm::EvoNormS0 { .. } => {}
                }
            }
            Op::SqueezeExcite { rd_channels, .. } => {
                push("conv_reduce.weight", &[*rd_channels, chs, 1, 1]);
                push("conv_reduce.bias", &[*rd_channels]);
                push("conv_expand.weight", &[chs, *rd_channels, 1, 1]);
                push("conv_expand.bias", &[chs]);
            }
            Op::GlobalContext { rd_channels, .. } => {
                push("conv_attn.weight", &[1, chs, 1, 1]);
                push("conv_attn.bias", &[1]);
                push("mlp_scale.fc1.weight", &[*rd_channels, chs, 1, 1]);
                push("mlp_scale.fc1.bias", &[*rd_channels]);
                push("mlp_scale.norm.weight", &[*rd_channels]);
                push("mlp_scale.norm.bias", &[*rd_channels]);
                push("mlp_scale.fc2.weight", &[chs, *rd_channels, 1, 1]);
                push("mlp_scale.fc2.bias", &[chs]);
            }
            Op::LayerScale => push("gamma", &[chs]),
            Op::Act(_)
            | Op::AntiAlias(_)
            | Op::Pool
            | Op::MultiQueryAttention { .. }
            | Op::MultiHeadAttention { .. }
            | Op::Add { .. } => {}
        }
        tensors
    }
}

fn weight_shape(conv: &Conv) -> [usize; 4] {
    [conv.out_chs, conv.in_chs / conv.groups, conv.kernel_size, conv.kernel_size]
}
