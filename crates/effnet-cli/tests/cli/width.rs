//! Tables on terminals of 80 and of 50 columns.

#![cfg(target_os = "linux")]

use std::process::{Command, Stdio};

use super::ROOT;

/// What the program shows on a terminal with this many columns.
fn shown(columns: usize, arguments: &str) -> String {
    let program = env!("CARGO_BIN_EXE_effnet");
    let output = Command::new("script")
        .args(["-qec", &format!("{program} {arguments}"), "/dev/null"])
        .current_dir(ROOT)
        .env("COLUMNS", columns.to_string())
        .env("HF_HUB_OFFLINE", "1")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().replace('\r', "")
}

#[test]
fn tables_fit_the_terminal() {
    for columns in [80, 50] {
        for arguments in [
            "models",
            "summary efficientnet_b0",
            "map efficientnet_b0",
            "bench --seconds 0.01 --profile",
            "classify examples/images/coffee.png",
            "--help",
            "classify --help",
        ] {
            let text = shown(columns, arguments);
            assert!(text.lines().count() > 3, "{arguments}: {text}");
            for line in text.lines() {
                let width = line.chars().count();
                assert!(width <= columns, "{arguments}: {width} of {columns} columns: {line}");
            }
        }
    }
    // Nothing is cut off.
    let text = shown(50, "models efficientnet_b0.ra4_e3600_r224_in1k");
    for word in ["efficientnet_b0.ra4_e3600_r224_in1k", "256x256", "bicubic", "1000", "apache-2.0"]
    {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(shown(80, "classify examples/images/coffee.png").contains("███████████████████"));
}

#[test]
fn an_error_is_said_once_on_a_terminal() {
    let text = shown(80, "classify no.png examples/images/coffee.png");
    assert_eq!(text.matches("No such file").count(), 1, "{text}");
    assert!(text.contains("espresso"), "{text}");
}
