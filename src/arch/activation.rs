//! Activation functions by timm's names.

/// An activation function.
///
/// Source: `timm/layers/create_act.py`; the two-letter tokens are those of timm's block strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `x * sigmoid(x)`, also called swish.
    Silu,
    /// `x * relu6(x + 3) / 6`.
    HardSwish,
    /// `relu6(x + 3) / 6`.
    HardSigmoid,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `x * Phi(x)`, with the error function.
    Gelu,
    /// `x * tanh(ln(1 + exp(x)))`.
    Mish,
}

impl Activation {
    /// The activation that timm calls `name` in `act_layer` arguments.
    ///
    /// ```
    /// use effnet::arch::Activation;
    /// assert_eq!(Activation::from_name("swish"), Some(Activation::Silu));
    /// assert_eq!(Activation::from_name("swoosh"), None);
    /// ```
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "relu" => Self::Relu,
            "relu6" => Self::Relu6,
            "silu" | "swish" => Self::Silu,
            "hard_swish" | "hardswish" => Self::HardSwish,
            "hard_sigmoid" | "hardsigmoid" => Self::HardSigmoid,
            "sigmoid" => Self::Sigmoid,
            "gelu" => Self::Gelu,
            "mish" => Self::Mish,
            _ => return None,
        })
    }

    /// The activation behind a block string's `n` token: `re`, `r6`, `hs`, `sw`, `mi`.
    pub(super) fn from_token(value: &str) -> Option<Self> {
        Some(match value {
            "re" => Self::Relu,
            "r6" => Self::Relu6,
            "hs" => Self::HardSwish,
            "sw" => Self::Silu,
            "mi" => Self::Mish,
            _ => return None,
        })
    }
}
