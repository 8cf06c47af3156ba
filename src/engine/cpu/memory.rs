//! Memory that vectors load from: whole cache lines.

use super::simd::LANES;

#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LANES]);

/// Zeroed floats on cache-line boundaries, in a multiple of [`LANES`].
#[derive(Debug)]
pub(super) struct AlignedBuf {
    lines: Vec<Line>,
}

impl AlignedBuf {
    /// `len` zeros, rounded up.
    pub(super) fn zeros(len: usize) -> Self {
        Self { lines: vec![Line([0.0; LANES]); len.div_ceil(LANES)] }
    }

    /// Floats held.
    pub(super) fn len(&self) -> usize {
        self.lines.len() * LANES
    }

    pub(super) fn as_ptr(&self) -> *const f32 {
        self.lines.as_ptr().cast()
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut f32 {
        self.lines.as_mut_ptr().cast()
    }

    pub(super) fn as_slice(&self) -> &[f32] {
        // SAFETY: as in `as_mut_slice`.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.len()) }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: a line is 16 floats without padding, all initialised; `self` is borrowed
        // exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr(), self.len()) }
    }
}

/// `channels` rounded up to whole vectors.
pub(super) const fn padded(channels: usize) -> usize {
    channels.next_multiple_of(LANES)
}
