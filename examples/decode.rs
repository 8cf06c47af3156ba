//! Shows what images decode to: for each path on standard input, a line with the size and the hash
//! of the RGB pixels, or the error. `tests/parity/images/sweep.py` compares them with Pillow's.
//!
//!     ls *.jpg | cargo run --release --example decode [lenient]

use std::io::{BufRead, Write};

use effnet::preprocess::{ColorMode, DecodeOptions, decode};
use sha2::{Digest, Sha256};

fn main() -> std::io::Result<()> {
    let lenient = std::env::args().any(|argument| argument == "lenient");
    let options = DecodeOptions { lenient, ..DecodeOptions::default() };
    let mut output = std::io::stdout().lock();
    for path in std::io::stdin().lock().lines() {
        let path = path?;
        match decode(&std::fs::read(&path)?, ColorMode::Rgb, &options) {
            Ok(image) => {
                let hash = Sha256::digest(image.data());
                write!(output, "{path}\t{}x{} ", image.width(), image.height())?;
                hash.iter().try_for_each(|byte| write!(output, "{byte:02x}"))?;
                writeln!(output)?;
            }
            Err(error) => writeln!(output, "{path}\t{error}")?,
        }
    }
    Ok(())
}
