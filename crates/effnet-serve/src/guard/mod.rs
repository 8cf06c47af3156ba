//! Who may ask, how often, and how much a request may send.

mod body;
mod keys;
mod openapi;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

pub(crate) use self::body::Account;
use self::body::{Bodies, Fault, Guarded};
pub use self::keys::{Keys, KeysError, Rate};
pub(crate) use self::openapi::describe;
use crate::telemetry::note_key;
use crate::{ApiError, page};

/// Answers that web pages of other origins may read beside the body.
const EXPOSED: [&str; 4] =
    ["inference-header-content-length", "retry-after", "server-timing", "x-request-id"];
/// Paths that need no key, besides the pages, which ask for it: what watches over the server has none.
const OPEN: [&str; 4] = ["/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"];

/// Bodies of the largest size that may be worked on at once.
const TOGETHER: usize = 16;

/// What a [`Guard`] demands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GuardOptions {
    /// Requests need one of these keys. None by default.
    pub keys: Option<Arc<Keys>>,
    /// Origins whose web pages may use the server; `*` for all. None by default.
    pub cors: Vec<HeaderValue>,
    /// The most bytes of a request's body. The bodies of all requests that are being worked on may
    /// have sixteen times as many together. 32 MiB by default.
    pub max_body: usize,
    /// The time for every 16 KiB of a request's body, and for all of it while the bodies of all
    /// requests have more than half of what they may have together. 10 s by default.
    pub body_timeout: Duration,
}

impl Default for GuardOptions {
    fn default() -> Self {
        Self {
            keys: None,
            cors: Vec::new(),
            max_body: 32 << 20,
            body_timeout: Duration::from_secs(10),
        }
    }
}

/// Stands before routers that share its limits. It is cheap to clone.
#[derive(Debug, Clone)]
pub struct Guard(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: GuardOptions,
    bodies: Arc<Bodies>,
}

impl Guard {
    /// A guard that obeys these options.
    #[must_use]
    pub fn new(options: GuardOptions) -> Self {
        let bodies = Arc::new(Bodies::new(options.max_body.saturating_mul(TOGETHER)));
        Self(Arc::new(Inner { options, bodies }))
    }

    /// Puts the guard before a router.
    pub fn protect(&self, router: Router) -> Router {
        let router = router.layer(from_fn_with_state(Arc::clone(&self.0), admit));
        match cors(&self.0.options.cors) {
            Some(cors) => router.layer(cors),
            None => router,
        }
    }
}

fn cors(origins: &[HeaderValue]) -> Option<CorsLayer> {
    let any = origins.iter().any(|origin| origin == "*");
    let allowed = match origins {
        [] => return None,
        _ if any => AllowOrigin::any(),
        origins => AllowOrigin::list(origins.iter().cloned()),
    };
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED.map(HeaderName::from_static))
        .max_age(Duration::from_secs(3600));
    Some(layer)
}

/// Whether this is a path that needs no key.
fn is_open(path: &str) -> bool {
    OPEN.contains(&path) || page::is_page(path)
}

async fn admit(State(guard): State<Arc<Inner>>, request: Request, next: Next) -> Response {
    let is_grpc = is_grpc(request.headers());
    match guard.answer(request, next).await {
        Ok(response) => response,
        Err(error) => refusal(error, is_grpc),
    }
}

impl Inner {
    async fn answer(&self, request: Request, next: Next) -> Result<Response, ApiError> {
        let GuardOptions { keys, max_body, body_timeout, .. } = &self.options;
        let (mut parts, body) = request.into_parts();
        // From here on, what a refused client still sends is read and dropped.
        let (body, fault) = Guarded::new(body, &parts, *max_body, *body_timeout, &self.bodies);
        if let Some(keys) = keys
            && !is_open(parts.uri.path())
        {
            let key = keys.find(&parts.headers)?;
            note_key(&key.name);
            key.take_turn()?;
            // What comes after need not know keys, and cannot tell them.
            parts.headers.remove(header::AUTHORIZATION);
            parts.headers.remove(keys::HEADER);
        }
        if body.announced() > *max_body as u64 {
            return Err(self.too_large());
        }
        parts.extensions.insert(Arc::clone(&fault));
        let response = next.run(Request::from_parts(parts, Body::new(body))).await;
        match fault.get() {
            None => Ok(response),
            Some(Fault::TooLarge) => Err(self.too_large()),
            Some(Fault::Slow) => {
                let seconds = body_timeout.as_secs_f64();
                let message = format!("less than 16 KiB of the body came in {seconds} s");
                Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, message))
            }
            Some(Fault::Late) => {
                let seconds = body_timeout.as_secs_f64();
                let message = format!(
                    "the body took longer than {seconds} s while other requests need the memory: \
                     try again"
                );
                Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, message))
            }
            Some(Fault::Crowded) => Err(crowded()),
        }
    }

    fn too_large(&self) -> ApiError {
        let most = self.options.max_body;
        let message =
            format!("the body is larger than {most} bytes: send less, or in more requests");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }
}

/// Why a body within its own limit is refused.
pub(crate) fn crowded() -> ApiError {
    let says = "the bodies of all requests together are too large now: try again";
    let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, says);
    ApiError { retry_after: Some(Duration::from_secs(1)), ..error }
}

/// Whether a request is one of gRPC, which has its own form of errors.
fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.starts_with(b"application/grpc"))
}

/// An error as the client's protocol has it.
fn refusal(error: ApiError, is_grpc: bool) -> Response {
    let status = error.status;
    if is_grpc {
        return tonic::Status::from(error).into_http();
    }
    let mut response = error.into_response();
    let headers = response.headers_mut();
    match status {
        StatusCode::UNAUTHORIZED => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // The rest of the body may still come, and must not be taken for a request.
        StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE => {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    response
}

#[cfg(test)]
mod tests;
