//! The k best classes of one image.

use std::cmp::Ordering;

use super::LabelError;

/// One class with its scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Class index, counted from 0.
    pub index: usize,
    /// Softmax probability, 0 to 1.
    pub probability: f32,
    /// The model's output for the class, before softmax.
    pub logit: f32,
}

/// The `k` classes with the largest logits, best first; of equal logits the lower index comes first,
/// as a stable sort in NumPy has it. `k` beyond the number of classes gives all of them.
///
/// The softmax is taken over all classes, accumulated in f64 after subtracting the largest logit.
///
/// # Errors
/// [`LabelError::NotFinite`] if a logit is NaN or infinite, with the first such index.
///
/// ```
/// let best = effnet::labels::top_k(&[1.0, 3.0, 2.0], 2)?;
/// assert_eq!((best[0].index, best[1].index), (1, 2));
/// assert!((best[0].probability - 0.665_240_96).abs() < 1e-7);
/// # Ok::<(), effnet::labels::LabelError>(())
/// ```
pub fn top_k(logits: &[f32], k: usize) -> Result<Vec<Scored>, LabelError> {
    if let Some(index) = logits.iter().position(|v| !v.is_finite()) {
        return Err(LabelError::NotFinite { index, value: logits[index].to_string() });
    }
    let max = f64::from(logits.iter().copied().fold(f32::MIN, f32::max));
    let total: f64 = logits.iter().map(|&v| (f64::from(v) - max).exp()).sum();

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
            probability: ((f64::from(logits[index]) - max).exp() / total) as f32,
            logit: logits[index],
        })
        .collect())
}
