//! Where a layer's weights come from, and the norm folded into them.

use crate::weights::{TensorSource, WeightsError};

/// The tensors of a layer. What it computes from its inputs is
/// `((weight x input + bias) normed) * factor * gamma`, each if there is one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Weights {
    /// Names and shapes of the weights, one per convolution.
    pub(crate) weights: Vec<(String, Vec<usize>)>,
    pub(crate) bias: Option<String>,
    /// The norm's path, and the epsilon of its running statistics, if it has any.
    pub(crate) norm: Option<(String, Option<f64>)>,
    /// The layer scale's tensor.
    pub(crate) gamma: Option<String>,
    /// For all channels.
    pub(crate) factor: Option<f64>,
    /// Output channels.
    pub(crate) chs: usize,
}

/// A layer's weights and what is folded into them: each weight is to be multiplied by the `scale`
/// of its output channel, in f64.
#[derive(Debug)]
pub(crate) struct Folded {
    /// As stored, one tensor per convolution.
    pub(crate) weights: Vec<Vec<f32>>,
    pub(crate) scale: Vec<f64>,
    /// Added to each output channel.
    pub(crate) shift: Vec<f32>,
}

impl Weights {
    /// Reads the tensors.
    ///
    /// # Errors
    ///
    /// The source's errors.
    pub(crate) fn read(&self, source: &dyn TensorSource) -> Result<Folded, WeightsError> {
        let chs = self.chs;
        let get = |name: &str| source.get(name, &[chs]);
        let read = |(name, shape): &(String, Vec<usize>)| source.get(name, shape);
        let weights = self.weights.iter().map(read).collect::<Result<_, _>>()?;
        let (mut scale, mut shift) = match &self.norm {
            None => (vec![1.0; chs], vec![0.0; chs]),
            Some((at, eps)) => {
                let leaf = |leaf: &str| get(&format!("{at}.{leaf}"));
                let (weight, bias) = (leaf("weight")?, leaf("bias")?);
                let mut scale: Vec<f64> = weight.into_iter().map(f64::from).collect();
                let mut shift = bias;
                if let Some(eps) = eps {
                    let (mean, var) = (leaf("running_mean")?, leaf("running_var")?);
                    for c in 0..chs {
                        scale[c] /= (f64::from(var[c]) + eps).sqrt();
                        shift[c] = (f64::from(shift[c]) - f64::from(mean[c]) * scale[c]) as f32;
                    }
                }
                (scale, shift)
            }
        };
        if let Some(bias) = &self.bias {
            for (c, bias) in get(bias)?.into_iter().enumerate() {
                shift[c] = (f64::from(bias) * scale[c] + f64::from(shift[c])) as f32;
            }
        }
        if let Some(gamma) = &self.gamma {
            for (c, gamma) in get(gamma)?.into_iter().enumerate() {
                scale[c] *= f64::from(gamma);
                shift[c] *= gamma;
            }
        }
        if let Some(factor) = self.factor {
            scale.iter_mut().for_each(|scale| *scale *= factor);
            shift.iter_mut().for_each(|shift| *shift = (f64::from(*shift) * factor) as f32);
        }
        Ok(Folded { weights, scale, shift })
    }
}
