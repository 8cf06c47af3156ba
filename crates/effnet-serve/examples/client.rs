//! Asks a server on this machine for the classes of an image.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example speaks to its reader")]

use effnet::{Outcome, Record};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let coffee = std::fs::read("examples/images/coffee.png")?;
    let request = reqwest::Client::new().post("http://127.0.0.1:8000/classify?k=3").body(coffee);
    let record: Record = request.send().await?.json().await?;
    match record.outcome {
        Outcome::Predictions(predictions) => println!("{predictions:#?}"),
        Outcome::Error(error) => eprintln!("{error}"),
    }
    Ok(())
}
