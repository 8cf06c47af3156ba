//! From a graph to fused layers.

use super::{Conv, Fused, Kind, Layer, Norm, Statistics, Weights};
use crate::arch::{self, Activation, Graph, Node, Op, Value};

/// An operation that cannot become part of a layer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} (`{at}`)")]
pub(crate) struct CannotFuse {
    /// The operation.
    pub(crate) what: &'static str,
    /// Its path.
    pub(crate) at: String,
}

/// Joins the operations of `graph`.
///
/// # Errors
///
/// A graph with gates or sums where no timm architecture has them.
pub(crate) fn fuse(graph: &Graph) -> Result<Fused, CannotFuse> {
    let mut readers = vec![0usize; graph.nodes.len() + 1];
    for value in graph.nodes.iter().flat_map(|node| &node.inputs) {
        readers[value.index()] += 1;
    }
    graph.taps.iter().for_each(|tap| readers[tap.value.index()] += 1);
    let mut joining = Joining { graph, readers, layers: Vec::new() };
    let mut parts = Vec::with_capacity(graph.parts.len());
    for part in &graph.parts {
        let start = joining.layers.len();
        for index in part.nodes.clone() {
            joining.node(&graph.nodes[index], graph.value_of(index))?;
        }
        parts.push(start..joining.layers.len());
    }
    let (layers, taps) = (joining.layers, graph.taps.clone());
    Ok(Fused { pad_type: graph.pad_type, layers, parts, taps })
}

struct Joining<'g> {
    graph: &'g Graph,
    /// How often each value is read or named by a tap.
    readers: Vec<usize>,
    layers: Vec<Layer>,
}

impl Joining<'_> {
    fn node(&mut self, node: &Node, dst: Value) -> Result<(), CannotFuse> {
        let src = node.inputs[0];
        match &node.op {
            Op::Conv { convs, .. } => self.conv(node, dst, convs, None),
            Op::CondConv { conv, num_experts } => {
                self.conv(node, dst, &[*conv], Some((*num_experts, node.inputs[1])));
            }
            Op::Linear => {
                let conv = arch::Conv::pointwise(self.graph.chs(src), node.chs);
                self.conv(node, dst, &[conv], None);
            }
            Op::Norm { act } => self.norm(node, dst, *act)?,
            Op::Act(act) => match self.writer(src) {
                Some((conv, end)) if conv.is_linear() => {
                    (conv.act, *end) = (Some(*act), dst);
                }
                _ => return cannot("an activation without convolution", node),
            },
            Op::LayerScale => {
                let (weights, end) = match self.last(src) {
                    Some((Kind::Conv(conv), end)) if conv.is_linear() => (&mut conv.weights, end),
                    Some((Kind::Norm(norm), end)) if norm.is_linear() => (&mut norm.affine, end),
                    _ => return cannot("a layer scale without convolution", node),
                };
                (weights.gamma, *end) = (Some(format!("{}.gamma", node.path)), dst);
            }
            Op::Add { .. } => match self.last(src) {
                Some((
                    Kind::Conv(Conv { residual, .. }) | Kind::Norm(Norm { residual, .. }),
                    end,
                )) if residual.is_none() => {
                    (*residual, *end) = (Some(node.inputs[1]), dst);
                }
                _ => return cannot("a sum that no convolution ends in", node),
            },
            Op::SqueezeExcite { act, gate, .. } => {
                let [reduce, expand] = self.dense(node, ["conv_reduce", "conv_expand"]);
                let kind = Kind::SqueezeExcite { reduce, act: *act, expand, gate: *gate };
                self.push(node, dst, kind);
            }
            Op::GlobalContext { act, .. } => {
                let names = ["conv_attn", "mlp_scale.fc1", "mlp_scale.fc2"];
                let [attn, reduce, expand] = self.dense(node, names);
                let norm = format!("{}.mlp_scale.norm", node.path);
                let kind = Kind::GlobalContext { attn, reduce, norm, act: *act, expand };
                self.push(node, dst, kind);
            }
            Op::Routing { .. } => {
                let weights = self.weights(node);
                self.push(node, dst, Kind::Routing(weights));
            }
            &Op::MultiQueryAttention { num_heads, key_dim } => {
                // Keys are written after the query, so the query's layer is not the last.
                let scale = (key_dim as f64).sqrt().recip();
                let query = self.layers.iter_mut().rfind(|layer| layer.dst == src);
                match query.map(|layer| &mut layer.kind) {
                    Some(Kind::Conv(conv)) if conv.is_linear() => conv.weights.factor = Some(scale),
                    _ => return cannot("queries that no convolution gives", node),
                }
                self.push(node, dst, Kind::MultiQueryAttention { num_heads, key_dim });
            }
            &Op::MultiHeadAttention { num_heads, key_dim } => {
                self.push(node, dst, Kind::MultiHeadAttention { num_heads, key_dim });
            }
            Op::AntiAlias(aa) => self.push(node, dst, Kind::AntiAlias(*aa)),
            Op::Pool => self.push(node, dst, Kind::Pool),
        }
        // A gate stands for the map times the gate; only convolutions read it in that sense.
        let gates = node.inputs.iter().any(|value| self.gate(*value).is_some());
        if gates && !matches!(node.op, Op::Conv { .. } | Op::CondConv { .. }) {
            return cannot("a gate that no convolution reads", node);
        }
        Ok(())
    }

    fn norm(&mut self, node: &Node, dst: Value, act: Option<Activation>) -> Result<(), CannotFuse> {
        let eps = self.graph.bn_eps;
        let (statistics, is_evo) = match (self.graph.norm, act) {
            (arch::Norm::BatchNorm, _) => return self.fold(node, dst, Some(eps), act),
            (arch::Norm::EvoNormS0 { .. }, None) => return self.fold(node, dst, None, None),
            (arch::Norm::EvoNormS0 { group_size }, _) => (Statistics::Groups(group_size), true),
            (arch::Norm::GroupNorm { group_size }, _) => (Statistics::Groups(group_size), false),
            (arch::Norm::LayerNorm, _) => (Statistics::Positions, false),
        };
        let norm = Norm {
            statistics,
            eps,
            gate: is_evo.then(|| format!("{}.v", node.path)),
            affine: scale_and_shift(node, None),
            act: act.filter(|_| !is_evo),
            residual: None,
        };
        self.push(node, dst, Kind::Norm(norm));
        Ok(())
    }

    /// A norm without statistics of the map; `eps` is the epsilon of running statistics.
    fn fold(
        &mut self,
        node: &Node,
        dst: Value,
        eps: Option<f64>,
        act: Option<Activation>,
    ) -> Result<(), CannotFuse> {
        let weights = scale_and_shift(node, eps);
        match self.writer(node.inputs[0]) {
            Some((conv, end)) if conv.is_bare() => {
                (conv.weights.norm, conv.act, *end) = (weights.norm, act, dst);
            }
            _ if act.is_none() => self.push(node, dst, Kind::ScaleShift(weights)),
            _ => return cannot("an activation without convolution", node),
        }
        Ok(())
    }

    fn push(&mut self, node: &Node, dst: Value, kind: Kind) {
        let (path, src) = (node.path.clone(), node.inputs.clone());
        self.layers.push(Layer { path, kind, src, dst, chs: node.chs });
    }

    fn conv(&mut self, node: &Node, dst: Value, convs: &[arch::Conv], mix: Option<(usize, Value)>) {
        let (convs, weights) = (convs.to_vec(), self.weights(node));
        let (src, gate) = match self.gate(node.inputs[0]) {
            Some(map) => (map, Some(node.inputs[0])),
            None => (node.inputs[0], None),
        };
        let conv = Conv { convs, weights, mix, gate, act: None, residual: None };
        let (path, kind) = (node.path.clone(), Kind::Conv(conv));
        self.layers.push(Layer { path, kind, src: vec![src], dst, chs: node.chs });
    }

    /// The map that a gate applies to, if the value is a gate.
    fn gate(&self, value: Value) -> Option<Value> {
        let writer = self.layers.iter().rfind(|layer| layer.dst == value)?;
        let is_gate =
            matches!(writer.kind, Kind::SqueezeExcite { .. } | Kind::GlobalContext { .. });
        is_gate.then(|| writer.src[0])
    }

    /// The last layer, if it writes `value` for only one reader, and its field for what it writes.
    fn last(&mut self, value: Value) -> Option<(&mut Kind, &mut Value)> {
        let alone = self.readers[value.index()] == 1;
        let Layer { kind, dst, .. } = self.layers.last_mut()?;
        (*dst == value && alone).then_some((kind, dst))
    }

    /// [`last`](Self::last), if it is a convolution.
    fn writer(&mut self, value: Value) -> Option<(&mut Conv, &mut Value)> {
        match self.last(value)? {
            (Kind::Conv(conv), dst) => Some((conv, dst)),
            _ => None,
        }
    }

    /// The weight and bias tensors of a node.
    fn weights(&self, node: &Node) -> Weights {
        self.weights_at(node, &node.path, node.chs)
    }

    /// The node's tensors under the path `at`, which give `chs` channels.
    fn weights_at(&self, node: &Node, at: &str, chs: usize) -> Weights {
        let mut tensors = self.graph.tensors_of(node);
        tensors.retain(|(name, _)| name.strip_prefix(at).is_some_and(|leaf| leaf.starts_with('.')));
        let bias = tensors.pop_if(|(name, _)| name.ends_with(".bias")).map(|(name, _)| name);
        Weights { weights: tensors, bias, chs, ..Weights::default() }
    }

    /// The dense layers inside a node.
    fn dense<const N: usize>(&self, node: &Node, names: [&str; N]) -> [Weights; N] {
        names.map(|name| {
            let mut weights = self.weights_at(node, &format!("{}.{name}", node.path), 0);
            weights.chs = weights.weights.first().map_or(0, |(_, shape)| shape[0]);
            weights
        })
    }
}

impl Conv {
    /// Whether nothing follows its sums yet.
    fn is_bare(&self) -> bool {
        self.weights.norm.is_none() && self.weights.gamma.is_none() && self.is_linear()
    }

    fn is_linear(&self) -> bool {
        self.act.is_none() && self.residual.is_none()
    }
}

impl Norm {
    fn is_linear(&self) -> bool {
        self.act.is_none() && self.gate.is_none() && self.residual.is_none()
    }
}

/// What a norm does after its statistics, or with running statistics, whose epsilon is `eps`.
fn scale_and_shift(node: &Node, eps: Option<f64>) -> Weights {
    Weights { norm: Some((node.path.clone(), eps)), chs: node.chs, ..Weights::default() }
}

fn cannot<T>(what: &'static str, node: &Node) -> Result<T, CannotFuse> {
    Err(CannotFuse { what, at: node.path.clone() })
}
