//! Checkpoints in several safetensors files, with an index that says which tensor is in which file.
//!
//! The index, `model.safetensors.index.json`, is Hugging Face's:
//! <https://huggingface.co/docs/transformers/main/en/big_models>.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::declared::Declared;
use super::tensor_table::{MAX_NAME, TensorTable, excerpt};
use super::{SafetensorsError, WeightsError, safetensors};

/// The longest index, in bytes; it has about 100 bytes per tensor.
const MAX_INDEX: u64 = 16 << 20;
/// The most files, each of which is mapped.
const MAX_SHARDS: usize = 1024;

/// What is wrong with a sharded checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShardsError {
    /// The index is not JSON as it should be.
    #[error("{reason}")]
    Json {
        /// What the parser said.
        reason: String,
    },
    /// The index is longer, or names more files, than any real one.
    #[error("it has too many {what}: more than {limit} are refused")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The most that is accepted.
        limit: u64,
    },
    /// A file of the index is not in its folder.
    #[error("its file `{shard}` is not the name of a file next to it")]
    Elsewhere {
        /// The name.
        shard: String,
    },
    /// A tensor is not in the file that the index names.
    #[error("its tensor `{tensor}` is not in `{shard}`")]
    Missing {
        /// The tensor.
        tensor: String,
        /// The file that should hold it.
        shard: String,
    },
    /// A file has a tensor that the index does not list there.
    #[error("`{shard}` holds the tensor `{tensor}`, which the index does not place there")]
    Unlisted {
        /// The tensor.
        tensor: String,
        /// The file that holds it.
        shard: String,
    },
    /// A file is not a sound safetensors file.
    #[error("its file `{shard}` is not a sound safetensors file: {source}")]
    Header {
        /// The file.
        shard: String,
        /// What is wrong with it.
        source: SafetensorsError,
    },
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Whether a path is an index's.
pub(super) fn is_index(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.ends_with(".index.json"))
}

/// The tensors of the files that the index at `path` names, and the files, each opened by `open`.
pub(super) fn open<B: AsRef<[u8]>>(
    path: &Path,
    open: impl Fn(&Path) -> Result<B, WeightsError>,
) -> Result<(TensorTable, Vec<B>), WeightsError> {
    let refuse = |source| WeightsError::Shards { file: path.to_owned(), source };
    let size = path.metadata().map_or(0, |metadata| metadata.len());
    if size > MAX_INDEX {
        return Err(refuse(ShardsError::Limit { what: "bytes", limit: MAX_INDEX }));
    }
    let text = std::fs::read(path)
        .map_err(|source| WeightsError::Read { file: path.to_owned(), source })?;
    let index: Index = serde_json::from_slice(&text)
        .map_err(|e| refuse(ShardsError::Json { reason: excerpt(&e.to_string(), MAX_NAME) }))?;

    let shards: BTreeSet<&str> = index.weight_map.values().map(String::as_str).collect();
    if shards.len() > MAX_SHARDS {
        return Err(refuse(ShardsError::Limit { what: "files", limit: MAX_SHARDS as u64 }));
    }
    let mut whole = TensorTable::default();
    let mut files = Vec::with_capacity(shards.len());
    for (number, &shard) in shards.iter().enumerate() {
        // Only a plain name: an index must not lead out of its folder.
        if Path::new(shard).file_name() != Some(shard.as_ref()) || shard.contains('\\') {
            let shard = excerpt(shard, MAX_NAME);
            return Err(refuse(ShardsError::Elsewhere { shard }));
        }
        let file = open(&path.with_file_name(shard))?;
        let header = safetensors::parse(file.as_ref())
            .map_err(|source| refuse(ShardsError::Header { shard: shard.to_owned(), source }))?;
        whole.metadata.extend(header.metadata);
        if whole.declared == Declared::default() {
            whole.declared = header.declared;
        }
        for mut entry in header.entries {
            if index.weight_map.get(&entry.name).map(String::as_str) != Some(shard) {
                let (tensor, shard) = (entry.name, shard.to_owned());
                return Err(refuse(ShardsError::Unlisted { tensor, shard }));
            }
            entry.shard = number;
            // The name is in this file only, as the index ensures, and only once, as the file's
            // parser ensures.
            let _ = whole.add(entry);
        }
        files.push(file);
    }
    let missing = index.weight_map.iter().find(|(tensor, _)| !whole.index.contains_key(*tensor));
    if let Some((tensor, shard)) = missing {
        let (tensor, shard) = (excerpt(tensor, MAX_NAME), excerpt(shard, MAX_NAME));
        return Err(refuse(ShardsError::Missing { tensor, shard }));
    }
    Ok((whole, files))
}
