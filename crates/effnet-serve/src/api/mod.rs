//! effnet's own API.

use axum::Router;

use crate::Server;

pub(crate) fn routes() -> Router<Server> {
    Router::new()
}
