//! Every instruction set's kernels against their portable twin, and the twin against arithmetic.

use std::ptr::null;

use candle_core::cpu::erf::erf_f64;

use super::Isa;
use super::kernels::{
    ApplyEpilogue, DepthwiseRow, Epilogue, InputTransform, KernelTable, MAX_SIDE, OUTPUTS,
    OutputTransform, POINTS, Scale, Softmax, kernel_at_points,
};
use super::matrix::{Matrix, Rows};
use super::memory::{AlignedBuf, padded};
use super::simd::LANES;
use crate::arch::Activation;
use crate::weights::seeded::Uniform;

const ACTS: [Option<Activation>; 9] = [
    None,
    Some(Activation::Relu),
    Some(Activation::Relu6),
    Some(Activation::Silu),
    Some(Activation::HardSwish),
    Some(Activation::HardSigmoid),
    Some(Activation::Sigmoid),
    Some(Activation::Mish),
    Some(Activation::Gelu),
];

/// The sets that have kernels on this machine, including the twin.
pub(super) fn all() -> Vec<(Isa, &'static KernelTable)> {
    let kernels: Vec<_> =
        Isa::available().map(|isa| (isa, KernelTable::of(isa).unwrap())).collect();
    assert_eq!(kernels.last().unwrap().0, Isa::Portable);
    kernels
}

/// Seeded values in [-1, 1).
pub(super) fn random(name: &str, len: usize) -> AlignedBuf {
    let mut floats = AlignedBuf::zeros(len);
    let uniform = Uniform::new(7, name);
    for (i, value) in floats.as_mut_slice().iter_mut().enumerate() {
        *value = uniform.at(i) as f32;
    }
    floats
}

/// Checks values to the precision of the expected ones.
fn close(isa: Isa, what: &str, ours: &[f32], theirs: &[f64]) {
    close_to(isa, what, ours, theirs, theirs);
}

/// Checks values to the precision of the terms that were added up.
pub(super) fn close_to(isa: Isa, what: &str, ours: &[f32], theirs: &[f64], sizes: &[f64]) {
    assert_eq!((ours.len(), ours.len()), (theirs.len(), sizes.len()));
    for (i, (a, (b, size))) in ours.iter().zip(theirs.iter().zip(sizes)).enumerate() {
        let bound = 2e-6 * (1.0 + size.abs());
        assert!((f64::from(*a) - b).abs() <= bound, "{isa:?} {what} [{i}]: {a} for {b}");
    }
}

/// `act` in double precision.
fn exact(act: Option<Activation>, x: f64) -> f64 {
    let sigmoid = 1.0 / (1.0 + (-x).exp());
    let hard = (x + 3.0).clamp(0.0, 6.0) / 6.0;
    match act {
        None => x,
        Some(Activation::Relu) => x.max(0.0),
        Some(Activation::Relu6) => x.clamp(0.0, 6.0),
        Some(Activation::Silu) => x * sigmoid,
        Some(Activation::HardSwish) => x * hard,
        Some(Activation::HardSigmoid) => hard,
        Some(Activation::Sigmoid) => sigmoid,
        Some(Activation::Mish) => x * x.exp().ln_1p().tanh(),
        Some(Activation::Gelu) => 0.5 * x * (1.0 + erf_f64(x * std::f64::consts::FRAC_1_SQRT_2)),
    }
}

/// Every activation, with a residual and without, with a pool and without.
pub(super) fn follows() -> impl Iterator<Item = (Option<Activation>, bool, bool)> {
    let flags = [(false, false), (true, false), (false, true), (true, true)];
    ACTS.into_iter().flat_map(move |act| flags.map(|(residual, pool)| (act, residual, pool)))
}

/// Rows of results that a kernel finishes, and what they should be.
pub(super) struct Finished {
    width: usize,
    pub(super) out: AlignedBuf,
    residual: AlignedBuf,
    pool: AlignedBuf,
    expected: Vec<f64>,
    sizes: Vec<f64>,
    sums: Vec<f64>,
    sum_sizes: Vec<f64>,
}

impl Finished {
    /// For `results`, whose rows are `width` long; what follows the first `columns` of a row does
    /// not matter.
    pub(super) fn new(
        results: &[f64],
        (width, columns): (usize, usize),
        (act, added, pooled): (Option<Activation>, bool, bool),
    ) -> Self {
        let residual = random("residual", results.len());
        let pool = random("pool", width);
        let mut sums: Vec<f64> = pool.as_slice().iter().map(|&sum| f64::from(sum)).collect();
        let mut sum_sizes = vec![0.0; width];
        let (mut expected, mut sizes) = (Vec::new(), Vec::new());
        for (i, &result) in results.iter().enumerate() {
            let added = if added { f64::from(residual.as_slice()[i]) } else { 0.0 };
            let (value, size) = (exact(act, result) + added, result.abs() + added.abs());
            if pooled && i % width < columns {
                sums[i % width] += value;
                sum_sizes[i % width] += 1.0 + size;
            }
            expected.push(value);
            sizes.push(size);
        }
        let out = AlignedBuf::zeros(results.len());
        Self { width, out, residual, pool, expected, sizes, sums, sum_sizes }
    }

    /// Where the kernel writes.
    pub(super) fn out(
        &mut self,
        (act, added, pooled): (Option<Activation>, bool, bool),
    ) -> Epilogue {
        let mut out = Epilogue { act, ..Epilogue::new(self.out.as_mut_ptr(), self.width) };
        if added {
            out.residual = self.residual.as_ptr();
        }
        if pooled {
            out.pool = self.pool.as_mut_ptr();
        }
        out
    }

    /// The first `columns` of every row, and their sums.
    pub(super) fn check(&self, isa: Isa, what: &str, columns: usize) {
        let rows = self.out.as_slice().chunks(self.width);
        let theirs = self.expected.chunks(self.width).zip(self.sizes.chunks(self.width));
        for (ours, (theirs, sizes)) in rows.zip(theirs) {
            close_to(isa, what, &ours[..columns], &theirs[..columns], &sizes[..columns]);
        }
        let what = format!("pool of {what}");
        let (sums, sizes) = (&self.sums[..columns], &self.sum_sizes[..columns]);
        close_to(isa, &what, &self.pool.as_slice()[..columns], sums, sizes);
    }
}

#[test]
fn products_of_every_shape_are_right() {
    for (m, n, k, segments) in [
        (1, 1, 1, 1),
        (1, 1000, 40, 1),
        (7, 16, 3, 9),
        (8, 48, 16, 1),
        (13, 112, 5, 25),
        (29, 97, 24, 3),
        (75, 20, 6, 2),
    ] {
        // Rows overlap, as a convolution's windows do.
        let (a_row, gap) = (2, 11);
        let starts: Vec<usize> = (0..segments).map(|s| s * gap).collect();
        let a = random("a", (m - 1) * a_row + segments * gap + k);
        let b = random("b", n * segments * k);
        let bias = random("bias", n);
        let weight = |n: usize, i: usize| b.as_slice()[n * segments * k + i];
        let mut expected = vec![0f64; m * padded(n)];
        for (i, value) in expected.iter_mut().enumerate() {
            let (row, column) = (i / padded(n), i % padded(n));
            if column < n {
                *value = f64::from(bias.as_slice()[column]);
                for j in 0..segments * k {
                    let x = a.as_slice()[row * a_row + starts[j / k] + j % k];
                    *value += f64::from(x) * f64::from(weight(column, j));
                }
            }
        }
        for (isa, kernels) in all() {
            let shape = (n, segments * k);
            let matrix = Matrix::new(kernels, shape, weight, &bias.as_slice()[..n]);
            for follow in follows() {
                let mut c = Finished::new(&expected, (padded(n), n), follow);
                let rows = Rows {
                    segments: &starts,
                    ..Rows::new((a.as_ptr(), a_row, m), k, c.out(follow))
                };
                for &panel in &matrix.panels {
                    // SAFETY: `a` and `c` have room for all rows.
                    unsafe { matrix.multiply(kernels, panel, &rows) };
                }
                c.check(isa, &format!("{m}x{n}x{k}x{segments} {follow:?}"), n);
            }
        }
    }
}

#[test]
fn depthwise_rows_of_every_width_are_right() {
    for side in [3, 5, 7, 9, 11] {
        for stride in [1, 2] {
            for (width, vecs) in (1..=18).chain([28, 31]).map(|width| (width, 1 + width % 3)) {
                let pixels = (width - 1) * stride + side;
                let plane = side * pixels * LANES;
                let (x, bias) = (random("x", vecs * plane), random("bias", vecs * LANES));
                let w = random("w", vecs * side * side * LANES);
                let mut expected = vec![0f64; width * vecs * LANES];
                for (i, value) in expected.iter_mut().enumerate() {
                    let (at, v, c) = (i / LANES / vecs, i / LANES % vecs, i % LANES);
                    *value = f64::from(bias.as_slice()[v * LANES + c]);
                    for tap in 0..side * side {
                        let pixel = tap / side * pixels + at * stride + tap % side;
                        *value += f64::from(x.as_slice()[v * plane + pixel * LANES + c])
                            * f64::from(w.as_slice()[(v * side * side + tap) * LANES + c]);
                    }
                }
                let mut rows = [null(); MAX_SIDE];
                for (ky, row) in rows.iter_mut().enumerate().take(side) {
                    *row = x.as_slice()[ky * pixels * LANES..].as_ptr();
                }
                for ((isa, kernels), follow) in all().into_iter().zip(follows().skip(width)) {
                    let columns = vecs * LANES;
                    let mut out = Finished::new(&expected, (columns, columns), follow);
                    let row = DepthwiseRow {
                        rows: &rows[..side],
                        plane,
                        vecs,
                        weights: w.as_ptr(),
                        bias: bias.as_ptr(),
                        width,
                        out: out.out(follow),
                    };
                    // SAFETY: the rows hold `pixels` pixels of each vector, the output `width`.
                    unsafe { kernels.depthwise(side, stride).unwrap()(&row) };
                    let what = format!("{side}/{stride} width {width}x{vecs} {follow:?}");
                    out.check(isa, &what, columns);
                }
            }
        }
    }
    assert!(KernelTable::of(Isa::Portable).unwrap().depthwise(13, 1).is_none());
    assert!(KernelTable::of(Isa::Portable).unwrap().depthwise(3, 3).is_none());
}

#[test]
fn winograds_method_is_a_convolution() {
    // One output channel per vector lane: 16 kernels over 16 channels, each lane by itself.
    for (width, height) in [(1usize, 1), (2, 2), (5, 3), (8, 4), (11, 1)] {
        let padded_width = width.next_multiple_of(OUTPUTS) + 2;
        let x = random("x", 6 * padded_width * LANES);
        let (g, bias) = (random("g", 9 * LANES), random("bias", LANES));
        let tiles = width.div_ceil(OUTPUTS);
        let mut expected = vec![0f64; height * width * LANES];
        for (i, value) in expected.iter_mut().enumerate() {
            let (y, at, c) = (i / LANES / width, i / LANES % width, i % LANES);
            *value = f64::from(bias.as_slice()[c]);
            for tap in 0..9 {
                let pixel = (y + tap / 3) * padded_width + at + tap % 3;
                *value += f64::from(x.as_slice()[pixel * LANES + c])
                    * f64::from(g.as_slice()[c * 9 + tap]);
            }
        }
        for (isa, kernels) in all() {
            let plane = tiles * LANES;
            let mut points = AlignedBuf::zeros(POINTS * plane);
            // SAFETY: the windows cover six padded rows, the planes all tiles.
            unsafe {
                (kernels.input_transform)(&InputTransform {
                    from: x.as_ptr(),
                    row: padded_width * LANES,
                    pixel: LANES,
                    tiles,
                    to: points.as_mut_ptr(),
                    plane,
                });
            }
            for c in 0..LANES {
                let taps = std::array::from_fn(|tap| f64::from(g.as_slice()[c * 9 + tap]));
                for (point, factor) in kernel_at_points(taps).into_iter().enumerate() {
                    for tile in 0..tiles {
                        points.as_mut_slice()[point * plane + tile * LANES + c] *= factor as f32;
                    }
                }
            }
            for follow in follows() {
                let mut out = Finished::new(&expected, (LANES, LANES), follow);
                // SAFETY: the planes hold all tiles, the output `height` rows.
                unsafe {
                    (kernels.output_transform)(&OutputTransform {
                        from: points.as_ptr(),
                        plane,
                        vecs: 1,
                        bias: bias.as_ptr(),
                        width,
                        height,
                        out: out.out(follow),
                    });
                }
                out.check(isa, &format!("winograd {width}x{height} {follow:?}"), LANES);
            }
        }
    }
}

#[test]
fn activations_residuals_pools_and_gates_are_right() {
    let (rows, vecs) = (5, 3);
    let width = vecs * LANES;
    let mut c0 = random("c", rows * width);
    c0.as_mut_slice().iter_mut().for_each(|v| *v *= 9.0);
    let results: Vec<f64> = c0.as_slice().iter().map(|&v| f64::from(v)).collect();
    for (isa, kernels) in all() {
        for follow in follows() {
            let mut c = Finished::new(&results, (width, width), follow);
            c.out.as_mut_slice().copy_from_slice(c0.as_slice());
            // SAFETY: all have room for the rows and vectors.
            unsafe { (kernels.apply_epilogue)(&ApplyEpilogue { out: c.out(follow), rows, vecs }) };
            c.check(isa, &format!("{follow:?}"), width);
        }
        let (gate, mut to) = (random("gate", width), AlignedBuf::zeros(rows * width));
        let (from, to_ptr) = (c0.as_ptr(), to.as_mut_ptr());
        // SAFETY: all have room for the rows.
        unsafe {
            (kernels.scale)(&Scale { from, to: to_ptr, row: width, rows, gate: gate.as_ptr() });
        }
        let expected: Vec<f64> = (0..rows * width)
            .map(|i| f64::from(c0.as_slice()[i]) * f64::from(gate.as_slice()[i % width]))
            .collect();
        close(isa, "gate", to.as_slice(), &expected);
    }
}

#[test]
fn softmaxes_of_every_length_are_right() {
    for len in (1..=18).chain([31, 32, 64, 100]) {
        let (rows, row) = (3, padded(len) + LANES);
        for offset in [0.0, 1e4, -1e4] {
            let mut values = random("softmax", rows * row);
            values.as_mut_slice().iter_mut().for_each(|v| *v = *v * 30.0 + offset);
            for (isa, kernels) in all() {
                let mut ours = AlignedBuf::zeros(rows * row);
                ours.as_mut_slice().copy_from_slice(values.as_slice());
                let softmax = Softmax { values: ours.as_mut_ptr(), row, len, rows };
                // SAFETY: the rows lie within the values.
                unsafe { (kernels.softmax)(&softmax) };
                for r in 0..rows {
                    let of = |floats: &[f32]| floats[r * row..][..len].to_vec();
                    let xs = of(values.as_slice());
                    let most = xs.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
                    let es: Vec<f64> = xs.iter().map(|x| f64::from(x - most).exp()).collect();
                    let sum: f64 = es.iter().sum();
                    let expected: Vec<f64> = es.iter().map(|e| e / sum).collect();
                    close(isa, &format!("softmax of {len}"), &of(ours.as_slice()), &expected);
                }
                // What follows the last vector is untouched.
                let rest = ours.as_slice()[padded(len)..row].iter();
                assert!(rest.eq(&values.as_slice()[padded(len)..row]), "{isa:?} {len}");
            }
        }
    }
}

/// Applies `act` to 16 values.
fn apply(kernels: &KernelTable, act: Activation, values: [f32; LANES]) -> [f32; LANES] {
    let mut values = values;
    let out = Epilogue { act: Some(act), ..Epilogue::new(values.as_mut_ptr(), LANES) };
    // SAFETY: one vector.
    unsafe { (kernels.apply_epilogue)(&ApplyEpilogue { out, rows: 1, vecs: 1 }) };
    values
}

/// Floats of all exponents and signs, about 800,000.
fn floats() -> impl Iterator<Item = [f32; LANES]> {
    let bits = (0..u32::MAX / 5_323).map(|i| f32::from_bits(i * 5_323)).filter(|x| x.is_finite());
    let all: Vec<f32> = bits.collect();
    (0..all.len() / LANES).map(move |i| std::array::from_fn(|j| all[i * LANES + j]))
}

#[test]
fn sigmoid_keeps_its_bound_over_all_floats() {
    for (isa, kernels) in all() {
        for xs in floats() {
            let ys = apply(kernels, Activation::Sigmoid, xs);
            let silus = apply(kernels, Activation::Silu, xs);
            for i in 0..LANES {
                let x = f64::from(xs[i]);
                let sigmoid = 1.0 / (1.0 + (-x).exp());
                let bound = (5.0 + x.abs()) * 1e-7 * sigmoid;
                let bound = if x < -86.0 { 3e-37 } else { bound };
                let y = f64::from(ys[i]);
                assert!((y - sigmoid).abs() <= bound, "{isa:?} sigmoid({x}) = {y} for {sigmoid}");
                let silu = f64::from(silus[i]);
                let bound = 2.0 * bound * x.abs() + 1e-44;
                assert!((silu - x * sigmoid).abs() <= bound, "{isa:?} silu({x}) = {silu}");
            }
        }
    }
}

#[test]
fn gelu_keeps_its_bound_over_all_floats() {
    for (isa, kernels) in all() {
        for xs in floats() {
            for (x, y) in xs.into_iter().zip(apply(kernels, Activation::Gelu, xs)) {
                let x = f64::from(x);
                let gelu = exact(Some(Activation::Gelu), x);
                let bound = 2e-7 * (1.0 + x.abs());
                assert!((f64::from(y) - gelu).abs() <= bound, "{isa:?} gelu({x}) = {y} for {gelu}");
            }
        }
    }
}

#[test]
fn nan_stays_nan_and_infinities_are_limits() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    for (isa, kernels) in all() {
        for act in ACTS.into_iter().flatten() {
            for bits in [nan.to_bits(), nan.to_bits() | 0x8000_0000, 0x7FC0_0123, 0xFFC1_2345] {
                let ys = apply(kernels, act, [f32::from_bits(bits); LANES]);
                assert!(ys[0].is_nan(), "{isa:?} {act:?} loses NaN {bits:x}");
            }
        }
        let at = |act, x| apply(kernels, act, [x; LANES])[3];
        assert_eq!(at(Activation::Sigmoid, inf), 1.0, "{isa:?}");
        assert!(at(Activation::Sigmoid, -inf) < 3e-38, "{isa:?}");
        assert_eq!(at(Relu, -inf), 0.0);
        assert_eq!(at(Activation::Relu6, inf), 6.0);
        assert_eq!(at(Activation::HardSigmoid, -inf), 0.0);
        use Activation::{Gelu, HardSwish, Mish, Relu, Silu};
        assert!(at(Gelu, -inf).abs() < 3e-38, "{isa:?}");
        for act in [Silu, HardSwish, Mish, Relu, Gelu] {
            assert_eq!(at(act, inf), inf, "{isa:?} {act:?}");
        }
    }
}
