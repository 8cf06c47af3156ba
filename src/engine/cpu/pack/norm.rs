//! Norms that need statistics of the map.

use super::super::CpuError;
use super::super::layer::{Layer, Moments, Norm, Slot};
use super::super::memory::{AlignedBuf, padded};
use super::join::Joint;
use super::{Packing, cannot_pack};
use crate::engine::fuse::{self, Statistics};

impl Packing<'_> {
    /// The norm of the map at `src`, with the reduction of the squeeze-excitation that reads the
    /// joint's map.
    pub(super) fn norm(
        &mut self,
        joint: &Joint<'_>,
        norm: &fuse::Norm,
        (src, dst): (Slot, Slot),
    ) -> Result<(), CpuError> {
        let (folded, chs) = (self.read(&norm.affine)?, norm.affine.chs);
        if let Statistics::Groups(size) = norm.statistics {
            if !chs.is_multiple_of(size) {
                let what = format!("a norm of {chs} channels in groups of {size}");
                return cannot_pack(what, &joint.norm.unwrap_or(joint.layer).path);
            }
            self.layers.push(Layer::Moments(Moments { chs, src }));
        }
        let mut scale = AlignedBuf::zeros(padded(chs));
        for (to, value) in scale.as_mut_slice().iter_mut().zip(folded.scale) {
            *to = value as f32;
        }
        let mut shift = AlignedBuf::zeros(padded(chs));
        shift.as_mut_slice()[..chs].copy_from_slice(&folded.shift);
        let gate = norm.gate.as_ref().map(|name| self.vector(chs, name)).transpose()?;
        let reduce = self.reduce(joint)?;
        self.layers.push(Layer::Norm(Norm {
            chs,
            statistics: norm.statistics,
            eps: norm.eps,
            gate,
            scale,
            shift,
            act: norm.act,
            src,
            dst,
            residual: norm.residual.is_some(),
            reduce,
        }));
        Ok(())
    }
}
