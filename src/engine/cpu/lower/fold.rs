//! Tensors, and the norms folded into them.

use candle_core::{DType, Device};

use super::super::CpuError;
use super::super::matrix::Matrix;
use super::super::memory::{Floats, padded};
use super::Lowering;
use crate::arch::Conv;

/// A batch norm as one multiplication and one addition a channel.
pub(super) struct Norm {
    pub(super) scale: Vec<f64>,
    pub(super) shift: Vec<f32>,
}

impl Lowering<'_> {
    /// A pointwise convolution and its norm.
    pub(super) fn folded(
        &self,
        names: (&str, &str),
        k: usize,
        n: usize,
    ) -> Result<Matrix, CpuError> {
        self.folded_parts(names, &[Conv::pointwise(k, n)], None)
    }

    /// Pointwise convolutions side by side and their norm, then a factor for each channel, if any.
    pub(super) fn folded_parts(
        &self,
        (name, bn): (&str, &str),
        convs: &[Conv],
        gamma: Option<&str>,
    ) -> Result<Matrix, CpuError> {
        let k: usize = convs.iter().map(|conv| conv.in_chs).sum();
        let n: usize = convs.iter().map(|conv| conv.out_chs).sum();
        let mut norm = self.norm(bn, n)?;
        if let Some(gamma) = gamma {
            for (c, gamma) in self.tensor(&[n], gamma)?.into_iter().enumerate() {
                norm.scale[c] *= f64::from(gamma);
                norm.shift[c] *= gamma;
            }
        }
        let weights = match convs {
            [_] => self.tensor(&[n, k, 1, 1], &format!("{name}.weight"))?,
            _ => self.side_by_side(name, convs, (n, k))?,
        };
        let weight = |n: usize, i: usize| (f64::from(weights[n * k + i]) * norm.scale[n]) as f32;
        Ok(self.matrix((n, k), weight, &norm.shift))
    }

    /// The weights (n, k) of pointwise convolutions that each read a part of the channels.
    fn side_by_side(
        &self,
        name: &str,
        convs: &[Conv],
        (n, k): (usize, usize),
    ) -> Result<Vec<f32>, CpuError> {
        let mut weights = vec![0f32; n * k];
        let (mut row, mut column) = (0, 0);
        for (i, conv) in convs.iter().enumerate() {
            let shape = [conv.out_chs, conv.in_chs, 1, 1];
            let values = self.tensor(&shape, &format!("{name}.{i}.weight"))?;
            for values in values.chunks_exact(conv.in_chs) {
                weights[row * k + column..][..conv.in_chs].copy_from_slice(values);
                row += 1;
            }
            column += conv.in_chs;
        }
        Ok(weights)
    }

    /// A pointwise convolution without norm and bias, times a factor for each output channel.
    pub(super) fn unbiased(
        &self,
        at: &str,
        k: usize,
        n: usize,
        factor: impl Fn(usize) -> f64,
    ) -> Result<Matrix, CpuError> {
        let weights = self.tensor(&[n, k, 1, 1], &format!("{at}.weight"))?;
        let weight = |n: usize, i: usize| (f64::from(weights[n * k + i]) * factor(n)) as f32;
        Ok(self.matrix((n, k), weight, &vec![0.0; n]))
    }

    /// A matrix with a bias; `sides` are the trailing dimensions of its weight.
    pub(super) fn linear(
        &self,
        at: &str,
        (n, k): (usize, usize),
        sides: &[usize],
    ) -> Result<Matrix, CpuError> {
        let (weights, bias) = self.weight_and_bias(at, (n, k), sides)?;
        Ok(self.matrix((n, k), |n, i| weights[n * k + i], &bias))
    }

    /// [`linear`](Self::linear) in floats whatever is asked for: for a few vectors, whose weights
    /// are read once.
    pub(super) fn float_linear(
        &self,
        at: &str,
        (n, k): (usize, usize),
        sides: &[usize],
    ) -> Result<Matrix, CpuError> {
        let (weights, bias) = self.weight_and_bias(at, (n, k), sides)?;
        Ok(Matrix::new(self.kernels, (n, k), |n, i| weights[n * k + i], &bias))
    }

    /// The tensors of a layer with a bias.
    pub(super) fn weight_and_bias(
        &self,
        at: &str,
        (n, k): (usize, usize),
        sides: &[usize],
    ) -> Result<(Vec<f32>, Vec<f32>), CpuError> {
        let shape: Vec<usize> = [n, k].iter().chain(sides).copied().collect();
        let weights = self.tensor(&shape, &format!("{at}.weight"))?;
        Ok((weights, self.tensor(&[n], &format!("{at}.bias"))?))
    }

    /// A matrix of pairs where they are asked for and an input has a partner, or else of floats.
    pub(super) fn matrix(
        &self,
        (n, k): (usize, usize),
        weight: impl Fn(usize, usize) -> f32,
        bias: &[f32],
    ) -> Matrix {
        match self.pairs.filter(|_| k.is_multiple_of(2)) {
            Some(pairs) => Matrix::of_pairs(pairs, (n, k), weight, bias),
            None => Matrix::new(self.kernels, (n, k), weight, bias),
        }
    }

    /// One value a channel, padded to whole vectors.
    pub(super) fn vector(&self, n: usize, name: &str) -> Result<Floats, CpuError> {
        let mut vector = Floats::zeros(padded(n));
        vector.as_mut_slice()[..n].copy_from_slice(&self.tensor(&[n], name)?);
        Ok(vector)
    }

    pub(super) fn norm(&self, at: &str, chs: usize) -> Result<Norm, CpuError> {
        let get = |leaf: &str| self.tensor(&[chs], &format!("{at}.{leaf}"));
        let (weight, bias) = (get("weight")?, get("bias")?);
        let (mean, var) = (get("running_mean")?, get("running_var")?);
        let scale: Vec<f64> = (0..chs)
            .map(|c| f64::from(weight[c]) / (f64::from(var[c]) + self.bn_eps).sqrt())
            .collect();
        let shift =
            (0..chs).map(|c| (f64::from(bias[c]) - f64::from(mean[c]) * scale[c]) as f32).collect();
        Ok(Norm { scale, shift })
    }

    pub(super) fn tensor(&self, shape: &[usize], name: &str) -> Result<Vec<f32>, CpuError> {
        let tensor = self.vb.get(shape, name)?;
        Ok(tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
    }
}
