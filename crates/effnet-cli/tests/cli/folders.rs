//! Which images arguments mean.

use std::path::Path;

use serde_json::Value;

use super::{Run, effnet, str, write};

fn coffee() -> Vec<u8> {
    std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/images/coffee.png")).unwrap()
}

/// The names of the rows, and whether each is an error.
fn rows(run: &Run, folder: &Path) -> Vec<(String, bool)> {
    let prefix = format!("{}/", folder.display());
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let image = row["image"].as_str().unwrap();
        (image.strip_prefix(&prefix).unwrap_or(image).to_owned(), row["error"].is_string())
    };
    run.stdout.lines().map(row).collect()
}

fn classify(arguments: &[&str]) -> Run {
    let options = ["-k", "1", "--format", "jsonl"];
    effnet(["classify"].iter().chain(arguments).chain(&options))
}

fn expect(rows: &[(String, bool)], expected: &[(&str, bool)]) {
    let rows: Vec<_> = rows.iter().map(|(name, failed)| (name.as_str(), *failed)).collect();
    assert_eq!(rows, expected);
}

#[test]
fn every_format_is_found_and_other_files_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::create_dir(path.join("__MACOSX")).unwrap();
    for name in
        ["a.MPO", "b.dib", "c.vst", "d.jpe", "__MACOSX/e.png", "._f.png", ".DS_Store", "g.txt"]
    {
        write(&folder, name, coffee());
    }
    let run = classify(&[str(path)]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    expect(
        &rows(&run, path),
        &[("a.MPO", false), ("b.dib", false), ("c.vst", false), ("d.jpe", false)],
    );
    assert_eq!(run.stderr, "note: skipped 3 files whose names are not images'\n");
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_in_circles() {
    use std::os::unix::fs::symlink;

    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path(), tempfile::tempdir().unwrap());
    write(&other, "far.png", coffee());
    write(&folder, "near.png", coffee());
    symlink(other.path(), path.join("one")).unwrap();
    symlink(other.path(), path.join("two")).unwrap();
    symlink(path, other.path().join("back")).unwrap();
    symlink(other.path().join("far.png"), path.join("z.png")).unwrap();
    let run = classify(&[str(path)]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let all = ["near.png", "one/far.png", "two/far.png", "z.png"].map(|name| (name, false));
    expect(&rows(&run, path), &all);
    assert_eq!(run.stderr.lines().count(), 2, "{}", run.stderr);
    assert!(run.stderr.lines().all(|l| l.starts_with("note: ") && l.contains("which contains it")));
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_is_a_row() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(&folder, "b.png", coffee());
    symlink("gone.png", path.join("a.png")).unwrap();
    symlink("gone", path.join("c")).unwrap();
    symlink("gone.txt", path.join("c.txt")).unwrap();
    symlink("d.png", path.join("d.png")).unwrap();
    let run = classify(&[str(path)]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    expect(&rows(&run, path), &[("a.png", true), ("b.png", false), ("c", true), ("d.png", true)]);
    assert!(run.stderr.contains("a.png: No such file"), "{}", run.stderr);

    // A folder that may not be entered, except by root.
    let closed = path.join("e");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o0)).unwrap();
    if std::fs::read_dir(&closed).is_err() {
        let run = classify(&[str(path)]);
        assert!(rows(&run, path).contains(&("e".to_owned(), true)), "{}", run.stdout);
    }
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();
}

#[test]
fn what_stands_for_nothing_does_not_stop_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let empty = path.join("empty");
    std::fs::create_dir(&empty).unwrap();
    let image = write(&folder, "a b.png", coffee());
    let (nothing, malformed) =
        (format!("{}/*.xyz", path.display()), format!("{}/***", path.display()));
    let url = format!("file://{}", str(&image).replace(' ', "%20"));
    let cases = [
        (str(&empty), Some("no images in this folder")),
        (str(&image), None),
        (&nothing, Some("no file matches")),
        (&malformed, Some("not a pattern")),
        ("https://example.org/a.png", Some("download it first")),
        ("s3://bucket/a.png", Some("download it first")),
        ("file://other/a.png", Some("another machine")),
        ("data:image/png;base64,AAAA", Some("write them to a file first")),
        (&url, None),
    ];
    let run = classify(&cases.map(|(argument, _)| argument));
    assert_eq!(run.code, 1);
    let lines: Vec<Value> = run.stdout.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), cases.len(), "{}", run.stdout);
    for (row, (argument, error)) in lines.iter().zip(cases) {
        match error {
            Some(expected) => {
                let error = row["error"].as_str().unwrap();
                assert!(error.starts_with(argument) && error.contains(expected), "{error}");
                assert!(run.stderr.contains(&format!("error: {error}\n")), "{}", run.stderr);
            }
            None => assert_eq!(row["predictions"][0]["label"], "espresso", "{argument}"),
        }
    }
    // If every image is needed, everything that is wrong is reported.
    let out = path.join("out.safetensors");
    let run = effnet(["preprocess", str(&empty), str(&image), &nothing, "-o", str(&out)]);
    assert_eq!((run.code, run.stderr.lines().count()), (1, 3), "{}", run.stderr);
    assert!(!out.exists());
}

#[test]
fn patterns_match_as_a_shell_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::create_dir(path.join("sub")).unwrap();
    for name in ["x1.png", "._x2.png", "sub/y.png"] {
        write(&folder, name, coffee());
    }
    let run = classify(&[&format!("{}/*", path.display())]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    expect(&rows(&run, path), &[("sub/y.png", false), ("x1.png", false)]);
}
