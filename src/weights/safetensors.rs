//! The header of a safetensors file: eight bytes of length, then JSON.
//!
//! Parsed here and not by the `safetensors` crate because its errors do not name the tensor, it
//! lets the last of two equal names win, and it takes headers of 100 MB; its types are used.
//! Format: <https://huggingface.co/docs/safetensors>.

use std::collections::BTreeMap;
use std::fmt;

use safetensors::tensor::TensorInfo;
use serde::de::{Deserializer as _, Error as _, MapAccess, Visitor};

use super::declared::{Declared, is_container, is_field};
use super::tensor_table::{Body, Entry, MAX_NAME, TensorTable, excerpt};

/// Bytes of the length that precedes the header.
const LENGTH_BYTES: usize = 8;

/// The key of the header's free text, which no tensor can have as a name.
pub(super) const METADATA: &str = "__metadata__";

/// The longest header that is read. Files of this family have 20 to 150 KB; the bound keeps what a
/// hostile file can make the parser allocate below a few hundred megabytes.
const MAX_HEADER: usize = 16 << 20;

/// The longest metadata text that is read as JSON.
const MAX_FACT: usize = 4 << 20;

/// What is wrong with the header of a safetensors file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SafetensorsError {
    /// Fewer than eight bytes.
    #[error("it has only {size} bytes")]
    TooShort {
        /// Bytes of the file.
        size: usize,
    },
    /// The header ends beyond the file.
    #[error(
        "its header claims {length} bytes, the file has {size}: it was cut off, or is another format"
    )]
    BeyondFile {
        /// Length that the first eight bytes state.
        length: u64,
        /// Bytes of the file.
        size: usize,
    },
    /// The header is longer than any real one.
    #[error("its header claims {length} bytes; more than {} are refused", MAX_HEADER)]
    TooLong {
        /// Length that the first eight bytes state.
        length: u64,
    },
    /// The header is not the JSON that safetensors prescribes.
    #[error("its header is not as it should be: {reason}")]
    Json {
        /// What the parser said.
        reason: String,
    },
    /// The bytes of a tensor start inside another one's, or after a gap.
    #[error(
        "tensor `{tensor}` starts at byte {start}, where the one before it ends at {end}: the offsets overlap or leave a hole"
    )]
    Offsets {
        /// The tensor.
        tensor: String,
        /// Where it starts, counted from the end of the header.
        start: usize,
        /// Where the tensor before it ends.
        end: usize,
    },
    /// The shape has more elements than can be counted.
    #[error("tensor `{tensor}` has the impossible shape {shape:?}")]
    Shape {
        /// The tensor.
        tensor: String,
        /// Its shape, at most the first eight sizes.
        shape: Vec<usize>,
    },
    /// Shape and bytes do not fit together.
    #[error("tensor `{tensor}` has {bytes} bytes, but its shape and type need {needed}")]
    Size {
        /// The tensor.
        tensor: String,
        /// Bytes between its offsets.
        bytes: usize,
        /// Bytes that shape and type need.
        needed: usize,
    },
    /// The file ends before the last tensor.
    #[error(
        "its tensors need {needed} bytes, only {found} are there: the file was cut off, fetch it again"
    )]
    Truncated {
        /// Bytes that the header claims.
        needed: usize,
        /// Bytes after the header.
        found: usize,
    },
    /// The file continues after the last tensor.
    #[error("{extra} bytes follow the last tensor")]
    Trailing {
        /// Bytes too many.
        extra: usize,
    },
}

/// Parses and checks the header of `file`, the bytes of a whole safetensors file.
pub(super) fn parse(file: &[u8]) -> Result<TensorTable, SafetensorsError> {
    let Some((length, rest)) = file.split_first_chunk::<LENGTH_BYTES>() else {
        return Err(SafetensorsError::TooShort { size: file.len() });
    };
    let length = u64::from_le_bytes(*length);
    let text = usize::try_from(length)
        .ok()
        .and_then(|n| rest.get(..n))
        .ok_or(SafetensorsError::BeyondFile { length, size: file.len() })?;
    if text.len() > MAX_HEADER {
        return Err(SafetensorsError::TooLong { length });
    }
    let mut json = serde_json::Deserializer::from_slice(text);
    let (metadata, mut tensors) = json
        .deserialize_map(HeaderVisitor)
        .and_then(|header| json.end().map(|()| header))
        .map_err(|e| SafetensorsError::Json { reason: excerpt(&e.to_string(), MAX_NAME) })?;
    tensors.sort_by(|(a, x), (b, y)| x.data_offsets.cmp(&y.data_offsets).then(a.cmp(b)));

    let start = LENGTH_BYTES + text.len();
    let data = file.len() - start;
    let mut end = 0;
    let declared = declared(&metadata);
    let mut header = TensorTable { metadata, declared, ..TensorTable::default() };
    for (name, info) in tensors {
        check(&name, &info, end, data)?;
        end = info.data_offsets.1;
        let body = Body::Plain(start + info.data_offsets.0..start + end);
        let entry = Entry { name, dtype: info.dtype, shape: info.shape, body, shard: 0 };
        header.add(entry).map_err(|name| SafetensorsError::Json {
            reason: format!("the name `{name}` occurs twice"),
        })?;
    }
    if end < data {
        return Err(SafetensorsError::Trailing { extra: data - end });
    }
    Ok(header)
}

/// What the header's free text says about the model: its values are texts, some of them JSON.
fn declared(metadata: &BTreeMap<String, String>) -> Declared {
    let known = metadata.iter().filter(|(key, _)| is_field(key) || is_container(key));
    let facts = known.map(|(key, text)| {
        let is_json = text.starts_with(['[', '{']) && text.len() <= MAX_FACT;
        let json = is_json.then(|| serde_json::from_str(text).ok()).flatten();
        (key.clone(), json.unwrap_or_else(|| text.as_str().into()))
    });
    Declared::read(&facts.collect(), &format!("{METADATA}."))
}

/// Checks one tensor whose predecessor ends at `end`, in a file with `data` bytes of tensors.
fn check(name: &str, info: &TensorInfo, end: usize, data: usize) -> Result<(), SafetensorsError> {
    let tensor = || name.to_owned();
    let (start, stop) = info.data_offsets;
    if start != end || stop < start {
        return Err(SafetensorsError::Offsets { tensor: tensor(), start, end });
    }
    let needed = info
        .shape
        .iter()
        .try_fold(info.dtype.bitsize(), |bits, &n| bits.checked_mul(n))
        .filter(|bits| bits % 8 == 0)
        .map(|bits| bits / 8)
        .ok_or_else(|| SafetensorsError::Shape {
            tensor: tensor(),
            shape: info.shape.iter().take(8).copied().collect(),
        })?;
    if needed != stop - start {
        return Err(SafetensorsError::Size { tensor: tensor(), bytes: stop - start, needed });
    }
    if stop > data {
        return Err(SafetensorsError::Truncated { needed: stop, found: data });
    }
    Ok(())
}

/// Reads the header's object entry by entry, so that an error can name the tensor.
struct HeaderVisitor;

type RawHeader = (BTreeMap<String, String>, Vec<(String, TensorInfo)>);

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = RawHeader;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawHeader, A::Error> {
        let mut metadata = BTreeMap::new();
        let mut tensors = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name.len() > MAX_NAME || name.contains(char::is_control) {
                let name = excerpt(&name, 40);
                return Err(A::Error::custom(format!("`{name}` is not a name for a tensor")));
            }
            let named = |e: A::Error| A::Error::custom(format!("`{name}`: {e}"));
            if name == METADATA {
                metadata = map.next_value().map_err(named)?;
            } else {
                let info = map.next_value().map_err(named)?;
                tensors.push((name, info));
            }
        }
        Ok((metadata, tensors))
    }
}
