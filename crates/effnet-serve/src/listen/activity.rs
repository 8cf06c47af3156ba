//! What a connection waits for, and how long it may.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{ListenOptions, Phase};

/// How long a connection without a request stays when others wait for its place.
const CROWDED: Duration = Duration::from_secs(1);
/// The bytes of answers that must be taken in the time for them.
const PIECE: usize = 16 << 10;
/// How long an HTTP/1 connection without a request stays at the end: a request may be on its way.
const LINGER: Duration = Duration::from_millis(500);

/// What happens on a connection.
#[derive(Debug)]
pub(super) struct Activity(Mutex<State>);

#[derive(Debug)]
struct State {
    http2: bool,
    /// Requests whose answers are not handed over yet.
    requests: usize,
    /// Answers of which the client has to take something before it gets more.
    owed: usize,
    /// Bytes that went out since the present wait for the client began.
    written: usize,
    /// Since when the system takes no more bytes.
    stuck: Option<Instant>,
    /// Whether something came that is not a request yet.
    begun: bool,
    /// When the present wait began.
    since: Instant,
}

/// What is to be done when the time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// End it when what is under way is over.
    Close,
    /// End it at once.
    Drop,
}

impl Activity {
    /// A connection from which a request is expected.
    pub(super) fn new() -> Self {
        let since = Instant::now();
        let state = State {
            http2: false,
            requests: 0,
            owed: 0,
            written: 0,
            stuck: None,
            begun: true,
            since,
        };
        Self(Mutex::new(state))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes came.
    pub(super) fn heard(&self) {
        let mut state = self.state();
        if state.requests == 0 && !state.begun && !state.http2 {
            state.begun = true;
            state.since = Instant::now();
        }
    }

    /// Bytes went out. Few of them say nothing: HTTP/2 answers pings too.
    pub(super) fn wrote(&self, bytes: usize) {
        let mut state = self.state();
        state.stuck = None;
        state.written += bytes;
        if state.owed > 0 && state.written >= PIECE {
            state.since = Instant::now();
            state.written = 0;
        }
    }

    /// The system takes no more bytes for now.
    pub(super) fn stuck(&self) {
        self.state().stuck.get_or_insert_with(Instant::now);
    }

    /// A request's head is there.
    pub(super) fn request(&self, http2: bool) {
        let mut state = self.state();
        state.http2 = http2;
        state.begun = false;
        state.requests += 1;
    }

    /// A request is answered, or nobody waits for its answer any more.
    pub(super) fn answered(&self) {
        let mut state = self.state();
        state.requests -= 1;
        state.since = Instant::now();
    }

    /// The head of an answer or a piece of it is handed over.
    pub(super) fn owes(&self) {
        let mut state = self.state();
        if state.owed == 0 {
            state.since = Instant::now();
            state.written = 0;
        }
        state.owed += 1;
    }

    /// It is taken: the next piece is asked for.
    pub(super) fn paid(&self) {
        self.state().owed -= 1;
    }

    pub(super) fn is_http2(&self) -> bool {
        self.state().http2
    }

    /// When the present wait is too long, and what is to be done then. `phase` has lasted from
    /// `entered` on.
    pub(super) fn due(
        &self,
        options: &ListenOptions,
        phase: Phase,
        entered: Instant,
    ) -> Option<(Instant, Due)> {
        let state = self.state();
        if let Some(stuck) = state.stuck {
            return Some((stuck + options.body_timeout, Due::Drop));
        }
        if state.owed > 0 {
            return Some((state.since + options.body_timeout, Due::Drop));
        }
        if state.requests > 0 {
            return None;
        }
        let (time, due) = match state.begun && !state.http2 {
            true => (options.header_timeout, Due::Drop),
            false => (options.idle_timeout, Due::Close),
        };
        let at = state.since + time;
        let sooner = |time| at.min(state.since.max(entered) + time);
        let at = match phase {
            Phase::Open => at,
            Phase::Crowded => sooner(CROWDED),
            Phase::Closing | Phase::Cut => sooner(LINGER),
        };
        Some((at, due))
    }
}
