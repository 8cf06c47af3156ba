//! Embeddings in files, and images that look alike.

use std::path::Path;

use serde_json::Value;

use super::{ROOT, effnet, str, write};

/// A folder with three photographs, one of them twice, and an image that is broken.
fn photographs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (from, name) in [
        ("chelsea.png", "cat.png"),
        ("coffee.png", "cup.png"),
        ("coffee.png", "cup again.png"),
        ("rocket.jpg", "rocket.jpg"),
    ] {
        let path = Path::new(ROOT).join("examples/images").join(from);
        write(&folder, name, std::fs::read(path).unwrap());
    }
    write(&folder, "broken.png", "");
    folder
}

/// The good images, in their order.
const GOOD: [&str; 4] = ["cat.png", "cup again.png", "cup.png", "rocket.jpg"];

/// The embeddings as standard output shows them.
fn shown(folder: &Path, more: &[&str]) -> Vec<Vec<f32>> {
    let run = effnet([&["embed", str(folder)], more].concat());
    assert_eq!(run.code, 1, "{}", run.stderr);
    let rows = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.filter_map(|row| serde_json::from_value(row["embedding"].clone()).ok()).collect()
}

#[test]
fn npy_holds_a_matrix_and_the_names_beside_it() {
    let (folder, out) = (photographs(), tempfile::tempdir().unwrap());
    let output = out.path().join("out.npy");
    let run = effnet(["embed", str(folder.path()), "-o", str(&output)]);
    assert_eq!((run.code, &*run.stdout), (1, ""), "{}", run.stderr);
    let bytes = std::fs::read(&output).unwrap();
    let expected = shown(folder.path(), &[]);
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 1280), }";
    assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
    assert_eq!(std::str::from_utf8(&bytes[10..128]).unwrap(), format!("{header:<117}\n"));
    let values: Vec<f32> =
        bytes[128..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    assert_eq!(values, expected.concat());
    let names = std::fs::read_to_string(out.path().join("out.npy.txt")).unwrap();
    let names: Vec<&str> = names.lines().map(|name| name.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, GOOD);
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_holds_a_list_for_each_image() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::{Field, ListAccessor, RowAccessor};

    let (folder, out) = (photographs(), tempfile::tempdir().unwrap());
    let output = out.path().join("out.parquet");
    effnet(["embed", str(folder.path()), "-o", str(&output)]);
    let file = SerializedFileReader::new(std::fs::File::open(output).unwrap()).unwrap();
    let mut embeddings = Vec::new();
    for row in file.get_row_iter(None).unwrap() {
        let row = row.unwrap();
        let is_broken = row.get_string(0).unwrap().ends_with("broken.png");
        let columns: Vec<&Field> = row.get_column_iter().map(|(_, field)| field).collect();
        assert_eq!(columns[2] == &Field::Null, is_broken);
        assert_eq!(columns[3] != &Field::Null, is_broken);
        if !is_broken {
            let list = row.get_list(2).unwrap();
            let values = (0..list.len()).map(|i| list.get_float(i).unwrap());
            embeddings.push(values.collect::<Vec<f32>>());
        }
    }
    assert_eq!(embeddings, shown(folder.path(), &[]));
}

#[test]
fn normalized_embeddings_have_length_one() {
    let folder = photographs();
    let (plain, unit) = (shown(folder.path(), &[]), shown(folder.path(), &["--normalize"]));
    for (plain, unit) in plain.iter().zip(&unit) {
        let length = |row: &[f32]| row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        assert!((length(unit) - 1.0).abs() < 1e-6);
        for (a, b) in plain.iter().zip(unit) {
            assert!((f64::from(*a) / length(plain) - f64::from(*b)).abs() < 1e-7);
        }
    }
}

#[test]
fn the_most_similar_image_is_the_same_one() {
    let folder = photographs();
    let query = "examples/images/coffee.png";
    let run = effnet(["similar", str(folder.path()), query, "-k", "3", "--format", "json"]);
    // The broken image is named, and the others are compared.
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("broken.png"), "{}", run.stderr);
    let found: Value = serde_json::from_str(&run.stdout).unwrap();
    let neighbors = found[0]["neighbors"].as_array().unwrap();
    assert_eq!((found[0]["image"].as_str(), neighbors.len()), (Some(query), 3));
    let embeddings = shown(folder.path(), &["--normalize"]);
    let name = |at: usize| neighbors[at]["image"].as_str().unwrap().rsplit('/').next().unwrap();
    assert_eq!([name(0), name(1)], ["cup again.png", "cup.png"]);
    for neighbor in neighbors {
        let similarity = neighbor["similarity"].as_f64().unwrap();
        let image = neighbor["image"].as_str().unwrap();
        let at = GOOD.iter().position(|good| image.ends_with(&format!("/{good}"))).unwrap();
        let cosine = |(a, b): (&f32, &f32)| f64::from(*a) * f64::from(*b);
        let expected: f64 = embeddings[at].iter().zip(&embeddings[2]).map(cosine).sum();
        assert!((similarity - expected).abs() < 1e-5, "{image}: {similarity} {expected}");
    }
    let csv = effnet(["similar", str(folder.path()), query, "-k", "1", "--format", "csv"]).stdout;
    assert!(csv.starts_with("image,rank,neighbor,similarity\nexamples/images/coffee.png,1,"));
}

#[test]
fn duplicates_are_pairs() {
    let folder = photographs();
    let pairs = |threshold: &str| {
        let run = effnet([
            "similar",
            str(folder.path()),
            "--duplicates",
            "--threshold",
            threshold,
            "--format",
            "csv",
        ]);
        assert_eq!(run.code, 1, "{}", run.stderr);
        run.stdout.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let [pair] = &pairs("0.99")[..] else { panic!() };
    assert!(pair.contains("cup again.png,1,") && pair.contains("cup.png,"), "{pair}");
    assert_eq!(pairs("-1").len(), 6);
    let run = effnet(["similar", str(folder.path()), "--duplicates", "--threshold", "2"]);
    assert_eq!(run.code, 2);
    assert_eq!(effnet(["similar", str(folder.path())]).code, 2);
}
