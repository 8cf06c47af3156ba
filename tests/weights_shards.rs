//! Checkpoints in several files with an index.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;

use effnet::weights::{Checkpoint, NamedTensor, ShardsError, Values, WeightsError, serialize};
use sha2::{Digest, Sha256};

const INDEX: &str = "model.safetensors.index.json";
const A: &str = "model-00001-of-00002.safetensors";
const B: &str = "model-00002-of-00002.safetensors";

fn shard(tensors: &[(&str, &[f32])]) -> Vec<u8> {
    let shapes: Vec<[usize; 1]> = tensors.iter().map(|(_, values)| [values.len()]).collect();
    let named: Vec<_> = tensors
        .iter()
        .zip(&shapes)
        .map(|((name, values), shape)| NamedTensor { name, shape, values: Values::F32(values) })
        .collect();
    serialize(&named, &BTreeMap::new()).unwrap()
}

fn write_index(folder: &Path, map: &[(&str, &str)]) {
    let map: BTreeMap<_, _> = map.iter().copied().collect();
    let json = serde_json::json!({ "metadata": { "total_size": 20 }, "weight_map": map });
    std::fs::write(folder.join(INDEX), json.to_string()).unwrap();
}

/// A folder of two shards and their index.
fn sharded() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(A), shard(&[("a", &[1.0, 2.0]), ("b", &[3.0])])).unwrap();
    std::fs::write(folder.path().join(B), shard(&[("c", &[4.0, 5.0])])).unwrap();
    write_index(folder.path(), &[("a", A), ("b", A), ("c", B)]);
    folder
}

fn refusal(folder: &Path) -> ShardsError {
    match Checkpoint::open(folder) {
        Err(WeightsError::Shards { source, file }) => {
            assert!(file.ends_with(INDEX));
            source
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_folder_and_its_index_are_one_checkpoint() {
    let folder = sharded();
    for path in [folder.path().to_owned(), folder.path().join(INDEX)] {
        let found = Checkpoint::open(path).unwrap();
        assert_eq!(found.names().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(found.read_f32("a").unwrap(), [1.0, 2.0]);
        assert_eq!(found.read_f32("b").unwrap(), [3.0]);
        assert_eq!(found.read_f32("c").unwrap(), [4.0, 5.0]);
        assert!(found.file().ends_with(INDEX));
        let both = [A, B].map(|name| std::fs::read(folder.path().join(name)).unwrap()).concat();
        let digest: String = Sha256::digest(both).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(found.digest(), digest);
    }
    // A single file, if there is one, takes precedence over an index.
    std::fs::write(folder.path().join("model.safetensors"), shard(&[("d", &[6.0])])).unwrap();
    assert_eq!(Checkpoint::open(folder.path()).unwrap().read_f32("d").unwrap(), [6.0]);
}

#[test]
fn an_index_and_its_files_have_to_agree() {
    let folder = sharded();
    write_index(folder.path(), &[("a", A), ("b", A), ("c", A)]);
    let error = refusal(folder.path());
    assert!(matches!(&error, ShardsError::Missing { tensor, .. } if tensor == "c"), "{error}");

    write_index(folder.path(), &[("a", A), ("b", B), ("c", B)]);
    let error = refusal(folder.path());
    assert!(matches!(&error, ShardsError::Unlisted { tensor, .. } if tensor == "b"), "{error}");

    write_index(folder.path(), &[("a", A), ("b", A), ("c", B), ("d", B)]);
    let error = refusal(folder.path());
    assert!(matches!(&error, ShardsError::Missing { tensor, .. } if tensor == "d"), "{error}");

    write_index(folder.path(), &[("a", A), ("b", A), ("c", "model-3.safetensors")]);
    let error = Checkpoint::open(folder.path()).unwrap_err();
    assert!(matches!(error, WeightsError::Read { .. }), "{error}");
    assert!(error.to_string().contains("model-3.safetensors"), "{error}");
}

#[test]
fn an_index_leads_to_no_other_folder() {
    let folder = sharded();
    for elsewhere in ["../secret", "/etc/passwd", "sub/model.safetensors", "..", "", "a\\b"] {
        write_index(folder.path(), &[("a", A), ("b", A), ("c", elsewhere)]);
        let error = refusal(folder.path());
        assert!(matches!(&error, ShardsError::Elsewhere { .. }), "{elsewhere}: {error}");
    }
}

#[test]
fn damaged_files_and_indices_are_refused_by_name() {
    let folder = sharded();
    let whole = std::fs::read(folder.path().join(B)).unwrap();
    std::fs::write(folder.path().join(B), &whole[..whole.len() - 1]).unwrap();
    let error = refusal(folder.path());
    assert!(matches!(&error, ShardsError::Header { shard, .. } if shard == B), "{error}");
    for text in ["", "{", "[]", "{}", r#"{"weight_map":{"a":1}}"#] {
        std::fs::write(folder.path().join(INDEX), text).unwrap();
        let error = refusal(folder.path());
        assert!(matches!(&error, ShardsError::Json { .. }), "{text}: {error}");
    }
    let many: BTreeMap<_, _> =
        (0..1025).map(|i| (format!("t{i}"), format!("m{i}.safetensors"))).collect();
    let json = serde_json::json!({ "weight_map": many }).to_string();
    std::fs::write(folder.path().join(INDEX), json).unwrap();
    assert!(matches!(refusal(folder.path()), ShardsError::Limit { limit: 1024, .. }));

    std::fs::remove_file(folder.path().join(INDEX)).unwrap();
    let error = Checkpoint::open(folder.path()).unwrap_err();
    assert!(matches!(error, WeightsError::NoneInFolder { .. }), "{error}");
}

/// The bundled weights, split into two files, give the same answers.
#[cfg(feature = "bundled")]
#[test]
fn a_sharded_model_classifies() {
    let whole = effnet::weights::bundled().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<&str> = whole.names().collect();
    let mut map = Vec::new();
    for (file, names) in [A, B].iter().zip(names.chunks(names.len().div_ceil(2))) {
        let values: Vec<_> = names.iter().map(|name| whole.read_f32(name).unwrap()).collect();
        let tensors: Vec<_> = names
            .iter()
            .zip(&values)
            .map(|(name, values)| NamedTensor {
                name,
                shape: whole.shape(name).unwrap(),
                values: Values::F32(values),
            })
            .collect();
        let bytes = serialize(&tensors, &BTreeMap::new()).unwrap();
        std::fs::write(folder.path().join(file), bytes).unwrap();
        map.extend(names.iter().map(|name| (*name, *file)));
    }
    write_index(folder.path(), &map);
    let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/images/coffee.png");
    let logits = |builder: effnet::ModelBuilder| builder.build().unwrap().logits(&image).unwrap();
    let sharded = effnet::Model::builder()
        .model("tf_efficientnet_lite0")
        .weights(folder.path().to_str().unwrap());
    assert_eq!(logits(sharded), logits(effnet::Model::builder()));
}
