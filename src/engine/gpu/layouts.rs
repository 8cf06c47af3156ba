//! Weights in the layouts of the kernels.

use super::{LANES, padded};
use crate::arch;
use crate::engine::fuse::{Conv, Folded};

/// A convolution's weights times their channels' factors. `first` is its first channel of the layer's.
pub(super) fn scaled(folded: &Folded, part: usize, first: usize) -> Vec<f32> {
    let weights = &folded.weights[part];
    scaled_by(weights, &folded.scale[first..], weights.len() / folded.scale.len().max(1))
}

fn scaled_by(weights: &[f32], scale: &[f64], inputs: usize) -> Vec<f32> {
    let rows = weights.chunks_exact(inputs.max(1)).zip(scale);
    rows.flat_map(|(row, scale)| row.iter().map(move |w| (f64::from(*w) * scale) as f32)).collect()
}

/// With zeros to a multiple of [`LANES`].
pub(super) fn pad_row(row: &[f32]) -> Vec<f32> {
    let mut row = row.to_vec();
    row.resize(padded(row.len()), 0.0);
    row
}

/// A matrix with zero rows to a multiple of [`LANES`].
pub(super) fn pad_rows(mut matrix: Vec<f32>, columns: usize) -> Vec<f32> {
    matrix.resize(matrix.len().next_multiple_of(columns * LANES), 0.0);
    matrix
}

/// A matrix with its rows and columns padded.
pub(super) fn rows(matrix: &[f32], columns: usize) -> Vec<f32> {
    let wide: Vec<f32> = matrix.chunks_exact(columns).flat_map(pad_row).collect();
    pad_rows(wide, padded(columns))
}

/// (out, in, k, k) to (k * k * in, padded out).
pub(super) fn by_tap(weights: &[f32], conv: &arch::Conv) -> Vec<f32> {
    let (taps, out) = (conv.kernel_size.pow(2), padded(conv.out_chs));
    let mut by_tap = vec![0.0; taps * conv.in_chs * out];
    for (n, row) in weights.chunks_exact(conv.in_chs * taps).enumerate() {
        for (at, w) in row.iter().enumerate() {
            let (c, tap) = (at / taps, at % taps);
            by_tap[(tap * conv.in_chs + c) * out + n] = *w;
        }
    }
    by_tap
}

/// (out, in, k, k) to (out, k * k, in).
pub(super) fn by_channel(weights: &[f32], conv: &arch::Conv) -> Vec<f32> {
    let (taps, inputs) = (conv.kernel_size.pow(2), conv.in_chs / conv.groups);
    let filter = |filter: &[f32]| -> Vec<f32> {
        (0..taps * inputs).map(|at| filter[at % inputs * taps + at / inputs]).collect()
    };
    weights.chunks_exact(taps * inputs).flat_map(filter).collect()
}

/// Pointwise convolutions side by side as one matrix (experts, padded out, padded in): zero where a
/// convolution does not read a channel. Maps' traffic decides, not products with zeros.
pub(super) fn pointwise(conv: &Conv, folded: &Folded, experts: usize) -> (Vec<f32>, [usize; 2]) {
    let total = |of: fn(&arch::Conv) -> usize| conv.convs.iter().map(of).sum::<usize>();
    let (inputs, out) = (total(|c| c.in_chs), total(|c| c.out_chs));
    let columns = padded(inputs);
    let mut matrix = vec![0.0; experts * padded(out) * columns];
    let (mut first_in, mut first_out) = (0, 0);
    for (own, weights) in conv.convs.iter().zip(&folded.weights) {
        for (row, values) in weights.chunks_exact(own.in_chs).enumerate() {
            let (expert, n) = (row / own.out_chs, first_out + row % own.out_chs);
            let at = (expert * padded(out) + n) * columns + first_in;
            for (to, w) in matrix[at..at + own.in_chs].iter_mut().zip(values) {
                *to = (f64::from(*w) * folded.scale[n]) as f32;
            }
        }
        (first_in, first_out) = (first_in + own.in_chs, first_out + own.out_chs);
    }
    (matrix, [inputs, out])
}

/// Depthwise convolutions side by side as one of the largest kernel: (experts, k * k, padded chs). Kernels
/// of odd sizes with the same stride have their centers at the same pixels.
pub(super) fn depthwise(conv: &Conv, folded: &Folded, experts: usize) -> (Vec<f32>, arch::Conv) {
    let chs = conv.convs.iter().map(|own| own.in_chs).sum();
    let k = conv.convs.iter().map(|own| own.kernel_size).max().unwrap_or(1);
    let mut by_tap = vec![0.0; experts * k * k * padded(chs)];
    let mut first = 0;
    for (own, weights) in conv.convs.iter().zip(&folded.weights) {
        let (side, margin) = (own.kernel_size, (k - own.kernel_size) / 2);
        for (row, kernel) in weights.chunks_exact(side * side).enumerate() {
            let (expert, c) = (row / own.in_chs, first + row % own.in_chs);
            for (tap, w) in kernel.iter().enumerate() {
                let tap = (tap / side + margin) * k + tap % side + margin;
                let at = (expert * k * k + tap) * padded(chs) + c;
                by_tap[at] = (f64::from(*w) * folded.scale[c]) as f32;
            }
        }
        first += own.in_chs;
    }
    let whole = arch::Conv {
        in_chs: chs,
        out_chs: chs,
        kernel_size: k,
        groups: chs,
        stride: conv.convs[0].stride,
    };
    (by_tap, whole)
}
