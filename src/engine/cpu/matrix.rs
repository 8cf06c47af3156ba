//! Weights of a matrix product, packed the way tiles read them, and the product's loop over tiles.

use super::kernels::{Kernels, Post, Tile};
use super::memory::{Floats, padded};
use super::simd::LANES;

/// No bias, for the widest panel.
static ZEROS: [f32; 3 * LANES] = [0.0; 3 * LANES];

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
    /// Rows of weights: inputs of an output.
    pub(super) k: usize,
    /// Columns.
    pub(super) n: usize,
    pub(super) panels: Vec<Panel>,
    weights: Floats,
    bias: Floats,
}

impl Matrix {
    /// Packs `weight(n, k)`, with a bias for each `n`.
    pub(super) fn new(
        kernels: &Kernels,
        (n, k): (usize, usize),
        weight: impl Fn(usize, usize) -> f32,
        bias: &[f32],
    ) -> Self {
        let widest = kernels.tiles[0].len();
        let vecs = n.div_ceil(LANES);
        let count = vecs.div_ceil(widest);
        let mut weights = Floats::zeros(k * vecs * LANES);
        let mut panels = Vec::with_capacity(count);
        let (mut at, mut vec) = (0, 0);
        for p in 0..count {
            // As even as they come: 3 + 2 + 2 rather than 3 + 3 + 1.
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
        let mut padded_bias = Floats::zeros(padded(n));
        padded_bias.as_mut_slice()[..n].copy_from_slice(bias);
        Self { k, n, panels, weights, bias: padded_bias }
    }

    /// The weights, without which [`multiply`](Self::multiply) must not be called any more.
    pub(super) fn take_weights(&mut self) -> Floats {
        std::mem::replace(&mut self.weights, Floats::zeros(0))
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        (self.weights.len() + self.bias.len()) * size_of::<f32>()
    }
}

/// Rows of a matrix product: which inputs, where to, what follows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    /// Rows.
    pub(super) count: usize,
    /// The first input.
    pub(super) a: *const f32,
    /// Floats from an input row to the next.
    pub(super) a_row: usize,
    /// Starts of the input's segments in a row.
    pub(super) segments: &'a [usize],
    /// Length of a segment.
    pub(super) run: usize,
    /// Where column 0 of the first row goes, or would go: only the columns asked for are written.
    pub(super) c: *mut f32,
    /// Floats from an output row to the next.
    pub(super) c_row: usize,
    /// Floats from 16 output columns to the next 16.
    pub(super) c_vec: usize,
    /// What is added after the activation, laid out like `c`; or null.
    pub(super) residual: *const f32,
    /// Where column sums over the rows are added, from column 0 on; or null.
    pub(super) pool: *mut f32,
    /// Rows that the panel was multiplied with before these.
    pub(super) before: usize,
    /// Activation (and residual, and pooling); none if there is nothing to do.
    pub(super) post: Option<unsafe fn(&Post)>,
}

impl Matrix {
    /// Multiplies `rows` by the columns of `panel`.
    ///
    /// # Safety
    ///
    /// `rows`' pointers and strides stay within live memory for all its rows and the panel's
    /// columns, each segment is within a row's memory, segments times run are the matrix' rows, and
    /// nobody else touches the outputs.
    pub(super) unsafe fn multiply(&self, kernels: &Kernels, panel: Panel, rows: &Rows<'_>) {
        // SAFETY: the caller's contract; the matrix' own weights are packed like its own.
        unsafe { self.multiply_by(self.weights.as_ptr(), kernels, panel, rows) }
    }

    /// [`multiply`](Self::multiply) with other weights, packed like the matrix' own.
    ///
    /// # Safety
    ///
    /// As there, and `weights` holds as many.
    pub(super) unsafe fn multiply_by(
        &self,
        weights: *const f32,
        kernels: &Kernels,
        panel: Panel,
        rows: &Rows<'_>,
    ) {
        debug_assert_eq!(rows.segments.len() * rows.run, self.k);
        let most = kernels.tiles.len();
        let tiles = rows.count.div_ceil(most);
        let mut row = 0;
        for t in 0..tiles {
            let m = (rows.count - row).div_ceil(tiles - t);
            // SAFETY: the caller's contract, at row `row` and the panel's first column; the panel's
            // weights and bias lie within the packed memory.
            unsafe {
                let c = rows.c.wrapping_add(row * rows.c_row + panel.vec * rows.c_vec);
                kernels.tiles[m - 1][panel.vecs - 1](&Tile {
                    a: rows.a.add(row * rows.a_row),
                    a_row: rows.a_row,
                    segments: rows.segments,
                    run: rows.run,
                    b: weights.add(panel.at),
                    bias: self.bias.as_ptr().add(panel.vec * LANES),
                    ahead: weights.wrapping_add(self.ahead(panel, (rows.before + row) / most)),
                    c,
                    c_row: rows.c_row,
                    c_vec: rows.c_vec,
                });
                if let Some(post) = rows.post {
                    let at = row * rows.c_row + panel.vec * rows.c_vec;
                    post(&Post {
                        c,
                        row: rows.c_row,
                        vec: rows.c_vec,
                        rows: m,
                        vecs: panel.vecs,
                        residual: if rows.residual.is_null() {
                            rows.residual
                        } else {
                            rows.residual.add(at)
                        },
                        pool: if rows.pool.is_null() {
                            rows.pool
                        } else {
                            rows.pool.add(panel.vec * LANES)
                        },
                    });
                }
            }
            row += m;
        }
    }

    /// The product of one row's values from column `first` on with their rows of weights, without the
    /// bias: part of a longer product.
    ///
    /// # Safety
    ///
    /// `row` has `len` values, `to` the matrix' padded columns, and nobody else touches those.
    pub(super) unsafe fn multiply_part(
        &self,
        kernels: &Kernels,
        first: usize,
        (row, len): (*const f32, usize),
        to: *mut f32,
    ) {
        let len = len.min(self.k - first);
        for panel in &self.panels {
            let width = panel.vecs * LANES;
            // SAFETY: the caller's contract; the rows of weights lie within the panel.
            unsafe {
                let b = self.weights.as_ptr().add(panel.at + first * width);
                kernels.tiles[0][panel.vecs - 1](&Tile {
                    a: row,
                    a_row: 0,
                    segments: &[0],
                    run: len,
                    b,
                    bias: ZEROS.as_ptr(),
                    ahead: b,
                    c: to.add(panel.vec * LANES),
                    c_row: 0,
                    c_vec: LANES,
                });
            }
        }
    }

    /// What the `tile`th tile of `panel` asks the caches for: its share of the next panel, or, where
    /// that was asked for, nothing new.
    fn ahead(&self, panel: Panel, tile: usize) -> usize {
        let at = if tile < panel.vecs { panel.vecs + tile } else { 0 };
        panel.at + at * self.k * LANES
    }
}
