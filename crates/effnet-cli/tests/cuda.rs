//! The command on CUDA, on the stand-in of `tests/gpu/stand-in`, which counts what is asked of it.

#![cfg(feature = "cuda")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::collections::HashMap;
use std::process::Command;

struct Run {
    out: String,
    notes: String,
    counts: HashMap<String, u64>,
}

/// Runs the command with these variables of the stand-in.
fn effnet(args: &[&str], variables: &[(&str, &str)]) -> Run {
    let log = tempfile::NamedTempFile::new().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_effnet"))
        .args(args)
        .envs(variables.iter().copied())
        .env("EFFNET_STAND_IN_LOG", log.path())
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .unwrap();
    let text = std::fs::read_to_string(log.path()).unwrap();
    let count = |line: &str| {
        let (name, count) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), count.parse().unwrap())
    };
    Run {
        out: String::from_utf8(output.stdout).unwrap(),
        notes: String::from_utf8(output.stderr).unwrap(),
        counts: text.lines().map(count).collect(),
    }
}

const COFFEE: &str = "examples/images/coffee.png";

#[test]
#[ignore = "needs the stand-in: tests/gpu/stand-in/run"]
fn every_dtype_names_a_photograph_by_a_recorded_graph() {
    for dtype in ["f32", "bf16", "f16"] {
        let run = effnet(&["classify", COFFEE, "--device", "cuda", "--dtype", dtype], &[]);
        let first = run.out.lines().nth(1).unwrap_or_default();
        assert!(first.contains("espresso") && first.contains("95."), "{dtype}: {}", run.notes);
        assert_eq!((run.counts["graph launches"], run.counts["streams"]), (1, 2));
        assert!(run.counts["launches"] <= 80, "{}", run.counts["launches"]);
        assert_eq!(run.notes, "");
    }
}

#[test]
#[ignore = "needs the stand-in: tests/gpu/stand-in/run"]
fn candles_operations_are_few_and_on_one_stream() {
    let model = ["-m", "efficientnet_b0", "--weights", "seeded:0", "--device", "cuda"];
    let fused = effnet(&[&["classify", COFFEE], &model[..]].concat(), &[]);
    assert!(fused.counts["launches"] <= 80, "{}", fused.counts["launches"]);
    let candle = ["--engine", "candle"];
    // The stand-in does not compute Candle's kernels: the launches are what is asked for.
    let run = effnet(&[&["classify", COFFEE], &model[..], &candle[..]].concat(), &[]);
    assert_eq!((run.counts["kernel depthwise"], run.counts["streams"]), (16, 1));
    assert!(run.counts["launches"] <= 330, "{}", run.counts["launches"]);
}

#[test]
#[ignore = "needs the stand-in: tests/gpu/stand-in/run"]
fn a_batch_without_memory_runs_in_smaller_ones() {
    let images = [COFFEE; 7];
    let cpu = effnet(&[&["classify", "--format", "csv"][..], &images[..]].concat(), &[]);
    let options = ["classify", "--format", "csv", "--device", "cuda", "--batch-size", "7"];
    let memory = ("EFFNET_STAND_IN_MEMORY", "40000000");
    let run = effnet(&[&options[..], &images[..]].concat(), &[memory]);
    assert!(run.notes.contains("7 images run in batches of "), "{}", run.notes);
    let classes = |out: &str| -> Vec<String> {
        out.lines().map(|line| line.split(',').take(4).collect::<Vec<_>>().join(",")).collect()
    };
    assert_eq!(classes(&run.out), classes(&cpu.out));
    assert!(run.counts["peak_bytes"] <= 40_000_000);
}

#[test]
#[ignore = "needs the stand-in: tests/gpu/stand-in/run"]
fn a_device_that_cannot_be_used_says_why() {
    let cases = [
        (("EFFNET_STAND_IN_NO_DEVICE", "1"), "cuda", "the machine has no NVIDIA GPU"),
        (
            ("EFFNET_STAND_IN_DRIVER", "12080"),
            "cuda",
            "for CUDA 12.8, and effnet was built for 13.0",
        ),
        (
            ("EFFNET_STAND_IN_CAPABILITY", "61"),
            "cuda",
            "compute capability 6.1, and effnet needs 7.5",
        ),
        (
            ("EFFNET_STAND_IN_CAPABILITY", "90"),
            "cuda:3",
            "the machine has 1 NVIDIA GPU, numbered 0",
        ),
        (("EFFNET_STAND_IN_MEMORY", "1000"), "cuda", "no memory"),
    ];
    for (variable, device, reason) in cases {
        let run = effnet(&["classify", COFFEE, "--device", device], &[variable]);
        assert!(run.notes.contains(reason), "{variable:?}: {}", run.notes);
        assert_eq!((run.out.as_str(), run.notes.lines().count()), ("", 1), "{}", run.notes);
    }
    // `auto` says why it did not take the GPU, and goes on.
    let run = effnet(&["classify", COFFEE], &[("EFFNET_STAND_IN_NO_DEVICE", "1")]);
    assert!(run.out.contains("espresso"));
    assert!(run.notes.contains("runs on the CPU") && run.notes.contains("no NVIDIA GPU"));
    let run = effnet(&["classify", COFFEE], &[]);
    assert!(run.notes.contains("note: the network runs on cuda:0"), "{}", run.notes);
}

#[test]
#[ignore = "needs the stand-in: tests/gpu/stand-in/run"]
fn the_doctor_tests_a_gpu_or_says_why_not() {
    let doctor = |variables: &[(&str, &str)]| -> serde_json::Value {
        let run = effnet(&["doctor", "--format", "json"], variables);
        assert_eq!(run.notes, "");
        serde_json::from_str(&run.out).unwrap()
    };
    let report = doctor(&[("EFFNET_STAND_IN_MEMORY", "2000000000")]);
    let runtime = &report["devices"]["cuda"]["runtime"];
    for key in ["built_for", "driver", "nvrtc", "gpus", "kernels", "kernels_bytes"] {
        assert!(runtime[key].is_array() || runtime[key]["unknown"].is_null(), "{key}: {runtime}");
    }
    assert_eq!((&runtime["built_for"], &runtime["driver"]), (&"13.0".into(), &"13.0".into()));
    let gpu = &runtime["gpus"][0];
    assert_eq!((&gpu["device"], &gpu["name"]), (&"cuda:0".into(), &"stand-in".into()));
    assert_eq!((&gpu["compute_capability"], &gpu["usable"]), (&"9.0".into(), &true.into()));
    assert_eq!(gpu["memory_total_bytes"], 2_000_000_000u64);
    assert!(gpu["memory_free_bytes"].as_u64() <= Some(2_000_000_000), "{gpu}");
    let rows = report["self_test"]["rows"].as_array().unwrap();
    let on_gpu = |engine: &str| -> Vec<&str> {
        let rows = rows.iter().filter(|r| r["device"] == "cuda:0" && r["engine"] == engine);
        rows.map(|row| row["result"].as_str().unwrap()).collect()
    };
    assert_eq!(on_gpu("cuda"), ["ok"; 3], "{report:#}");
    // The stand-in does not compute Candle's kernels, and the test notices.
    assert_eq!(on_gpu("candle"), ["failed"; 3], "{report:#}");
    assert_eq!(report["self_test"]["ok"], false);

    let cases = [
        ("EFFNET_STAND_IN_NO_DEVICE", "1", "CUDA cannot be used: the machine has no NVIDIA GPU"),
        ("EFFNET_STAND_IN_DRIVER", "12080", "cuda:0 cannot be used: the NVIDIA driver is for CUDA"),
        ("EFFNET_STAND_IN_CAPABILITY", "61", "the GPU has compute capability 6.1"),
    ];
    for (variable, value, problem) in cases {
        let report = doctor(&[(variable, value)]);
        assert!(report["problems"].to_string().contains(problem), "{report:#}");
        let rows = report["self_test"]["rows"].as_array().unwrap();
        assert!(rows.iter().all(|row| row["device"] == "cpu"), "{report:#}");
        assert_eq!(report["self_test"]["ok"], true);
    }
}
