//! Weights from a seed: `seeded:N`.
//!
//! Every value is `center + spread * u`, computed in float64 and rounded to float32 once, where `u`
//! in [-1, 1) is a hash of the seed, the tensor's timm name and the element's index. The rules that
//! choose `center` and `spread` keep activations near 1 through any depth, so that each tensor
//! matters to the logits. `tests/parity/seeded.py` computes the same values for timm.

use candle_core::{DType, Device, Result, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// A [`VarBuilder`] that answers any request by seeded values.
///
/// ```
/// use candle_core::{DType, Device};
/// let vb = effnet::weights::seeded::var_builder(0, DType::F32, &Device::Cpu);
/// let bias = vb.get(3, "bn1.bias")?.to_vec1::<f32>()?;
/// assert_eq!(bias, effnet::weights::seeded::tensor(0, "bn1.bias", &[3]));
/// # Ok::<(), candle_core::Error>(())
/// ```
#[must_use]
pub fn var_builder(seed: u64, dtype: DType, device: &Device) -> VarBuilder<'static> {
    VarBuilder::from_backend(Box::new(Seeded { seed }), dtype, device.clone())
}

/// The values of the tensor `name` of `shape`, in row-major order.
#[must_use]
pub fn tensor(seed: u64, name: &str, shape: &[usize]) -> Vec<f32> {
    let (center, spread) = rule(name, shape);
    let mut values = Vec::with_capacity(shape.iter().product());
    let uniform = Uniform::new(seed, name);
    match *shape {
        // Without the mean of their inputs, which activations make positive, a layer's outputs
        // depend on the image more than on constants. The sum is exact: u are multiples of 2^-23.
        [rows, inputs, ..] if inputs > 1 => {
            let len = shape[1..].iter().product::<usize>();
            for row in 0..rows {
                let sum: f64 = (0..len).map(|i| uniform.at(row * len + i)).sum();
                let mean = sum / len as f64;
                values.extend(
                    (0..len).map(|i| (center + spread * (uniform.at(row * len + i) - mean)) as f32),
                );
            }
        }
        _ => {
            let len = shape.iter().product();
            values.extend((0..len).map(|i| (center + spread * uniform.at(i)) as f32));
        }
    }
    values
}

/// Normalized images of `shape`, in [-2, 2): the inputs of parity tests.
#[must_use]
pub fn images(seed: u64, shape: &[usize]) -> Vec<f32> {
    let uniform = Uniform::new(seed, "input");
    (0..shape.iter().product()).map(|i| (2.0 * uniform.at(i)) as f32).collect()
}

/// The center and spread of a tensor's values.
fn rule(name: &str, shape: &[usize]) -> (f64, f64) {
    let segments: Vec<&str> = name.split('.').collect();
    let leaf = segments.last().copied().unwrap_or_default();
    let outer = |n| segments.iter().rev().nth(n).copied().unwrap_or_default();
    let layer = match outer(1) {
        // One convolution of a mixed one.
        part if part.parse::<usize>().is_ok() => outer(2),
        // `pw_proj.conv`, `query.proj`: the layer around it says what it does.
        "conv" | "proj" if segments.len() > 5 => outer(2),
        layer => layer,
    };
    // A block's index in its stage.
    let block: Option<usize> = match segments[..] {
        ["blocks", _, block, ..] => block.parse().ok(),
        _ => None,
    };
    match (layer, leaf) {
        (_, "running_mean") => return (0.0, 1.0),
        // Long chains of residual branches at full strength would amplify rounding errors.
        (_, "running_var") => return (if block > Some(4) { 1.75 } else { 1.0 }, 0.5),
        // Gates that are open pass the signal on; wide biases behind them still show.
        ("conv_expand", "bias") => return (3.0, 1.0),
        ("conv_reduce", "bias") => return (0.0, 4.0),
        (_, "bias") => return (0.0, 1.0),
        _ if shape.len() <= 1 => return (1.0, 0.5),
        _ => {}
    }
    let gain = match (layer, block) {
        _ if segments.contains(&"se") => 6.0,
        // The first block of a stage carries the signal; in the others the residual does, and the
        // branch adds a little.
        ("conv_pwl" | "conv" | "pw_proj" | "output", Some(0)) => 2.5,
        ("conv_pwl" | "conv" | "pw_proj" | "output", Some(_)) => 0.1,
        ("conv_exp", _) => 1.0,
        _ => 1.5,
    };
    let fan_in = shape[1..].iter().product::<usize>() as f64;
    // Kernels of experts, flattened and to be summed: the inputs of one are guessed from a sixfold
    // expansion.
    let experts = shape[0] as f64;
    let fan_in = match (shape.len(), layer) {
        (2, "conv_pw") => (fan_in / 6.0).sqrt() * experts,
        (2, "conv_dw") => 16.0 * experts,
        (2, "conv_pwl") => (fan_in * 6.0).sqrt() * experts,
        _ => fan_in,
    };
    (0.0, (3.0 * gain / fan_in).sqrt())
}

/// A sequence of numbers in [-1, 1), multiples of 2^-23, that depends on a seed and a name.
#[derive(Debug, Clone, Copy)]
pub struct Uniform {
    key: u64,
}

impl Uniform {
    /// The sequence of `name` under `seed`.
    #[must_use]
    pub fn new(seed: u64, name: &str) -> Self {
        // FNV-1a.
        let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |h, byte| {
            (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        Self { key: mix(hash ^ mix(seed.wrapping_add(GOLDEN))) }
    }

    /// Element `index` of the sequence.
    #[must_use]
    pub fn at(&self, index: usize) -> f64 {
        let z = mix(self.key.wrapping_add((index as u64 + 1).wrapping_mul(GOLDEN)));
        (z >> 40) as f64 / f64::from(1 << 23) - 1.0
    }
}

/// SplitMix64's finalizer.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

struct Seeded {
    seed: u64,
}

impl SimpleBackend for Seeded {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, dev: &Device) -> Result<Tensor> {
        let values = tensor(self.seed, name, shape.dims());
        Tensor::from_vec(values, shape, dev)?.to_dtype(dtype)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        candle_core::bail!("seeded weights need a shape to make `{name}`")
    }

    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_seeded_py() {
        // python -c "import seeded; print(seeded.tensor(7, name, shape).ravel().tolist())"
        let conv = tensor(7, "blocks.1.1.conv_pwl.weight", &[2, 3, 1, 1]);
        assert_eq!(conv, CONV);
        assert_eq!(tensor(7, "bn1.running_var", &[3]), RUNNING_VAR);
        assert_eq!(tensor(7, "blocks.0.0.se.conv_expand.bias", &[2]), SE_BIAS);
        assert_eq!(images(1, &[1, 1, 1, 3]), IMAGES);
        assert_ne!(tensor(8, "bn1.running_var", &[3]), RUNNING_VAR);
    }

    const CONV: [f32; 6] =
        [0.26423097, -0.26411995, -0.000111005946, -0.13860266, 0.065293, 0.07330966];
    const RUNNING_VAR: [f32; 3] = [0.69799787, 0.6214715, 0.7311869];
    const SE_BIAS: [f32; 2] = [3.390542, 2.8907366];
    const IMAGES: [f32; 3] = [-0.34982705, 1.4866548, -1.2574589];
}
