//! What the system tells the server to do.

use std::io;

use tracing::error;

use crate::guard::Keys;
use crate::telemetry::Log;

/// Listens for signals: SIGTERM and SIGINT end the server, SIGHUP has it read files again.
#[cfg(unix)]
pub(super) struct Signals {
    term: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal that ends the server, and obeys the others.
    pub(super) async fn end(&mut self, keys: Option<&Keys>, log: &Log) -> &'static str {
        loop {
            tokio::select! {
                _ = self.term.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hangup.recv() => reload(keys, log),
            }
        }
    }
}

/// Listens for Ctrl-C.
#[cfg(not(unix))]
pub(super) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    /// Waits for Ctrl-C.
    pub(super) async fn end(&mut self, _: Option<&Keys>, _: &Log) -> &'static str {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "Ctrl-C",
            Err(error) => {
                error!(%error, "cannot wait for Ctrl-C");
                std::future::pending().await
            }
        }
    }
}

#[cfg(unix)]
fn reload(keys: Option<&Keys>, log: &Log) {
    use tracing::info;

    log.reopen();
    match keys.map(Keys::reload) {
        Some(Ok(keys)) => info!(keys, "SIGHUP: the keys are read again"),
        Some(Err(error)) => error!(%error, "SIGHUP: the old keys stay"),
        None => info!("SIGHUP: the log is opened again"),
    }
}
