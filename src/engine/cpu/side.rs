//! How a convolution slides over one direction of a map.

use crate::arch::PadType;

/// The sizes of one spatial direction of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Side {
    /// Pixels in.
    pub(super) input: usize,
    /// Pixels out.
    pub(super) output: usize,
    /// Zeros before the first pixel.
    pub(super) before: usize,
    /// Pixels and zeros together.
    pub(super) padded: usize,
}

/// How a layer pads its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pad {
    /// As convolutions do.
    Conv(PadType),
    /// At the end only, and only whole strides count.
    End,
}

impl Side {
    /// A convolution of `kernel` and `stride` over `input` pixels; `None` if there are no outputs.
    pub(super) fn new(pad: Pad, kernel: usize, stride: usize, input: usize) -> Option<Self> {
        let (before, output) = match pad {
            Pad::Conv(PadType::Symmetric) => {
                let pad = (stride - 1 + kernel - 1) / 2;
                (pad, (input + 2 * pad - kernel) / stride + 1)
            }
            Pad::Conv(PadType::Same) => {
                let output = input.div_ceil(stride);
                ((((output - 1) * stride + kernel).saturating_sub(input)) / 2, output)
            }
            Pad::End => (0, input / stride),
        };
        // Rows that the last output does not reach are not needed; pixels always are.
        let padded = (output.checked_sub(1)? * stride + kernel).max(before + input);
        Some(Self { input, output, before, padded })
    }
}
