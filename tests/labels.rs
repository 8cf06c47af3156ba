//! Compares class names with timm's, and tests top-k.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use effnet::labels::ClassifierActivation::{self, None as Nothing, Sigmoid, Softmax};
use effnet::labels::{LabelError, LabelNames, LabelSet, Subset, label_set_for, top_k};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("parity/pretrained/labels.json")).unwrap()
}

/// 64-bit FNV-1a, as in `generate_labels.py`.
fn fnv1a(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{hash:016x}")
}

fn rows(labels: &LabelSet) -> String {
    (0..labels.len())
        .map(|i| {
            let label = labels.get(i).unwrap();
            let (synset, definition) = (label.synset.unwrap(), label.definition.unwrap());
            format!("{synset}\t{}: {definition}\n", label.lemmas)
        })
        .collect()
}

#[test]
fn every_list_is_timms() {
    let golden = golden();
    assert_eq!(golden.as_object().unwrap().len(), Subset::ALL.len());
    for subset in Subset::ALL {
        let expected = &golden[subset.name()];
        let labels = LabelSet::imagenet(subset);
        assert_eq!(labels.len() as u64, expected["num_classes"], "{}", subset.name());
        assert_eq!(labels.len(), subset.num_classes());
        for spot in expected["spot"].as_array().unwrap() {
            let label = labels.get(spot[0].as_u64().unwrap() as usize).unwrap();
            assert_eq!(label.synset.unwrap(), spot[1], "{}", subset.name());
            assert_eq!(label.lemmas, spot[2], "{}", subset.name());
        }
        assert_eq!(fnv1a(&rows(&labels)), expected["rows_fnv1a"], "{}", subset.name());
        assert_eq!(Subset::from_num_classes(labels.len()), Some(subset));
        assert_eq!(Subset::parse(subset.name()), Ok(subset));
    }
}

#[test]
fn the_hash_sees_one_changed_letter() {
    let text = rows(&LabelSet::imagenet(Subset::Imagenet1k));
    let changed = text.replacen("tench", "tenth", 1);
    assert_ne!(fnv1a(&text), fnv1a(&changed));
}

#[test]
fn known_classes() {
    let labels = LabelSet::imagenet(Subset::Imagenet1k);
    let espresso = labels.get(967).unwrap();
    assert_eq!((espresso.synset, espresso.label), (Some("n07920052"), "espresso"));
    let tench = labels.get(0).unwrap();
    assert_eq!((tench.label, tench.lemmas), ("tench", "tench, Tinca tinca"));
    assert_eq!(labels.get(1000), None);
    // Microsoft's order starts with ImageNet-1k's.
    let ms = LabelSet::imagenet(Subset::Imagenet22kMs);
    assert!((0..1000).all(|i| ms.get(i) == labels.get(i)));
}

#[test]
fn subset_names_are_read_as_timm_reads_them() {
    for (name, subset) in [
        ("imagenet-1k", Subset::Imagenet1k),
        ("ImageNet1K", Subset::Imagenet1k),
        ("imagenet_22k_ms", Subset::Imagenet22kMs),
        ("imagenet 21k", Subset::Imagenet21kGoog),
    ] {
        assert_eq!(Subset::parse(name), Ok(subset), "{name}");
    }
    let error = Subset::parse("imagenet-3k").unwrap_err().to_string();
    assert!(error.contains("\"imagenet-3k\"") && error.contains("imagenet-12k"), "{error}");
    assert!(Subset::parse("").is_err());
}

fn list(names: &[&str]) -> LabelNames {
    LabelNames::List(names.iter().map(|&n| n.to_owned()).collect())
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect()
}

#[test]
fn a_models_own_names_win() {
    let names: Vec<String> = (0..1000).map(|i| format!("thing {i}")).collect();
    let labels = label_set_for(1000, Some(&LabelNames::List(names)), None).unwrap().unwrap();
    let label = labels.get(967).unwrap();
    assert_eq!((label.label, label.synset, label.definition), ("thing 967", None, None));

    let imagenet = label_set_for(1000, None, None).unwrap().unwrap();
    assert_eq!(imagenet.get(967).unwrap().label, "espresso");
    assert!(label_set_for(37, None, None).unwrap().is_none());
}

#[test]
fn own_names_in_a_map_and_with_descriptions() {
    // More than ten names: as text, "10" sorts before "2".
    let pairs: Vec<_> = (0..11).map(|i| (i.to_string(), format!("c{i}"))).collect();
    let labels = LabelSet::from_names(&LabelNames::Map(pairs.into_iter().collect()), None).unwrap();
    assert_eq!(labels.get(2).unwrap().label, "c2");
    assert_eq!(labels.get(10).unwrap().label, "c10");

    let names = list(&["n07920052", "n01440764", "mug"]);
    let descriptions = map(&[
        ("n07920052", "espresso: strong black coffee"),
        ("n01440764", "tench, Tinca tinca"),
        ("mug", "a cup with a handle"),
    ]);
    let labels = LabelSet::from_names(&names, Some(&descriptions)).unwrap();
    let espresso = labels.get(0).unwrap();
    assert_eq!(espresso.synset, Some("n07920052"));
    assert_eq!((espresso.label, espresso.definition), ("espresso", Some("strong black coffee")));
    let tench = labels.get(1).unwrap();
    assert_eq!(
        (tench.label, tench.lemmas, tench.definition),
        ("tench", "tench, Tinca tinca", None)
    );
    let mug = labels.get(2).unwrap();
    assert_eq!((mug.synset, mug.label, mug.definition), (None, "mug", Some("a cup with a handle")));
}

#[test]
fn names_that_do_not_fit_are_errors() {
    let error = label_set_for(3, Some(&list(&["a", "b"])), None).unwrap_err();
    assert_eq!(error, LabelError::Count { names: 2, num_classes: 3 });
    assert!(error.to_string().contains('2') && error.to_string().contains('3'));

    let from = |pairs: &[(&str, &str)]| {
        LabelSet::from_names(&LabelNames::Map(map(pairs)), None).unwrap_err()
    };
    assert_eq!(from(&[("0", "a"), ("x", "b")]), LabelError::Index { key: "x".into() });
    assert_eq!(from(&[("0", "a"), ("-1", "b")]), LabelError::Index { key: "-1".into() });
    assert_eq!(from(&[("0", "a"), ("", "b")]), LabelError::Index { key: "".into() });
    let huge = "99999999999999999999999";
    assert_eq!(from(&[(huge, "a")]), LabelError::Index { key: huge.into() });
    assert_eq!(from(&[("1", "a"), ("01", "b")]), LabelError::DuplicateIndex { index: 1 });
    assert_eq!(from(&[("0", "a"), ("2", "b")]), LabelError::MissingIndex { index: 1, names: 2 });

    let descriptions = map(&[("a", "first")]);
    assert_eq!(
        LabelSet::from_names(&list(&["a", "b"]), Some(&descriptions)).unwrap_err(),
        LabelError::MissingDescription { name: "b".into() }
    );
}

#[test]
fn top_k_is_stable_in_order_and_arithmetic() {
    let best = top_k(&[0.5, 2.0, 2.0, -1.0, 2.0], Softmax, 4).unwrap();
    let order: Vec<_> = best.iter().map(|s| s.index).collect();
    assert_eq!(order, [1, 2, 4, 0]);
    // torch.softmax of the same logits in float64.
    assert!((best[0].probability.unwrap() - 0.305_537_82).abs() < 1e-6, "{best:?}");
    assert_eq!(best[3].logit, 0.5);

    // exp overflows f32 above 88 and f64 above 709.
    let best = top_k(&[1000.0, 999.0], Softmax, 2).unwrap();
    assert!((best[0].probability.unwrap() - 0.731_058_6).abs() < 1e-6);
    let best = top_k(&[f32::MIN, f32::MAX], Softmax, 2).unwrap();
    assert_eq!(
        (best[0].index, best[0].probability, best[1].probability),
        (1, Some(1.0), Some(0.0))
    );

    // A million equal logits: a sum in f32 would be off.
    let best = top_k(&vec![0.25; 1 << 20], Softmax, 3).unwrap();
    assert_eq!(best.iter().map(|s| s.index).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(best[0].probability, Some(1.0 / (1 << 20) as f32));

    assert_eq!(top_k(&[-0.0, 0.0], Softmax, 1).unwrap()[0].index, 0);
}

#[test]
fn top_k_at_its_edges() {
    assert_eq!(top_k(&[1.0, 2.0], Softmax, 9).unwrap().len(), 2);
    assert!(top_k(&[1.0, 2.0], Softmax, 0).unwrap().is_empty());
    assert!(top_k(&[], Softmax, 5).unwrap().is_empty());
    for (bad, text) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let error = top_k(&[0.0, bad], Softmax, 1).unwrap_err();
        assert_eq!(error, LabelError::NotFinite { index: 1, value: text.into() });
    }
}

#[test]
fn a_sigmoid_is_of_each_class_alone() {
    // torch.sigmoid of the same logits in float64.
    let best = top_k(&[-1.5, 2.0, 0.25], Sigmoid, 3).unwrap();
    let found: Vec<_> = best.iter().map(|s| (s.index, s.probability.unwrap())).collect();
    for ((index, probability), expected) in
        found.iter().zip([(1, 0.880_797_1), (2, 0.562_176_5), (0, 0.182_425_5)])
    {
        assert_eq!(*index, expected.0);
        assert!((probability - expected.1).abs() < 1e-6, "{found:?}");
    }
    // Extreme values do not overflow.
    let best = top_k(&[f32::MAX, f32::MIN], Sigmoid, 2).unwrap();
    assert_eq!((best[0].probability, best[1].probability), (Some(1.0), Some(0.0)));
}

#[test]
fn one_output_makes_two_classes() {
    let pair = top_k(&[2.0], Sigmoid, 5).unwrap();
    let found: Vec<_> = pair.iter().map(|s| (s.index, s.logit)).collect();
    assert_eq!(found, [(1, 2.0), (0, -2.0)]);
    assert!((pair[0].probability.unwrap() - 0.880_797_1).abs() < 1e-6);
    assert!((pair[1].probability.unwrap() - 0.119_202_92).abs() < 1e-6);
    assert_eq!(top_k(&[-2.0], Sigmoid, 1).unwrap()[0].index, 0);

    // Two names are the negative and the positive class; one name is the positive class.
    let name = |names: &[&str], index: usize| {
        let set = label_set_for(1, Some(&list(names)), None).unwrap().unwrap();
        set.get(index).unwrap().label.to_owned()
    };
    assert_eq!(
        (name(&["ham", "spam"], 0), name(&["ham", "spam"], 1)),
        ("ham".into(), "spam".into())
    );
    assert_eq!((name(&["spam"], 0), name(&["spam"], 1)), ("not spam".into(), "spam".into()));
    assert!(label_set_for(1, Some(&list(&["a", "b", "c"])), None).is_err());
    assert!(label_set_for(1, None, None).unwrap().is_none());
}

#[test]
fn none_makes_no_probabilities() {
    let best = top_k(&[0.5, 7.0], Nothing, 2).unwrap();
    assert_eq!((best[0].index, best[0].logit, best[0].probability), (1, 7.0, None));
    let alone = top_k(&[0.5], Nothing, 2).unwrap();
    assert_eq!((alone.len(), alone[0].index, alone[0].logit), (1, 0, 0.5));
}

#[test]
fn activations_have_names() {
    for activation in ClassifierActivation::ALL {
        assert_eq!(activation.to_string().parse(), Ok(activation));
    }
    let error = "relu".parse::<ClassifierActivation>().unwrap_err();
    assert_eq!(error.to_string(), "unknown activation \"relu\": expected softmax, sigmoid or none");
}

#[test]
fn files_of_labels_are_read_in_every_form() {
    for text in [
        "cat\ndog\nred, panda\n",
        "\u{feff}cat\r\ndog\r\nred, panda\r\n\r\n",
        "0 cat\n1 dog\n2 red, panda",
        "0,cat\n1,dog\n2,\"red, panda\"",
        "0: cat\n1: dog\n2: red, panda",
        "02\tred, panda\n00\tcat\n01\tdog",
        "cat,0\ndog,1\n\"red, panda\",2",
        "index,name\n2,\"red, panda\"\n0,cat\n1,dog",
        "Label;Count;Index\ncat;9;0\ndog;8;1\nred, panda;7;2",
        r#"["cat", "dog", "red, panda"]"#,
        r#"{"0": "cat", "1": "dog", "2": "red, panda"}"#,
        r#"{"red, panda": 2, "cat": 0, "dog": 1}"#,
        r#"{"model_type": "efficientnet", "id2label": {"0": "cat", "1": "dog", "2": "red, panda"}}"#,
        r#"{"architecture": "efficientnet_b0", "label_names": ["cat", "dog", "red, panda"]}"#,
    ] {
        let names = LabelNames::parse(text).unwrap_or_else(|e| panic!("{text:?}: {e}"));
        assert_eq!(names.in_order().unwrap(), ["cat", "dog", "red, panda"], "{text:?}");
    }
    // Folders named by digits, as in MNIST: the values are the indices.
    let digits = LabelNames::parse(r#"{"7": 0, "3": 1}"#).unwrap();
    assert_eq!(digits.in_order().unwrap(), ["7", "3"]);
    // A name may begin with a number, and there may be no indices at all.
    let names = LabelNames::parse("3 musketeers\ntitanic").unwrap();
    assert_eq!(names.in_order().unwrap(), ["3 musketeers", "titanic"]);
    // timm's ImageNet lists: names with commas are not a table.
    let lemmas = LabelNames::parse("tench, Tinca tinca\ngoldfish, Carassius auratus").unwrap();
    assert_eq!(lemmas.in_order().unwrap()[0], "tench, Tinca tinca");
}

#[test]
fn files_of_labels_are_refused_with_their_line() {
    for (text, expected) in [
        ("", "line 1: no names"),
        ("  \n", "line 1: no names"),
        ("[]", "line 1: no names"),
        ("cat\n\ndog", "line 2: empty; expected a name"),
        ("0 cat\n1 dog\nbird", "line 3: expected an index and a name, as in the lines before"),
        ("0 cat\n0 dog", "line 2: index 0 is \"cat\" and \"dog\""),
        ("0 cat\n2 dog", "no name for class 1"),
        ("index,name\n0,cat\none,dog", "line 3: \"one\" is not a class index"),
        ("index,name\n0,cat\n1,", "line 3: expected an index and a name, as the header says"),
        ("[\"cat\",\n 3]", "line 1: expected a list of names"),
        ("[\"cat\",\n", "line 2: not JSON"),
        (r#"{"cat": 0, "dog": "one"}"#, "expected index to name, or name to index"),
        (r#"{"cat": 0, "dog": 0}"#, "index 0 is"),
        (r#"{"cat": -1}"#, "expected index to name, or name to index"),
        (r#"{"zero": "cat"}"#, "label key \"zero\" is not a class index"),
    ] {
        let error = LabelNames::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}
