//! Activation functions on tensors.

use candle_core::{Result, Tensor};

use crate::arch::Activation;

/// Applies `act` to every element.
pub(crate) fn activate(xs: &Tensor, act: Activation) -> Result<Tensor> {
    match act {
        Activation::Relu => xs.relu(),
        Activation::Relu6 => xs.clamp(0f32, 6f32),
        Activation::Silu => xs.silu(),
        Activation::HardSwish => xs * hard_sigmoid(xs)?,
        Activation::HardSigmoid => hard_sigmoid(xs),
        Activation::Sigmoid => candle_nn::ops::sigmoid(xs),
        Activation::Gelu => xs.gelu_erf(),
        Activation::Mish => xs * softplus(xs)?.tanh()?,
    }
}

fn hard_sigmoid(xs: &Tensor) -> Result<Tensor> {
    (xs + 3.0)?.clamp(0f32, 6f32)? / 6.0
}

/// `ln(1 + exp(x))`, without overflow for large `x`.
fn softplus(xs: &Tensor) -> Result<Tensor> {
    xs.relu()? + (xs.abs()?.neg()?.exp()? + 1.0)?.log()?
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn values_are_pytorchs() -> Result<()> {
        let xs = Tensor::new(&[-100f32, -3.0, -0.5, 0.0, 1.0, 6.5, 100.0], &Device::Cpu)?;
        // torch 2.14.1, float32.
        let expected: [(Activation, [f32; 7]); 8] = [
            (Activation::Relu, [0.0, 0.0, 0.0, 0.0, 1.0, 6.5, 100.0]),
            (Activation::Relu6, [0.0, 0.0, 0.0, 0.0, 1.0, 6.0, 6.0]),
            (
                Activation::Silu,
                [0.0, -0.142_277_61, -0.188_770_34, 0.0, 0.731_058_6, 6.490_242, 100.0],
            ),
            (Activation::HardSwish, [0.0, 0.0, -0.208_333_34, 0.0, 0.666_666_7, 6.5, 100.0]),
            (Activation::HardSigmoid, [0.0, 0.0, 0.416_666_66, 0.5, 0.666_666_7, 1.0, 1.0]),
            (
                Activation::Sigmoid,
                [0.0, 0.047_425_874, 0.377_540_68, 0.5, 0.731_058_6, 0.998_498_8, 1.0],
            ),
            (Activation::Gelu, [0.0, -0.004_050_225, -0.154_268_77, 0.0, 0.841_344_7, 6.5, 100.0]),
            (
                Activation::Mish,
                [0.0, -0.145_647_47, -0.220_743_76, 0.0, 0.865_098_4, 6.499_970_4, 100.0],
            ),
        ];
        for (act, values) in expected {
            let ys: Vec<f32> = activate(&xs, act)?.to_vec1()?;
            for (y, e) in ys.iter().zip(values) {
                assert!((y - e).abs() <= 1e-6 * e.abs().max(1.0), "{act:?}: {ys:?} != {values:?}");
            }
        }
        Ok(())
    }
}
