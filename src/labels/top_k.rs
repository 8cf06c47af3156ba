//! The k best classes of one image.

use std::cmp::Ordering;

use super::{ClassifierActivation, LabelError};

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
    let max = f64::from(logits.iter().copied().fold(f32::MIN, f32::max));
    let total: f64 = match activation {
        ClassifierActivation::Softmax => logits.iter().map(|&v| (f64::from(v) - max).exp()).sum(),
        ClassifierActivation::Sigmoid | ClassifierActivation::None => 1.0,
    };
    let probability = |logit: f32| match activation {
        ClassifierActivation::Softmax => Some(((f64::from(logit) - max).exp() / total) as f32),
        ClassifierActivation::Sigmoid => Some((1.0 / (1.0 + (-f64::from(logit)).exp())) as f32),
        ClassifierActivation::None => None,
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
