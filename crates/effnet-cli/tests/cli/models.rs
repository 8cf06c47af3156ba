use serde_json::Value;

use super::effnet;

#[test]
fn the_list_holds_every_tag_once() {
    let run = effnet(["models", "--format", "json"]);
    let rows: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    let with_weights = rows.iter().filter(|row| row["weights"] == true).count();
    assert_eq!(with_weights, 170);
    let mut names: Vec<&str> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    let mut architectures: Vec<&str> =
        names.iter().map(|name| name.split('.').next().unwrap()).collect();
    architectures.dedup();
    assert_eq!(architectures.len(), 154);
}

#[test]
fn the_table_has_the_licenses_of_the_json() {
    let json = effnet(["models", "--format", "json"]);
    let rows: Vec<Value> = serde_json::from_str(&json.stdout).unwrap();
    let table = effnet(["models"]).stdout;
    for (line, row) in table.lines().skip(1).zip(&rows) {
        let license = line.split_whitespace().last().unwrap();
        assert_eq!(license, row["license"].as_str().unwrap_or("-"), "{line}");
    }
}

#[test]
fn patterns_narrow_the_list() {
    let run = effnet(["models", "tf_efficientnetv2_b?"]);
    let names: Vec<&str> =
        run.stdout.lines().skip(1).filter_map(|line| line.split('.').next()).collect();
    let expected: Vec<String> =
        [0, 1, 2, 3, 3, 3].iter().map(|n| format!("tf_efficientnetv2_b{n}")).collect();
    assert_eq!(names, expected, "{}", run.stdout);
    let run = effnet(["models", "vit_*"]);
    assert_eq!(run.code, 1);
    assert!(run.only_error().contains("vit_*"));
}
