//! A form, part by part. What finds the parts keeps a head until it ends, and looks for its end again
//! with every piece that comes; so heads have a limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::BoxError;
use axum::body::Body;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::StatusCode;
use futures_util::{StreamExt, stream};

use super::upload::too_large;
use crate::{ApiError, Limits};

/// The most bytes of a part's head, and of what is before the first part.
const HEAD: usize = 16 << 10;

/// The parts of a form.
pub(super) struct Parts<'a> {
    form: Multipart,
    /// Bytes that may still come before the next part's head ends.
    left: Arc<AtomicUsize>,
    limits: &'a Limits,
}

impl<'a> Parts<'a> {
    pub(super) async fn of(limits: &'a Limits, request: Request) -> Result<Self, ApiError> {
        let left = Arc::new(AtomicUsize::new(HEAD));
        let request = request.map(|body| in_pieces(body, Arc::clone(&left)));
        let form = Multipart::from_request(request, &()).await;
        let form = form.map_err(|error| ApiError::bad_request(error.body_text()))?;
        Ok(Self { form, left, limits })
    }

    /// The next part. Its content has no limit but the body's.
    pub(super) async fn next(&mut self) -> Result<Option<Part<'_>>, ApiError> {
        self.left.store(HEAD, Ordering::Relaxed);
        let field = self.form.next_field().await;
        let left = self.left.swap(usize::MAX, Ordering::Relaxed);
        let limits = self.limits;
        match field {
            Ok(field) => Ok(field.map(|field| Part { field, limits })),
            Err(error) if left == 0 && error.status() != StatusCode::PAYLOAD_TOO_LARGE => {
                let says = format!("the form is broken: a part's head has more than {HEAD} bytes");
                Err(ApiError::bad_request(says))
            }
            Err(error) => Err(failed(limits, &error)),
        }
    }
}

/// A part of a form.
pub(super) struct Part<'a> {
    pub(super) field: Field<'a>,
    limits: &'a Limits,
}

impl Part<'_> {
    pub(super) async fn bytes(self) -> Result<axum::body::Bytes, ApiError> {
        self.field.bytes().await.map_err(|error| failed(self.limits, &error))
    }

    pub(super) async fn text(self) -> Result<String, ApiError> {
        self.field.text().await.map_err(|error| failed(self.limits, &error))
    }
}

fn failed(limits: &Limits, error: &MultipartError) -> ApiError {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(limits),
        _ => ApiError::bad_request(format!("the form is broken: {}", error.body_text())),
    }
}

/// The same body with a pause before each piece, so that what has come is looked at before more is
/// taken; an error in place of a piece for which nothing is left.
fn in_pieces(body: Body, left: Arc<AtomicUsize>) -> Body {
    Body::from_stream(stream::unfold(body.into_data_stream(), move |mut body| {
        let left = Arc::clone(&left);
        async move {
            // It may ask twice before it looks.
            for _ in 0..2 {
                tokio::task::yield_now().await;
            }
            if left.load(Ordering::Relaxed) == 0 {
                return Some((Err(BoxError::from("no room for more of the head")), body));
            }
            let piece = body.next().await?;
            let bytes = piece.as_ref().map_or(0, |piece| piece.len());
            let less = left.load(Ordering::Relaxed).saturating_sub(bytes);
            left.store(less, Ordering::Relaxed);
            Some((piece.map_err(BoxError::from), body))
        }
    }))
}
