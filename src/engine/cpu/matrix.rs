//! Weights of a matrix product, packed the way tiles read them, and the product's loop over tiles.

use std::slice::{from_raw_parts, from_raw_parts_mut};

use super::kernels::{ApplyEpilogue, Epilogue, KernelTable, PairKernelTable, Tile};
use super::memory::{AlignedBuf, padded};
use super::simd::LANES;
use super::simd::portable::pair_of;

/// Some columns of a [`Matrix`], as wide as a tile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panel {
    /// Where its weights start, in floats.
    at: usize,
    /// Its first vector of columns.
    pub(super) vec: usize,
    /// Its vectors of columns.
    pub(super) vecs: usize,
}

/// A bias and weights in panels, `[panel][k][columns]`; columns are padded with zeros.
#[derive(Debug)]
pub(super) struct Matrix {
    /// Rows of weights: the inputs of each output.
    pub(super) k: usize,
    /// Columns.
    pub(super) n: usize,
    pub(super) panels: Vec<Panel>,
    /// The kernels for bfloat16 pairs, if the weights are pairs; then `k` counts pairs.
    pub(super) pairs: Option<&'static PairKernelTable>,
    weights: AlignedBuf,
    bias: AlignedBuf,
}

impl Matrix {
    /// Packs `weight(n, k)`, with a bias for each `n`.
    pub(super) fn new(
        kernels: &KernelTable,
        (n, k): (usize, usize),
        weight: impl Fn(usize, usize) -> f32,
        bias: &[f32],
    ) -> Self {
        Self::pack((None, kernels.tiles[0].len()), (n, k), weight, bias)
    }

    /// Like [`new`](Self::new), rounded to bfloat16; `k` is even.
    pub(super) fn of_pairs(
        pairs: &'static PairKernelTable,
        (n, k): (usize, usize),
        weight: impl Fn(usize, usize) -> f32,
        bias: &[f32],
    ) -> Self {
        let at = |n: usize, k: usize| pair_of(weight(n, 2 * k), weight(n, 2 * k + 1));
        Self::pack((Some(pairs), pairs.tiles[0].len()), (n, k / 2), at, bias)
    }

    fn pack(
        (pairs, widest): (Option<&'static PairKernelTable>, usize),
        (n, k): (usize, usize),
        weight: impl Fn(usize, usize) -> f32,
        bias: &[f32],
    ) -> Self {
        let vecs = n.div_ceil(LANES);
        let count = vecs.div_ceil(widest);
        let mut weights = AlignedBuf::zeros(k * vecs * LANES);
        let mut panels = Vec::with_capacity(count);
        let (mut at, mut vec) = (0, 0);
        for p in 0..count {
            // As even as possible: 3 + 2 + 2 rather than 3 + 3 + 1.
            let panel = Panel { at, vec, vecs: (vecs - vec).div_ceil(count - p) };
            let width = panel.vecs * LANES;
            let columns = width.min(n - vec * LANES);
            for (row, out) in
                weights.as_mut_slice()[at..at + k * width].chunks_mut(width).enumerate()
            {
                for (column, out) in out[..columns].iter_mut().enumerate() {
                    *out = weight(vec * LANES + column, row);
                }
            }
            at += k * width;
            vec += panel.vecs;
            panels.push(panel);
        }
        let mut padded_bias = AlignedBuf::zeros(padded(n));
        padded_bias.as_mut_slice()[..n].copy_from_slice(bias);
        Self { k, n, panels, pairs, weights, bias: padded_bias }
    }

    /// The words that `floats` floats of an input become: as many floats, or half as many pairs.
    pub(super) fn words(&self, floats: usize) -> usize {
        if self.pairs.is_some() { floats / 2 } else { floats }
    }

    /// The inputs of each output, in floats.
    pub(super) fn inputs(&self) -> usize {
        if self.pairs.is_some() { self.k * 2 } else { self.k }
    }

    /// A matrix of this shape without weights and with a bias of zeros, for
    /// [`multiply_by`](Self::multiply_by).
    pub(super) fn shape(kernels: &KernelTable, (n, k): (usize, usize)) -> Self {
        let mut matrix = Self::new(kernels, (n, 0), |_, _| 0.0, &vec![0.0; n]);
        matrix.k = k;
        for panel in &mut matrix.panels {
            panel.at = panel.vec * LANES * k;
        }
        matrix
    }

    /// Floats of its weights.
    pub(super) fn floats(&self) -> usize {
        self.k * padded(self.n)
    }

    /// Packs `weight(n, k)` to `to`.
    ///
    /// # Safety
    ///
    /// `to` has room for [`floats`](Self::floats), which nobody else touches.
    pub(super) unsafe fn pack_to(&self, to: *mut f32, weight: impl Fn(usize, usize) -> f32) {
        for panel in &self.panels {
            let width = panel.vecs * LANES;
            for at in 0..self.k * width {
                let (n, k) = (panel.vec * LANES + at % width, at / width);
                let value = if n < self.n { weight(n, k) } else { 0.0 };
                // SAFETY: the caller's contract.
                unsafe { *to.add(panel.at + at) = value };
            }
        }
    }

    /// Copies the weights of `panel` times the gate of their input, for
    /// [`multiply_by`](Self::multiply_by).
    ///
    /// # Safety
    ///
    /// `to` has room for [`floats`](Self::floats), which nobody else touches; `gate` holds a value for
    /// each input.
    pub(super) unsafe fn gate_to(&self, to: *mut f32, panel: Panel, gate: *const f32) {
        let width = panel.vecs * LANES;
        let weights = &self.weights.as_slice()[panel.at..panel.at + self.k * width];
        // SAFETY: the caller's contract.
        let (to, gates) = unsafe {
            (from_raw_parts_mut(to.add(panel.at), weights.len()), from_raw_parts(gate, self.k))
        };
        let rows = to.chunks_exact_mut(width).zip(weights.chunks_exact(width));
        for ((to, weights), gate) in rows.zip(gates) {
            to.iter_mut().zip(weights).for_each(|(to, weight)| *to = weight * gate);
        }
    }

    /// Takes the weights out; [`multiply`](Self::multiply) must not be called after that.
    pub(super) fn take_weights(&mut self) -> AlignedBuf {
        std::mem::replace(&mut self.weights, AlignedBuf::zeros(0))
    }

    /// How many rows of `width` pixels to multiply at once. A tile with the columns of a single
    /// vector keeps the multipliers busy only if it has nearly all its rows, and one row of a
    /// narrow map has too few pixels for that.
    pub(super) fn rows_at_once(&self, kernels: &KernelTable, width: usize) -> usize {
        let most = self.tiles(kernels).len();
        let full = |rows: &usize| 10 * rows * width >= 9 * (rows * width).next_multiple_of(most);
        if self.widest_panel() > LANES { 1 } else { (1..=most).find(full).unwrap_or(1) }
    }

    /// The kernels that multiply it.
    fn tiles(&self, kernels: &KernelTable) -> &'static [&'static [unsafe fn(&Tile<'_>)]] {
        self.pairs.map_or(kernels.tiles, |pairs| pairs.tiles)
    }

    /// Columns of the widest panel.
    pub(super) fn widest_panel(&self) -> usize {
        self.panels.iter().map(|panel| panel.vecs).max().unwrap_or(0) * LANES
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        (self.weights.len() + self.bias.len()) * size_of::<f32>()
    }
}

/// The most rows that wait for their activations; they stay in the first-level cache.
const EPILOGUE_ROWS: usize = 32;

/// Rows of a matrix product: which inputs, where they go, what follows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    /// Rows; not 0.
    pub(super) count: usize,
    /// The first input.
    pub(super) a: *const f32,
    /// Floats from an input row to the next.
    pub(super) a_row: usize,
    /// Starts of the input's segments in a row.
    pub(super) segments: &'a [usize],
    /// Length of a segment.
    pub(super) run: usize,
    /// Where column 0 of the first row goes, or would go: only the requested columns are written.
    pub(super) out: Epilogue,
    /// The first row of weights; the segments' lengths say how many there are.
    pub(super) first: usize,
    /// Rows by which the panel was multiplied before these.
    pub(super) before: usize,
}

impl Rows<'_> {
    /// Rows of one segment of `run` words. Their inputs: where the first is, words to the next, and
    /// how many.
    pub(super) fn new(
        (a, a_row, count): (*const f32, usize, usize),
        run: usize,
        out: Epilogue,
    ) -> Self {
        Self { count, a, a_row, segments: &[0], run, out, first: 0, before: 0 }
    }
}

impl Matrix {
    /// Multiplies `rows` by the columns of `panel`.
    ///
    /// # Safety
    ///
    /// `rows`' pointers and strides stay within live memory for all its rows and the panel's
    /// columns, each segment is within a row's memory, and nobody else touches the outputs.
    pub(super) unsafe fn multiply(&self, kernels: &KernelTable, panel: Panel, rows: &Rows<'_>) {
        // SAFETY: the caller's contract; the matrix's own weights have the right layout.
        unsafe { self.multiply_by(self.weights.as_ptr(), kernels, panel, rows) }
    }

    /// [`multiply`](Self::multiply) with other weights, packed like the matrix's own.
    ///
    /// # Safety
    ///
    /// Those of [`multiply`](Self::multiply), and `weights` holds as many weights.
    pub(super) unsafe fn multiply_by(
        &self,
        weights: *const f32,
        kernels: &KernelTable,
        panel: Panel,
        rows: &Rows<'_>,
    ) {
        let k = rows.segments.len() * rows.run;
        assert!(rows.first + k <= self.k, "weights end before the row does");
        let b = panel.at + rows.first * panel.vecs * LANES;
        let tiles = self.tiles(kernels);
        let most = tiles.len();
        // As even as possible: 7 + 7 rather than 8 + 6.
        let count = rows.count.div_ceil(most);
        let (least, more) = (rows.count / count, rows.count % count);
        let acts_after = kernels.acts_after(rows.out.act);
        let out = if acts_after { rows.out.raw() } else { rows.out };
        let (mut row, mut finished) = (0, 0);
        for t in 0..count {
            let m = least + usize::from(t < more);
            // Each tile prefetches its share of what comes after these weights, or nothing new once
            // that is done.
            let tile = (rows.before + row) / most;
            let ahead = if tile < panel.vecs { panel.vecs + tile } else { 0 };
            // SAFETY: the caller's contract, at row `row` and the panel's first column; the panel's
            // weights and bias lie within the packed memory.
            unsafe {
                tiles[m - 1][panel.vecs - 1](&Tile {
                    a: rows.a.add(row * rows.a_row),
                    a_row: rows.a_row,
                    segments: rows.segments,
                    run: rows.run,
                    b: weights.add(b),
                    bias: self.bias.as_ptr().add(panel.vec * LANES),
                    ahead: weights.wrapping_add(b + ahead * k * LANES),
                    out: out.at(row, panel.vec),
                });
            }
            row += m;
            if acts_after && (t + 1 == count || row >= finished + EPILOGUE_ROWS) {
                let out = rows.out.at(finished, panel.vec);
                let apply = ApplyEpilogue { out, rows: row - finished, vecs: panel.vecs };
                // SAFETY: the caller's contract.
                unsafe { (kernels.apply_epilogue)(&apply) };
                finished = row;
            }
        }
    }
}
