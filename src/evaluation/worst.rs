//! The wrong answers with the largest probabilities.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::WORST;

/// A wrong answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wrong {
    pub(super) image: String,
    pub(super) target: usize,
    pub(super) answer: usize,
    /// Of the answer, and of the class that is right.
    pub(super) probabilities: [f64; 2],
}

impl Eq for Wrong {}

impl Ord for Wrong {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_probability = self.probabilities[0].total_cmp(&other.probabilities[0]);
        by_probability.then_with(|| other.image.cmp(&self.image))
    }
}

impl PartialOrd for Wrong {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The worst of any number.
#[derive(Debug, Clone, Default)]
pub(super) struct Worst(BinaryHeap<Reverse<Wrong>>);

impl Worst {
    /// Whether the answer is among the worst so far.
    pub(super) fn add(
        &mut self,
        image: &str,
        target: usize,
        answer: usize,
        probabilities: [f64; 2],
    ) -> bool {
        let wrong = Wrong { image: image.to_owned(), target, answer, probabilities };
        if self.0.len() == WORST {
            if self.0.peek().is_some_and(|Reverse(least)| wrong < *least) {
                return false;
            }
            self.0.pop();
        }
        self.0.push(Reverse(wrong));
        true
    }

    /// The worst first.
    pub(super) fn in_order(&self) -> impl Iterator<Item = Wrong> {
        // Of reversed items, the ascending order has the largest first.
        self.0.clone().into_sorted_vec().into_iter().map(|Reverse(wrong)| wrong)
    }
}
