//! What `build.rs` makes of the files in `proto`.

/// Of `open_inference.proto`.
#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::restriction)]
pub(crate) mod inference {
    tonic::include_proto!("inference");
}

/// Of `health.proto`.
#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::restriction)]
pub(crate) mod health {
    tonic::include_proto!("grpc.health.v1");
}
