//! Names what images show.
//!
//!     cargo run --release --example classify -- examples/images/coffee.png

#![allow(clippy::print_stdout, reason = "an example speaks to its reader")]

use effnet::Model;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let classifier = Model::builder().build_classifier()?;
    for path in std::env::args().skip(1) {
        println!("{path}");
        for p in classifier.classify(&path, 3)? {
            println!(
                "  {:5.1}%  {}",
                p.probability.unwrap_or_default() * 100.0,
                p.label.unwrap_or_default()
            );
        }
    }
    Ok(())
}
