//! An HTTP and gRPC server for EfficientNet-family models.
//!
//! [`router`] gives the HTTP side as an axum router, to be served alone or nested in another.

mod api;
#[cfg(feature = "command")]
pub mod command;
mod error;
mod guard;
mod in_order;
mod kserve;
mod listen;
mod meters;
mod models;
mod openapi;
mod page;
#[cfg(feature = "command")]
pub mod settings;
mod telemetry;

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;

pub use error::ApiError;
pub use guard::{Guard, GuardOptions, Keys, KeysError, Rate};
pub use kserve::grpc;
pub use listen::{ListenOptions, TlsError, serve, tls};
pub use models::{
    LoadError, Loaded, ModelSpec, ModelState, ModelStatus, Models, ModelsOptions, NameError,
};
pub use telemetry::{Log, LogError, LogFormat, LogOptions, traced};

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
///
/// It can be served alone, or nested in another router:
///
/// ```
/// use axum::Router;
/// use axum::body::Body;
/// use axum::http::{Request, StatusCode};
/// use effnet::batcher::BatcherOptions;
/// use effnet_serve::{Limits, ModelSpec, Models, Server, router};
/// use tower::ServiceExt;
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let models = Models::new(BatcherOptions::default());
/// let mut spec: ModelSpec = "tiny=test_efficientnet".parse()?;
/// spec.weights = Some("seeded:0".into());
/// models.add(spec)?;
/// models.load_all().await?;
/// let app = Router::new().nest("/vision", router(&Server::new(models, Limits::default())));
///
/// let coffee = std::fs::read("../../examples/images/coffee.png")?;
/// let request = Request::post("/vision/classify?k=3").body(Body::from(coffee))?;
/// assert_eq!(app.oneshot(request).await?.status(), StatusCode::OK);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn router(server: &Server) -> Router {
    let routes =
        Router::new().merge(api::routes(server)).merge(kserve::routes()).merge(page::routes());
    guarded(routes).with_state(server.clone())
}

/// Routes whose panics are answers, whose requests are counted, and whose errors are JSON.
fn guarded<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    routes
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(meters::count))
}

async fn no_route(uri: Uri) -> ApiError {
    ApiError::not_found(format!("nothing is at {}: GET /openapi.json says what is", uri.path()))
}

async fn no_method(method: Method, uri: Uri) -> ApiError {
    let says = format!("{} takes no {method}: GET /openapi.json says what it takes", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, says)
}

/// The answer to a request whose handler panicked. The panic's hook has logged what it says.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    ApiError::fault().into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_in_one_request_is_its_answer() {
        let routes = Router::new()
            .route("/panics", get(async || -> &'static str { panic!("planted") }))
            .route("/works", get(async || "works"));
        let routes = guarded(routes).with_state(());
        for (path, status, body) in [
            ("/panics", 500, format!(r#"{{"error":"{}"}}"#, error::FAULT)),
            ("/works", 200, "works".to_owned()),
        ] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = routes.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), status);
            assert_eq!(to_bytes(response.into_body(), 1000).await.unwrap(), body);
        }
    }
}
