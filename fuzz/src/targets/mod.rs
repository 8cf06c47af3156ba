//! What each fuzz target does with its bytes. `tests/fuzz_corpus.rs` does the same with the corpus.

mod checkpoints;
mod hub;
mod images;
mod memory;
mod texts;

pub use checkpoints::{hdf5, keras, legacy_pickle, pth, safetensors, shards};
pub use hub::hub;
pub use images::{bmp, gif, ico, jpeg, jpeg2000, png, pnm, qoi, tga, tiff, webp};
pub use texts::{
    blocks, calibration, config, conventions, labels, preprocessor_config, recognition,
};

/// Asserts that an error is one line and not empty.
fn one_line(error: &dyn std::error::Error) {
    let text = error.to_string();
    assert!(!text.is_empty() && !text.contains('\n'), "not one line: {text:?}");
}
