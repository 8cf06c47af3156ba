//! Kernels with their sizes and places.

use super::pack::Weight;
use crate::arch::{Activation, AntiAlias};
use crate::engine::fuse::Statistics;

/// What the images are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Input {
    /// Normalized, (N, C, H, W) in float32.
    Floats,
    /// Bytes, (N, H, W, C), with a table of their normalized values.
    Pixels,
}

/// Where a kernel reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Buffer {
    /// A region of the arena.
    Region(usize),
    Weight(Weight),
    /// The images.
    Images,
    /// The normalized values of bytes: 256 a channel.
    #[cfg_attr(not(feature = "cuda"), allow(dead_code, reason = "in WGSL it is before the images"))]
    Table,
    /// An output, by its number.
    Output(usize),
}

/// One kernel.
#[derive(Debug)]
pub(crate) struct Step {
    /// timm's path of what it computes.
    pub(crate) path: String,
    pub(crate) kernel: Kernel,
}

/// The sizes of a convolution. Channels are padded, but for `cin` of the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Conv2d {
    pub(crate) n: usize,
    pub(crate) h: usize,
    pub(crate) w: usize,
    pub(crate) cin: usize,
    pub(crate) oh: usize,
    pub(crate) ow: usize,
    pub(crate) cout: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) top: usize,
    pub(crate) left: usize,
}

/// A kernel with its sizes: as the CUDA kernels of the same names have them (`common.cuh`).
#[derive(Debug)]
pub(crate) enum Kernel {
    Stem {
        size: Conv2d,
        input: Input,
        act: Act,
        wt: Buffer,
        bias: Buffer,
        y: Buffer,
    },
    Pointwise {
        groups: usize,
        rows: usize,
        k: usize,
        n: usize,
        gate_rows: usize,
        act: Act,
        x: Buffer,
        wt: Buffer,
        w_stride: usize,
        bias: Buffer,
        gate: Option<Buffer>,
        residual: Option<Buffer>,
        y: Buffer,
    },
    Conv {
        size: Conv2d,
        act: Act,
        x: Buffer,
        wt: Buffer,
        bias: Buffer,
        residual: Option<Buffer>,
        y: Buffer,
    },
    Grouped {
        size: Conv2d,
        groups: usize,
        real: [usize; 2],
        act: Act,
        x: Buffer,
        wt: Buffer,
        bias: Buffer,
        residual: Option<Buffer>,
        y: Buffer,
    },
    Depthwise {
        size: Conv2d,
        act: Act,
        parts: usize,
        x: Buffer,
        wt: Buffer,
        w_stride: usize,
        bias: Buffer,
        y: Buffer,
        /// (n, parts, channels): what the parts of an image sum up to.
        sums: Option<Buffer>,
    },
    SqueezeExcite {
        n: usize,
        c: usize,
        rd: usize,
        parts: usize,
        /// Makes the sums a mean.
        scale: f32,
        act: Act,
        gate: Act,
        sums: Buffer,
        wt: [Buffer; 2],
        bias: [Buffer; 2],
        y: Buffer,
    },
    GlobalContext {
        n: usize,
        c: usize,
        hw: usize,
        rd: usize,
        act: Act,
        x: Buffer,
        scores: Buffer,
        attn: Buffer,
        attn_bias: f32,
        wt: [Buffer; 2],
        bias: [Buffer; 2],
        norm: [Buffer; 2],
        y: Buffer,
    },
    Pool {
        n: usize,
        hw: usize,
        c: usize,
        x: Buffer,
        y: Buffer,
    },
    Dense {
        n: usize,
        k: usize,
        out: usize,
        act: Act,
        x: Buffer,
        wt: Buffer,
        bias: Buffer,
        y: Buffer,
    },
    /// Into the type of the maps, or float32.
    Mix {
        n: usize,
        experts: usize,
        len: usize,
        floats: bool,
        routing: Buffer,
        wt: Buffer,
        y: Buffer,
    },
    Attention {
        n: usize,
        positions: [usize; 2],
        heads: usize,
        key_dim: usize,
        stride: [usize; 2],
        qkv: [Buffer; 3],
        y: Buffer,
    },
    AntiAlias {
        aa: AntiAlias,
        n: usize,
        from: [usize; 2],
        to: [usize; 2],
        c: usize,
        x: Buffer,
        y: Buffer,
    },
    ScaleShift {
        rows: usize,
        c: usize,
        scale: Buffer,
        shift: Buffer,
        x: Buffer,
        y: Buffer,
    },
    Moments {
        n: usize,
        hw: usize,
        c: usize,
        real: usize,
        statistics: Statistics,
        eps: f32,
        x: Buffer,
        y: Buffer,
    },
    Normalize {
        n: usize,
        hw: usize,
        c: usize,
        real: usize,
        statistics: Statistics,
        act: Act,
        x: Buffer,
        moments: Buffer,
        scale: Buffer,
        shift: Buffer,
        gate: Option<Buffer>,
        residual: Option<Buffer>,
        y: Buffer,
    },
    /// A map to (n, c, h, w) in float32; a vector without padding.
    Export {
        n: usize,
        hw: usize,
        c: usize,
        real: usize,
        of_map: bool,
        x: Buffer,
        y: Buffer,
    },
}

/// What is applied last.
pub(crate) type Act = Option<Activation>;
