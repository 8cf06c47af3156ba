//! Compares the table of pretrained models with timm's registry, and tests model names.

#![allow(clippy::unwrap_used)]

use effnet::pretrained::{
    ModelName, PretrainedCfg, PretrainedError, all, architectures, find, glob, retired,
    timm_version,
};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("parity/pretrained/pretrained.json")).unwrap()
}

/// The fields of an entry as in timm's `PretrainedCfg`, without missing ones.
fn fields(cfg: &PretrainedCfg) -> serde_json::Map<String, Value> {
    let Value::Object(mut fields) = serde_json::to_value(cfg).unwrap() else { unreachable!() };
    fields.retain(|key, value| !value.is_null() && key != "architecture" && key != "tag");
    fields
}

/// All differences between the table and the golden.
fn differences(golden: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let models = golden["models"].as_object().unwrap();
    for cfg in all() {
        let name = cfg.name();
        let Some(expected) = models.get(&name) else {
            found.push(format!("{name}: timm has no such entry"));
            continue;
        };
        let mut expected = expected.as_object().unwrap().clone();
        expected.retain(|key, value| !value.is_null() && key != "train" && key != "test");
        if fields(cfg) != expected {
            found.push(name.clone());
        }
        for key in ["train", "test"] {
            let resolved = cfg.resolve(key.parse().unwrap());
            let ours = serde_json::json!({
                "input_size": resolved.input_size.value,
                "interpolation": resolved.interpolation.value,
                "mean": resolved.mean.value,
                "std": resolved.std.value,
                "crop_pct": resolved.crop_pct.value,
                "crop_mode": resolved.crop_mode.value,
            });
            if ours != models[&name][key] {
                found.push(format!("{name}: {key} preprocessing"));
            }
        }
    }
    if all().count() != models.len() {
        found.push(format!("{} entries, timm has {}", all().count(), models.len()));
    }
    found
}

#[test]
fn the_table_is_timms_registry() {
    let golden = golden();
    assert_eq!(timm_version(), "1.0.31");
    assert_eq!(architectures().count(), 154);
    assert_eq!(all().filter(|cfg| cfg.has_weights()).count(), 170);
    assert_eq!(golden["architectures"], 154);
    assert_eq!(golden["pretrained"], 170);
    assert_eq!(differences(&golden), [""; 0]);
}

#[test]
fn the_comparison_sees_one_changed_value() {
    let mut golden = golden();
    golden["models"]["efficientnet_b0.ra_in1k"]["crop_pct"] = 0.876.into();
    golden["models"]["tf_efficientnet_lite0.in1k"]["test"]["mean"][1] = 0.51.into();
    assert_eq!(
        differences(&golden),
        ["efficientnet_b0.ra_in1k", "tf_efficientnet_lite0.in1k: test preprocessing"]
    );
}

#[test]
fn every_architecture_has_its_default_and_every_entry_its_name() {
    let golden = golden();
    for architecture in architectures() {
        let found = find(architecture).unwrap();
        assert_eq!(found.cfg.tag.as_deref().unwrap(), golden["default"][architecture]);
        assert_eq!(found.note, None);
    }
    for cfg in all() {
        assert!(std::ptr::eq(find(&cfg.name()).unwrap().cfg, cfg));
        let hub = cfg.has_weights().then(|| format!("timm/{}", cfg.name()));
        assert_eq!(cfg.hf_hub_id, hub);
        // The labels need no offset: timm's weights have their background classes removed.
        assert_eq!(cfg.label_offset, None);
    }
    assert!(!find("efficientnet_b8").unwrap().cfg.has_weights());
}

#[test]
fn every_retired_name_resolves_with_a_note() {
    let golden = golden();
    let timms = golden["retired"].as_object().unwrap();
    assert_eq!(retired().count(), timms.len());
    for (old, new) in retired() {
        assert_eq!(timms[old], new);
        let found = find(old).unwrap();
        let name = found.cfg.name();
        assert!(name == new || name.starts_with(&format!("{new}.")), "{old}: {name}");
        let note = found.note.unwrap();
        assert!(note.contains(old) && note.contains(new), "{note}");
    }
    assert_eq!(find("tf_efficientnet_b0_ns").unwrap().cfg.name(), "tf_efficientnet_b0.ns_jft_in1k");
    assert_eq!(find("mnasnet_b1.rmsp_in1k").unwrap().cfg.name(), "mnasnet_100.rmsp_in1k");
}

#[test]
fn globs() {
    let names = |pattern: &str| -> Vec<String> {
        glob(pattern).unwrap().into_iter().map(PretrainedCfg::name).collect()
    };
    assert_eq!(
        names("efficientnet_b0"),
        ["efficientnet_b0.ra_in1k", "efficientnet_b0.ra4_e3600_r224_in1k"]
    );
    assert_eq!(names("efficientnet_b0.ra_*"), ["efficientnet_b0.ra_in1k"]);
    assert_eq!(names("hardcorenas_[ab]").len(), 2);
    assert_eq!(names("*").len(), all().count());
    assert_eq!(names("*.*").len(), all().count());
    assert!(names("resnet*").is_empty());
    let error = glob("efficientnet_[b").unwrap_err();
    assert!(matches!(error, PretrainedError::Pattern { .. }), "{error}");
    assert!(error.to_string().contains("efficientnet_[b"));
}

#[test]
fn wrong_names_get_a_hint() {
    for (wrong, right) in [
        ("efficientnet-b0", "efficientnet_b0"),
        ("EfficientNet_B4", "efficientnet_b4"),
        ("eficientnet_b0", "efficientnet_b0"),
        ("efficientnetb0", "efficientnet_b0"),
        ("tf_efficientnet_lit0", "tf_efficientnet_lite0"),
        ("mobilenet_v3_large_100", "mobilenetv3_large_100"),
    ] {
        let Err(PretrainedError::UnknownArchitecture { suggestions, .. }) = find(wrong) else {
            panic!("{wrong} was found");
        };
        assert!(suggestions.iter().any(|s| s == right), "{wrong}: {suggestions:?}");
    }
    let error = find("efficientnet_b0.ra_in1").unwrap_err().to_string();
    assert!(
        error.contains("did you mean ra_in1k?") && error.contains("ra4_e3600_r224_in1k"),
        "{error}"
    );
    let error = find("zzz").unwrap_err().to_string();
    assert_eq!(error, "unknown architecture \"zzz\": `effnet models` lists them all");
    assert!(find("").is_err());
    assert!(find("efficientnet_b0.").is_err());
    // A long name is refused quickly.
    assert!(find(&"b".repeat(1 << 20)).is_err());
}

fn hub(repo: &str, revision: Option<&str>) -> ModelName {
    ModelName::Hub { repo: repo.into(), revision: revision.map(Into::into) }
}

#[test]
fn model_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    for (text, expected) in [
        ("efficientnet_b0", ModelName::Timm("efficientnet_b0".into())),
        ("efficientnet_b0.ra_in1k", ModelName::Timm("efficientnet_b0.ra_in1k".into())),
        ("no_such_net", ModelName::Timm("no_such_net".into())),
        ("org/repo", hub("org/repo", None)),
        ("org/repo@v1.0", hub("org/repo", Some("v1.0"))),
        ("org/repo@refs/pr/3", hub("org/repo", Some("refs/pr/3"))),
        ("hf-hub:org/repo", hub("org/repo", None)),
        ("hf_hub:org/repo@main", hub("org/repo", Some("main"))),
        ("HF-HUB:timm/efficientnet_b0.ra_in1k", hub("timm/efficientnet_b0.ra_in1k", None)),
        ("local-dir:some/where@x", ModelName::Folder("some/where@x".into())),
        (path, ModelName::Folder(path.into())),
    ] {
        assert_eq!(ModelName::parse(text).unwrap(), expected, "{text}");
    }
    // What is printed reads back the same.
    for name in [hub("a/b", Some("c")), hub("a/b", None), ModelName::Folder("x/y".into())] {
        assert_eq!(ModelName::parse(&name.to_string()).unwrap(), name);
    }
}

#[test]
fn names_that_are_wrong() {
    for (text, part) in [
        ("", "empty"),
        ("  ", "empty"),
        ("hf-hub:", "\"\" is not a hub repository"),
        ("hf-hub:repo", "\"repo\" is not a hub repository"),
        ("hf-hub:org/re po", "' ' in \"re po\""),
        ("org/repo@", "no revision"),
        ("org/repo@a b", "' ' in revision"),
        ("org/repo@../../x", "revision \"../../x\""),
        ("org/repo@a@b", "'@' in revision"),
        ("org/..", "\"..\""),
        ("hf-hub:../x", "\"..\""),
        ("hf-hub:a/b/c", "'/' in \"b/c\""),
        ("org/r--o", "\"r--o\""),
        ("local-dir:", "no path"),
        ("s3:bucket/x", "unknown source \"s3\""),
        ("https://huggingface.co/timm/x", "unknown source \"https\""),
        ("efficientnet b0", "' '"),
        ("mymodel@main", "'@'"),
    ] {
        let error = ModelName::parse(text).unwrap_err();
        assert!(matches!(error, PretrainedError::Name { .. }), "{text}: {error}");
        let message = error.to_string();
        assert!(message.contains(part), "{text}: {message}");
        assert!(message.contains(&format!("{text:?}")), "{text}: {message}");
    }
    let long = format!("org/{}", "x".repeat(100));
    assert!(ModelName::parse(&long).unwrap_err().to_string().contains("96"));
    for path in [
        "flowers.pth",
        "runs/flowers.ckpt",
        "./no/such/folder",
        "/no/such",
        "~/models",
        "a/b/c",
        r"C:\models\x",
        "gone/",
    ] {
        let error = ModelName::parse(path).unwrap_err();
        assert!(matches!(error, PretrainedError::NoSuchFolder { .. }), "{path}: {error}");
    }
}
