//! Which format a file of weights is, by its first bytes.

use super::entry::Header;
use super::zip::{self, Archive};
use super::{WeightsError, hdf5, header, keras, pickle};

/// The tensors of a file, and a note on what was done to get at them.
pub(super) fn parse(file: &str, bytes: &[u8]) -> Result<(Header, Option<String>), WeightsError> {
    let name = || file.to_owned();
    let torch = |source| WeightsError::Torch { file: name(), source };
    let keras = |source| WeightsError::Keras { file: name(), source };
    if bytes.starts_with(zip::MAGIC) {
        let archive =
            Archive::parse(bytes).map_err(|source| WeightsError::Zip { file: name(), source })?;
        return match keras::is_keras(&archive) {
            true => keras::parse_zip(bytes, &archive).map_err(keras),
            false => pickle::parse_zip(bytes, &archive).map_err(torch),
        };
    }
    if pickle::is_legacy(bytes) {
        return pickle::parse_legacy(bytes).map_err(torch);
    }
    if bytes.starts_with(hdf5::MAGIC) {
        return keras::parse(bytes).map_err(keras);
    }
    if let Some((format, remedy)) = other(bytes) {
        return Err(WeightsError::OtherFormat { file: name(), format, remedy });
    }
    header::parse(bytes)
        .map(|header| (header, None))
        .map_err(|source| WeightsError::Header { file: name(), source })
}

/// Recognises what people most often give in place of a file of weights: format and remedy.
fn other(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    const FORMATS: [(&[u8], &str, &str); 5] = [
        (b"\x80", "a Python pickle", "save the weights with torch.save or safetensors"),
        (b"GGUF", "a GGUF file", "take the repository's model.safetensors"),
        (
            b"version https://git-lfs",
            "a git-lfs pointer",
            "fetch the file itself with `git lfs pull`",
        ),
        (b"<", "a web page", "fetch the file itself again"),
        (b"{", "JSON", "name model.safetensors, or an index called *.index.json"),
    ];
    if bytes.is_empty() {
        return Some(("an empty file", "fetch it again"));
    }
    // A header of 60 or 123 bytes starts with `<` or `{` too; its length goes on with zeros.
    if bytes.get(4..8) == Some(&[0; 4]) {
        return None;
    }
    FORMATS
        .iter()
        .find(|(magic, ..)| bytes.starts_with(magic))
        .map(|&(_, format, remedy)| (format, remedy))
}
