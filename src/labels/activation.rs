//! From a network's outputs to probabilities.

use std::fmt;
use std::str::FromStr;

use super::LabelError;

/// How a network's outputs become probabilities.
///
/// ```
/// use effnet::labels::ClassifierActivation;
/// assert_eq!("sigmoid".parse(), Ok(ClassifierActivation::Sigmoid));
/// assert_eq!(ClassifierActivation::for_outputs(1), ClassifierActivation::Sigmoid);
/// assert!("relu".parse::<ClassifierActivation>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ClassifierActivation {
    /// Exactly one class holds: probabilities over all classes, which sum to 1.
    #[default]
    Softmax,
    /// Each class holds or not: a separate probability for each, from its logit alone. A network
    /// with one output gives the positive class's; the other class has the complement.
    Sigmoid,
    /// The outputs are not logits (in a regression, for example): no probabilities.
    None,
}

impl ClassifierActivation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Softmax, Self::Sigmoid, Self::None];

    /// The default for this number of outputs: sigmoid for one, because its softmax is always 1,
    /// and softmax for more.
    #[must_use]
    pub fn for_outputs(outputs: usize) -> Self {
        if outputs == 1 { Self::Sigmoid } else { Self::Softmax }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::Sigmoid => "sigmoid",
            Self::None => "none",
        }
    }
}

impl FromStr for ClassifierActivation {
    type Err = LabelError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|activation| activation.name() == name);
        found.ok_or_else(|| LabelError::UnknownActivation { name: name.to_owned() })
    }
}

impl fmt::Display for ClassifierActivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
