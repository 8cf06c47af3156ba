//! How a row of the table becomes a [`Network`].

use super::pruned::prune;
use super::{
    Arch, ArchError, BlockDef, DepthMultiplier, Network, Norm, NumFeatures, Op, make_divisible,
    scale_depth,
};

/// What a network is built for.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkOptions {
    /// Channels of the input image; 3 by default.
    pub in_chans: usize,
    /// Classes; 1000 by default, 0 for no classifier.
    pub num_classes: usize,
    /// Dropout before the classifier, in training; 0 by default.
    pub drop_rate: f64,
    /// Drop-path rate of the last block, in training; it falls linearly to 0 at the first. 0 by
    /// default.
    pub drop_path_rate: f64,
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self { in_chans: 3, num_classes: 1000, drop_rate: 0.0, drop_path_rate: 0.0 }
    }
}

/// A larger multiplier is a mistake: its network would not fit in any memory.
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
        let mut region = SpaceToDepth::Outside;
        let mut stages = Vec::with_capacity(stage_defs.len());
        for defs in &stage_defs {
            let mut stage = Vec::with_capacity(defs.len());
            for (b, def) in defs.iter().enumerate() {
                let mut def = def.clone();
                def.group_size = def.group_size.or(self.group_size);
                def.num_experts *= self.experts_multiplier;
                // Only the first block changes stride and channels.
                if b > 0 {
                    def.stride = 1;
                }
                region = region.enter(&mut def);
                let drop_path = options.drop_path_rate * index as f64 / block_count as f64;
                let block = self.block(&def, region, in_chs, drop_path)?;
                in_chs = block.out_chs();
                stage.push(block);
                index += 1;
            }
            stages.push(stage);
        }
        if let Some(pruned) = self.pruned {
            prune(self.name, pruned, &mut stages, stem_chs)?;
        }
        let network = Network {
            name: self.name.to_owned(),
            in_chans: options.in_chans,
            num_classes: options.num_classes,
            stem_chs,
            stem_kernel_size: self.stem_kernel_size,
            stages,
            head: self.head,
            num_features: match self.num_features {
                NumFeatures::Fixed(n) => n,
                NumFeatures::Scaled(n) => self.round_channels(n),
                NumFeatures::AtLeast(n) => self.round_channels(n).max(n),
                NumFeatures::LastBlock => in_chs,
            },
            act: self.act_layer,
            pad_type: self.pad_type,
            norm: self.norm,
            bn_eps: self.bn_eps,
            drop_rate: options.drop_rate,
        };
        self.check_norms(&network)?;
        Ok(network)
    }

    /// Checks that channels divide into the groups of their norms.
    fn check_norms(&self, network: &Network) -> Result<(), ArchError> {
        let (Norm::GroupNorm { group_size } | Norm::EvoNormS0 { group_size }) = self.norm else {
            return Ok(());
        };
        let graph = network.graph();
        let normed = graph.nodes.iter().filter(|node| matches!(node.op, Op::Norm { .. }));
        match normed.map(|node| node.chs).find(|chs| !chs.is_multiple_of(group_size)) {
            Some(channels) => {
                Err(ArchError::GroupSize { name: self.name.to_owned(), channels, group_size })
            }
            None => Ok(()),
        }
    }

    /// The parsed block strings, each repeated as often as the depth multiplier says.
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
    pub(super) fn round_channels(&self, channels: usize) -> usize {
        let scaled = channels as f64 * self.channel_multiplier;
        make_divisible(scaled, self.channel_divisor, self.round_limit)
    }
}

/// Where a block lies relative to a space-to-depth region. From a `d1` token to the next stride,
/// the image has half the resolution and four times the channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SpaceToDepth {
    /// Not in a region.
    Outside,
    /// At its first block.
    First,
    /// After its first block.
    Inside,
}

impl SpaceToDepth {
    /// Steps to the block of `def`; a block that ends a region takes no stride.
    fn enter(self, def: &mut BlockDef) -> Self {
        match self {
            Self::Outside if def.s2d => Self::First,
            Self::Outside => Self::Outside,
            Self::First | Self::Inside if def.stride == 2 => {
                def.stride = 1;
                def.exp_ratio /= 4.0;
                Self::Outside
            }
            Self::First | Self::Inside => Self::Inside,
        }
    }
}
