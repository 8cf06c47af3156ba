//! Width and depth scaling, with timm's rounding (`timm/layers/helpers.py`,
//! `timm/models/_efficientnet_builder.py`).

/// Rounds `v` to a multiple of `divisor`, at least `divisor`, and up once more where rounding
/// would lose more than `1 - round_limit` of it.
///
/// Source: `make_divisible` of timm, after the TensorFlow MobileNet code.
///
/// ```
/// use effnet::arch::make_divisible;
/// assert_eq!(make_divisible(32.0 * 1.1, 8, 0.9), 32); // B2's stem
/// assert_eq!(make_divisible(11.0, 8, 0.9), 16); // 8 would lose more than 10%
/// assert_eq!(make_divisible(11.0, 8, 0.0), 8);
/// ```
#[must_use]
pub fn make_divisible(v: f64, divisor: usize, round_limit: f64) -> usize {
    let steps = ((v + divisor as f64 / 2.0) as usize) / divisor;
    let rounded = (steps * divisor).max(divisor);
    if (rounded as f64) < round_limit * v { rounded + divisor } else { rounded }
}

/// How a scaled number of blocks becomes a whole one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DepthTrunc {
    /// Upwards: the EfficientNet rule.
    Ceil,
    /// To nearest, ties to even, at least one: MixNet and TinyNet.
    Round,
}

/// Scales the block counts of one stage by `multiplier`.
///
/// The stage's total is scaled, then shared out over its block strings from the last to the first,
/// so that the first is the least likely to grow (`_scale_stage_depth` of timm).
///
/// ```
/// use effnet::arch::{DepthTrunc, scale_depth};
/// assert_eq!(scale_depth(&[3], 1.1, DepthTrunc::Ceil), [4]);
/// assert_eq!(scale_depth(&[1, 3], 1.8, DepthTrunc::Ceil), [2, 6]);
/// ```
#[must_use]
pub fn scale_depth(repeats: &[usize], multiplier: f64, trunc: DepthTrunc) -> Vec<usize> {
    let mut left: usize = repeats.iter().sum();
    let scaled = left as f64 * multiplier;
    let mut left_scaled = match trunc {
        DepthTrunc::Ceil => scaled.ceil(),
        DepthTrunc::Round => scaled.round_ties_even().max(1.0),
    };
    let mut out = Vec::with_capacity(repeats.len());
    for &r in repeats.iter().rev() {
        let share = (r as f64 / left as f64 * left_scaled).round_ties_even().max(1.0);
        out.push(share as usize);
        left -= r;
        left_scaled -= share;
    }
    out.reverse();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_timms() {
        // (value, divisor, limit) -> timm 1.0.31's make_divisible
        for (v, divisor, limit, expected) in [
            (16.0 * 1.4, 8, 0.9, 24),
            (320.0 * 4.3, 8, 0.9, 1376),
            (1280.0 * 1.1, 8, 0.9, 1408),
            (3.0, 8, 0.9, 8),
            (48.0 * 0.5, 8, 0.9, 24),
            (37.0, 1, 0.0, 37),
            (36.0 * 0.25, 1, 0.0, 9),
        ] {
            assert_eq!(make_divisible(v, divisor, limit), expected, "{v} by {divisor}");
        }
    }

    #[test]
    fn depth_shares_are_timms() {
        assert_eq!(scale_depth(&[4], 3.1, DepthTrunc::Ceil), [13]);
        assert_eq!(scale_depth(&[1], 1.0, DepthTrunc::Ceil), [1]);
        assert_eq!(scale_depth(&[1, 1, 1, 1], 2.0, DepthTrunc::Ceil), [2, 2, 2, 2]);
        assert_eq!(scale_depth(&[1, 3], 1.3, DepthTrunc::Round), [1, 4]);
        assert_eq!(scale_depth(&[1], 0.2, DepthTrunc::Round), [1]);
    }
}
