//! The shapes of a graph's values for an image size.

use super::{Graph, Op};
use crate::arch::AntiAlias;

impl Graph {
    /// Channels, height and width of each [`Value`](super::Value), the images first; a vector has
    /// one row and one column. A side is 0 where the image is too small for anything to be left.
    #[must_use]
    pub fn shapes(&self, height: usize, width: usize) -> Vec<[usize; 3]> {
        let mut shapes = vec![[self.in_chans, height, width]];
        for node in &self.nodes {
            let [h, w] = node.inputs.first().map_or([1, 1], |value| {
                let [_, h, w] = shapes[value.index()];
                [h, w]
            });
            let sides = match &node.op {
                Op::Conv { convs, .. } => {
                    let conv = convs.first();
                    [h, w].map(|side| conv.map_or(side, |c| c.output_size(self.pad_type, side)))
                }
                Op::CondConv { conv, .. } => {
                    [h, w].map(|side| conv.output_size(self.pad_type, side))
                }
                Op::AntiAlias(AntiAlias::Avg) => [h, w].map(|side| side / AntiAlias::STRIDE),
                Op::AntiAlias(AntiAlias::Blur) => {
                    [h, w].map(|side| side.div_ceil(AntiAlias::STRIDE))
                }
                Op::Pool | Op::Routing { .. } | Op::Linear => [1, 1],
                Op::Norm { .. }
                | Op::Act(_)
                | Op::SqueezeExcite { .. }
                | Op::GlobalContext { .. }
                | Op::MultiQueryAttention { .. }
                | Op::MultiHeadAttention { .. }
                | Op::LayerScale
                | Op::Add { .. } => [h, w],
            };
            shapes.push([node.chs, sides[0], sides[1]]);
        }
        shapes
    }
}
