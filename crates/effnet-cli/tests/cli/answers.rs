use serde_json::Value;

use super::{effnet, fixture, str, write};

const COFFEE: &str = "examples/images/coffee.png";
const CHELSEA: &str = "examples/images/chelsea.png";
const DATA: &str = "tests/data/validate";

/// A calibration of the bundled model.
fn calibration(folder: &tempfile::TempDir) -> String {
    let file = folder.path().join("calibration.json");
    let run = effnet(["validate", DATA, "--save-calibration", str(&file)]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("note: ") && run.stderr.contains("temperature"), "{}", run.stderr);
    str(&file).to_owned()
}

fn rows(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_calibration_changes_probabilities_and_not_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = calibration(&folder);
    let args = ["classify", COFFEE, CHELSEA, "--format", "jsonl"];
    let before = rows(&effnet(args).stdout);
    let run = effnet(args.iter().copied().chain(["--calibration", &file]));
    assert_eq!((run.code, &*run.stderr), (0, ""));
    for (before, after) in before.iter().zip(rows(&run.stdout)) {
        assert!(after.get("answer").is_none() && after.get("coverage").is_none());
        let pairs = |row: &Value| -> Vec<(u64, f64, f64)> {
            let predictions = row["predictions"].as_array().unwrap().iter();
            let number = |p: &Value, key: &str| p[key].as_f64().unwrap();
            predictions
                .map(|p| {
                    (p["index"].as_u64().unwrap(), number(p, "logit"), number(p, "probability"))
                })
                .collect()
        };
        for (before, after) in pairs(before).iter().zip(pairs(&after)) {
            assert_eq!((before.0, before.1), (after.0, after.1));
            assert_ne!(before.2, after.2);
        }
    }
}

#[test]
fn a_calibration_of_another_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = calibration(&folder);
    for other in [
        ["--weights", "seeded:0", "-m", "tf_efficientnet_lite0"],
        ["--img-size", "192", "--crop-pct", "0.875"],
    ] {
        let run = effnet(["classify", COFFEE, "--calibration", &file].into_iter().chain(other));
        assert_eq!(run.code, 3, "{other:?}");
        let error = run.only_error();
        assert!(error.contains("make one of this model with `effnet validate`"), "{error}");
    }
    let text = write(&folder, "text.json", "{}");
    let run = effnet(["classify", COFFEE, "--calibration", str(&text)]);
    assert_eq!(run.code, 3);
    assert!(run.only_error().contains("text.json: not a calibration"));
}

#[test]
fn a_coverage_lists_a_set() {
    let folder = tempfile::tempdir().unwrap();
    let file = calibration(&folder);
    let sizes = |coverage: &str| -> Vec<usize> {
        let run = effnet([
            "classify",
            COFFEE,
            CHELSEA,
            "--format",
            "jsonl",
            "--calibration",
            &file,
            "--coverage",
            coverage,
        ]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        let rows = rows(&run.stdout);
        assert!(rows.iter().all(|row| row["coverage"] == coverage.parse::<f64>().unwrap()));
        rows.iter().map(|row| row["predictions"].as_array().unwrap().len()).collect()
    };
    let (half, most) = (sizes("0.5"), sizes("0.9"));
    assert!(
        half.iter().zip(&most).all(|(half, most)| (1..=*most).contains(half)),
        "{half:?} {most:?}"
    );
    assert!(most[1] > half[1]);

    let run = effnet(["classify", COFFEE, "--calibration", &file, "--coverage", "0.9"]);
    assert!(
        run.stdout.contains("the right class is one of these for 90% of images"),
        "{}",
        run.stdout
    );
    let run = effnet(["classify", COFFEE, "--calibration", &file, "--coverage", "0.999"]);
    assert_eq!(run.code, 3);
    assert!(run.only_error().contains("needs at least 999 held-out images"));
    let run = effnet(["classify", COFFEE, "--coverage", "0.9"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("--calibration"), "{}", run.stderr);
}

#[test]
fn unknown_is_said_in_every_format() {
    let text = fixture("text.jpg");
    let args = ["classify", COFFEE, CHELSEA, &text, "-k", "1", "--min-probability", "0.9"];
    let run = effnet(args.iter().copied().chain(["--format", "jsonl"]));
    let rows = rows(&run.stdout);
    let answer = &rows[0]["answer"];
    assert_eq!((&answer["kind"], &answer["label"]), (&"class".into(), &"espresso".into()));
    assert_eq!(rows[1]["answer"], serde_json::json!({ "kind": "unknown" }));
    // The guesses are still there.
    assert_eq!(rows[1]["predictions"].as_array().unwrap().len(), 1);
    assert!(rows[2].get("answer").is_none());

    let run = effnet(args.iter().copied().chain(["--format", "csv"]));
    let mut csv = csv::Reader::from_reader(run.stdout.as_bytes());
    assert_eq!(
        &csv.headers().unwrap().iter().collect::<Vec<_>>()[8..],
        ["error", "answer", "answer_probability"]
    );
    let rows: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    assert_eq!((&rows[0][9], &rows[1][9], &rows[1][10]), ("espresso", "unknown", ""));
    assert_eq!((&rows[2][9], rows[2].len()), ("", 11));

    let run = effnet(args);
    assert!(
        run.stdout.contains("\n  espresso 95.1%\n") && run.stdout.contains("\n  unknown\n"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_cat_of_no_sure_kind_is_a_cat() {
    let args = ["classify", CHELSEA, "-k", "2", "--min-probability", "0.9", "--roll-up"];
    let run = effnet(args.iter().copied().chain(["--format", "jsonl"]));
    let answer = &rows(&run.stdout)[0]["answer"];
    assert_eq!(
        (&answer["kind"], &answer["label"]),
        (&"group".into(), &"domestic cat".into()),
        "{answer}"
    );
    assert_eq!((&answer["synset"], &answer["classes"]), (&"n02121808".into(), &5.into()));
    assert!(answer["probability"].as_f64().unwrap() >= 0.9);
    let run = effnet(args);
    assert!(run.stdout.contains("\n  domestic cat 92.0% (one of 5 kinds)\n"), "{}", run.stdout);

    let run = effnet(["classify", CHELSEA, "--roll-up"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("--min-probability"));
    let run = effnet([
        "classify",
        CHELSEA,
        "--roll-up",
        "--min-probability",
        "0.5",
        "-m",
        "test_efficientnet",
        "--weights",
        "seeded:0",
        "--num-classes",
        "3",
    ]);
    assert_eq!(run.code, 3);
    assert!(run.only_error().contains("--roll-up: the model's classes have no names"));
}
