//! `effnet doctor`: what it says, and that nothing odd in the environment stops it.

#[cfg(all(feature = "hub", not(feature = "cuda")))]
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{ROOT, Run, str, write};

/// Runs `effnet doctor` with these variables, in an environment without others of effnet's.
fn doctor(arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_effnet"));
    command.arg("doctor").args(arguments).current_dir(ROOT);
    for name in ["HF_TOKEN", "HF_ENDPOINT", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "EFFNET_ISA"] {
        command.env_remove(name);
    }
    command.env("HF_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-cache"));
    command.envs(variables.iter().copied());
    run(command)
}

fn run(mut command: Command) -> Run {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert_eq!(stderr, "", "{stdout}");
    Run { code: output.status.code().unwrap(), stdout, stderr }
}

fn json(variables: &[(&str, &str)]) -> (i32, Value) {
    let run = doctor(&["--format", "json"], variables);
    (run.code, serde_json::from_str(&run.stdout).unwrap())
}

/// The problems, each with its remedy.
fn problems(report: &Value) -> String {
    let problems = report["problems"].as_array().unwrap().iter();
    problems.map(|p| format!("{}: {}\n", p["problem"], p["remedy"])).collect()
}

/// The paths of all keys, and the paths of facts that are unknown. In lists the keys of all objects
/// are those of one.
#[cfg(all(feature = "hub", not(feature = "cuda")))]
fn keys(value: &Value, path: &str, found: &mut BTreeSet<String>, unknown: &mut Vec<String>) {
    match value {
        Value::Object(object) if object.contains_key("unknown") => unknown.push(path.to_owned()),
        Value::Object(object) => {
            for (key, value) in object {
                let path = format!("{path}.{key}");
                keys(value, &path, found, unknown);
                found.insert(path);
            }
        }
        Value::Array(list) => {
            list.iter().for_each(|value| keys(value, &format!("{path}[]"), found, unknown));
        }
        _ => {}
    }
}

/// The example of docs/command.md.
#[cfg(all(feature = "hub", not(feature = "cuda")))]
fn example() -> Value {
    let document = include_str!("../../../../docs/command.md");
    let section = document.split("\n## The doctor\n").nth(1).unwrap();
    let block = section.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    serde_json::from_str(block).unwrap()
}

#[cfg(all(feature = "hub", not(feature = "cuda")))]
#[test]
fn json_has_the_documented_keys() {
    // A set that is not the fastest is a problem, so that there is one.
    let (code, report) = json(&[("EFFNET_ISA", "portable")]);
    assert_eq!(code, 0, "{report:#}");
    let (mut documented, mut given, mut unknown) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    keys(&example(), "", &mut documented, &mut unknown);
    assert!(unknown.is_empty() && documented.len() > 60, "{documented:?}");
    keys(&report, "", &mut given, &mut unknown);
    documented.retain(|key| !unknown.iter().any(|fact| key != fact && key.starts_with(fact)));
    assert_eq!(given, documented, "unknown: {unknown:?}");
}

#[test]
fn every_engine_of_the_machine_gives_timms_logits() {
    let (code, report) = json(&[]);
    let test = &report["self_test"];
    assert_eq!((code, &test["ok"]), (0, &true.into()), "{report:#}");
    let rows = test["rows"].as_array().unwrap();
    let result = |engine: &str, dtype: &str| {
        let row = rows.iter().find(|r| r["engine"] == engine && r["dtype"] == dtype).unwrap();
        assert_eq!(row["result"] == "ok", row["reason"].is_null(), "{row}");
        row["result"].as_str().unwrap().to_owned()
    };
    assert_eq!(result("cpu", "f32"), "ok");
    if report["cpu"]["bf16_kernels"].is_null() {
        assert_eq!(result("cpu", "bf16"), "unsupported");
    } else {
        assert_eq!(result("cpu", "bf16"), "ok");
    }
    if cfg!(feature = "candle") {
        assert_eq!([result("candle", "f32"), result("candle", "f16")], ["ok", "ok"]);
    }
    for row in rows.iter().filter(|row| row["result"] == "ok") {
        let number = |key: &str| row[key].as_f64().unwrap();
        assert!(number("difference") <= number("tolerance") && number("ms") > 0.0, "{row}");
    }
}

#[test]
fn text_has_a_section_for_everything() {
    let run = doctor(&[], &[]);
    assert_eq!(run.code, 0, "{}", run.stdout);
    for title in ["program", "processor", "memory and limits", "GPUs", "self-test: ", "problems"] {
        assert!(run.stdout.lines().any(|line| line.starts_with(title)), "{title}: {}", run.stdout);
    }
    let values: Vec<usize> = ["  version ", "  name ", "  ulimit -u ", "  CUDA "]
        .map(|name| {
            let line = run.stdout.lines().find(|line| line.starts_with(name)).unwrap();
            line.len() - line[name.len()..].trim_start().len()
        })
        .to_vec();
    assert_eq!(values, [values[0]; 4], "{}", run.stdout);
}

#[test]
fn an_unknown_instruction_set_is_a_problem_and_the_rest_is_reported() {
    let (code, report) = json(&[("EFFNET_ISA", "avx1024\u{1b}[31m")]);
    assert_eq!(code, 1, "{report:#}");
    let unknown = report["cpu"]["isa"]["unknown"].as_str().unwrap();
    assert!(unknown.starts_with("EFFNET_ISA=avx1024"), "{unknown}");
    let problems = problems(&report);
    assert_eq!(problems.matches("EFFNET_ISA=avx1024").count(), 1, "{problems}");
    assert!(problems.contains("unset EFFNET_ISA"), "{problems}");
    assert_eq!(report["self_test"]["rows"][0]["result"], "failed");
    assert!(report["memory"].is_object() && report["limits"].is_object());

    let run = doctor(&[], &[("EFFNET_ISA", "avx1024\u{1b}[31m")]);
    assert!(run.stdout.contains(r"EFFNET_ISA=avx1024\x1B[31m"), "{}", run.stdout);
    assert!(!run.stdout.contains('\u{1b}'));
}

#[cfg(feature = "hub")]
#[test]
fn a_cache_that_is_no_folder_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder, "cache", "not a folder");
    let (code, report) = json(&[("HF_HUB_CACHE", str(&file))]);
    assert_eq!(code, 0, "{report:#}");
    assert!(report["hub"]["contents"]["unknown"].is_string(), "{report:#}");
    assert_eq!(report["hub"]["cache"]["writable"], false);
    let problems = problems(&report);
    assert!(problems.contains("the cache of models cannot be read"), "{problems}");
    assert!(problems.contains("--cache-dir or HF_HUB_CACHE"), "{problems}");
}

#[cfg(all(feature = "hub", unix))]
#[test]
fn the_caches_state_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("models--org--name");
    let snapshot = model.join("snapshots").join("0123456789abcdef0123456789abcdef01234567");
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::create_dir(model.join("blobs")).unwrap();
    std::fs::write(model.join("blobs/a"), "12345").unwrap();
    std::fs::write(model.join("blobs/b.incomplete"), "678").unwrap();
    for (name, blob) in [("config.json", "a"), ("model.safetensors", "gone")] {
        let content = Path::new("../../blobs").join(blob);
        std::os::unix::fs::symlink(content, snapshot.join(name)).unwrap();
    }
    let run = doctor(&["--format", "json", "--cache-dir", str(folder.path())], &[]);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let contents = serde_json::json!({
        "models": 1, "bytes": 8, "unfinished_downloads": 1, "missing_files": 1
    });
    assert_eq!(report["hub"]["contents"], contents);
    assert!(problems(&report).contains("effnet cache verify"), "{report:#}");
    // The probe of the folder leaves nothing.
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
}

#[cfg(feature = "hub")]
#[test]
fn a_token_is_mentioned_and_never_shown() {
    const TOKEN: &str = "hf_SeCrEtSeCrEtSeCrEt";
    for format in ["text", "json"] {
        let variables = [("HF_TOKEN", TOKEN), ("HF_HUB_OFFLINE", "1")];
        let run = doctor(&["--format", format], &variables);
        assert_eq!(run.code, 0, "{}", run.stdout);
        assert!(!run.stdout.contains("SeCrEt"), "{}", run.stdout);
        if format == "json" {
            let hub = &serde_json::from_str::<Value>(&run.stdout).unwrap()["hub"];
            assert_eq!([&hub["token_is_set"], &hub["offline"]], [true, true]);
        }
        // One that cannot be a token, and an endpoint with one in it.
        let odd = [("HF_TOKEN", "hf_ SeCrEt"), ("HF_ENDPOINT", "https://me:SeCrEt@example.org")];
        for variable in odd {
            let run = doctor(&["--format", format], &[variable]);
            assert_eq!(run.code, 0, "{}", run.stdout);
            assert!(run.stdout.contains(variable.0), "{}", run.stdout);
            assert!(!run.stdout.contains("SeCrEt"), "{}", run.stdout);
        }
    }
}

#[test]
fn an_empty_environment_is_enough() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_effnet"));
    command.args(["doctor", "--format", "json"]).current_dir(ROOT).env_clear();
    let run = run(command);
    assert_eq!(run.code, 0, "{}", run.stdout);
    serde_json::from_str::<Value>(&run.stdout).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn threads_that_do_not_start_are_a_problem() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;

    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let program = folder.path().join("effnet");
    std::fs::copy(env!("CARGO_BIN_EXE_effnet"), &program).unwrap();
    let mut command = Command::new("prlimit");
    command.arg("--nproc=1").arg(&program).args(["doctor", "--format", "json"]);
    command.current_dir(folder.path()).env("HF_HOME", folder.path());
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        // The limit does not apply to root.
        command.uid(65_534).gid(65_534);
    }
    let run = run(command);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["limits"]["user_processes"], 1);
    let row = &report["self_test"]["rows"][0];
    assert_eq!((&row["result"], &row["threads"]), (&"ok".into(), &1.into()));
    if report["cpu"]["threads"] != 1 {
        assert!(problems(&report).contains("raise `ulimit -u`"), "{report:#}");
    }
}
