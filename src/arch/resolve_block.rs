//! How a block string becomes a block.

use super::architecture::{RdRound, SeKind};
use super::blocks::{
    Attention, CondConvResidual, Conv, ConvBnAct, DepthwiseSeparable, EdgeResidual,
    InvertedResidual, MixedResidual, MobileAttention, SeLayer, UniversalInvertedResidual,
};
use super::resolve_network::SpaceToDepth;
use super::{Activation, AntiAlias, Arch, ArchError, Block, BlockDef, BlockKind, make_divisible};

/// What all blocks of one string have in common.
#[derive(Clone, Copy)]
struct Common {
    in_chs: usize,
    out_chs: usize,
    act: Activation,
    has_skip: bool,
    drop_path: f64,
    /// Stride of the spatial convolution, and the downsampling that may replace it.
    stride: usize,
    aa: Option<AntiAlias>,
}

impl Arch {
    /// Resolves one block; `def` has the stride that this block takes.
    pub(super) fn block(
        &self,
        def: &BlockDef,
        region: SpaceToDepth,
        in_chs: usize,
        drop_path: f64,
    ) -> Result<Block, ArchError> {
        let widened = if region == SpaceToDepth::Outside { 1 } else { 4 };
        let out_chs = self.round_channels(def.out_chs) * widened;
        let aa = self.aa_layer.filter(|_| def.stride > 1);
        let common = Common {
            in_chs,
            out_chs,
            act: def.act.unwrap_or(self.act_layer),
            has_skip: def.skip && def.stride == 1 && in_chs == out_chs,
            drop_path,
            stride: if aa.is_some() { 1 } else { def.stride },
            aa,
        };
        match def.kind {
            BlockKind::ConvBnAct => self.conv_bn_act(def, common),
            BlockKind::DepthwiseSeparable | BlockKind::DepthwiseSeparableAct => {
                self.depthwise_separable(def, common, region == SpaceToDepth::First)
            }
            BlockKind::InvertedResidual => self.inverted_residual(def, common),
            BlockKind::EdgeResidual => self.edge_residual(def, common),
            BlockKind::UniversalInvertedResidual => self.universal(def, common),
            BlockKind::MultiQueryAttention | BlockKind::MultiHeadAttention => {
                self.attention(def, common)
            }
        }
    }

    /// The spatial convolution of `def`: full unless a group size is given.
    fn full(
        &self,
        def: &BlockDef,
        c: &Common,
        (in_chs, out_chs): (usize, usize),
        grouped: usize,
    ) -> Result<Conv, ArchError> {
        let groups = def.group_size.map_or(Ok(1), |size| self.groups(grouped, size))?;
        if !in_chs.is_multiple_of(groups) {
            let (name, group_size) = (self.name.to_owned(), in_chs.div_ceil(groups));
            return Err(ArchError::GroupSize { name, channels: in_chs, group_size });
        }
        Ok(Conv { in_chs, out_chs, kernel_size: kernel_size(def), stride: c.stride, groups })
    }

    /// A spatial convolution of `chs` channels: depthwise unless a group size is given.
    fn depthwise(
        &self,
        def: &BlockDef,
        chs: usize,
        kernel_size: usize,
        stride: usize,
    ) -> Result<Conv, ArchError> {
        let groups = self.groups(chs, def.group_size.unwrap_or(1))?;
        Ok(Conv { in_chs: chs, out_chs: chs, kernel_size, stride, groups })
    }

    fn groups(&self, channels: usize, group_size: usize) -> Result<usize, ArchError> {
        if channels.is_multiple_of(group_size) {
            return Ok(channels / group_size);
        }
        Err(ArchError::GroupSize { name: self.name.to_owned(), channels, group_size })
    }

    /// The channel attention of a block of `channels` channels. Expansion aside, they are `wider`
    /// times the channels that the ratio refers to.
    fn se(&self, def: &BlockDef, c: &Common, channels: usize, wider: f64) -> Option<SeLayer> {
        if def.se_ratio == 0.0 {
            return None;
        }
        let exp_ratio = if self.se_from_exp { 1.0 } else { def.exp_ratio };
        let squeezed = channels as f64 * (def.se_ratio / exp_ratio / wider);
        Some(match self.se_layer {
            SeKind::SqueezeExcite { act, gate, rd_round } => {
                let rd_channels = match rd_round {
                    RdRound::Nearest => squeezed.round_ties_even() as usize,
                    RdRound::Divisible { round_limit } => make_divisible(squeezed, 8, round_limit),
                };
                SeLayer::SqueezeExcite { rd_channels, act: act.unwrap_or(c.act), gate }
            }
            SeKind::GlobalContext => {
                SeLayer::GlobalContext { rd_channels: make_divisible(squeezed, 1, 0.0) }
            }
        })
    }

    fn conv_bn_act(&self, def: &BlockDef, c: Common) -> Result<Block, ArchError> {
        Ok(Block::ConvBnAct(ConvBnAct {
            conv: self.full(def, &c, (c.in_chs, c.out_chs), c.in_chs)?,
            act: c.act,
            aa: c.aa,
            has_skip: c.has_skip,
            drop_path: c.drop_path,
        }))
    }

    fn depthwise_separable(
        &self,
        def: &BlockDef,
        c: Common,
        s2d: bool,
    ) -> Result<Block, ArchError> {
        let mid_chs = if s2d { c.in_chs * 4 } else { c.in_chs };
        let conv_s2d = s2d.then_some(Conv {
            in_chs: c.in_chs,
            out_chs: mid_chs,
            kernel_size: 2,
            stride: 2,
            groups: 1,
        });
        // Half the resolution takes half the kernel.
        let kernel_size = if s2d { kernel_size(def).div_ceil(2) } else { kernel_size(def) };
        Ok(Block::DepthwiseSeparable(DepthwiseSeparable {
            conv_s2d,
            conv_dw: self.depthwise(def, mid_chs, kernel_size, c.stride)?,
            aa: c.aa,
            out_chs: c.out_chs,
            se: self.se(def, &c, mid_chs, if s2d { 4.0 } else { 1.0 }),
            act: c.act,
            pw_act: def.kind == BlockKind::DepthwiseSeparableAct,
            has_skip: c.has_skip,
            drop_path: c.drop_path,
        }))
    }

    fn inverted_residual(&self, def: &BlockDef, c: Common) -> Result<Block, ArchError> {
        let mid_chs = expand(c.in_chs, def);
        let se = self.se(def, &c, mid_chs, 1.0);
        let Common { in_chs, out_chs, act, has_skip, drop_path, stride, aa } = c;
        if def.exp_parts > 1 || def.pw_parts > 1 || def.kernel_sizes.len() > 1 {
            if aa.is_some() || def.group_size.is_some() {
                return Err(ArchError::MixedConv { name: self.name.to_owned() });
            }
            return Ok(Block::MixedResidual(MixedResidual {
                conv_pw: pointwise_parts(in_chs, mid_chs, def.exp_parts),
                conv_dw: split_channels(mid_chs, def.kernel_sizes.len())
                    .zip(&def.kernel_sizes)
                    .map(|(chs, &k)| self.depthwise(def, chs, k, stride))
                    .collect::<Result<_, _>>()?,
                conv_pwl: pointwise_parts(mid_chs, out_chs, def.pw_parts),
                se,
                act,
                has_skip,
                drop_path,
            }));
        }
        let conv_dw = self.depthwise(def, mid_chs, kernel_size(def), stride)?;
        let num_experts = def.num_experts;
        if num_experts > 0 {
            if aa.is_some() {
                return Err(ArchError::MixedConv { name: self.name.to_owned() });
            }
            return Ok(Block::CondConvResidual(CondConvResidual {
                in_chs,
                conv_dw,
                out_chs,
                num_experts,
                se,
                act,
                has_skip,
                drop_path,
            }));
        }
        Ok(Block::InvertedResidual(InvertedResidual {
            in_chs,
            conv_dw,
            aa,
            out_chs,
            se,
            act,
            has_skip,
            drop_path,
        }))
    }

    fn edge_residual(&self, def: &BlockDef, c: Common) -> Result<Block, ArchError> {
        let mid_chs =
            expand(def.force_in_chs.map_or(c.in_chs, |chs| self.round_channels(chs)), def);
        Ok(Block::EdgeResidual(EdgeResidual {
            conv_exp: self.full(def, &c, (c.in_chs, mid_chs), mid_chs)?,
            aa: c.aa,
            out_chs: c.out_chs,
            se: self.se(def, &c, mid_chs, 1.0),
            act: c.act,
            has_skip: c.has_skip,
            drop_path: c.drop_path,
        }))
    }

    fn universal(&self, def: &BlockDef, c: Common) -> Result<Block, ArchError> {
        let mid_chs = expand(c.in_chs, def);
        let mid_kernel = def.kernel_sizes.first();
        let start_stride = if mid_kernel.is_none() { c.stride } else { 1 };
        Ok(Block::UniversalInvertedResidual(UniversalInvertedResidual {
            in_chs: c.in_chs,
            dw_start: def
                .start_kernel_size
                .map(|k| self.depthwise(def, c.in_chs, k, start_stride))
                .transpose()?,
            mid_chs,
            dw_mid: mid_kernel.map(|&k| self.depthwise(def, mid_chs, k, c.stride)).transpose()?,
            aa: c.aa,
            out_chs: c.out_chs,
            act: c.act,
            layer_scale: self.layer_scale,
            has_skip: c.has_skip,
            drop_path: c.drop_path,
        }))
    }

    fn attention(&self, def: &BlockDef, c: Common) -> Result<Block, ArchError> {
        let attn = if def.kind == BlockKind::MultiQueryAttention {
            let down_conv = |stride| self.depthwise(def, c.in_chs, kernel_size(def), stride);
            Attention::MultiQuery {
                down_conv: Some(def.kv_stride).filter(|&s| s > 1).map(down_conv).transpose()?,
            }
        } else if def.num_heads * def.key_dim == c.in_chs {
            Attention::MultiHead
        } else {
            return Err(ArchError::Heads {
                name: self.name.to_owned(),
                channels: c.in_chs,
                num_heads: def.num_heads,
                key_dim: def.key_dim,
            });
        };
        Ok(Block::MobileAttention(MobileAttention {
            in_chs: c.in_chs,
            out_chs: c.out_chs,
            num_heads: def.num_heads,
            key_dim: def.key_dim,
            attn,
            layer_scale: self.layer_scale,
            has_skip: c.has_skip,
            drop_path: c.drop_path,
        }))
    }
}

fn kernel_size(def: &BlockDef) -> usize {
    def.kernel_sizes.first().copied().unwrap_or(1)
}

fn expand(chs: usize, def: &BlockDef) -> usize {
    make_divisible(chs as f64 * def.exp_ratio, 8, 0.9)
}

/// `channels` in equal shares; the first takes what is left over.
fn split_channels(channels: usize, parts: usize) -> impl Iterator<Item = usize> {
    let share = channels / parts;
    (0..parts).map(move |part| if part == 0 { channels - share * (parts - 1) } else { share })
}

fn pointwise_parts(in_chs: usize, out_chs: usize, parts: usize) -> Vec<Conv> {
    split_channels(in_chs, parts)
        .zip(split_channels(out_chs, parts))
        .map(|(in_chs, out_chs)| Conv::pointwise(in_chs, out_chs))
        .collect()
}
