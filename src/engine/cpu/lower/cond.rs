//! Convolutions whose kernels are mixed for each image from several experts'.

use super::super::CpuError;
use super::super::layer::Depthwise;
use super::super::matrix::Matrix;
use super::super::memory::Floats;
use super::super::simd::LANES;
use super::Lowering;
use crate::arch::Conv;

/// The weights of a block's convolutions, one after the other, expert by expert.
#[derive(Debug)]
pub(super) struct Experts {
    weights: Vec<Vec<f32>>,
}

impl Experts {
    pub(super) fn new(num_experts: usize) -> Self {
        Self { weights: vec![Vec::new(); num_experts] }
    }

    /// Appends a convolution's weights of expert `expert`; where they are.
    fn append(&mut self, expert: usize, weights: &Floats) -> usize {
        let at = self.weights[expert].len();
        self.weights[expert].extend_from_slice(weights.as_slice());
        at
    }

    pub(super) fn packed(self) -> Vec<Floats> {
        let pack = |weights: Vec<f32>| {
            let mut floats = Floats::zeros(weights.len());
            floats.as_mut_slice().copy_from_slice(&weights);
            floats
        };
        self.weights.into_iter().map(pack).collect()
    }
}

impl Lowering<'_> {
    /// A pointwise convolution and its norm, without its weights; where those are among the experts'.
    pub(super) fn cond_pointwise(
        &self,
        (name, bn): (&str, &str),
        k: usize,
        n: usize,
        experts: &mut Experts,
    ) -> Result<(Matrix, usize), CpuError> {
        let num_experts = experts.weights.len();
        let values = self.tensor(&[num_experts, n * k], &format!("{name}.weight"))?;
        let norm = self.norm(bn, n)?;
        let (mut matrix, mut at) = (Matrix::new(self.kernels, (n, 0), |_, _| 0.0, &norm.shift), 0);
        for (expert, values) in values.chunks_exact(n * k).enumerate() {
            let weight = |n: usize, i: usize| (f64::from(values[n * k + i]) * norm.scale[n]) as f32;
            matrix = Matrix::new(self.kernels, (n, k), weight, &norm.shift);
            at = experts.append(expert, &matrix.take_weights());
        }
        Ok((matrix, at))
    }

    /// A depthwise convolution and its norm, without its weights; where those are among the experts'.
    pub(super) fn cond_depthwise(
        &self,
        (name, bn): (&str, &str),
        conv: Conv,
        experts: &mut Experts,
    ) -> Result<(Depthwise, usize), CpuError> {
        let (chs, k) = (conv.out_chs, conv.kernel_size);
        let sides = vec![k; chs.div_ceil(LANES)];
        let mut layer = self.depthwise_kernels(chs, &sides, conv.stride, name)?;
        let norm = self.norm(bn, chs)?;
        layer.bias.as_mut_slice()[..chs].copy_from_slice(&norm.shift);
        let (num_experts, elements) = (experts.weights.len(), chs * k * k);
        let values = self.tensor(&[num_experts, elements], &format!("{name}.weight"))?;
        let mut at = 0;
        for (expert, values) in values.chunks_exact(elements).enumerate() {
            for (i, &value) in values.iter().enumerate() {
                let (c, tap) = (i / (k * k), i % (k * k));
                let value = (f64::from(value) * norm.scale[c]) as f32;
                layer.set_weight(c, (tap / k, tap % k), k, value);
            }
            at = experts.append(expert, &layer.weights);
        }
        layer.weights = Floats::zeros(0);
        Ok((layer, at))
    }
}
