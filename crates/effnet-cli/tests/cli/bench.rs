//! `effnet bench`: the form of its output. Timings are not asserted.

use serde_json::Value;

use super::effnet;

/// The least work that can be measured.
const QUICK: [&str; 5] = ["--seconds", "0.01", "--img-size", "33", "--format"];

fn json(args: &[&str]) -> Vec<Value> {
    let run = effnet(["bench"].iter().chain(args).chain(&QUICK).chain(&["json"]));
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    serde_json::from_str(&run.stdout).unwrap()
}

#[test]
fn json_has_these_keys_in_this_order() {
    let run = effnet(["bench", "efficientnet_lite0"].iter().chain(&QUICK).chain(&["json"]));
    let keys = run.stdout.lines().filter_map(|line| line.trim().split_once("\": "));
    let keys: Vec<&str> = keys.map(|(key, _)| key.trim_start_matches('"')).collect();
    let expected = "model, batch_size, img_size, threads, engine, isa, dtype, median_ms, min_ms, p90_ms, \
        p99_ms, images_per_s, gflops, peak_share, max_rss_mb";
    assert_eq!(keys.join(", "), expected, "{}", run.stderr);
}

#[test]
fn figures_belong_together() {
    let models = ["efficientnet_lite0", "mobilenetv3_small_050"];
    let measured = json(&[models[0], models[1], "--batch-size", "3", "--threads", "1"]);
    assert_eq!(measured.len(), 2);
    for (figures, model) in measured.iter().zip(models) {
        assert!(figures["model"].as_str().unwrap().starts_with(model), "{figures}");
        let [batch, size, threads] = ["batch_size", "img_size", "threads"].map(|key| &figures[key]);
        assert_eq!([batch, size, threads].map(|n| n.as_u64().unwrap()), [3, 33, 1]);
        assert_eq!((&figures["engine"], &figures["dtype"]), (&"cpu".into(), &"f32".into()));
        let number = |key: &str| figures[key].as_f64().unwrap();
        let times = ["min_ms", "median_ms", "p90_ms", "p99_ms"].map(number);
        assert!(times[0] > 0.0 && times.is_sorted(), "{figures}");
        let images_per_s = 3e3 / number("median_ms");
        assert!((number("images_per_s") / images_per_s - 1.0).abs() < 0.01, "{figures}");
        assert!(number("gflops") > 0.0 && number("peak_share") > 0.0, "{figures}");
        if cfg!(target_os = "linux") {
            assert!(number("max_rss_mb") > 1.0, "{figures}");
        }
    }
    // The operations are the ones that `effnet summary` counts.
    let summary = effnet(["summary", "efficientnet_lite0", "--img-size", "33", "--format", "json"]);
    let summary: Value = serde_json::from_str(&summary.stdout).unwrap();
    let operations = 2.0 * 3.0 * summary["total"]["macs"].as_f64().unwrap();
    let rate = operations / measured[0]["median_ms"].as_f64().unwrap() / 1e6;
    assert!((measured[0]["gflops"].as_f64().unwrap() - rate).abs() < 0.02 * rate + 0.01);
}

#[test]
fn candle_has_no_kernels_of_its_own_and_no_steps() {
    let measured = json(&["efficientnet_lite0", "--engine", "candle"]);
    assert_eq!(measured[0]["engine"], "candle");
    assert!(measured[0]["isa"].is_null());
    let candle = ["bench", "efficientnet_lite0", "--engine", "candle", "--profile"];
    let run = effnet(candle.iter().chain(&QUICK).chain(&["table"]));
    assert_eq!(run.code, 1);
    assert!(run.only_error().contains("no steps to profile"), "{}", run.stderr);
}

#[test]
fn a_profile_lists_the_steps_the_longest_first() {
    let measured = json(&["efficientnet_lite0", "--profile", "--threads", "1"]);
    let steps = measured[0]["steps"].as_array().unwrap();
    // The stem, 16 blocks, the head and the classifier, at least.
    assert!(steps.len() >= 19, "{steps:?}");
    let times: Vec<f64> = steps.iter().map(|s| s["median_ms"].as_f64().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    let shares: f64 = steps.iter().map(|step| step["share"].as_f64().unwrap()).sum();
    assert!((shares - 1.0).abs() < 0.01, "{shares}");

    let table = ["bench", "efficientnet_lite0", "--profile"];
    let run = effnet(table.iter().chain(&QUICK).chain(&["table"]));
    assert!(run.stdout.starts_with("MODEL"), "{}", run.stdout);
    assert_eq!(run.stdout.lines().count(), 2 + 2 + 1 + steps.len());
    assert!(run.stdout.contains("\ndense 1280 -> 1000"), "{}", run.stdout);
}

#[test]
fn the_image_is_the_one_that_the_model_is_tested_at() {
    let run = effnet(["bench", "mobilenetv3_small_050", "--seconds", "0.01", "--format", "json"]);
    let measured: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&measured[0]["img_size"], &measured[0]["batch_size"]), (&224.into(), &1.into()));
}

#[test]
fn bad_arguments_are_usage_errors() {
    for (option, value) in [
        ("--img-size", "0"),
        ("--batch-size", "0"),
        ("--threads", "0"),
        ("--seconds", "0"),
        ("--seconds", "x"),
        ("--format", "csv"),
    ] {
        let run = effnet(["bench", "efficientnet_lite0", option, value]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{option} {value}");
        assert!(run.stderr.contains(option), "{}", run.stderr);
    }
}

#[test]
fn what_cannot_be_measured_is_named_and_the_rest_is_measured() {
    let run = effnet(["bench", "efficientnet_b9"].iter().chain(&QUICK).chain(&["json"]));
    assert_eq!((run.code, run.stdout.as_str()), (3, ""));
    assert!(run.only_error().contains("efficientnet_b9"));

    let two = ["bench", "efficientnet_b9", "efficientnet_lite0"];
    let run = effnet(two.iter().chain(&QUICK).chain(&["json"]));
    assert_eq!(run.code, 1);
    assert!(run.only_error().contains("efficientnet_b9"));
    let measured: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(measured.len(), 1);

    let run = effnet(["bench", "efficientnet_lite0", "--weights", "absent.safetensors"]);
    assert_eq!(run.code, 3);
    assert!(run.only_error().contains("absent.safetensors"), "{}", run.stderr);

    let many = ["--batch-size", "4096", "--img-size", "4000"];
    let run = effnet(["bench", "efficientnet_lite0"].iter().chain(&many));
    assert_eq!(run.code, 1);
    assert!(run.only_error().contains("4096 images of 4000x4000 pixels"), "{}", run.stderr);
}

#[test]
fn bf16_is_used_or_a_note_says_why_not() {
    let run = effnet(
        ["bench", "efficientnet_lite0", "--dtype", "bf16"].iter().chain(&QUICK).chain(&["json"]),
    );
    let figures: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    match figures[0]["dtype"].as_str() {
        Some("bf16") => assert_eq!(run.stderr, ""),
        _ => assert!(run.stderr.contains("does not multiply bf16: f32 is used"), "{}", run.stderr),
    }
    let f16 = ["bench", "efficientnet_lite0", "--dtype", "f16"];
    let run = effnet(f16.iter().chain(&QUICK).chain(&["json"]));
    let figures: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(figures[0]["dtype"], "f32");
    assert!(run.stderr.contains("does not multiply f16: f32 is used"), "{}", run.stderr);
    let notes = [("f16", "f16", ""), ("bf16", "f32", "the engine candle does not multiply bf16")];
    for (asked, used, note) in notes {
        let candle = ["bench", "efficientnet_lite0", "--dtype", asked, "--engine", "candle"];
        let run = effnet(candle.iter().chain(&QUICK).chain(&["json"]));
        let figures: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(figures[0]["dtype"], used);
        assert!(run.stderr.contains(note) && run.stderr.is_empty() == note.is_empty());
    }
}
