//! Where the positions of a graph's maps lie in the image.

use super::{Graph, Op, Value};
use crate::arch::{AntiAlias, Conv};

/// Places at equal distances along one side of an image, in pixels from its first edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// The first place.
    pub first: f64,
    /// The distance between two neighbours.
    pub step: f64,
}

impl Graph {
    /// Where the centres of a map's positions lie in an image of this size, along its height and
    /// its width: in the middle of the pixels that a position depends on, padding included.
    ///
    /// TensorFlow's padding puts the positions further from the first edge than PyTorch's:
    ///
    /// ```
    /// use effnet::arch;
    /// for (name, first) in [("efficientnet_b0", 0.5), ("tf_efficientnet_b0", 31.5)] {
    ///     let graph = arch::find(name).unwrap().network(&Default::default())?.graph();
    ///     let [rows, columns] = graph.grids(graph.tap("features").unwrap().value, 224, 224);
    ///     assert_eq!((rows.first, rows.step, rows), (first, 32.0, columns));
    /// }
    /// # Ok::<(), effnet::arch::ArchError>(())
    /// ```
    #[must_use]
    pub fn grids(&self, map: Value, height: usize, width: usize) -> [Grid; 2] {
        let shapes = self.shapes(height, width);
        let mut grids = vec![[Grid { first: 0.5, step: 1.0 }; 2]];
        for node in self.nodes.iter().take(map.index()) {
            let input = node.inputs.first().map_or(0, |value| value.index());
            let [_, h, w] = shapes[input];
            let along = |conv: &Conv| {
                [h, w].map(|side| {
                    let middle = (conv.kernel_size as f64 - 1.0) / 2.0;
                    (middle - conv.pad_before(self.pad_type, side) as f64, conv.stride)
                })
            };
            let moves = match &node.op {
                Op::Conv { convs, .. } => convs.first().map(along),
                Op::CondConv { conv, .. } => Some(along(conv)),
                Op::AntiAlias(AntiAlias::Avg) => Some([(0.5, AntiAlias::STRIDE); 2]),
                Op::AntiAlias(AntiAlias::Blur) => Some([(0.0, AntiAlias::STRIDE); 2]),
                _ => None,
            };
            let mut sides = grids[input];
            for (side, (offset, stride)) in sides.iter_mut().zip(moves.into_iter().flatten()) {
                side.first += side.step * offset;
                side.step *= stride as f64;
            }
            grids.push(sides);
        }
        grids[map.index()]
    }
}
