//! From a network to its graph: one function per kind of block.

use super::{Graph, Node, Op, Part, Tap, Value};
use crate::arch::{
    Activation, AntiAlias, Attention, Block, CondConvResidual, Conv, ConvBnAct, DepthwiseSeparable,
    EdgeResidual, Head, InvertedResidual, MixedResidual, MobileAttention, Network, SeLayer,
    UniversalInvertedResidual,
};

pub(super) fn graph(network: &Network) -> Graph {
    let mut b = Builder {
        graph: Graph {
            name: network.name.clone(),
            in_chans: network.in_chans,
            pad_type: network.pad_type,
            norm: network.norm,
            bn_eps: network.bn_eps,
            nodes: Vec::new(),
            parts: Vec::new(),
            taps: Vec::new(),
        },
    };
    let mut xs = b.conv("conv_stem", Value::IMAGES, network.conv_stem());
    xs = b.norm("bn1", xs, Some(network.act));
    b.part("stem");
    let ends = network.stage_ends();
    let (mut reduction, mut stages) = (network.conv_stem().stride, 0);
    for s in 0..=network.stages.len() {
        if let Some(stage) = s.checked_sub(1) {
            for (i, block) in network.stages[stage].iter().enumerate() {
                let at = format!("blocks.{stage}.{i}");
                xs = b.block(&at, xs, block);
                reduction *= block.stride();
                b.part(&at);
                b.tap(at, xs, reduction);
            }
        }
        if ends.contains(&s) {
            b.tap(format!("stages.{stages}"), xs, reduction);
            stages += 1;
        }
    }
    b.head(network, xs, reduction);
    b.graph
}

struct Builder {
    graph: Graph,
}

impl Builder {
    fn push(&mut self, path: impl Into<String>, op: Op, inputs: &[Value], chs: usize) -> Value {
        let (path, inputs) = (path.into(), inputs.to_vec());
        self.graph.nodes.push(Node { path, op, inputs, chs });
        Value(self.graph.nodes.len())
    }

    /// Ends a part: the nodes since the last part.
    fn part(&mut self, path: &str) {
        let start = self.graph.parts.last().map_or(0, |part| part.nodes.end);
        let nodes = start..self.graph.nodes.len();
        self.graph.parts.push(Part { path: path.to_owned(), nodes });
    }

    fn tap(&mut self, name: impl Into<String>, value: Value, reduction: usize) {
        let chs = self.graph.chs(value);
        self.graph.taps.push(Tap { name: name.into(), value, chs, reduction });
    }

    fn conv(&mut self, path: impl Into<String>, xs: Value, conv: Conv) -> Value {
        self.convs(path, xs, &[conv])
    }

    fn convs(&mut self, path: impl Into<String>, xs: Value, convs: &[Conv]) -> Value {
        let chs = convs.iter().map(|conv| conv.out_chs).sum();
        self.push(path, Op::Conv { convs: convs.to_vec(), bias: false }, &[xs], chs)
    }

    fn pointwise(&mut self, path: impl Into<String>, xs: Value, out_chs: usize) -> Value {
        let conv = Conv::pointwise(self.graph.chs(xs), out_chs);
        self.conv(path, xs, conv)
    }

    fn norm(&mut self, path: impl Into<String>, xs: Value, act: Option<Activation>) -> Value {
        self.push(path, Op::Norm { act }, &[xs], self.graph.chs(xs))
    }

    fn aa(&mut self, at: &str, xs: Value, aa: Option<AntiAlias>) -> Value {
        let Some(aa) = aa else { return xs };
        self.push(format!("{at}.aa"), Op::AntiAlias(aa), &[xs], self.graph.chs(xs))
    }

    fn se(&mut self, at: &str, xs: Value, se: Option<SeLayer>, act: Activation) -> Value {
        let op = match se {
            None => return xs,
            Some(SeLayer::SqueezeExcite { rd_channels, act, gate }) => {
                Op::SqueezeExcite { rd_channels, act, gate }
            }
            Some(SeLayer::GlobalContext { rd_channels }) => Op::GlobalContext { rd_channels, act },
        };
        self.push(format!("{at}.se"), op, &[xs], self.graph.chs(xs))
    }

    fn layer_scale(&mut self, at: &str, xs: Value, enabled: bool) -> Value {
        if !enabled {
            return xs;
        }
        self.push(format!("{at}.layer_scale"), Op::LayerScale, &[xs], self.graph.chs(xs))
    }

    /// The block's output from its branch; `skip` is the shortcut's drop path, if there is a
    /// shortcut.
    fn skip(&mut self, at: &str, branch: Value, xs: Value, skip: Option<f64>) -> Value {
        let Some(drop_path) = skip else { return branch };
        self.push(at, Op::Add { drop_path }, &[branch, xs], self.graph.chs(branch))
    }

    fn block(&mut self, at: &str, xs: Value, block: &Block) -> Value {
        match block {
            Block::ConvBnAct(b) => self.conv_bn_act(at, xs, b),
            Block::DepthwiseSeparable(b) => self.depthwise_separable(at, xs, b),
            Block::InvertedResidual(b) => self.inverted_residual(at, xs, b),
            Block::EdgeResidual(b) => self.edge_residual(at, xs, b),
            Block::MixedResidual(b) => self.mixed_residual(at, xs, b),
            Block::CondConvResidual(b) => self.cond_conv_residual(at, xs, b),
            Block::UniversalInvertedResidual(b) => self.universal_inverted_residual(at, xs, b),
            Block::MobileAttention(b) => self.mobile_attention(at, xs, b),
        }
    }

    fn conv_bn_act(&mut self, at: &str, xs: Value, b: &ConvBnAct) -> Value {
        let mut ys = self.conv(format!("{at}.conv"), xs, b.conv);
        ys = self.norm(format!("{at}.bn1"), ys, Some(b.act));
        ys = self.aa(at, ys, b.aa);
        self.skip(at, ys, xs, b.has_skip.then_some(b.drop_path))
    }

    fn depthwise_separable(&mut self, at: &str, xs: Value, b: &DepthwiseSeparable) -> Value {
        let mut ys = xs;
        if let Some(conv) = b.conv_s2d {
            ys = self.conv(format!("{at}.conv_s2d"), ys, conv);
            ys = self.norm(format!("{at}.bn_s2d"), ys, Some(b.act));
        }
        ys = self.conv(format!("{at}.conv_dw"), ys, b.conv_dw);
        ys = self.norm(format!("{at}.bn1"), ys, Some(b.act));
        ys = self.aa(at, ys, b.aa);
        ys = self.se(at, ys, b.se, b.act);
        ys = self.pointwise(format!("{at}.conv_pw"), ys, b.out_chs);
        ys = self.norm(format!("{at}.bn2"), ys, b.pw_act.then_some(b.act));
        self.skip(at, ys, xs, b.has_skip.then_some(b.drop_path))
    }

    fn inverted_residual(&mut self, at: &str, xs: Value, b: &InvertedResidual) -> Value {
        let mut ys = self.pointwise(format!("{at}.conv_pw"), xs, b.conv_dw.in_chs);
        ys = self.norm(format!("{at}.bn1"), ys, Some(b.act));
        ys = self.conv(format!("{at}.conv_dw"), ys, b.conv_dw);
        ys = self.norm(format!("{at}.bn2"), ys, Some(b.act));
        ys = self.aa(at, ys, b.aa);
        ys = self.se(at, ys, b.se, b.act);
        ys = self.pointwise(format!("{at}.conv_pwl"), ys, b.out_chs);
        ys = self.norm(format!("{at}.bn3"), ys, None);
        self.skip(at, ys, xs, b.has_skip.then_some(b.drop_path))
    }

    fn edge_residual(&mut self, at: &str, xs: Value, b: &EdgeResidual) -> Value {
        let mut ys = self.conv(format!("{at}.conv_exp"), xs, b.conv_exp);
        ys = self.norm(format!("{at}.bn1"), ys, Some(b.act));
        ys = self.aa(at, ys, b.aa);
        ys = self.se(at, ys, b.se, b.act);
        ys = self.pointwise(format!("{at}.conv_pwl"), ys, b.out_chs);
        ys = self.norm(format!("{at}.bn2"), ys, None);
        self.skip(at, ys, xs, b.has_skip.then_some(b.drop_path))
    }

    fn mixed_residual(&mut self, at: &str, xs: Value, b: &MixedResidual) -> Value {
        let mut ys = self.convs(format!("{at}.conv_pw"), xs, &b.conv_pw);
        ys = self.norm(format!("{at}.bn1"), ys, Some(b.act));
        ys = self.convs(format!("{at}.conv_dw"), ys, &b.conv_dw);
        ys = self.norm(format!("{at}.bn2"), ys, Some(b.act));
        ys = self.se(at, ys, b.se, b.act);
        ys = self.convs(format!("{at}.conv_pwl"), ys, &b.conv_pwl);
        ys = self.norm(format!("{at}.bn3"), ys, None);
        self.skip(at, ys, xs, b.has_skip.then_some(b.drop_path))
    }

    fn cond_conv_residual(&mut self, at: &str, xs: Value, b: &CondConvResidual) -> Value {
        let num_experts = b.num_experts;
        let pooled = self.push(format!("{at}.routing_pool"), Op::Pool, &[xs], b.in_chs);
        let op = Op::Routing { num_experts };
        let routing = self.push(format!("{at}.routing_fn"), op, &[pooled], num_experts);
        let cond = |b: &mut Self, name: &str, xs, conv: Conv| {
            let op = Op::CondConv { conv, num_experts };
            b.push(format!("{at}.{name}"), op, &[xs, routing], conv.out_chs)
        };
        let mid_chs = b.conv_dw.in_chs;
        let mut ys = cond(self, "conv_pw", xs, Conv::pointwise(b.in_chs, mid_chs));
        ys = self.norm(format!("{at}.bn1"), ys, Some(b.act));
        ys = cond(self, "conv_dw", ys, b.conv_dw);
        ys = self.norm(format!("{at}.bn2"), ys, Some(b.act));
        ys = self.se(at, ys, b.se, b.act);
        ys = cond(self, "conv_pwl", ys, Conv::pointwise(mid_chs, b.out_chs));
        ys = self.norm(format!("{at}.bn3"), ys, None);
        self.skip(at, ys, xs, b.has_skip.then_some(b.drop_path))
    }

    fn universal_inverted_residual(
        &mut self,
        at: &str,
        xs: Value,
        b: &UniversalInvertedResidual,
    ) -> Value {
        let mut ys = xs;
        if let Some(conv) = b.dw_start {
            ys = self.conv_norm(at, "dw_start", ys, conv, None);
        }
        // The downsampling follows the convolution that would otherwise have the stride.
        ys = self.aa(at, ys, b.aa.filter(|_| b.dw_mid.is_none()));
        ys = self.conv_norm(at, "pw_exp", ys, Conv::pointwise(b.in_chs, b.mid_chs), Some(b.act));
        if let Some(conv) = b.dw_mid {
            ys = self.conv_norm(at, "dw_mid", ys, conv, Some(b.act));
            ys = self.aa(at, ys, b.aa);
        }
        ys = self.conv_norm(at, "pw_proj", ys, Conv::pointwise(b.mid_chs, b.out_chs), None);
        ys = self.layer_scale(at, ys, b.layer_scale);
        self.skip(at, ys, xs, b.has_skip.then_some(b.drop_path))
    }

    /// timm's `ConvNormAct`.
    fn conv_norm(
        &mut self,
        at: &str,
        name: &str,
        xs: Value,
        conv: Conv,
        act: Option<Activation>,
    ) -> Value {
        let ys = self.conv(format!("{at}.{name}.conv"), xs, conv);
        self.norm(format!("{at}.{name}.bn"), ys, act)
    }

    fn mobile_attention(&mut self, at: &str, xs: Value, b: &MobileAttention) -> Value {
        let &MobileAttention { num_heads, key_dim, out_chs, .. } = b;
        let normed = self.norm(format!("{at}.norm"), xs, None);
        let at_attn = format!("{at}.attn");
        let mut ys = match b.attn {
            Attention::MultiQuery { down_conv } => {
                let queries = num_heads * key_dim;
                let query = self.pointwise(format!("{at_attn}.query.proj"), normed, queries);
                let [key, value] = ["key", "value"].map(|part| {
                    let mut ys = normed;
                    if let Some(conv) = down_conv {
                        ys = self.conv(format!("{at_attn}.{part}.down_conv"), ys, conv);
                        ys = self.norm(format!("{at_attn}.{part}.norm"), ys, None);
                    }
                    self.pointwise(format!("{at_attn}.{part}.proj"), ys, key_dim)
                });
                let op = Op::MultiQueryAttention { num_heads, key_dim };
                let ys = self.push(&at_attn, op, &[query, key, value], queries);
                self.pointwise(format!("{at_attn}.output.proj"), ys, out_chs)
            }
            Attention::MultiHead => {
                let qkv = self.pointwise(format!("{at_attn}.qkv"), normed, 3 * b.in_chs);
                let op = Op::MultiHeadAttention { num_heads, key_dim };
                let ys = self.push(&at_attn, op, &[qkv], num_heads * key_dim);
                self.pointwise(format!("{at_attn}.proj"), ys, out_chs)
            }
        };
        ys = self.layer_scale(at, ys, b.layer_scale);
        self.skip(at, ys, xs, b.has_skip.then_some(b.drop_path))
    }

    fn head(&mut self, network: &Network, xs: Value, reduction: usize) {
        let (act, mut ys) = (Some(network.act), xs);
        if network.head.pools_first() {
            self.tap("features", ys, reduction);
            ys = self.pool(ys);
        }
        if network.head != Head::Pool {
            let conv = Conv::pointwise(self.graph.chs(ys), network.num_features);
            let bias = network.head == Head::PoolThenConv;
            let op = Op::Conv { convs: vec![conv], bias };
            ys = self.push("conv_head", op, &[ys], conv.out_chs);
            ys = match network.head {
                Head::ConvThenPool => self.norm("bn2", ys, act),
                Head::PoolThenConvNorm => self.norm("norm_head", ys, act),
                Head::Pool | Head::PoolThenConv | Head::PoolThenConvNoBias => {
                    self.push("act2", Op::Act(network.act), &[ys], conv.out_chs)
                }
            };
            self.part("conv_head");
        }
        if !network.head.pools_first() {
            self.tap("features", ys, reduction);
            ys = self.pool(ys);
        }
        self.tap("pre_logits", ys, 0);
        if network.num_classes > 0 {
            ys = self.push("classifier", Op::Linear, &[ys], network.num_classes);
            self.part("classifier");
        }
        self.tap("logits", ys, 0);
    }

    fn pool(&mut self, xs: Value) -> Value {
        let ys = self.push("global_pool", Op::Pool, &[xs], self.graph.chs(xs));
        self.part("global_pool");
        ys
    }
}
