//! What a kernel reads, writes and computes: the least that any device does for it.

use super::{Conv2d, Input, Kernel};

/// Bytes of memory traffic, if every value is read or written once, and floating-point operations: a
/// product and a sum are two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) bytes: usize,
    pub(crate) flops: usize,
}

impl std::ops::Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { bytes: self.bytes + other.bytes, flops: self.flops + other.flops }
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), std::ops::Add::add)
    }
}

/// Bytes of a float.
const FLOAT: usize = 4;

impl Kernel {
    /// The cost of the kernel, with maps and large weights of `element` bytes.
    pub(crate) fn cost(&self, element: usize) -> Cost {
        let cost = |maps: usize, floats: usize, flops: usize| Cost {
            bytes: maps * element + floats * FLOAT,
            flops,
        };
        match *self {
            Self::Stem { size, input, .. } => {
                let images = size.n * size.h * size.w * size.cin;
                let image_bytes = images * if input == Input::Pixels { 1 } else { FLOAT };
                let weights = size.weights() + size.cout;
                let rest = cost(size.outputs(), weights, 2 * size.products());
                Cost { bytes: rest.bytes + image_bytes, ..rest }
            }
            Self::Pointwise { groups, rows, k, n, w_stride, gate, residual, gate_rows, .. } => {
                let m = groups * rows;
                let sets = if w_stride > 0 { groups } else { 1 };
                let maps = m * k + sets * n * k + m * n * (1 + usize::from(residual.is_some()));
                let gates = gate.map_or(0, |_| m / gate_rows * k);
                cost(maps, n + gates, 2 * m * k * n)
            }
            Self::Conv { size, residual, .. } => {
                let maps = size.inputs()
                    + size.weights()
                    + size.outputs() * (1 + usize::from(residual.is_some()));
                cost(maps, size.cout, 2 * size.products())
            }
            Self::Grouped { size, groups, residual, .. } => {
                let maps = size.inputs()
                    + size.weights() / groups
                    + size.outputs() * (1 + usize::from(residual.is_some()));
                cost(maps, size.cout, 2 * size.products() / groups)
            }
            Self::Depthwise { size, parts, w_stride, sums, .. } => {
                let sets = if w_stride > 0 { size.n } else { 1 };
                let taps = size.kernel * size.kernel;
                let sums = sums.map_or(0, |_| size.n * parts * size.cout);
                let floats = sets * taps * size.cout + size.cout + sums;
                cost(size.inputs() + size.outputs(), floats, 2 * size.outputs() * taps)
            }
            Self::SqueezeExcite { n, c, rd, parts, .. } => {
                cost(2 * rd * c, n * (parts + 1) * c + rd + c, n * (parts * c + 4 * rd * c))
            }
            Self::GlobalContext { n, c, hw, rd, .. } => {
                // The map is read for the scores and for their sum.
                let maps = 2 * n * hw * c + 2 * rd * c;
                cost(maps, n * (hw + c) + 2 * c + 3 * rd, n * (4 * hw * c + 4 * rd * c))
            }
            Self::Pool { n, hw, c, .. } => cost(n * hw * c, n * c, n * hw * c),
            Self::Dense { n, k, out, .. } => cost(out * k, n * (k + out) + out, 2 * n * k * out),
            Self::Mix { n, experts, len, floats, .. } => {
                let (maps, written) = if floats { (0, n * len) } else { (n * len, 0) };
                cost(maps, experts * len + n * experts + written, 2 * n * experts * len)
            }
            Self::Attention { n, positions: [queries, keys], heads, key_dim, .. } => {
                let maps = n * (2 * queries * heads + 2 * keys) * key_dim;
                cost(maps, 0, 4 * n * queries * heads * keys * key_dim)
            }
            Self::AntiAlias { n, from, to, c, .. } => {
                let (inputs, outputs) = (n * from[0] * from[1] * c, n * to[0] * to[1] * c);
                cost(inputs + outputs, 0, 2 * 9 * outputs)
            }
            Self::ScaleShift { rows, c, .. } => cost(2 * rows * c, 2 * c, 2 * rows * c),
            Self::Moments { n, hw, c, .. } => cost(n * hw * c, 2 * n, 3 * n * hw * c),
            Self::Normalize { n, hw, c, residual, .. } => {
                let maps = n * hw * c * (2 + usize::from(residual.is_some()));
                cost(maps, 2 * c, 4 * n * hw * c)
            }
            Self::Export { n, hw, c, real, of_map, .. } => {
                let (maps, floats) = if of_map { (n * hw * c, 0) } else { (0, n * c) };
                cost(maps, floats + n * hw * real, 0)
            }
        }
    }
}

impl Conv2d {
    fn inputs(&self) -> usize {
        self.n * self.h * self.w * self.cin
    }

    fn outputs(&self) -> usize {
        self.n * self.oh * self.ow * self.cout
    }

    fn weights(&self) -> usize {
        self.kernel * self.kernel * self.cin * self.cout
    }

    /// Products of an ungrouped convolution.
    fn products(&self) -> usize {
        self.n * self.oh * self.ow * self.weights()
    }
}
