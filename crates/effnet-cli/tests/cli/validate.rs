use serde_json::Value;

use super::{ROOT, Run, effnet, str, write};

const DATA: &str = "tests/data/validate";

fn golden() -> Value {
    let path = std::path::Path::new(ROOT).join("tests/goldens/validate.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e}: {}", run.stderr))
}

fn same_as_timm(found: &Value, expected: &Value) {
    let close = |found: &Value, expected: &Value, factor: f64, within: f64| {
        let (found, expected) = (factor * found.as_f64().unwrap(), expected.as_f64().unwrap());
        assert!((found - expected).abs() < within, "{found} and not {expected}");
    };
    close(&found["accuracy"]["top1"], &expected["top1"], 100.0, 1e-5);
    close(&found["accuracy"]["top5"], &expected["top5"], 100.0, 1e-5);
    close(&found["nll"], &expected["loss"], 1.0, 1e-3);
}

#[test]
fn the_figures_are_timms() {
    let run = effnet(["validate", DATA, "--format", "json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    // Nine folders of 1000 classes have the names of classes, which timm does not read.
    assert!(run.stderr.contains("timm takes their order") && run.stderr.contains("9 of 9"));
    let found = json(&run);
    same_as_timm(&found, &golden()["timm"]);
    assert_eq!(
        (&found["model"], &found["data"]),
        (&"tf_efficientnet_lite0.in1k".into(), &DATA.into())
    );
    assert_eq!((&found["failed"], &found["accuracy"]["images"]), (&0.into(), &42.into()));
    assert!(found["weights"].as_str().unwrap().starts_with("35e0a61f"));
    assert!(found["calibration"]["temperature"].as_f64().unwrap() > 1.0);
}

#[test]
fn valid_labels_are_timms() {
    let golden = golden();
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<String> =
        golden["valid_labels"].as_array().unwrap().iter().map(Value::to_string).collect();
    let file = write(&folder, "valid.txt", lines.join("\n"));
    let run = effnet(["validate", DATA, "--format", "json", "--valid-labels", str(&file)]);
    assert_eq!((run.code, &*run.stderr), (0, ""));
    let found = json(&run);
    assert_eq!(found["num_classes"], 9);
    same_as_timm(&found, &golden["timm_valid"]);
    // Indices are the model's.
    assert_eq!(found["classes"][0]["index"], 281);

    let bad = write(&folder, "bad.txt", "281\n1000\n");
    let run = effnet(["validate", DATA, "--valid-labels", str(&bad)]);
    assert_eq!(run.code, 2);
    assert!(run.only_error().contains("line 2: expected a class index from 0 to 999"));
}

#[test]
fn real_labels_are_timms() {
    let golden = golden();
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder, "real.json", golden["real"].to_string());
    // As `record.py` names the files: by their order.
    let data = folder.path().join("data");
    let root = std::path::Path::new(ROOT).join(DATA);
    let mut images: Vec<_> = std::fs::read_dir(root)
        .unwrap()
        .flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap())
        .map(|image| image.unwrap().path())
        .collect();
    images.sort();
    for (number, image) in images.iter().enumerate() {
        let class = data.join(image.parent().unwrap().file_name().unwrap());
        std::fs::create_dir_all(&class).unwrap();
        std::fs::copy(image, class.join(format!("ILSVRC2012_val_{:08}.JPEG", number + 1))).unwrap();
    }
    let run = effnet(["validate", str(&data), "--format", "json", "--real-labels", str(&file)]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let (found, expected) = (json(&run), &golden["timm_real"]);
    for (key, timms) in [("top1", "top1"), ("top5", "top5")] {
        let found = 100.0 * found["real"][key].as_f64().unwrap();
        assert!((found - expected[timms].as_f64().unwrap()).abs() < 1e-5, "{key} {found}");
    }
    let run = effnet(["validate", DATA, "--real-labels", str(&file)]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("is not named ILSVRC2012_val_N.JPEG with a number up to 42"));
}

#[test]
fn a_table_of_paths_and_labels_gives_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let root = std::fs::canonicalize(std::path::Path::new(ROOT).join(DATA)).unwrap();
    let row = |path: &str, label: &str| format!("{label},{}\n", root.join(path).display());
    let rows = [
        row("n07920052/coffee_0.jpg", "espresso"),
        row("n02124075/chelsea_0.jpg", "Egyptian_cat"),
        row("n04485082/camera_0.jpg", "n04485082"),
    ];
    let names = write(&folder, "names.csv", format!("label,path\n{}", rows.concat()));
    let named = json(&effnet(["validate", str(&names), "--format", "json"]));
    let rows = [
        row("n07920052/coffee_0.jpg", "967"),
        row("n02124075/chelsea_0.jpg", "285"),
        row("n04485082/camera_0.jpg", "872"),
    ];
    let numbers = write(&folder, "numbers.csv", format!("label,path\n{}", rows.concat()));
    let mut numbered = json(&effnet(["validate", str(&numbers), "--format", "json"]));
    numbered["data"] = named["data"].clone();
    assert_eq!(named, numbered);
    assert_eq!(named["accuracy"]["images"], 3);

    let table = write(&folder, "table.csv", "thing,label\na.png,1\n");
    let run = effnet(["validate", str(&table)]);
    assert_eq!(run.code, 2);
    assert!(run.only_error().contains("none of its columns (thing, label)"), "{}", run.stderr);
    let table = write(&folder, "table.csv", "path,class\na.png,1\n");
    let run = effnet(["validate", str(&table)]);
    assert_eq!(run.code, 2);
    assert!(run.only_error().contains("it has no column `label`"), "{}", run.stderr);
    assert!(run.stderr.contains("--label-column"), "{}", run.stderr);
}

/// The same images and labels give the same figures from every container.
#[test]
fn archives_and_tables_give_the_same() {
    let folder = tempfile::tempdir().unwrap();
    // By name and by number: 0 is a cat, 1 a dog, 2 a fox.
    let map = r#"{"cat": 285, "dog": 207, "fox": 277, "0": 285, "1": 207, "2": 277}"#;
    let map = write(&folder, "map.json", map);
    let mut sources = vec!["table.csv", "webdataset.tar", "webdataset.tar.gz"];
    if cfg!(feature = "parquet") {
        sources.extend(["datasets.parquet", "bytes_zstd.parquet"]);
    }
    let figures = sources.iter().map(|source| {
        let source = format!("tests/data/sources/{source}");
        let run = effnet(["validate", &source, "--format", "json", "--class-map", str(&map)]);
        // The fourth image is broken.
        assert_eq!(run.code, 1, "{source}: {}", run.stderr);
        let found = json(&run);
        assert_eq!((&found["failed"], &found["accuracy"]["images"]), (&1.into(), &3.into()));
        let fox = found["classes"].as_array().unwrap().iter().find(|class| class["index"] == 277);
        assert_eq!(fox.unwrap()["images"], 1, "{source}: {found}");
        (found["nll"].clone(), found["classes"].clone())
    });
    let figures: Vec<_> = figures.collect();
    assert!(figures.iter().all(|found| *found == figures[0]));
}

#[test]
#[cfg(unix)]
fn an_image_that_fails_is_named_and_not_counted() {
    let folder = tempfile::tempdir().unwrap();
    let table = format!("path,label\n{0}/coffee_0.jpg,967\n{0}/none.jpg,967\n", "n07920052");
    std::os::unix::fs::symlink(
        std::fs::canonicalize(std::path::Path::new(ROOT).join(DATA).join("n07920052")).unwrap(),
        folder.path().join("n07920052"),
    )
    .unwrap();
    let table = write(&folder, "table.csv", table);
    let run = effnet(["validate", str(&table), "--format", "json"]);
    assert_eq!(run.code, 1);
    assert!(run.only_error().contains("none.jpg"));
    let found = json(&run);
    assert_eq!((&found["failed"], &found["accuracy"]["images"]), (&1.into(), &1.into()));
}

#[test]
fn class_maps_are_text_or_json_and_never_pickles() {
    let folder = tempfile::tempdir().unwrap();
    let json_map = write(&folder, "map.json", r#"{"n07920052": 967, "n04485082": 872}"#);
    let run = effnet(["validate", DATA, "--format", "json", "--class-map", str(&json_map)]);
    assert_eq!(run.code, 0);
    assert!(
        run.stderr.contains("does not have 7 of the labels, so 25 images are left out"),
        "{}",
        run.stderr
    );
    assert_eq!(json(&run)["accuracy"]["images"], 17);

    let pickle = write(&folder, "map.pkl", "cos\nsystem\n");
    let run = effnet(["validate", DATA, "--class-map", str(&pickle)]);
    assert_eq!(run.code, 2);
    assert!(run.only_error().contains("write it as JSON in Python"));
}

#[test]
fn names_that_are_no_classes_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    for class in ["espresso", "my mug"] {
        std::fs::create_dir(folder.path().join(class)).unwrap();
        std::fs::copy(
            std::path::Path::new(ROOT).join("examples/images/rocket.jpg"),
            folder.path().join(class).join("a.jpg"),
        )
        .unwrap();
    }
    let run = effnet(["validate", str(folder.path())]);
    assert_eq!(run.code, 2);
    let error = run.only_error();
    assert!(error.contains("1 of 2 names") && error.contains("\"my mug\""), "{error}");
    assert!(error.contains("--class-map FILE"), "{error}");

    let run = effnet(["validate", "README.md"]);
    assert_eq!(run.code, 2);
    assert!(run.only_error().contains("expected a folder with a folder for each class"));
    let run = effnet(["validate", DATA, "--activation", "sigmoid"]);
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains("--activation to softmax"), "{}", run.stderr);
}

#[test]
fn the_table_says_what_matters() {
    let run = effnet(["validate", DATA]);
    for expected in [
        "tests/data/validate  (tf_efficientnet_lite0.in1k)  42 images",
        "  top-1      35.714%",
        "  top-5      59.524%",
        "temperature ",
        "most confused",
        "  wall clock    -> mouse              3 of 4\n",
    ] {
        assert!(run.stdout.contains(expected), "{expected}: {}", run.stdout);
    }
}

#[test]
fn the_page_is_one_file_without_scripts() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    let run = effnet(["validate", DATA, "-o", str(&page)]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let page = std::fs::read_to_string(page).unwrap();
    for expected in ["<!doctype html>", "35.7%", "Egyptian cat", "prefers-color-scheme", "<svg "] {
        assert!(page.contains(expected), "{expected}");
    }
    assert_eq!(page.matches("src=\"data:image/jpeg;base64,").count(), 24);
    for outside in ["<script", "http://", "https://", "<link", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    // What is opened is closed.
    for tag in ["div", "table", "section", "figure", "svg", "li", "ul", "details", "main"] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn names_in_a_page_are_text() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..3).map(|n| format!("<b>{n}&\"")).collect();
    let labels = write(&folder, "labels.json", serde_json::to_string(&names).unwrap());
    for class in 0..3 {
        let class = folder.path().join("data").join(class.to_string());
        std::fs::create_dir_all(&class).unwrap();
        let image = std::path::Path::new(ROOT).join("examples/images/rocket.jpg");
        std::fs::copy(image, class.join("<i>.jpg")).unwrap();
    }
    let page = folder.path().join("report.html");
    let data = folder.path().join("data");
    let run = effnet([
        "validate",
        str(&data),
        "-m",
        "test_efficientnet",
        "--weights",
        "seeded:0",
        "--num-classes",
        "3",
        "--labels",
        str(&labels),
        "-o",
        str(&page),
    ]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("&lt;i&gt;.jpg") || page.contains("&lt;i>.jpg"));
    assert!(!page.contains("<i>") && !page.contains("<b>0") && !page.contains("<b>1&"));
}

/// The document's commands print what it says, line by line up to `...`.
#[test]
fn the_documents_examples_are_true() {
    let document = include_str!("../../../../docs/validate.md");
    let mut examples = 0;
    for example in document.split("\n    $ effnet ").skip(1) {
        let mut lines = example.lines();
        let run = effnet(lines.next().unwrap().split(' '));
        let said = lines.take_while(|line| line.starts_with("    ") && line.trim() != "...");
        for (said, printed) in said.zip(run.stdout.lines()) {
            assert_eq!(said.strip_prefix("    ").unwrap(), printed);
        }
        examples += 1;
    }
    assert_eq!(examples, 2);
}
