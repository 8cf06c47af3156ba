//! The smallest server: HTTP and gRPC on two addresses.
//!
//! ```text
//! cargo run --release -p effnet-cli -p effnet-serve --example serve -- 127.0.0.1:8000 127.0.0.1:8001 [MODEL]...
//! ```
//!
//! It says on standard output where it listens: a port of 0 takes a free one.

#![allow(clippy::print_stdout)]

use std::error::Error;

use effnet_serve::{Limits, ModelSpec, Models, Server, grpc, router};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let addresses = [arguments.next(), arguments.next()];
    let [Some(http), Some(rpc)] = addresses.map(|address| address?.into_string().ok()) else {
        return Err("usage: serve HTTP-ADDRESS GRPC-ADDRESS [MODEL]...".into());
    };

    let models = Models::default();
    let mut names: Vec<_> = arguments.map(Some).collect();
    if names.is_empty() {
        // The model inside the program.
        names.push(None);
    }
    for name in names {
        let mut spec = ModelSpec::default();
        spec.model = name.map(Into::into);
        models.add(spec)?;
    }
    models.load_all().await?;
    let server = Server::new(models, Limits::default());

    let (http, rpc) = (TcpListener::bind(http).await?, TcpListener::bind(rpc).await?);
    println!("HTTP on {}, gRPC on {}", http.local_addr()?, rpc.local_addr()?);
    tokio::try_join!(axum::serve(http, router(&server)), axum::serve(rpc, grpc(&server)))?;
    Ok(())
}
