//! Connections: how many, for how long, TLS, and an orderly end.
//!
//! ```text
//! listener -> a free place -> TLS -> HTTP/1.1 or HTTP/2 -> router
//! ```

mod activity;
mod connection;
mod files;
mod io;
mod tls;

use std::io as std_io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::rustls;
use tracing::{debug, info, warn};

pub use self::tls::{TlsError, tls};

/// Files that are not connections: models, logs, the runtime's own.
const OTHER_FILES: usize = 128;
/// How long accepting rests when the system has nothing left for a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// How connections are treated.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ListenOptions {
    /// The most connections at once. When they are all taken, those that have waited longer than a
    /// second for a request make room. 4096 by default.
    pub max_connections: usize,
    /// The time for the head of a request, and for the handshake of TLS. 10 s by default.
    pub header_timeout: Duration,
    /// The time in which 16 KiB of an answer, or all of it, must be taken. 10 s by default.
    pub body_timeout: Duration,
    /// The time that a connection may stay open without a request. 75 s by default.
    pub idle_timeout: Duration,
    /// The time for answers that are under way at the end. 30 s by default.
    pub grace: Duration,
    /// With it, all connections speak TLS; [`tls`] makes it.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            grace: Duration::from_secs(30),
            tls: None,
        }
    }
}

/// What connections are told; each state is further along than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Open,
    /// All places are taken.
    Crowded,
    /// No more requests.
    Closing,
    /// The time for answers is over.
    Cut,
}

/// What the connections of all listeners share.
#[derive(Debug)]
struct Shared {
    options: ListenOptions,
    places: Arc<Semaphore>,
    phase: watch::Sender<Phase>,
    /// Requests that are not answered yet.
    requests: AtomicUsize,
}

/// Serves each router at its listener until `shutdown` ends, and answers what it has taken by then.
///
/// HTTP/1.1 and HTTP/2 are told apart by what clients send, or by ALPN. It returns the number of
/// requests that it had to leave without an answer after [`ListenOptions::grace`].
pub async fn serve(
    sides: Vec<(TcpListener, Router)>,
    options: ListenOptions,
    shutdown: impl Future<Output = ()>,
) -> usize {
    let most = files::connections(options.max_connections, OTHER_FILES);
    if most < options.max_connections {
        warn!(
            max_connections = most,
            "the limit of open files allows fewer connections than asked for: raise it (ulimit -n)"
        );
    }
    info!(max_connections = most, "taking connections");
    let shared = Arc::new(Shared {
        places: Arc::new(Semaphore::new(most)),
        phase: watch::Sender::new(Phase::Open),
        requests: AtomicUsize::new(0),
        options: ListenOptions { max_connections: most, ..options },
    });
    // Every task holds a sender; when all are gone, `recv` ends.
    let (alive, mut ended) = mpsc::channel::<()>(1);
    for (listener, router) in sides {
        let side = Side { shared: Arc::clone(&shared), router, alive: alive.clone() };
        tokio::spawn(side.accept(listener));
    }
    drop(alive);
    shutdown.await;
    shared.phase.send_replace(Phase::Closing);
    if timeout(shared.options.grace, ended.recv()).await.is_ok() {
        return 0;
    }
    let cut = shared.requests.load(Ordering::Relaxed);
    shared.phase.send_replace(Phase::Cut);
    ended.recv().await;
    cut
}

/// A listener's side of the server.
struct Side {
    shared: Arc<Shared>,
    router: Router,
    alive: mpsc::Sender<()>,
}

impl Side {
    async fn accept(self, listener: TcpListener) {
        let mut phase = self.shared.phase.subscribe();
        loop {
            let accepted = tokio::select! {
                biased;
                () = closing(&mut phase) => break,
                accepted = self.next(&listener) => accepted,
            };
            match accepted {
                Ok((stream, place)) => self.begin(stream, place),
                // The client was gone before it was accepted.
                Err(error) if is_of_the_client(&error) => debug!(%error, "no connection"),
                Err(error) => {
                    warn!(%error, "cannot accept connections; trying again");
                    sleep(PAUSE).await;
                }
            }
        }
        // What the system has accepted by now may carry requests. The runtime may not know it yet.
        let Ok(listener) = listener.into_std() else { return };
        while let Ok(place) = Arc::clone(&self.shared.places).try_acquire_owned() {
            let Ok((stream, _)) = listener.accept() else { return };
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            if let Ok(stream) = stream {
                self.begin(stream, place);
            }
        }
    }

    /// A connection, once there is a place for it.
    async fn next(
        &self,
        listener: &TcpListener,
    ) -> std_io::Result<(TcpStream, OwnedSemaphorePermit)> {
        let place = self.shared.place().await;
        let (stream, _) = listener.accept().await?;
        Ok((stream, place))
    }

    fn begin(&self, stream: TcpStream, place: OwnedSemaphorePermit) {
        let (shared, router) = (Arc::clone(&self.shared), self.router.clone());
        let alive = self.alive.clone();
        tokio::spawn(async move {
            let mut phase = shared.phase.subscribe();
            tokio::select! {
                () = connection::run(stream, router, &shared) => {}
                _ = phase.wait_for(|phase| *phase == Phase::Cut) => {}
            }
            drop((place, alive));
        });
    }
}

impl Shared {
    /// Waits for a place, and has idle connections make room if there is none.
    async fn place(&self) -> OwnedSemaphorePermit {
        loop {
            if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                let roomy = self.places.available_permits() >= self.options.max_connections / 8;
                if roomy && *self.phase.borrow() == Phase::Crowded {
                    self.move_to(Phase::Crowded, Phase::Open);
                }
                return place;
            }
            if self.move_to(Phase::Open, Phase::Crowded) {
                info!(
                    max_connections = self.options.max_connections,
                    "all connections are taken: idle ones make room"
                );
            }
            match Arc::clone(&self.places).acquire_owned().await {
                Ok(place) => return place,
                // The semaphore is never closed.
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    fn move_to(&self, from: Phase, to: Phase) -> bool {
        self.phase.send_if_modified(|phase| {
            let moves = *phase == from;
            if moves {
                *phase = to;
            }
            moves
        })
    }
}

async fn closing(phase: &mut watch::Receiver<Phase>) {
    // The sender lives as long as the listeners.
    let _ = phase.wait_for(|phase| *phase >= Phase::Closing).await;
}

fn is_of_the_client(error: &std_io::Error) -> bool {
    use std_io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests;
