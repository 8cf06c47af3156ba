//! Weights from a seed: `seeded:N`.
//!
//! Every value is `center + spread * u`, computed in float64 and rounded to float32 once, where `u`
//! in [-1, 1) is a hash of the seed, the tensor's timm name and the element's index. The rules for
//! `center` and `spread` keep terms about as large as the sums that they are added to, at any
//! depth, so that a change of 1% in any tensor shows in the logits and rounding errors do not grow.
//! `tests/parity/seeded.py` computes the same values for timm.

use super::{TensorSource, WeightsError};

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// A [`VarBuilder`](candle_nn::VarBuilder) that answers any request with seeded values.
///
/// ```
/// use candle_core::{DType, Device};
/// let vb = effnet::weights::seeded::var_builder(0, DType::F32, &Device::Cpu);
/// let bias = vb.get(3, "bn1.bias")?.to_vec1::<f32>()?;
/// assert_eq!(bias, effnet::weights::seeded::tensor(0, "bn1.bias", &[3]));
/// # Ok::<(), candle_core::Error>(())
/// ```
#[cfg(feature = "candle")]
#[must_use]
pub fn var_builder(
    seed: u64,
    dtype: candle_core::DType,
    device: &candle_core::Device,
) -> candle_nn::VarBuilder<'static> {
    candle_nn::VarBuilder::from_backend(Box::new(Source::new(seed)), dtype, device.clone())
}

/// The values of the tensor `name` of `shape`, in row-major order.
#[must_use]
pub fn tensor(seed: u64, name: &str, shape: &[usize]) -> Vec<f32> {
    let (center, spread) = rule(name, shape);
    let mut values = Vec::with_capacity(shape.iter().product());
    let uniform = Uniform::new(seed, name);
    match *shape {
        // Weights that sum to zero cancel the mean of their inputs, which activations make
        // positive, so a layer's outputs depend more on the image than on constants. The sum is
        // exact: u are multiples of 2^-23. A gate's few inputs would lose too much by this.
        [rows, inputs, ..] if inputs > 1 && !name.ends_with("conv_expand.weight") => {
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
        // One part of a mixed convolution.
        part if part.parse::<usize>().is_ok() => outer(2),
        // `pw_proj.conv`, `query.proj`: the enclosing layer says what it does.
        "conv" | "proj" if segments.len() > 5 => outer(2),
        layer => layer,
    };
    // A block's index in its stage.
    let block = match segments[..] {
        ["blocks", _, block, ..] => block.parse::<usize>().unwrap_or(0),
        _ => 0,
    };
    let inner = block > 0;
    match (layer, leaf) {
        // The sum of a stage's branches includes one of these for each block.
        ("bn3", "bias" | "running_mean") => return (0.0, 0.5),
        // Squeezes that are active, and gates of which some are open, some shut and many in
        // between.
        ("conv_reduce", "bias") => return (2.0, 3.0),
        ("conv_expand", "bias") => return (2.0, 2.0),
        // Most gates of a global context are open or shut: those in between move far.
        ("fc2", "bias") => return (1.0, 25.0),
        // A mix of experts, rather than one alone.
        ("routing_fn", "bias") => return (1.0, 1.0),
        (_, "bias" | "running_mean") => return (0.0, 1.0),
        // With both signs, so that the next layer does not cancel what they have in common.
        (_, "v") => return (1.0, 2.0),
        _ if shape.len() <= 1 => return (1.0, 0.5),
        _ => {}
    }
    let experts = shape.len() == 2 && matches!(layer, "conv_pw" | "conv_dw" | "conv_pwl");
    let widens = experts || shape[0] > shape[1];
    // The variance of the outputs for inputs of variance 1.
    let gain = match layer {
        // The sum is large, and grows with every branch. A branch takes in only as much of it as
        // its own constants weigh, which keeps the errors of long chains small.
        "conv_pw" | "conv_exp" if widens && block > 8 => 0.01,
        "conv_pw" | "conv_exp" if widens && block > 4 => 0.03,
        "conv_pw" | "conv_exp" if widens && inner => 0.1,
        "dw_start" if inner => 0.3,
        "pw_exp" if inner => 0.5,
        // Branches that take in the whole sum.
        "conv_pwl" if inner && shape[0] == shape[1] => 0.1,
        "conv" if inner && shape.get(2) != Some(&1) => 0.1,
        "output" if inner => 0.1,
        "pw_proj" if inner => 1.5,
        // These halve what an activation passes on, and make the sum that later branches add to.
        "conv" | "conv_pwl" | "pw_proj" | "output" => 2.5,
        // Separable convolutions: chains without residuals, which would forget the image.
        "conv_pw" if !experts && 5 * shape[0] <= 11 * shape[1] => 3.0,
        // Linear layers in a row.
        "conv_exp" => 1.0,
        "dw_start" | "pw_exp" => 0.8,
        // The end of a sum.
        "conv_head" => 0.5,
        // Attention that is neither even nor all on one position.
        "query" | "key" => 0.05,
        // What a pool passes on is mostly constant; the little that is not must show in the gates.
        "conv_attn" if block > 4 => 40.0,
        "conv_attn" if inner => 8.0,
        "conv_reduce" => 12.0,
        "conv_expand" => 2.0,
        "fc1" => 10.0,
        "fc2" => 1000.0,
        "routing_fn" => 0.2,
        _ => 1.5,
    };
    let fan_in = shape[1..].iter().product::<usize>() as f64;
    // Kernels of experts are flattened and will be summed: the inputs of one are guessed from a
    // sixfold expansion.
    let kernels = shape[0] as f64 / 2.0;
    let fan_in = match layer {
        "conv_pw" if experts => (fan_in / 6.0).sqrt() * kernels,
        "conv_dw" if experts => 16.0 * kernels,
        "conv_pwl" if experts => (fan_in * 6.0).sqrt() * kernels,
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

/// Provides any tensor, with seeded values.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    seed: u64,
}

impl Source {
    /// The values of `seeded:SEED`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

impl TensorSource for Source {
    fn name(&self) -> String {
        format!("seeded:{}", self.seed)
    }

    fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        Ok(tensor(self.seed, name, shape))
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
        assert_eq!(tensor(7, "blocks.0.0.se.conv_expand.weight", &[2, 2, 1, 1]), SE_WEIGHT);
        assert_eq!(tensor(7, "blocks.1.9.conv_pw.weight", &[2, 3]), EXPERTS);
        assert_eq!(images(1, &[1, 1, 1, 3]), IMAGES);
        assert_ne!(tensor(8, "bn1.running_var", &[3]), RUNNING_VAR);
    }

    const CONV: [f32; 6] =
        [1.3211548, -1.3205998, -0.0005550297, -0.6930133, 0.32646498, 0.36654833];
    const RUNNING_VAR: [f32; 3] = [0.69799787, 0.6214715, 0.7311869];
    const SE_BIAS: [f32; 2] = [2.7810843, 1.7814732];
    const SE_WEIGHT: [f32; 4] = [0.6997804, -1.498372, 1.2822889, -1.642295];
    const EXPERTS: [f32; 6] =
        [0.0071664453, -0.025863951, 0.018697506, -0.038088623, -0.015310571, 0.053399194];
    const IMAGES: [f32; 3] = [-0.34982705, 1.4866548, -1.2574589];
}
