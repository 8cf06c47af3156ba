//! From fused layers to this engine's: which run as one, where maps are, and weights in panels.

mod join;
mod layers;
mod mix;
mod norm;
mod slots;

use std::collections::HashSet;

use super::CpuError;
use super::kernels::{KernelTable, PairKernelTable};
use super::layer::{Attention, Dense, Layer, Mean, Slot};
use super::simd::LANES;
use crate::arch::Value;
use crate::engine::fuse::{Fused, Kind};
use crate::weights::TensorSource;
use join::{Joint, join};
use mix::Experts;
use slots::Slots;

/// The layers of a network, and the number of layers after which each map is complete.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) layers: Vec<Layer>,
    /// For each tap that is a map, in the order of computation.
    pub(super) maps: Vec<(String, usize)>,
}

/// Packs `fused`; for products of bfloat16 pairs, if kernels for them are given.
///
/// # Errors
///
/// A part without kernels, or a tensor that `source` does not provide.
pub(super) fn pack(
    fused: &Fused,
    source: &dyn TensorSource,
    kernels: &'static KernelTable,
    pairs: Option<&'static PairKernelTable>,
) -> Result<Packed, CpuError> {
    let joints = join(fused);
    let vectors = vectors(fused);
    let mut packing = Packing {
        fused,
        source,
        kernels,
        pairs,
        vectors: &vectors,
        experts: None,
        layers: Vec::new(),
    };
    // The number of layers after which each value exists.
    let mut ends = vec![(Value::IMAGES, 0)];
    let mut input = Value::IMAGES;
    for joints in joints.chunk_by(|a, b| a.part == b.part) {
        let slots = Slots::new(joints, input, |joint| packing.writes_map(joint));
        for (at, joint) in joints.iter().enumerate() {
            packing.joint(joint, &joints[at + 1..], &slots)?;
            ends.push((joint.dst(), packing.layers.len()));
        }
        if let Some(last) = joints.iter().rfind(|joint| packing.writes_map(joint)) {
            input = last.dst();
        }
    }
    let end = |value: Value| ends.iter().rfind(|end| end.0 == value).map_or(0, |end| end.1);
    let maps = fused.taps.iter().filter(|tap| !vectors.contains(&tap.value));
    let maps = maps.map(|tap| (tap.name.clone(), end(tap.value))).collect();
    Ok(Packed { layers: packing.layers, maps })
}

/// The values that are vectors.
fn vectors(fused: &Fused) -> HashSet<Value> {
    let mut vectors = HashSet::new();
    for layer in &fused.layers {
        let gives = match layer.kind {
            Kind::Pool
            | Kind::Routing(_)
            | Kind::SqueezeExcite { .. }
            | Kind::GlobalContext { .. } => true,
            _ => vectors.contains(&layer.src[0]),
        };
        if gives {
            vectors.insert(layer.dst);
        }
    }
    vectors
}

struct Packing<'a> {
    fused: &'a Fused,
    source: &'a dyn TensorSource,
    kernels: &'static KernelTable,
    pairs: Option<&'static PairKernelTable>,
    vectors: &'a HashSet<Value>,
    /// Those of the block that is being packed, if its kernels are mixed.
    experts: Option<(usize, Experts)>,
    layers: Vec<Layer>,
}

fn cannot_pack<T>(what: impl Into<String>, at: &str) -> Result<T, CpuError> {
    Err(CpuError::CannotLower { what: what.into(), at: at.to_owned() })
}

impl Packing<'_> {
    fn writes_map(&self, joint: &Joint<'_>) -> bool {
        !self.vectors.contains(&joint.dst())
    }

    /// Packs `joint`; `rest` follow it in its block.
    fn joint(
        &mut self,
        joint: &Joint<'_>,
        rest: &[Joint<'_>],
        slots: &Slots,
    ) -> Result<(), CpuError> {
        let at = &joint.layer.path;
        let slot = |value: Value| match slots.get(value) {
            Some(slot) => Ok(slot),
            None => cannot_pack("a map of another block", at),
        };
        if joint.residual().is_some_and(|value| slots.get(value) != Some(Slot::Current)) {
            return cannot_pack("a sum with another map than the block's input", at);
        }
        if let Some(norm) = joint.norm.filter(|_| !self.writes_map(joint)) {
            return cannot_pack("a norm of a vector by its own statistics", &norm.path);
        }
        match &joint.layer.kind {
            Kind::Conv(conv) if self.vectors.contains(&joint.layer.src[0]) => {
                let matrix = self.dense(&conv.weights)?;
                self.layers.push(Layer::Dense(Dense { matrix, act: conv.act }));
            }
            Kind::Conv(conv) => {
                let project = joint.project.and_then(|layer| match &layer.kind {
                    Kind::Conv(conv) => Some(conv),
                    _ => None,
                });
                let (src, dst) = (slot(joint.src())?, slot(joint.dst())?);
                let norm = joint.norm.and_then(|layer| match &layer.kind {
                    Kind::Norm(norm) => Some(norm),
                    _ => None,
                });
                let own = match norm {
                    // A squeeze-excitation sums the normed map.
                    Some(_) => &Joint { squeezed: None, ..*joint },
                    None => joint,
                };
                let path = match (norm, dst) {
                    // The norm ends the block.
                    (Some(_), Slot::Next) => (src, Slot::Side),
                    _ => (src, dst),
                };
                if conv.is_depthwise() {
                    self.depthwise(own, conv, path)?;
                } else if conv.is_pointwise() && own.squeezed.is_none() {
                    self.pointwise(own, conv, path)?;
                } else {
                    self.convolution(own, conv, project, path)?;
                }
                if let Some(norm) = norm {
                    self.norm(joint, norm, (path.1, dst))?;
                }
            }
            Kind::SqueezeExcite { act, expand, gate, reduce } => {
                self.squeeze_excite(reduce, *act, expand, *gate)?;
            }
            Kind::GlobalContext { attn, reduce, norm, act, expand } => {
                self.global_context([attn, reduce, expand], norm, *act)?;
            }
            Kind::Routing(weights) => {
                let num_experts = weights.chs;
                self.experts = Some((self.layers.len(), Experts::new(num_experts)));
                let routing = self.float_dense(weights)?;
                self.layers.push(mix::without_experts(routing));
            }
            &Kind::MultiQueryAttention { num_heads, key_dim } => {
                if !key_dim.is_multiple_of(LANES) {
                    return cannot_pack(format!("attention with keys of {key_dim} channels"), at);
                }
                let attention = Attention { heads: num_heads, dim: key_dim };
                self.layers.push(Layer::Attention(attention));
            }
            Kind::MultiHeadAttention { num_heads, key_dim } => {
                let what =
                    format!("attention of {num_heads} heads with keys of {key_dim} channels each");
                return cannot_pack(what, at);
            }
            Kind::AntiAlias(aa) => {
                let path = (slot(joint.src())?, slot(joint.dst())?);
                self.downsample(*aa, joint, path)?;
            }
            Kind::ScaleShift(weights) => {
                let path = (slot(joint.src())?, slot(joint.dst())?);
                self.scale_and_shift(weights, joint, path)?;
            }
            Kind::Norm(norm) => {
                let path = (slot(joint.src())?, slot(joint.dst())?);
                self.norm(joint, norm, path)?;
            }
            Kind::Pool => {
                let classified = self.fused.is_tap("pre_logits", joint.dst());
                let chs = joint.layer.chs;
                self.layers.push(Layer::Mean(Mean { chs, classified }));
            }
        }
        let mixes =
            |joint: &Joint<'_>| matches!(&joint.layer.kind, Kind::Conv(c) if c.mix.is_some());
        if !rest.iter().any(mixes)
            && let Some((layer, experts)) = self.experts.take()
        {
            experts.pack_into(&mut self.layers[layer]);
        }
        Ok(())
    }
}
