//! What the server tells about itself: a log, ids of requests, traces.

mod log;
#[cfg(feature = "otlp")]
mod otlp;
mod requests;
mod trace;

pub use self::log::{Log, LogError, LogFormat, LogOptions};
pub use self::requests::traced;
pub(crate) use self::requests::{note_key, note_model};

#[cfg(test)]
mod tests;
