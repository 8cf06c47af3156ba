use std::time::Duration;

use crate::{Error, ErrorKind};

/// Why a [`Batcher`](super::Batcher) has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The image or the model.
    #[error(transparent)]
    Model(#[from] Error),
    /// Too many images wait, or so many that this one's deadline would pass first.
    #[error("{waiting} images are waiting; try again in {:.1} s", retry_after.as_secs_f64())]
    Overloaded {
        /// Images that wait.
        waiting: usize,
        /// When those that wait will be done, as far as is known.
        retry_after: Duration,
    },
    /// The answer was not ready by the request's deadline.
    #[error("the answer was not ready by the request's deadline")]
    Deadline,
    /// The batcher takes no more requests.
    #[error("the model is shutting down and takes no more requests")]
    Closed,
    /// The work on this request panicked; other requests go on.
    #[error("a fault stopped the work on this request: {0}")]
    Panicked(String),
    /// The batcher's own thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

impl BatchError {
    /// What it is about, for a program that answers with a status.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Model(error) => error.kind(),
            Self::Overloaded { .. } | Self::Closed | Self::Thread(_) => ErrorKind::Overloaded,
            Self::Deadline => ErrorKind::Deadline,
            Self::Panicked(_) => ErrorKind::Internal,
        }
    }

    /// When the caller may try again, if waiting helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded { retry_after, .. } => Some(*retry_after),
            Self::Closed | Self::Thread(_) => Some(Duration::from_secs(1)),
            Self::Model(error) if error.kind() == ErrorKind::Overloaded => {
                Some(Duration::from_secs(1))
            }
            _ => None,
        }
    }
}
