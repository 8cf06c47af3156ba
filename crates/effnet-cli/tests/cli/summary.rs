//! `effnet summary`: every format of its output.

use super::effnet;

#[test]
fn a_table_ends_with_timms_totals() {
    let run = effnet(["summary", "tf_efficientnetv2_l"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let last = run.stdout.lines().last().unwrap();
    assert!(last.starts_with("total"), "{last}");
    assert!(last.contains("118,515,272"), "{last}");
    assert!(run.stdout.contains("blocks.6.0.se.conv_reduce"));
}

#[test]
fn json_of_a_scaled_network() {
    let scaled = ["summary", "efficientnet_b0", "--width", "1.4", "--depth", "1.8"];
    let run = effnet(scaled.iter().chain(&["--img-size", "97", "--format", "json"]));
    assert_eq!(run.code, 0, "{}", run.stderr);
    let summary: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    // The number for efficientnet_b4.
    assert_eq!(summary["total"]["parameters"], 19_341_616);
    assert_eq!(summary["input"], serde_json::json!([3, 97, 97]));
    assert_eq!(summary["architecture"], "efficientnet_b0 width 1.4 depth 1.8");
    assert_eq!(summary["stages"][0]["blocks"][0]["layers"][0]["name"], "conv_stem");
}

#[test]
fn a_picture_has_every_block_and_nothing_from_outside() {
    let svg = effnet(["summary", "mobilenetv4_hybrid_medium", "--format", "svg"]).stdout;
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert!(svg.contains("<title>blocks.3.14</title>") && svg.contains(">3x320x320<"));
    assert!(!svg.replace("http://www.w3.org/2000/svg", "").contains("http"));
    let dot = effnet(["summary", "mobilenetv4_hybrid_medium", "--format", "dot"]).stdout;
    assert!(dot.contains("\"blocks.3.13\" -> \"blocks.3.14\" [label=\"256x10x10\"]"), "{dot}");
}

#[test]
fn what_cannot_be_summarized_is_named() {
    let run = effnet(["summary", "efficientnet_b9"]);
    assert_eq!(run.code, 3);
    assert!(run.only_error().contains("efficientnet_b9"), "{}", run.stderr);
    let run = effnet(["summary", "efficientnet_b0", "--img-size", "0"]);
    assert_eq!(run.code, 1);
    assert!(run.only_error().contains("both sides must be 1 to"), "{}", run.stderr);
    let run = effnet(["summary", "efficientnet_b0", "--width", "99"]);
    assert!(run.only_error().contains("channel_multiplier"), "{}", run.stderr);
}
