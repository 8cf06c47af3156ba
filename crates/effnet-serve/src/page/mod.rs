//! The page at `/`, from files inside the program.

use axum::Router;

use crate::Server;

pub(crate) fn routes() -> Router<Server> {
    Router::new()
}
