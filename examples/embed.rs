//! Compares images by their embeddings: the pooled features that the classifier reads.
//!
//!     cargo run --release --example embed -- A.jpg B.jpg C.jpg
//!
//! Prints the cosine similarity of the first image to each of the others.

#![allow(clippy::print_stdout, reason = "an example speaks to its reader")]

use effnet::Model;

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = Model::builder().build()?;
    let mut paths = std::env::args().skip(1);
    let first = model.embed(&paths.next().ok_or("name at least two images")?)?;
    for path in paths {
        println!("{:.3}  {path}", cosine(&first, &model.embed(&path)?));
    }
    Ok(())
}
