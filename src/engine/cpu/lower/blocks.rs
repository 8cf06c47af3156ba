//! The blocks of a network, each as a few layers: spatial ones, which take turns between
//! [`Slot::Mid`] and [`Slot::Side`] if there are several, then a projection.

use super::super::CpuError;
use super::super::layer::{self, Depthwise, Layer, Mean, Mix, Pointwise, Slot, Source};
use super::super::matrix::Matrix;
use super::super::simd::LANES;
use super::cond::Experts;
use super::{Lowering, Tail, cannot_lower};
use crate::arch::{
    Activation, Attention, Block, CondConvResidual, Conv, ConvBnAct, DepthwiseSeparable,
    EdgeResidual, InvertedResidual, MixedResidual, MobileAttention, UniversalInvertedResidual,
};

/// Where each of a block's `layers` before the projection reads and writes; the last writes
/// [`Slot::Mid`].
fn path(layers: usize) -> impl Iterator<Item = (Slot, Slot)> {
    let dst = move |i: usize| if (layers - i).is_multiple_of(2) { Slot::Side } else { Slot::Mid };
    (0..layers).map(move |i| (i.checked_sub(1).map_or(Slot::Current, dst), dst(i)))
}

impl Lowering<'_> {
    pub(super) fn block(&mut self, at: &str, block: &Block) -> Result<(), CpuError> {
        match block {
            Block::ConvBnAct(b) => self.conv_bn_act(at, b),
            Block::DepthwiseSeparable(b) => self.depthwise_separable(at, b),
            Block::InvertedResidual(b) => self.inverted_residual(at, b),
            Block::EdgeResidual(b) => self.edge_residual(at, b),
            Block::MixedResidual(b) => self.mixed_residual(at, b),
            Block::UniversalInvertedResidual(b) => self.universal_inverted_residual(at, b),
            Block::CondConvResidual(b) => self.cond_conv_residual(at, b),
            Block::MobileAttention(b) => self.mobile_attention(at, b),
        }
    }

    fn conv_bn_act(&mut self, at: &str, b: &ConvBnAct) -> Result<(), CpuError> {
        let names = (&*format!("{at}.conv"), &*format!("{at}.bn1"));
        let Some(aa) = b.aa else {
            let tail = b.has_skip.then_some(Tail::Residual);
            return self.convolution(names, b.conv, b.act, (Slot::Current, Slot::Next), tail);
        };
        if b.has_skip {
            return cannot_lower("a residual beside anti-aliasing", at);
        }
        self.convolution(names, b.conv, b.act, (Slot::Current, Slot::Mid), None)?;
        self.downsample(aa, b.conv.out_chs, (Slot::Mid, Slot::Next), None, at)
    }

    fn depthwise_separable(&mut self, at: &str, b: &DepthwiseSeparable) -> Result<(), CpuError> {
        let name = |leaf: &str| format!("{at}.{leaf}");
        let chs = b.conv_dw.in_chs;
        let mut path = path(1 + usize::from(b.conv_s2d.is_some()) + usize::from(b.aa.is_some()));
        let mut hop = || path.next().unwrap_or((Slot::Current, Slot::Mid));
        if let Some(conv) = b.conv_s2d {
            let names = (&*name("conv_s2d"), &*name("bn_s2d"));
            self.convolution(names, conv, b.act, hop(), None)?;
        }
        let mut se = self.channel_attention(&name("se"), b.se, (chs, b.act))?;
        let names = (&*name("conv_dw"), &*name("bn1"));
        let own = if b.aa.is_some() { None } else { se.take() };
        let (current, dst) = hop();
        let (src, source) = match self.stem.take() {
            Some(stem) => (Slot::Images, Source::Stem(stem)),
            None => (current, Source::Map),
        };
        self.depthwise(names, &[b.conv_dw], (Some(b.act), source), (src, dst), own)?;
        if let Some(aa) = b.aa {
            self.downsample(aa, chs, hop(), se, at)?;
        }
        let matrix = self.folded((&name("conv_pw"), &name("bn2")), chs, b.out_chs)?;
        self.project(matrix, b.pw_act.then_some(b.act), b.se.is_some(), b.has_skip);
        Ok(())
    }

    fn inverted_residual(&mut self, at: &str, b: &InvertedResidual) -> Result<(), CpuError> {
        let name = |leaf: &str| format!("{at}.{leaf}");
        let chs = b.conv_dw.in_chs;
        let mut path = path(1 + usize::from(b.aa.is_some()));
        let mut hop = || path.next().unwrap_or((Slot::Current, Slot::Mid));
        let mut se = self.channel_attention(&name("se"), b.se, (chs, b.act))?;
        let expand = self.folded((&name("conv_pw"), &name("bn1")), b.in_chs, chs)?;
        let names = (&*name("conv_dw"), &*name("bn2"));
        let own = if b.aa.is_some() { None } else { se.take() };
        self.depthwise(names, &[b.conv_dw], (Some(b.act), Source::Expand(expand)), hop(), own)?;
        if let Some(aa) = b.aa {
            self.downsample(aa, chs, hop(), se, at)?;
        }
        let matrix = self.folded((&name("conv_pwl"), &name("bn3")), chs, b.out_chs)?;
        self.project(matrix, None, b.se.is_some(), b.has_skip);
        Ok(())
    }

    fn edge_residual(&mut self, at: &str, b: &EdgeResidual) -> Result<(), CpuError> {
        let name = |leaf: &str| format!("{at}.{leaf}");
        let chs = b.conv_exp.out_chs;
        let names = (&*name("conv_exp"), &*name("bn1"));
        let project = self.folded((&name("conv_pwl"), &name("bn2")), chs, b.out_chs)?;
        let se = self.channel_attention(&name("se"), b.se, (chs, b.act))?;
        match (b.aa, se) {
            (None, None) => {
                let tail = Some(Tail::Project(project, b.has_skip));
                let hop = (Slot::Current, Slot::Next);
                return self.convolution(names, b.conv_exp, b.act, hop, tail);
            }
            (None, Some(se)) => {
                let tail = Some(Tail::Attention(Box::new(se)));
                let hop = (Slot::Current, Slot::Mid);
                self.convolution(names, b.conv_exp, b.act, hop, tail)?;
            }
            (Some(aa), se) => {
                let hop = (Slot::Current, Slot::Side);
                self.convolution(names, b.conv_exp, b.act, hop, None)?;
                self.downsample(aa, chs, (Slot::Side, Slot::Mid), se, at)?;
            }
        }
        self.project(project, None, b.se.is_some(), b.has_skip);
        Ok(())
    }

    fn mixed_residual(&mut self, at: &str, b: &MixedResidual) -> Result<(), CpuError> {
        let name = |leaf: &str| format!("{at}.{leaf}");
        let chs = b.conv_pw.iter().map(|conv| conv.out_chs).sum();
        let se = self.channel_attention(&name("se"), b.se, (chs, b.act))?;
        let expand = self.folded_parts((&name("conv_pw"), &name("bn1")), &b.conv_pw, None)?;
        let names = (&*name("conv_dw"), &*name("bn2"));
        let hop = (Slot::Current, Slot::Mid);
        self.depthwise(names, &b.conv_dw, (Some(b.act), Source::Expand(expand)), hop, se)?;
        let matrix = self.folded_parts((&name("conv_pwl"), &name("bn3")), &b.conv_pwl, None)?;
        self.project(matrix, None, b.se.is_some(), b.has_skip);
        Ok(())
    }

    fn universal_inverted_residual(
        &mut self,
        at: &str,
        b: &UniversalInvertedResidual,
    ) -> Result<(), CpuError> {
        let name = |leaf: &str| format!("{at}.{leaf}");
        let names = |layer: &str| (name(&format!("{layer}.conv")), name(&format!("{layer}.bn")));
        let layers = [b.dw_start.is_some(), true, b.aa.is_some()];
        let mut path = path(layers.into_iter().map(usize::from).sum());
        let mut hop = || path.next().unwrap_or((Slot::Current, Slot::Mid));
        if let Some(conv) = b.dw_start {
            let (conv_name, bn) = names("dw_start");
            self.depthwise((&conv_name, &bn), &[conv], (None, Source::Map), hop(), None)?;
        }
        if let (Some(aa), None) = (b.aa, b.dw_mid) {
            self.downsample(aa, b.in_chs, hop(), None, at)?;
        }
        let (conv_name, bn) = names("pw_exp");
        let expand = self.folded((&conv_name, &bn), b.in_chs, b.mid_chs)?;
        match b.dw_mid {
            None => self.pointwise(expand, Some(b.act), hop()),
            Some(conv) => {
                let (conv_name, bn) = names("dw_mid");
                let expand = (Some(b.act), Source::Expand(expand));
                self.depthwise((&conv_name, &bn), &[conv], expand, hop(), None)?;
                if let Some(aa) = b.aa {
                    self.downsample(aa, b.mid_chs, hop(), None, at)?;
                }
            }
        }
        let (conv_name, bn) = names("pw_proj");
        let gamma = b.layer_scale.then(|| name("layer_scale.gamma"));
        let convs = [Conv::pointwise(b.mid_chs, b.out_chs)];
        let matrix = self.folded_parts((&conv_name, &bn), &convs, gamma.as_deref())?;
        self.project(matrix, None, false, b.has_skip);
        Ok(())
    }

    fn cond_conv_residual(&mut self, at: &str, b: &CondConvResidual) -> Result<(), CpuError> {
        let name = |leaf: &str| format!("{at}.{leaf}");
        let chs = b.conv_dw.in_chs;
        let mut experts = Experts::new(b.num_experts);
        let names = (&*name("conv_pw"), &*name("bn1"));
        let (expand, expand_at) = self.cond_pointwise(names, b.in_chs, chs, &mut experts)?;
        let names = (&*name("conv_dw"), &*name("bn2"));
        let (depthwise, depthwise_at) = self.cond_depthwise(names, b.conv_dw, &mut experts)?;
        let names = (&*name("conv_pwl"), &*name("bn3"));
        let (project, project_at) = self.cond_pointwise(names, chs, b.out_chs, &mut experts)?;
        let routing = self.float_linear(&name("routing_fn"), (b.num_experts, b.in_chs), &[])?;
        let se = self.channel_attention(&name("se"), b.se, (chs, b.act))?;

        self.layers.push(Layer::Mean(Mean { chs: b.in_chs, classified: false }));
        self.layers.push(Layer::Mix(Mix { routing, experts: experts.packed() }));
        let (reduce, se) = se.unzip();
        self.layers.push(Layer::Depthwise(Depthwise {
            act: Some(b.act),
            source: Source::Expand(expand),
            mixed: Some((expand_at, depthwise_at)),
            reduce: reduce.flatten(),
            ..depthwise
        }));
        self.layers.extend(se);
        self.layers.push(Layer::Pointwise(Pointwise {
            matrix: project,
            act: None,
            src: Slot::Mid,
            dst: Slot::Next,
            gate: b.se.is_some(),
            residual: b.has_skip,
            mean: false,
            mixed: Some(project_at),
        }));
        Ok(())
    }

    fn mobile_attention(&mut self, at: &str, b: &MobileAttention) -> Result<(), CpuError> {
        let name = |leaf: &str| format!("{at}.{leaf}");
        let (chs, dim) = (b.in_chs, b.key_dim);
        let Attention::MultiQuery { down_conv } = b.attn else {
            return cannot_lower("attention with a key for each head", at);
        };
        if !dim.is_multiple_of(LANES) {
            return cannot_lower(format!("attention with keys of {dim} channels"), at);
        }
        self.scale_and_shift(&name("norm"), chs, (Slot::Current, Slot::Side))?;
        for (leaf, dst) in [("key", Slot::Key), ("value", Slot::Value)] {
            let at = name(&format!("attn.{leaf}"));
            let mut src = Slot::Side;
            if let Some(conv) = down_conv {
                let names = (&*format!("{at}.down_conv"), &*format!("{at}.norm"));
                self.depthwise(names, &[conv], (None, Source::Map), (Slot::Side, Slot::Mid), None)?;
                src = Slot::Mid;
            }
            let matrix = self.unbiased(&format!("{at}.proj"), chs, dim, |_| 1.0)?;
            self.pointwise(matrix, None, (src, dst));
        }
        let queries = b.num_heads * dim;
        let scale = (dim as f64).sqrt().recip();
        let query = self.unbiased(&name("attn.query.proj"), chs, queries, |_| scale)?;
        self.pointwise(query, None, (Slot::Side, Slot::Query));
        self.layers.push(Layer::Attention(layer::Attention { heads: b.num_heads, dim }));
        let gamma = match b.layer_scale {
            true => self.tensor(&[b.out_chs], &name("layer_scale.gamma"))?,
            false => vec![1.0; b.out_chs],
        };
        let gamma = |n: usize| f64::from(gamma[n]);
        let output = self.unbiased(&name("attn.output.proj"), queries, b.out_chs, gamma)?;
        self.project(output, None, false, b.has_skip);
        Ok(())
    }

    /// A pointwise convolution that is not a block's last layer.
    fn pointwise(&mut self, matrix: Matrix, act: Option<Activation>, (src, dst): (Slot, Slot)) {
        self.layers.push(Layer::Pointwise(Pointwise {
            matrix,
            act,
            src,
            dst,
            gate: false,
            residual: false,
            mean: false,
            mixed: None,
        }));
    }
}
