//! Norms that take statistics of the map itself.

use super::super::simd::math::{self, Act};
use super::super::simd::{LANES, Simd};
use super::epilogue::{Epilogue, by_act};
use crate::arch::Activation;

/// The mean of each column over some rows, and the sum of the squared deviations from it.
#[derive(Debug)]
pub(in super::super) struct Moments {
    /// The first value.
    pub(in super::super) from: *const f32,
    /// Floats from a row to the next.
    pub(in super::super) row: usize,
    /// Rows; not 0.
    pub(in super::super) rows: usize,
    /// Vectors of 16 columns.
    pub(in super::super) vecs: usize,
    /// The first column's mean; the others follow.
    pub(in super::super) means: *mut f32,
    /// The first column's sum of squared deviations; the others follow.
    pub(in super::super) squares: *mut f32,
}

/// Computes `m`.
///
/// # Safety
///
/// [`Simd`]'s; pointers stay within live memory, and nobody else touches the output.
#[inline(always)]
pub(super) unsafe fn moments<S: Simd>(m: &Moments) {
    let mut vec = 0;
    while vec < m.vecs {
        // SAFETY: the vectors lie within the rows. Several at once, because each sum waits for its
        // previous addition.
        vec += unsafe {
            match m.vecs - vec {
                1 => moments_of::<S, 1>(m, vec),
                2 => moments_of::<S, 2>(m, vec),
                3 => moments_of::<S, 3>(m, vec),
                _ => moments_of::<S, 4>(m, vec),
            }
        };
    }
}

/// The moments of `N` vectors from `vec` on.
#[inline(always)]
unsafe fn moments_of<S: Simd, const N: usize>(m: &Moments, vec: usize) -> usize {
    // SAFETY: the caller's contract covers every address formed here.
    unsafe {
        let at = |r: usize, n: usize| m.from.add(r * m.row + (vec + n) * LANES);
        let mut means = [S::splat(0.0); N];
        for r in 0..m.rows {
            for (n, sum) in means.iter_mut().enumerate() {
                *sum = S::add(*sum, S::load(at(r, n)));
            }
        }
        let count = S::splat(m.rows as f32);
        for mean in &mut means {
            *mean = S::div(*mean, count);
        }
        let mut squares = [S::splat(0.0); N];
        for r in 0..m.rows {
            for (n, sum) in squares.iter_mut().enumerate() {
                let distance = S::sub(S::load(at(r, n)), means[n]);
                *sum = S::fma(distance, distance, *sum);
            }
        }
        for n in 0..N {
            S::store(m.means.add((vec + n) * LANES), means[n]);
            S::store(m.squares.add((vec + n) * LANES), squares[n]);
        }
    }
    N
}

/// `out = (from - mean) * scale + shift` over rows of vectors, or with
/// `from * sigmoid(gate * from)` in place of the difference.
#[derive(Debug)]
pub(in super::super) struct Normalize {
    /// The first value; rows are as far from each other as those of `out`, which may be the same.
    pub(in super::super) from: *const f32,
    /// Rows.
    pub(in super::super) rows: usize,
    /// Vectors of 16 columns.
    pub(in super::super) vecs: usize,
    /// One value per column; or null.
    pub(in super::super) gate: *const f32,
    /// One value a column.
    pub(in super::super) mean: *const f32,
    pub(in super::super) scale: *const f32,
    pub(in super::super) shift: *const f32,
    /// Where they go.
    pub(in super::super) out: Epilogue,
}

/// Computes `n`.
///
/// # Safety
///
/// [`Simd`]'s; pointers stay within live memory, vectors follow each other in `out`, and nobody else
/// touches what is written.
#[inline(always)]
pub(super) unsafe fn normalize<S: Simd>(n: &Normalize) {
    // SAFETY: the caller's contract.
    unsafe {
        match n.gate.is_null() {
            true => by_act!(n.out.act, A => normalize_rows::<S, A, false>(n)),
            false => by_act!(n.out.act, A => normalize_rows::<S, A, true>(n)),
        }
    }
}

#[inline(always)]
unsafe fn normalize_rows<S: Simd, A: Act, const GATED: bool>(n: &Normalize) {
    // SAFETY: the caller's contract covers every address formed here.
    unsafe {
        for r in 0..n.rows {
            for column in (0..n.vecs * LANES).step_by(S::FLOATS) {
                let x = S::load(n.from.add(r * n.out.row + column));
                let x = if GATED {
                    let gate = S::mul(x, S::load(n.gate.add(column)));
                    S::mul(x, math::Sigmoid::apply::<S>(gate))
                } else {
                    S::sub(x, S::load(n.mean.add(column)))
                };
                let (scale, shift) = (S::load(n.scale.add(column)), S::load(n.shift.add(column)));
                finish::<S, A>(S::fma(x, scale, shift), &n.out, r, column);
            }
        }
    }
}

/// Stores a vector as `out` says; its activation is `A`.
#[inline(always)]
unsafe fn finish<S: Simd, A: Act>(y: S::V, out: &Epilogue, row: usize, column: usize) {
    // SAFETY: the caller's contract covers every address formed here.
    unsafe {
        let at = row * out.row + column;
        let mut y = A::apply::<S>(y);
        if !out.residual.is_null() {
            y = S::add(y, S::load(out.residual.add(at)));
        }
        S::store(out.c.add(at), y);
        if !out.pool.is_null() {
            S::store(out.pool.add(column), S::add(S::load(out.pool.add(column)), y));
        }
    }
}

/// `out = (from - mean) / std * scale + shift` over rows, each with its mean and standard deviation.
#[derive(Debug)]
pub(in super::super) struct LayerNorm {
    /// The first value; rows are as far from each other as those of `out`, which may be the same.
    pub(in super::super) from: *const f32,
    /// Rows.
    pub(in super::super) rows: usize,
    /// Columns; not 0. The rest of a row's last vector is zeros.
    pub(in super::super) chs: usize,
    /// Added to the variance.
    pub(in super::super) eps: f32,
    /// One value per column, and zeros to the end of the last vector.
    pub(in super::super) scale: *const f32,
    pub(in super::super) shift: *const f32,
    /// Where they go.
    pub(in super::super) out: Epilogue,
}

/// Computes `l`.
///
/// # Safety
///
/// [`normalize`]'s.
#[inline(always)]
pub(super) unsafe fn layer_norm<S: Simd>(l: &LayerNorm) {
    // SAFETY: the caller's contract.
    unsafe { by_act!(l.out.act, A => layer_norm_rows::<S, A>(l)) }
}

#[inline(always)]
unsafe fn layer_norm_rows<S: Simd, A: Act>(l: &LayerNorm) {
    let columns = l.chs.next_multiple_of(LANES);
    let last = columns - LANES;
    // 1 for the channels of the last vector, 0 for the padding.
    let mut inside = [0.0; LANES];
    inside[..l.chs - last].fill(1.0);
    let count = l.chs as f32;
    // SAFETY: the caller's contract covers every address formed here.
    unsafe {
        for r in 0..l.rows {
            let row = l.from.add(r * l.out.row);
            let mut sum = S::splat(0.0);
            for column in (0..columns).step_by(S::FLOATS) {
                sum = S::add(sum, S::load(row.add(column)));
            }
            let mean = S::splat(total::<S>(sum) / count);
            let mut squares = S::splat(0.0);
            for column in (0..columns).step_by(S::FLOATS) {
                let mut distance = S::sub(S::load(row.add(column)), mean);
                if column >= last {
                    distance = S::mul(distance, S::load(inside.as_ptr().add(column - last)));
                }
                squares = S::fma(distance, distance, squares);
            }
            let factor = (total::<S>(squares) / count + l.eps).sqrt().recip();
            let factor = S::splat(factor);
            for column in (0..columns).step_by(S::FLOATS) {
                let x = S::mul(S::sub(S::load(row.add(column)), mean), factor);
                let (scale, shift) = (S::load(l.scale.add(column)), S::load(l.shift.add(column)));
                finish::<S, A>(S::fma(x, scale, shift), &l.out, r, column);
            }
        }
    }
}

/// The sum of a vector's floats, half by half.
#[inline(always)]
unsafe fn total<S: Simd>(v: S::V) -> f32 {
    let mut lanes = [0.0; LANES];
    // SAFETY: the caller guarantees S's instruction set; a vector has no more floats.
    unsafe { S::store(lanes.as_mut_ptr(), v) };
    let mut half = S::FLOATS / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use std::ptr::null;

    use super::super::super::memory::{AlignedBuf, padded};
    use super::super::super::twins::{Finished, all, close_to, follows, random};
    use super::*;

    #[test]
    fn moments_of_every_shape_are_right() {
        for (rows, vecs) in [(1, 1), (2, 2), (49, 3), (50, 4), (300, 9)] {
            // With the larger offset, squares of the values themselves would drown the deviations.
            for offset in [0.0, 300.0] {
                let (row, columns) = ((vecs + 1) * LANES, vecs * LANES);
                let mut x = random("x", rows * row);
                x.as_mut_slice().iter_mut().for_each(|value| *value += offset);
                let column = |c: usize| (0..rows).map(move |r| r * row + c);
                let values = |c: usize| column(c).map(|i| f64::from(x.as_slice()[i]));
                let means: Vec<f64> =
                    (0..columns).map(|c| values(c).sum::<f64>() / rows as f64).collect();
                let squares: Vec<f64> =
                    (0..columns).map(|c| values(c).map(|x| (x - means[c]).powi(2)).sum()).collect();
                for (isa, kernels) in all() {
                    let what = format!("{rows}x{vecs} from {offset} on");
                    let (mut own, mut distances) = (AlignedBuf::zeros(row), AlignedBuf::zeros(row));
                    // SAFETY: all have room for the rows and vectors.
                    unsafe {
                        (kernels.moments)(&Moments {
                            from: x.as_ptr(),
                            row,
                            rows,
                            vecs,
                            means: own.as_mut_ptr(),
                            squares: distances.as_mut_ptr(),
                        });
                    }
                    for (ours, theirs) in [(&own, &means), (&distances, &squares)] {
                        let (ours, rest) = ours.as_slice().split_at(columns);
                        close_to(isa, &what, ours, theirs, theirs);
                        assert!(rest.iter().all(|&value| value == 0.0), "{isa:?} {what}");
                    }
                }
            }
        }
    }

    #[test]
    fn columns_are_normalized_in_place() {
        let rows = 5;
        for vecs in 1..=3 {
            let width = vecs * LANES;
            let x = random("x", rows * width);
            let [mean, scale, shift, gate] =
                ["mean", "scale", "shift", "gate"].map(|name| random(name, width));
            for gated in [false, true] {
                let of = |floats: &AlignedBuf, i: usize| f64::from(floats.as_slice()[i]);
                let normed = |i: usize| {
                    let (x, c) = (of(&x, i), i % width);
                    let over = match gated {
                        true => x / (1.0 + (-x * of(&gate, c)).exp()),
                        false => x - of(&mean, c),
                    };
                    over * of(&scale, c) + of(&shift, c)
                };
                let results: Vec<f64> = (0..rows * width).map(normed).collect();
                for (isa, kernels) in all() {
                    for follow in follows() {
                        let mut c = Finished::new(&results, (width, width), follow);
                        c.out.as_mut_slice().copy_from_slice(x.as_slice());
                        let out = c.out(follow);
                        let norm = Normalize {
                            from: out.c,
                            rows,
                            vecs,
                            gate: if gated { gate.as_ptr() } else { null() },
                            mean: mean.as_ptr(),
                            scale: scale.as_ptr(),
                            shift: shift.as_ptr(),
                            out,
                        };
                        // SAFETY: all have room for the rows and vectors.
                        unsafe { (kernels.normalize)(&norm) };
                        c.check(isa, &format!("norm of {vecs}, {gated} {follow:?}"), width);
                    }
                }
            }
        }
    }

    #[test]
    fn rows_of_every_length_are_normalized_in_place() {
        let (rows, eps) = (5, 1e-5);
        for chs in [1, 7, 16, 24, 33, 48, 100] {
            let width = padded(chs);
            let of_channels = |name, offset: f32| {
                let mut floats = random(name, rows * width);
                for (i, value) in floats.as_mut_slice().iter_mut().enumerate() {
                    *value = if i % width < chs { *value + offset } else { 0.0 };
                }
                floats
            };
            let (scale, shift) = (of_channels("scale", 0.0), of_channels("shift", 0.0));
            // With an offset, it would show if padding counted as values.
            let x = of_channels("x", 4.0);
            let mut results = Vec::new();
            for row in x.as_slice().chunks(width) {
                let row: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
                let mean = row[..chs].iter().sum::<f64>() / chs as f64;
                let squares: f64 = row[..chs].iter().map(|x| (x - mean).powi(2)).sum();
                let std = (squares / chs as f64 + f64::from(eps)).sqrt();
                for (c, x) in row.iter().enumerate() {
                    let scale = f64::from(scale.as_slice()[c]);
                    results.push((x - mean) / std * scale + f64::from(shift.as_slice()[c]));
                }
            }
            for (isa, kernels) in all() {
                for follow in follows() {
                    let mut c = Finished::new(&results, (width, width), follow);
                    c.out.as_mut_slice().copy_from_slice(x.as_slice());
                    let out = c.out(follow);
                    let norm = LayerNorm {
                        from: out.c,
                        rows,
                        chs,
                        eps,
                        scale: scale.as_ptr(),
                        shift: shift.as_ptr(),
                        out,
                    };
                    // SAFETY: all have room for the rows and vectors.
                    unsafe { (kernels.layer_norm)(&norm) };
                    c.check(isa, &format!("layer norm of {chs} {follow:?}"), width);
                }
            }
        }
    }
}
