//! A network in figures: shapes, parameters and operations, layer by layer, from its description
//! alone.
//!
//! Operations are counted as fvcore counts them for timm (`benchmark.py --bench profile`):
//! - `macs`: one for each multiply-accumulate of a convolution, a linear layer or CondConv's mixing
//!   of kernels; two for each element of a batch norm; five for each element of a group or layer
//!   norm; one for each element that a pool before the classifier or a routing reads. Activations,
//!   sums, EvoNorm, average-pool downsampling and the attention between positions count as zero.
//! - `activations`: elements of the outputs of convolutions, linear layers and matrix products.

mod count;
mod detail;

use serde::Serialize;

use crate::arch::{Network, Op, Part};
use count::Counter;
use detail::detail;

/// The largest side of an image.
pub const MAX_SIZE: usize = 16384;

/// Why a network cannot be summarized.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SummaryError {
    /// An image without pixels, or a uselessly large one.
    #[error("an image of {height}x{width} pixels: both sides must be 1 to {MAX_SIZE}")]
    Size {
        /// Height of the image.
        height: usize,
        /// Width of the image.
        width: usize,
    },
    /// Nothing is left of the image at some layer.
    #[error("an image of {height}x{width} pixels is too small: nothing is left of it at `{layer}`")]
    TooSmall {
        /// Height of the image.
        height: usize,
        /// Width of the image.
        width: usize,
        /// The layer.
        layer: String,
    },
}

/// A network in figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// timm's name of the architecture.
    pub architecture: String,
    /// Shape of the input: channels, height, width.
    pub input: [usize; 3],
    /// Figures of the whole network.
    pub total: Figures,
    /// Stem, stages, head, in the order of computation.
    pub stages: Vec<Stage>,
}

/// Blocks that belong together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stage {
    /// `stem`, `blocks.0`, ..., `head`.
    pub name: String,
    /// The blocks.
    pub blocks: Vec<BlockSummary>,
}

/// A block, or one of the layers outside the blocks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BlockSummary {
    /// The path of its tensors, such as `blocks.1.0`.
    pub name: String,
    /// What it is, such as `ir`.
    pub kind: String,
    /// Its numbers, such as `k3 s2 e6 se`.
    pub detail: String,
    /// Whether the input is added to the output.
    pub has_skip: bool,
    /// Shape of the output: channels, height, width.
    pub output: [usize; 3],
    /// Figures of the block.
    pub total: Figures,
    /// Its layers, in the order of computation.
    pub layers: Vec<Layer>,
}

/// A layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Layer {
    /// timm's name, such as `blocks.1.0.conv_dw`.
    pub name: String,
    /// What it is, such as `Conv2d 3x3 /2 depthwise`.
    pub kind: String,
    /// Shape of the output: channels, height, width.
    pub output: [usize; 3],
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Parameters and operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Figures {
    /// Learned values, without running statistics.
    pub parameters: u64,
    /// Multiply-accumulates for one image.
    pub macs: u64,
    /// Activations for one image.
    pub activations: u64,
}

impl std::iter::Sum for Figures {
    fn sum<I: Iterator<Item = Self>>(figures: I) -> Self {
        figures.fold(Self::default(), |a, b| Self {
            parameters: a.parameters + b.parameters,
            macs: a.macs + b.macs,
            activations: a.activations + b.activations,
        })
    }
}

impl Summary {
    /// Summarizes `network` on an image of `height` by `width`.
    ///
    /// # Errors
    ///
    /// An image without pixels, larger than [`MAX_SIZE`], or too small for the network.
    ///
    /// ```
    /// use effnet::{arch, summary::Summary};
    /// let network = arch::find("tf_efficientnetv2_l").unwrap().network(&Default::default())?;
    /// let summary = Summary::new(&network, 224, 224)?;
    /// assert_eq!(summary.total.parameters, 118_515_272);
    /// assert_eq!(summary.stages.last().unwrap().blocks[0].output, [1280, 7, 7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(network: &Network, height: usize, width: usize) -> Result<Self, SummaryError> {
        let sides = 1..=MAX_SIZE;
        if !sides.contains(&height) || !sides.contains(&width) {
            return Err(SummaryError::Size { height, width });
        }
        let graph = network.graph();
        let shapes = graph.shapes(height, width);
        let counter = Counter { graph: &graph, shapes: &shapes };
        let mut parts = graph.parts.iter();
        let mut take = |kind: &str, detail: String| {
            parts
                .next()
                .map(|part| counter.block(part, kind, detail))
                .into_iter()
                .collect::<Vec<_>>()
        };
        let stage = |name: String, blocks| Stage { name, blocks };
        let detail_of_stem = format!("k{} s2", network.stem_kernel_size);
        let mut stages = vec![stage("stem".to_owned(), take("conv", detail_of_stem))];
        let mut in_chs = network.stem_chs;
        for (s, blocks) in network.stages.iter().enumerate() {
            let blocks = blocks.iter().flat_map(|block| {
                let detail = detail(block, in_chs);
                in_chs = block.out_chs();
                take(block.kind().token(), detail)
            });
            stages.push(stage(format!("blocks.{s}"), blocks.collect()));
        }
        let head = parts.map(|part| match &*part.path {
            "global_pool" => counter.block(part, "pool", String::new()),
            "classifier" => counter.block(part, "linear", String::new()),
            _ => counter.block(part, "conv", "k1".to_owned()),
        });
        stages.push(stage("head".to_owned(), head.collect()));
        let blocks = || stages.iter().flat_map(|stage| &stage.blocks);
        let lost = blocks().flat_map(|block| &block.layers).find(|l| l.output.contains(&0));
        if let Some(layer) = lost {
            let layer = layer.name.clone();
            return Err(SummaryError::TooSmall { height, width, layer });
        }
        Ok(Self {
            architecture: network.name.clone(),
            input: shapes[0],
            total: blocks().map(|block| block.total).sum(),
            stages,
        })
    }
}

impl Counter<'_> {
    /// The layers of a part, as a block.
    fn block(&self, part: &Part, kind: &str, detail: String) -> BlockSummary {
        let layers: Vec<Layer> = part.nodes.clone().flat_map(|node| self.layers(node)).collect();
        let ops = &self.graph.nodes[part.nodes.clone()];
        BlockSummary {
            name: part.path.clone(),
            kind: kind.to_owned(),
            detail,
            has_skip: ops.iter().any(|node| matches!(node.op, Op::Add { .. })),
            output: self.shapes[part.nodes.end],
            total: layers.iter().map(|layer| layer.figures).sum(),
            layers,
        }
    }
}
