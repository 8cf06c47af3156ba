//! Which fused layers this engine computes together as one layer.

use crate::arch::Value;
use crate::engine::fuse::{Conv, Fused, Kind, Layer};

/// Fused layers that run as one. `layer` is the one that the others join.
#[derive(Debug, Clone, Copy)]
pub(super) struct Joint<'f> {
    pub(super) layer: &'f Layer,
    /// The number of its part of the network.
    pub(super) part: usize,
    /// What a depthwise convolution slides over while it is being computed: the stem or an
    /// expansion.
    pub(super) source: Option<&'f Layer>,
    /// The squeeze-excitation that reads the map. Its sums are taken while the map is written; it
    /// runs as the next joint.
    pub(super) squeezed: Option<&'f Layer>,
    /// The projection of a dense convolution; what it reads never reaches memory.
    pub(super) project: Option<&'f Layer>,
    /// The norm of what the convolution writes; it works in place.
    pub(super) norm: Option<&'f Layer>,
    /// Whether the means of the map are taken while it is written.
    pub(super) pooled: bool,
}

impl<'f> Joint<'f> {
    /// What it reads first.
    pub(super) fn src(&self) -> Value {
        self.source.unwrap_or(self.layer).src[0]
    }

    /// What it writes.
    pub(super) fn dst(&self) -> Value {
        self.norm.or(self.project).unwrap_or(self.layer).dst
    }

    /// What is added last.
    pub(super) fn residual(&self) -> Option<Value> {
        let layers = [Some(self.layer), self.project, self.norm];
        layers.into_iter().flatten().find_map(|layer| match &layer.kind {
            Kind::Conv(conv) => conv.residual,
            Kind::Norm(norm) => norm.residual,
            _ => None,
        })
    }

    /// Everything that it reads.
    pub(super) fn reads(&self) -> impl Iterator<Item = Value> + use<'f> {
        let own = if self.source.is_some() { &[][..] } else { &self.layer.src };
        let gate = match &self.layer.kind {
            Kind::Conv(c) => c.gate,
            _ => None,
        };
        let source = self.source.into_iter().flat_map(Layer::reads);
        own.iter().copied().chain(source).chain(gate).chain(self.residual())
    }

    /// Whether nothing follows its convolution yet.
    fn is_bare(&self) -> bool {
        let followed = self.squeezed.or(self.project).or(self.norm);
        matches!(self.layer.kind, Kind::Conv(_)) && followed.is_none()
    }
}

/// The layers of `fused` as this engine joins them.
pub(super) fn join(fused: &Fused) -> Vec<Joint<'_>> {
    let readers = fused.readers();
    let mut joints: Vec<Joint<'_>> = Vec::with_capacity(fused.layers.len());
    for (part, layers) in fused.parts.iter().enumerate() {
        for layer in &fused.layers[layers.clone()] {
            let new = Joint {
                layer,
                part,
                source: None,
                squeezed: None,
                project: None,
                norm: None,
                pooled: false,
            };
            // The last joint, if this layer reads its output.
            let src = layer.src[0];
            let last = joints.pop_if(|last| last.dst() == src);
            let alone = readers[src.index()] == 1;
            match (last, &layer.kind) {
                (Some(last), Kind::Conv(conv)) if alone && gives_rows(&last, part, conv) => {
                    joints.push(Joint { source: Some(last.layer), ..new });
                }
                (Some(last), Kind::Conv(conv)) if alone && projects(&last, part, conv) => {
                    joints.push(Joint { project: Some(layer), ..last });
                }
                (Some(last), Kind::Norm(_)) if alone && last.part == part && last.is_bare() => {
                    joints.push(Joint { norm: Some(layer), ..last });
                }
                (Some(last), Kind::SqueezeExcite { .. }) if last.project.is_none() => {
                    joints.push(Joint { squeezed: Some(layer), ..last });
                    joints.push(new);
                }
                (Some(last), Kind::Pool)
                    if fused.is_tap("pre_logits", layer.dst)
                        && last.is_bare()
                        && matches!(&last.layer.kind, Kind::Conv(c) if c.is_pointwise()) =>
                {
                    joints.push(Joint { pooled: true, ..last });
                }
                (last, _) => joints.extend(last.into_iter().chain([new])),
            }
        }
    }
    joints
}

/// Whether `last` supplies a depthwise convolution's rows: the stem, or an expansion with the same
/// activation and the same experts in the same block.
fn gives_rows(last: &Joint<'_>, part: usize, conv: &Conv) -> bool {
    let Kind::Conv(source) = &last.layer.kind else { return false };
    let plain = source.gate.is_none() && source.residual.is_none();
    let free = last.is_bare() && last.source.is_none();
    let is_stem = last.layer.src[0] == Value::IMAGES && source.convs.len() == 1;
    let expands = last.part == part
        && source.is_pointwise()
        && source.act == conv.act
        && source.mix == conv.mix;
    conv.is_depthwise() && conv.gate.is_none() && plain && free && (is_stem || expands)
}

/// Whether a convolution is the projection of the dense one in `last`, with nothing between them.
fn projects(last: &Joint<'_>, part: usize, conv: &Conv) -> bool {
    let Kind::Conv(dense) = &last.layer.kind else { return false };
    let is_dense = !dense.is_depthwise() && !dense.is_pointwise();
    let plain = conv.gate.is_none() && conv.act.is_none() && conv.mix.is_none();
    let free = last.is_bare() && dense.residual.is_none();
    last.part == part && is_dense && conv.is_pointwise() && plain && free
}
