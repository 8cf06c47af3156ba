//! An architecture as a row of numbers, and how it becomes a [`Network`].

use super::network::{
    Block, Conv, ConvBnAct, DepthwiseSeparable, EdgeResidual, InvertedResidual, Network, PadType,
    SeLayer,
};
use super::pruned::{PrunedStage, prune};
use super::scaling::{DepthTrunc, make_divisible, scale_depth};
use super::{Activation, ArchError, BlockDef, BlockKind};

/// A depth multiplier for all stages, or one for each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DepthMultiplier {
    /// The same for every stage.
    Uniform(f64),
    /// One for each stage.
    PerStage(&'static [f64]),
}

/// Output channels of `conv_head`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NumFeatures {
    /// As they stand.
    Fixed(usize),
    /// Scaled and rounded like every other width.
    Scaled(usize),
}

/// Which channel attention the `se` tokens stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SeKind {
    /// Squeeze-and-excitation.
    SqueezeExcite,
    /// Global context (`gc`).
    GlobalContext,
}

/// An architecture: one row of the table, everything that tells it from its relatives.
///
/// Fields are named after the arguments of timm's `EfficientNet` and of its `_gen_*` functions
/// (`timm/models/efficientnet.py`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arch {
    /// timm's name.
    pub name: &'static str,
    /// Block strings, stage by stage; see [`BlockDef`].
    pub arch_def: &'static [&'static [&'static str]],
    /// Width multiplier.
    pub channel_multiplier: f64,
    /// Widths are rounded to multiples of this.
    pub channel_divisor: usize,
    /// Rounding a width may not lose more than `1 - round_limit` of it; 0 for no limit.
    pub round_limit: f64,
    /// Depth multiplier.
    pub depth_multiplier: DepthMultiplier,
    /// Rounding of scaled depths.
    pub depth_trunc: DepthTrunc,
    /// The first and the last stage keep their depth.
    pub fix_first_last: bool,
    /// Output channels of the stem, before scaling.
    pub stem_size: usize,
    /// The stem keeps its width.
    pub fix_stem: bool,
    /// Output channels of the head.
    pub num_features: NumFeatures,
    /// Activation, where a block does not name its own.
    pub act_layer: Activation,
    /// Padding of every convolution.
    pub pad_type: PadType,
    /// Epsilon of every batch norm.
    pub bn_eps: f64,
    /// What `se` tokens stand for.
    pub se_layer: SeKind,
    /// Channels left by pruning, which replace the scaled ones.
    pub pruned: Option<&'static [PrunedStage]>,
}

/// What a network is built for.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkOptions {
    /// Channels of the input image; 3 by default.
    pub in_chans: usize,
    /// Classes; 1000 by default, 0 for no classifier.
    pub num_classes: usize,
    /// Dropout before the classifier, in training; 0 by default.
    pub drop_rate: f64,
    /// Drop-path rate of the last block, falling linearly to 0 at the first, in training; 0 by default.
    pub drop_path_rate: f64,
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self { in_chans: 3, num_classes: 1000, drop_rate: 0.0, drop_path_rate: 0.0 }
    }
}

/// Beyond this a multiplier is a mistake, and its network would not fit any memory.
const MAX_MULTIPLIER: f64 = 32.0;

impl Arch {
    /// Resolves every width, depth and residual.
    ///
    /// # Errors
    ///
    /// A block string that does not parse, a multiplier out of (0, 32], channels that do not divide
    /// into groups, or zero input channels.
    ///
    /// ```
    /// use effnet::arch::{self, Block};
    /// let b1 = arch::find("efficientnet_b1").unwrap().network(&Default::default())?;
    /// assert_eq!(b1.stages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 3, 3, 4, 4, 5, 2]);
    /// let Block::InvertedResidual(block) = &b1.stages[1][0] else { panic!() };
    /// assert_eq!((block.in_chs, block.conv_dw.out_chs, block.out_chs), (16, 96, 24));
    /// # Ok::<(), effnet::arch::ArchError>(())
    /// ```
    pub fn network(&self, options: &NetworkOptions) -> Result<Network, ArchError> {
        if options.in_chans == 0 {
            return Err(ArchError::NoInputChannels { name: self.name.to_owned() });
        }
        self.check_multiplier("channel_multiplier", self.channel_multiplier)?;
        let stage_defs = self.scaled_stages()?;
        let stem_chs =
            if self.fix_stem { self.stem_size } else { self.round_channels(self.stem_size) };
        let block_count: usize = stage_defs.iter().map(Vec::len).sum();
        let mut in_chs = stem_chs;
        let mut index = 0;
        let mut stages = Vec::with_capacity(stage_defs.len());
        for defs in &stage_defs {
            let mut stage = Vec::with_capacity(defs.len());
            for (b, def) in defs.iter().enumerate() {
                let drop_path = options.drop_path_rate * index as f64 / block_count as f64;
                let block = self.block(def, b == 0, in_chs, drop_path)?;
                in_chs = block.out_chs();
                stage.push(block);
                index += 1;
            }
            stages.push(stage);
        }
        if let Some(pruned) = self.pruned {
            prune(self.name, pruned, &mut stages, stem_chs)?;
        }
        Ok(Network {
            name: self.name.to_owned(),
            in_chans: options.in_chans,
            num_classes: options.num_classes,
            stem_chs,
            stages,
            num_features: match self.num_features {
                NumFeatures::Fixed(n) => n,
                NumFeatures::Scaled(n) => self.round_channels(n),
            },
            act: self.act_layer,
            pad_type: self.pad_type,
            bn_eps: self.bn_eps,
            drop_rate: options.drop_rate,
        })
    }

    /// The block strings read, and repeated as often as the depth multiplier says.
    fn scaled_stages(&self) -> Result<Vec<Vec<BlockDef>>, ArchError> {
        let last = self.arch_def.len().saturating_sub(1);
        let mut stages = Vec::with_capacity(self.arch_def.len());
        for (s, strings) in self.arch_def.iter().enumerate() {
            let multiplier = match self.depth_multiplier {
                _ if self.fix_first_last && (s == 0 || s == last) => 1.0,
                DepthMultiplier::Uniform(multiplier) => multiplier,
                DepthMultiplier::PerStage(all) => {
                    *all.get(s).ok_or_else(|| ArchError::StageCount {
                        name: self.name.to_owned(),
                        what: "depth_multiplier",
                        got: all.len(),
                        stages: self.arch_def.len(),
                    })?
                }
            };
            self.check_multiplier("depth_multiplier", multiplier)?;
            let defs: Vec<BlockDef> =
                strings.iter().map(|string| BlockDef::parse(string)).collect::<Result<_, _>>()?;
            let repeats: Vec<usize> = defs.iter().map(|def| def.repeats).collect();
            let scaled = scale_depth(&repeats, multiplier, self.depth_trunc);
            stages.push(
                defs.iter()
                    .zip(scaled)
                    .flat_map(|(def, n)| std::iter::repeat_n(def.clone(), n))
                    .collect(),
            );
        }
        Ok(stages)
    }

    fn check_multiplier(&self, what: &'static str, value: f64) -> Result<(), ArchError> {
        if value > 0.0 && value <= MAX_MULTIPLIER {
            return Ok(());
        }
        let name = self.name.to_owned();
        Err(ArchError::Multiplier { name, what, value, max: MAX_MULTIPLIER })
    }

    /// A width, scaled and rounded (timm's `round_channels`).
    fn round_channels(&self, channels: usize) -> usize {
        let scaled = channels as f64 * self.channel_multiplier;
        make_divisible(scaled, self.channel_divisor, self.round_limit)
    }

    fn groups(&self, channels: usize, group_size: usize) -> Result<usize, ArchError> {
        if channels.is_multiple_of(group_size) {
            return Ok(channels / group_size);
        }
        Err(ArchError::GroupSize { name: self.name.to_owned(), channels, group_size })
    }

    fn se(&self, def: &BlockDef, channels: usize) -> Option<SeLayer> {
        if def.se_ratio == 0.0 {
            return None;
        }
        // The ratio is of the block's input, and is applied to the expanded channels.
        let squeezed = channels as f64 * (def.se_ratio / def.exp_ratio);
        Some(match self.se_layer {
            SeKind::SqueezeExcite => {
                SeLayer::SqueezeExcite { rd_channels: squeezed.round_ties_even() as usize }
            }
            SeKind::GlobalContext => {
                SeLayer::GlobalContext { rd_channels: make_divisible(squeezed, 1, 0.0) }
            }
        })
    }

    fn block(
        &self,
        def: &BlockDef,
        is_first: bool,
        in_chs: usize,
        drop_path: f64,
    ) -> Result<Block, ArchError> {
        let out_chs = self.round_channels(def.out_chs);
        let stride = if is_first { def.stride } else { 1 };
        let act = def.act.unwrap_or(self.act_layer);
        let has_skip = def.skip && stride == 1 && in_chs == out_chs;
        let kernel_size = def.kernel_size;
        let expand = |chs: usize| make_divisible(chs as f64 * def.exp_ratio, 8, 0.9);
        let full = |channels| def.group_size.map_or(Ok(1), |size| self.groups(channels, size));
        let depthwise = |chs| -> Result<Conv, ArchError> {
            let groups = self.groups(chs, def.group_size.unwrap_or(1))?;
            Ok(Conv { in_chs: chs, out_chs: chs, kernel_size, stride, groups })
        };
        Ok(match def.kind {
            BlockKind::ConvBnAct => Block::ConvBnAct(ConvBnAct {
                conv: Conv { in_chs, out_chs, kernel_size, stride, groups: full(in_chs)? },
                act,
                has_skip,
                drop_path,
            }),
            BlockKind::DepthwiseSeparable => Block::DepthwiseSeparable(DepthwiseSeparable {
                conv_dw: depthwise(in_chs)?,
                out_chs,
                se: self.se(def, in_chs),
                act,
                has_skip,
                drop_path,
            }),
            BlockKind::InvertedResidual => {
                let mid_chs = expand(in_chs);
                Block::InvertedResidual(InvertedResidual {
                    in_chs,
                    conv_dw: depthwise(mid_chs)?,
                    out_chs,
                    se: self.se(def, mid_chs),
                    act,
                    has_skip,
                    drop_path,
                })
            }
            BlockKind::EdgeResidual => {
                let mid_chs =
                    expand(def.force_in_chs.map_or(in_chs, |chs| self.round_channels(chs)));
                let groups = full(mid_chs)?;
                Block::EdgeResidual(EdgeResidual {
                    conv_exp: Conv { in_chs, out_chs: mid_chs, kernel_size, stride, groups },
                    out_chs,
                    se: self.se(def, mid_chs),
                    act,
                    has_skip,
                    drop_path,
                })
            }
        })
    }
}
