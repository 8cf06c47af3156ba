//! The two passes of a resize, in whole numbers.
//!
//! The loops run over arrays of fixed length, which the compiler turns into vector code;
//! `pulp` picks the widest vectors of the CPU at run time.

use std::ops::Range;

use super::axis::{Axis, PRECISION_BITS};

/// Half of the last bit that is kept, which makes the shift round.
const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// Bytes of a step along a row: whole pixels of 1, 3 or 4 channels.
const STEP: usize = 24;
/// Bytes of a step of the vertical pass.
const CHUNK: usize = 64;
/// How many weights one block of columns may hold, to bound memory for extremely wide images.
const MAX_WEIGHTS: usize = 1 << 20;

/// A rectangle of an image with `C` bytes per pixel. Pixel (x, y) of the whole image is pixel
/// (x - left, y - top) here.
#[derive(Clone, Copy)]
pub(super) struct View<'a, const C: usize> {
    pub(super) data: &'a [u8],
    pub(super) width: usize,
    pub(super) left: usize,
    pub(super) top: usize,
}

impl<'a, const C: usize> View<'a, C> {
    pub(super) fn row(&self, y: usize, columns: &Range<usize>) -> &'a [u8] {
        let start = (y - self.top) * self.width;
        let column = |x: usize| (start + x - self.left) * C;
        &self.data[column(columns.start)..column(columns.end)]
    }
}

#[inline(always)]
fn clip(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// Output columns `columns` of the input rows `rows`, as `(rows, columns, C)`.
pub(super) fn horizontal<const C: usize>(
    view: View<'_, C>,
    rows: Range<usize>,
    axis: &Axis,
    columns: Range<u64>,
) -> Vec<u8> {
    let width = (columns.end - columns.start) as usize;
    let mut output = vec![0; rows.len() * width * C];
    let longest = columns.clone().map(|column| axis.bounds(column).len()).max().unwrap_or(0);
    let span = longest.next_multiple_of(STEP / C) * C;
    let block = (MAX_WEIGHTS / span.max(1)).max(1) as u64;
    let mut done = 0;
    let mut start = columns.start;
    while start < columns.end {
        let block = Columns::new::<C>(axis, start..(start + block).min(columns.end), span);
        start += block.starts.len() as u64;
        pulp::Arch::new().dispatch(Across {
            block: &block,
            view,
            rows: &rows,
            output: &mut output,
            stride: width * C,
            at: done * C,
        });
        done += block.starts.len();
    }
    output
}

/// The weights of a block of output columns, each repeated for every channel.
struct Columns {
    inputs: Range<usize>,
    /// First byte of each output pixel's first input pixel, counted from the first of `inputs`.
    starts: Vec<usize>,
    /// `span` weights for each output pixel; those past its bounds are zero.
    weights: Vec<i32>,
    span: usize,
}

impl Columns {
    fn new<const C: usize>(axis: &Axis, outputs: Range<u64>, span: usize) -> Self {
        let inputs = axis.span(&outputs);
        let count = (outputs.end - outputs.start) as usize;
        let mut starts = Vec::with_capacity(count);
        let mut weights = vec![0; count * span];
        let (mut row, mut exact) = (Vec::new(), Vec::new());
        for (output, weights) in outputs.zip(weights.chunks_exact_mut(span)) {
            starts.push((axis.bounds(output).start - inputs.start) * C);
            axis.weights(output, &mut row, &mut exact);
            for (weights, weight) in weights.chunks_exact_mut(C).zip(&row) {
                weights.fill(*weight);
            }
        }
        Self { inputs, starts, weights, span }
    }
}

/// The horizontal pass of one block of columns, into the bytes from `at` of each output row.
struct Across<'a, const C: usize> {
    block: &'a Columns,
    view: View<'a, C>,
    rows: &'a Range<usize>,
    output: &'a mut [u8],
    stride: usize,
    at: usize,
}

impl<const C: usize> pulp::WithSimd for Across<'_, C> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Columns { inputs, starts, weights, span } = self.block;
        // A row is copied so that the zero weights past a pixel's bounds have bytes to multiply.
        let length = inputs.len() * C;
        let mut buffer = vec![0u8; length + span];
        for (y, line) in self.rows.clone().zip(self.output.chunks_exact_mut(self.stride)) {
            buffer[..length].copy_from_slice(self.view.row(y, inputs));
            let pixels = line[self.at..].as_chunks_mut::<C>().0;
            for ((start, weights), pixel) in
                starts.iter().zip(weights.chunks_exact(*span)).zip(pixels)
            {
                *pixel = weigh(&buffer[*start..][..*span], weights);
            }
        }
    }
}

/// One output pixel.
#[inline(always)]
fn weigh<const C: usize>(bytes: &[u8], weights: &[i32]) -> [u8; C] {
    let mut sums = [0i32; STEP];
    for (bytes, weights) in bytes.as_chunks::<STEP>().0.iter().zip(weights.as_chunks::<STEP>().0) {
        for i in 0..STEP {
            sums[i] += weights[i] * i32::from(bytes[i]);
        }
    }
    let mut pixel = [HALF; C];
    for sums in sums.as_chunks::<C>().0 {
        for (channel, sum) in pixel.iter_mut().zip(sums) {
            *channel += sum;
        }
    }
    pixel.map(clip)
}

/// Output rows `rows` of the input columns `columns`, as `(rows, columns, C)`.
pub(super) fn vertical<const C: usize>(
    view: View<'_, C>,
    columns: &Range<usize>,
    axis: &Axis,
    rows: Range<u64>,
) -> Vec<u8> {
    let stride = columns.len() * C;
    let mut output = vec![0; (rows.end - rows.start) as usize * stride];
    let (mut weights, mut exact) = (Vec::new(), Vec::new());
    for (row, output) in rows.zip(output.chunks_exact_mut(stride)) {
        axis.weights(row, &mut weights, &mut exact);
        let lines: Vec<&[u8]> = axis.bounds(row).map(|y| view.row(y, columns)).collect();
        pulp::Arch::new().dispatch(Down { lines: &lines, weights: &weights, output });
    }
    output
}

/// The weighted sum of rows.
struct Down<'a> {
    lines: &'a [&'a [u8]],
    weights: &'a [i32],
    output: &'a mut [u8],
}

impl pulp::WithSimd for Down<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let (chunks, rest) = self.output.as_chunks_mut::<CHUNK>();
        let done = chunks.len() * CHUNK;
        for (index, chunk) in chunks.iter_mut().enumerate() {
            let mut sums = [HALF; CHUNK];
            for (line, weight) in self.lines.iter().zip(self.weights) {
                let bytes = &line.as_chunks::<CHUNK>().0[index];
                for i in 0..CHUNK {
                    sums[i] += weight * i32::from(bytes[i]);
                }
            }
            for (byte, sum) in chunk.iter_mut().zip(sums) {
                *byte = clip(sum);
            }
        }
        for (index, byte) in rest.iter_mut().enumerate() {
            let sum = self
                .lines
                .iter()
                .zip(self.weights)
                .fold(HALF, |sum, (line, weight)| sum + weight * i32::from(line[done + index]));
            *byte = clip(sum);
        }
    }
}
