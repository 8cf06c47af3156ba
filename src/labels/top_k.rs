//! The k best classes of one image.

use std::cmp::Ordering;

use super::{ClassifierActivation, LabelError};

/// The softmax of one image's logits divided by a temperature, in f64.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Softmax {
    max: f64,
    temperature: f64,
    total: f64,
}

impl Softmax {
    /// The logits are finite, and the temperature is above 0.
    pub(crate) fn new(logits: &[f32], temperature: f64) -> Self {
        let max = f64::from(logits.iter().copied().fold(f32::MIN, f32::max));
        let mut softmax = Self { max, temperature, total: 1.0 };
        softmax.total = logits.iter().map(|&logit| softmax.shifted(logit).exp()).sum();
        softmax
    }

    /// The probability of the class with this logit.
    pub(crate) fn probability(&self, logit: f32) -> f64 {
        self.shifted(logit).exp() / self.total
    }

    /// Its negative logarithm.
    pub(crate) fn nll(&self, logit: f32) -> f64 {
        self.total.ln() - self.shifted(logit)
    }

    fn shifted(&self, logit: f32) -> f64 {
        (f64::from(logit) - self.max) / self.temperature
    }
}

/// One class with its scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Class index, counted from 0.
    pub index: usize,
    /// Its probability, 0 to 1; `None` with [`ClassifierActivation::None`].
    pub probability: Option<f32>,
    /// The model's output for the class, before the activation.
    pub logit: f32,
}

/// The `k` classes with the largest logits, best first. Of equal logits the lower index comes
/// first, as in a stable sort in NumPy. A `k` beyond the number of classes gives all of them.
///
/// The softmax is taken over all classes, accumulated in f64 after subtracting the largest logit.
/// The sigmoid is taken of each logit alone, in f64. With one output it makes two classes: index 1,
/// the positive one, has the output as its logit; index 0, the other, has the negated logit, and so
/// the complementary probability.
///
/// # Errors
/// [`LabelError::NotFinite`] if a logit is NaN or infinite, with the first such index.
///
/// ```
/// use effnet::labels::{ClassifierActivation, top_k};
/// let best = top_k(&[1.0, 3.0, 2.0], ClassifierActivation::Softmax, 2)?;
/// assert_eq!((best[0].index, best[1].index), (1, 2));
/// assert!((best[0].probability.unwrap() - 0.665_240_96).abs() < 1e-7);
///
/// let pair = top_k(&[-1.0], ClassifierActivation::Sigmoid, 2)?;
/// assert_eq!((pair[0].index, pair[0].logit, pair[0].probability), (0, 1.0, Some(0.731_058_6)));
/// assert_eq!((pair[1].index, pair[1].logit, pair[1].probability), (1, -1.0, Some(0.268_941_43)));
/// # Ok::<(), effnet::labels::LabelError>(())
/// ```
pub fn top_k(
    logits: &[f32],
    activation: ClassifierActivation,
    k: usize,
) -> Result<Vec<Scored>, LabelError> {
    top_k_at(logits, activation, k, 1.0)
}

/// [`top_k`] with probabilities of the logits divided by `temperature`, which is above 0. The order
/// and [`Scored::logit`] do not depend on it.
pub(crate) fn top_k_at(
    logits: &[f32],
    activation: ClassifierActivation,
    k: usize,
    temperature: f64,
) -> Result<Vec<Scored>, LabelError> {
    if let Some(index) = logits.iter().position(|v| !v.is_finite()) {
        return Err(LabelError::NotFinite { index, value: logits[index].to_string() });
    }
    let pair;
    let logits = match (activation, logits) {
        (ClassifierActivation::Sigmoid, &[logit]) => {
            pair = [-logit, logit];
            &pair
        }
        _ => logits,
    };
    let is_softmax = activation == ClassifierActivation::Softmax;
    let softmax = is_softmax.then(|| Softmax::new(logits, temperature));
    let probability = |logit: f32| match (activation, &softmax) {
        (ClassifierActivation::Sigmoid, _) => {
            Some((1.0 / (1.0 + (-f64::from(logit) / temperature).exp())) as f32)
        }
        (_, softmax) => softmax.as_ref().map(|softmax| softmax.probability(logit) as f32),
    };

    let best_first = |&a: &usize, &b: &usize| -> Ordering {
        // Logits are finite here, so they always compare; -0.0 and 0.0 are a tie.
        let by_logit = logits[b].partial_cmp(&logits[a]);
        by_logit.unwrap_or(Ordering::Equal).then(a.cmp(&b))
    };
    let mut order: Vec<usize> = (0..logits.len()).collect();
    if k < order.len() && k > 0 {
        order.select_nth_unstable_by(k - 1, best_first);
    }
    order.truncate(k);
    order.sort_unstable_by(best_first);
    Ok(order
        .into_iter()
        .map(|index| Scored {
            index,
            probability: probability(logits[index]),
            logit: logits[index],
        })
        .collect())
}
