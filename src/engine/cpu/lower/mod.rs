//! From a network and its tensors to layers: batch norms folded, weights packed.

mod blocks;
mod cond;
mod fold;
mod layers;

use candle_nn::VarBuilder;

use super::CpuError;
use super::kernels::{Kernels, PairKernels};
use super::layer::{Dense, Layer, Mean, Pointwise, Slot, Stem};
use super::matrix::Matrix;
use crate::arch::{Block, Head, Network, Norm as NormKind, PadType};

/// The layers of a network, and after how many of them its maps are complete.
#[derive(Debug)]
pub(super) struct Lowered {
    pub(super) layers: Vec<Layer>,
    /// Of those that [`Network::stage_ends`] names.
    pub(super) stages: Vec<usize>,
    /// After how many layers the head's feature map is complete.
    pub(super) features: usize,
}

/// Lowers `network`, for products of bfloat16 pairs if their kernels are given.
///
/// # Errors
///
/// A part without fused kernels, or a tensor that `vb` does not give.
pub(super) fn lower(
    network: &Network,
    vb: &VarBuilder<'_>,
    kernels: &'static Kernels,
    pairs: Option<&'static PairKernels>,
) -> Result<Lowered, CpuError> {
    if network.norm != NormKind::BatchNorm {
        return cannot_lower(format!("the norm {:?}", network.norm), "bn1");
    }
    let mut l = Lowering {
        vb,
        kernels,
        pairs,
        pad_type: network.pad_type,
        bn_eps: network.bn_eps,
        stem: None,
        layers: Vec::new(),
    };
    let stem = l.stem(("conv_stem", "bn1"), network.conv_stem(), network.act)?;
    if stem_has_one_reader(network) {
        l.stem = Some(stem);
    } else {
        l.layers.push(Layer::Convolution(stem.into()));
    }
    let ends = network.stage_ends();
    let mut stages = Vec::with_capacity(ends.len());
    let mut head_chs = network.stem_chs;
    for (s, stage) in network.stages.iter().enumerate() {
        if ends.contains(&s) {
            stages.push(l.layers.len());
        }
        for (b, block) in stage.iter().enumerate() {
            l.block(&format!("blocks.{s}.{b}"), block)?;
            head_chs = block.out_chs();
        }
    }
    stages.push(l.layers.len());
    let features = l.head(network, head_chs)?;
    if network.num_classes > 0 {
        let matrix = l.linear("classifier", (network.num_classes, network.num_features), &[])?;
        l.layers.push(Layer::Dense(Dense { matrix, act: None }));
    }
    Ok(Lowered { layers: l.layers, stages, features })
}

struct Lowering<'a> {
    vb: &'a VarBuilder<'a>,
    kernels: &'static Kernels,
    pairs: Option<&'static PairKernels>,
    pad_type: PadType,
    bn_eps: f64,
    /// Until the first depthwise convolution takes it.
    stem: Option<Stem>,
    layers: Vec<Layer>,
}

/// Whether the first block's depthwise convolution reads the stem's map, and nobody else.
fn stem_has_one_reader(network: &Network) -> bool {
    let block = network.stages.first().and_then(|stage| stage.first());
    let Some(Block::DepthwiseSeparable(b)) = block else { return false };
    b.conv_s2d.is_none() && !b.has_skip && !network.stage_ends().contains(&0)
}

fn cannot_lower<T>(what: impl Into<String>, at: &str) -> Result<T, CpuError> {
    Err(CpuError::CannotLower { what: what.into(), at: at.to_owned() })
}

impl Lowering<'_> {
    /// The head behind `chs` channels; after how many layers the last feature map is complete.
    fn head(&mut self, network: &Network, chs: usize) -> Result<usize, CpuError> {
        let (n, act) = (network.num_features, network.act);
        let features = self.layers.len();
        if network.head == Head::Pool {
            self.layers.push(Layer::Mean(Mean { chs, classified: true }));
            return Ok(features);
        }
        let matrix = match network.head {
            Head::ConvThenPool => {
                let matrix = self.folded(("conv_head", "bn2"), chs, n)?;
                self.layers.push(Layer::Pointwise(Pointwise {
                    matrix,
                    act: Some(act),
                    src: Slot::Current,
                    dst: Slot::Next,
                    gate: false,
                    residual: false,
                    mean: true,
                    mixed: None,
                }));
                return Ok(self.layers.len());
            }
            Head::PoolThenConv => self.linear("conv_head", (n, chs), &[1, 1])?,
            Head::PoolThenConvNoBias => self.unbiased("conv_head", chs, n, |_| 1.0)?,
            Head::PoolThenConvNorm => self.folded(("conv_head", "norm_head"), chs, n)?,
            Head::Pool => return cannot_lower("a head", "conv_head"),
        };
        self.layers.push(Layer::Mean(Mean { chs, classified: false }));
        self.layers.push(Layer::Dense(Dense { matrix, act: Some(act) }));
        Ok(features)
    }
}

/// The reduction of a squeeze-excitation, and the layer that computes the gates.
type ChannelAttention = (Option<Matrix>, Layer);

/// What follows a dense convolution's activation.
enum Tail {
    /// The block's input is added.
    Residual,
    /// A channel attention.
    Attention(Box<ChannelAttention>),
    /// A projection, to which the block's input is added or not.
    Project(Matrix, bool),
}
