//! An HTTP and gRPC server for EfficientNet-family models.
//!
//! [`router`] gives the HTTP side as an axum router, to be served alone or nested in another.

mod api;
#[cfg(feature = "command")]
pub mod command;
mod error;
mod guard;
mod kserve;
mod listen;
mod models;
mod page;
#[cfg(feature = "command")]
pub mod settings;
mod telemetry;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;

pub use error::ApiError;
pub use guard::{Guard, GuardOptions, Keys, KeysError, Rate};
pub use listen::{ListenOptions, TlsError, serve, tls};
pub use telemetry::{Log, LogError, LogFormat, LogOptions, traced};
pub use kserve::grpc;
pub use models::{Loaded, ModelSpec, Models};

/// What all requests share. It is cheap to clone.
#[derive(Debug, Clone)]
pub struct Server(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    models: Models,
    limits: Limits,
    started: Instant,
}

/// What a request may ask for.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Limits {
    /// The most bytes of a request's body. 32 MiB by default.
    pub max_body: usize,
    /// The most images of a request. 64 by default.
    pub max_images: usize,
    /// When an answer must be there. 30 s by default.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_body: 32 << 20, max_images: 64, timeout: Duration::from_secs(30) }
    }
}

impl Server {
    /// A server of these models.
    #[must_use]
    pub fn new(models: Models, limits: Limits) -> Self {
        Self(Arc::new(Inner { models, limits, started: Instant::now() }))
    }

    /// The models.
    #[must_use]
    pub fn models(&self) -> &Models {
        &self.0.models
    }

    /// What a request may ask for.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// When a request that arrives now must be answered.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.0.limits.timeout
    }

    /// How long the server has been up.
    pub(crate) fn uptime(&self) -> Duration {
        self.0.started.elapsed()
    }
}

/// The HTTP side: effnet's own API, the Open Inference Protocol, and the page at `/`.
pub fn router(server: &Server) -> Router {
    Router::new()
        .merge(api::routes())
        .merge(kserve::routes())
        .merge(page::routes())
        .with_state(server.clone())
}
