use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Full turns of each kind that are timed.
const TURNS: usize = 8;

/// Finds out from full turns whether images are faster together: the first ones are done either
/// way by turns and timed, decoding included, because that is what a busy service does.
#[derive(Debug, Default)]
pub(super) struct Trial(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The times of turns one by one, and together.
    times: [Vec<Duration>; 2],
    is_together: Option<bool>,
}

impl Trial {
    /// A trial whose end is known.
    pub(super) fn ended(is_together: bool) -> Self {
        Self(Mutex::new(State { is_together: Some(is_together), ..State::default() }))
    }

    /// Whether images are faster together, if that is known.
    pub(super) fn result(&self) -> Option<bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_together
    }

    /// Whether the images of a turn go through the network together. As long as that is unknown,
    /// only full turns do, every other time.
    pub(super) fn is_together(&self, is_full: bool) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [singly, together] = &state.times;
        state.is_together.unwrap_or(is_full && together.len() < singly.len())
    }

    /// Takes note of a full turn.
    pub(super) fn note(&self, is_together: bool, time: Duration) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_together.is_some() {
            return;
        }
        state.times[usize::from(is_together)].push(time);
        if state.times.iter().all(|times| times.len() >= TURNS) {
            let [singly, together] = std::mem::take(&mut state.times).map(median);
            state.is_together = Some(together < singly);
        }
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end_of(singly: u64, together: u64) -> Option<bool> {
        let trial = Trial::default();
        assert!(!trial.is_together(false));
        for turn in 0..2 * TURNS as u64 {
            assert_eq!(trial.result(), None);
            let is_together = trial.is_together(true);
            assert_eq!(is_together, turn % 2 == 1);
            // One turn of each kind is slow, whatever the reason.
            let slow = if turn / 2 == 0 { 1000 } else { 0 };
            let time = if is_together { together } else { singly };
            trial.note(is_together, Duration::from_millis(time + slow));
        }
        trial.result()
    }

    #[test]
    fn the_faster_way_is_taken() {
        assert_eq!(end_of(10, 9), Some(true));
        assert_eq!(end_of(9, 10), Some(false));
        assert!(Trial::ended(true).is_together(false));
    }
}
