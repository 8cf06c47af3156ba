//! effnet's server in a program of your own: its router can be nested in another.
//!
//!     cargo run --release --example service -- 127.0.0.1:8080
//!     curl --data-binary @examples/images/coffee.png http://127.0.0.1:8080/classify

#![allow(clippy::print_stdout, reason = "an example speaks to its reader")]

use effnet_serve::{Limits, ModelSpec, Models, Server, router};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let models = Models::default();
    models.add(ModelSpec::default())?;
    models.load_all().await?;
    let app = router(&Server::new(models, Limits::default()));
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
