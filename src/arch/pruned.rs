//! Channels of the pruned EfficientNets.
//!
//! Pruning removed single channels from trained networks, so the counts follow no rule. Source:
//! the tensor shapes in `timm/models/_pruned/*.txt` (Knapsack Pruning with Inner Distillation,
//! <https://arxiv.org/abs/2002.08258>).

use super::ArchError;
use super::blocks::{Block, SeLayer};

/// Channels of one pruned stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrunedStage {
    /// Output channels of every block of the stage.
    pub out_chs: usize,
    /// Block by block, the expanded channels and the squeezed channels of `se`.
    pub blocks: &'static [(usize, usize)],
}

/// Replaces the channels of a scaled network's blocks with those that pruning left.
///
/// The residuals stay those of the unpruned network: pruning kept the same channels at both ends of
/// a residual.
pub(super) fn prune(
    name: &str,
    pruned: &[PrunedStage],
    stages: &mut [Vec<Block>],
    stem_chs: usize,
) -> Result<(), ArchError> {
    let mut in_chs = stem_chs;
    for (stage, left) in stages.iter_mut().zip(pruned) {
        if stage.len() != left.blocks.len() {
            let (got, blocks) = (left.blocks.len(), stage.len());
            return Err(ArchError::PrunedDepth { name: name.to_owned(), got, blocks });
        }
        for (block, &(mid_chs, rd_channels)) in stage.iter_mut().zip(left.blocks) {
            let (conv_dw, out_chs, se) = match block {
                Block::DepthwiseSeparable(b) => (&mut b.conv_dw, &mut b.out_chs, &mut b.se),
                Block::InvertedResidual(b) => {
                    b.in_chs = in_chs;
                    (&mut b.conv_dw, &mut b.out_chs, &mut b.se)
                }
                _ => {
                    return Err(ArchError::PrunedKind { name: name.to_owned() });
                }
            };
            (conv_dw.in_chs, conv_dw.out_chs, conv_dw.groups) = (mid_chs, mid_chs, mid_chs);
            *out_chs = left.out_chs;
            if let Some(SeLayer::SqueezeExcite { rd_channels: squeezed, .. }) = se {
                *squeezed = rd_channels;
            }
            in_chs = left.out_chs;
        }
    }
    Ok(())
}

/// Channels of `efficientnet_b1_pruned`.
pub(super) const B1_PRUNED: &[PrunedStage] = &[
    PrunedStage { out_chs: 16, blocks: &[(32, 8), (16, 4)] },
    PrunedStage { out_chs: 12, blocks: &[(48, 4), (62, 6), (48, 6)] },
    PrunedStage { out_chs: 35, blocks: &[(70, 6), (61, 10), (51, 10)] },
    PrunedStage { out_chs: 74, blocks: &[(175, 10), (188, 20), (137, 20), (164, 20)] },
    PrunedStage { out_chs: 67, blocks: &[(399, 20), (201, 28), (160, 28), (213, 28)] },
    PrunedStage { out_chs: 192, blocks: &[(637, 27), (806, 48), (798, 48), (891, 48), (990, 48)] },
    PrunedStage { out_chs: 320, blocks: &[(1152, 48), (1912, 80)] },
];

/// Channels of `efficientnet_b2_pruned`.
pub(super) const B2_PRUNED: &[PrunedStage] = &[
    PrunedStage { out_chs: 16, blocks: &[(32, 8), (16, 4)] },
    PrunedStage { out_chs: 17, blocks: &[(54, 4), (69, 6), (61, 6)] },
    PrunedStage { out_chs: 42, blocks: &[(86, 6), (72, 12), (98, 12)] },
    PrunedStage { out_chs: 85, blocks: &[(245, 12), (274, 22), (254, 22), (292, 22)] },
    PrunedStage { out_chs: 116, blocks: &[(502, 22), (315, 30), (354, 30), (443, 30)] },
    PrunedStage {
        out_chs: 208,
        blocks: &[(719, 30), (1148, 52), (1160, 52), (1182, 52), (1228, 52)],
    },
    PrunedStage { out_chs: 352, blocks: &[(1248, 52), (2112, 88)] },
];

/// Channels of `efficientnet_b3_pruned`.
pub(super) const B3_PRUNED: &[PrunedStage] = &[
    PrunedStage { out_chs: 24, blocks: &[(40, 10), (24, 6)] },
    PrunedStage { out_chs: 12, blocks: &[(27, 6), (49, 8), (48, 8)] },
    PrunedStage { out_chs: 40, blocks: &[(83, 8), (90, 12), (85, 12)] },
    PrunedStage { out_chs: 93, blocks: &[(215, 12), (261, 24), (219, 24), (254, 24), (236, 24)] },
    PrunedStage { out_chs: 120, blocks: &[(480, 24), (235, 34), (217, 34), (226, 33), (340, 34)] },
    PrunedStage {
        out_chs: 232,
        blocks: &[(802, 34), (1030, 58), (924, 58), (1016, 58), (1130, 58), (1266, 58)],
    },
    PrunedStage { out_chs: 384, blocks: &[(1392, 58), (2301, 96)] },
];
