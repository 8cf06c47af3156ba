//! The Open Inference Protocol (KServe v2): REST and gRPC.

use axum::Router;

use crate::Server;

pub(crate) fn routes() -> Router<Server> {
    Router::new()
}
