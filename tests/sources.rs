//! Images of folders, lists, archives and tables.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::fs;
use std::path::{Path, PathBuf};

use effnet::preprocess::{ColorMode, DecodeOptions, decode};
use effnet::sources::{Label, Sample, SampleImage, SourceOptions, Sources};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sources");
const NAMES: [&str; 4] = ["a.png", "b.jpg", "c.png", "d.png"];
const CLASSES: [&str; 3] = ["cat", "dog", "fox"];
const LABELS: [usize; 4] = [2, 0, 1, 0];

fn data(name: &str) -> PathBuf {
    Path::new(DATA).join(name)
}

fn samples(name: &str) -> Vec<Sample> {
    let mut options = SourceOptions::default();
    options.labels = true;
    Sources::new([data(name)]).options(options).collect()
}

/// The bytes of an image.
fn bytes(sample: &Sample) -> Vec<u8> {
    match &sample.image {
        SampleImage::File(path) => fs::read(path).unwrap(),
        SampleImage::Part { path, offset, len } => {
            fs::read(path).unwrap()[*offset as usize..][..*len as usize].to_vec()
        }
        SampleImage::Encoded(bytes) => bytes.clone(),
        other => panic!("{}: {other:?}", sample.name),
    }
}

fn index(label: &Option<Label>) -> Option<usize> {
    label.as_ref().and_then(|label| label.index)
}

fn name(label: &Option<Label>) -> Option<&str> {
    label.as_ref().and_then(|label| label.name.as_deref())
}

/// The images are the files', in order.
fn expect_images(samples: &[Sample]) {
    assert_eq!(samples.len(), NAMES.len());
    for (sample, name) in samples.iter().zip(NAMES) {
        assert_eq!(bytes(sample), fs::read(data(name)).unwrap(), "{}", sample.name);
    }
}

#[test]
fn an_archive_of_webdataset_gives_its_images_and_labels() {
    for archive in ["webdataset.tar", "webdataset.tar.gz"] {
        let samples = samples(archive);
        expect_images(&samples);
        for (sample, (image, label)) in samples.iter().zip(NAMES.iter().zip(LABELS)) {
            assert_eq!(sample.name, format!("{}/part/{image}", data(archive).display()));
            assert_eq!(index(&sample.label), Some(label), "{}", sample.name);
        }
    }
    // Images of a plain archive are read where they lie.
    assert!(matches!(samples("webdataset.tar")[0].image, SampleImage::Part { .. }));
}

#[cfg(feature = "parquet")]
#[test]
fn a_dataset_of_the_hub_gives_its_images_and_the_names_of_its_labels() {
    let samples = samples("datasets.parquet");
    expect_images(&samples);
    assert!(matches!(&samples[2].image, SampleImage::File(path) if *path == data("c.png")));
    for (row, (sample, label)) in samples.iter().zip(LABELS).enumerate() {
        assert_eq!(sample.name, format!("{}#{row}", data("datasets.parquet").display()));
        assert_eq!(index(&sample.label), Some(label));
        assert_eq!(name(&sample.label), Some(CLASSES[label]));
    }
}

#[cfg(feature = "parquet")]
#[test]
fn a_table_of_bytes_is_read_in_every_compression() {
    for compression in ["none", "snappy", "zstd", "gzip", "lz4"] {
        let samples = samples(&format!("bytes_{compression}.parquet"));
        expect_images(&samples);
        for (sample, label) in samples.iter().zip(LABELS) {
            assert_eq!(name(&sample.label), Some(CLASSES[label]));
        }
    }
}

#[test]
fn a_csv_file_names_files_beside_it() {
    let samples = samples("table.csv");
    expect_images(&samples);
    for (sample, (image, label)) in samples.iter().zip(NAMES.iter().zip(LABELS)) {
        assert_eq!(sample.name, data(image).display().to_string());
        assert_eq!(name(&sample.label), Some(CLASSES[label]));
    }
}

#[test]
fn labels_are_read_only_if_they_are_asked_for() {
    for source in ["webdataset.tar", "table.csv"] {
        assert!(Sources::new([data(source)]).all(|sample| sample.label.is_none()));
    }
}

#[test]
fn columns_can_be_named_and_others_are_refused() {
    let reasons = |source: &str, column: &str| -> Vec<String> {
        let mut options = SourceOptions::default();
        options.image_column = Some(column.to_owned());
        let reason = |sample: Sample| match sample.image {
            SampleImage::Unreadable { reason } => Some(reason),
            _ => None,
        };
        Sources::new([data(source)]).options(options).filter_map(reason).collect()
    };
    assert!(reasons("table.csv", "file_name").is_empty());
    let [reason] = &reasons("table.csv", "nothing")[..] else { panic!() };
    assert!(reason.contains("no column `nothing`") && reason.contains("id, file_name, label"));
    if cfg!(feature = "parquet") {
        assert!(reasons("datasets.parquet", "image").is_empty());
        let [reason] = &reasons("datasets.parquet", "label")[..] else { panic!() };
        assert!(reason.contains("`label` holds neither bytes"), "{reason}");
        let [reason] = &reasons("datasets.parquet", "pixels")[..] else { panic!() };
        assert!(reason.contains("no column `pixels`"), "{reason}");
    }
}

/// Every truncation of a file gives the images before it, and says that it was cut.
#[test]
fn a_truncated_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut sources = vec!["webdataset.tar", "webdataset.tar.gz"];
    if cfg!(feature = "parquet") {
        sources.extend(["datasets.parquet", "bytes_zstd.parquet"]);
    }
    for source in sources {
        let whole = fs::read(data(source)).unwrap();
        let path = folder.path().join(source);
        // Zeros end an archive; what follows the last member may be missing.
        let padding = 1024 + 9000;
        for at in (0..whole.len().saturating_sub(padding)).step_by(211) {
            fs::write(&path, &whole[..at]).unwrap();
            let samples: Vec<Sample> = Sources::new([&path]).collect();
            let failed = |sample: &Sample| matches!(sample.image, SampleImage::Unreadable { .. });
            let (last, before) = samples.split_last().unwrap();
            assert!(!before.iter().any(failed), "{source} at {at}");
            let all = before.len() == NAMES.len() - 1 && !failed(last);
            let cut_between = source.ends_with(".tar") && at % 512 == 0;
            assert!(failed(last) || all || cut_between, "{source} at {at}: {samples:?}");
        }
    }
}

/// No file panics, hangs, or takes its memory from what it says of itself.
#[test]
fn damaged_files_give_images_or_errors() {
    let folder = tempfile::tempdir().unwrap();
    let mut sources = vec!["webdataset.tar", "webdataset.tar.gz", "table.csv"];
    if cfg!(feature = "parquet") {
        sources.extend(["datasets.parquet", "bytes_snappy.parquet"]);
    }
    let mut random = 18_u64;
    let mut next = move || {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (random >> 33) as usize
    };
    for source in sources {
        let whole = fs::read(data(source)).unwrap();
        let path = folder.path().join(source);
        for _ in 0..300 {
            let mut damaged = whole.clone();
            for _ in 0..1 + next() % 4 {
                let at = next() % damaged.len();
                damaged[at] = [0, 0xFF, damaged[at] ^ 1, next() as u8][next() % 4];
            }
            fs::write(&path, &damaged).unwrap();
            let samples: Vec<Sample> = Sources::new([&path]).take(100).collect();
            assert!((1..100).contains(&samples.len()), "{source}: {} samples", samples.len());
        }
    }
}

/// Links and sparse files in an archive are not lost without a word.
#[test]
fn what_is_no_file_in_an_archive_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |kind: tar::EntryType, name: &str, data: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(data.len() as u64);
        header.set_link_name("a.png").unwrap();
        archive.append_data(&mut header, name, data).unwrap();
    };
    let image = fs::read(data("a.png")).unwrap();
    let long = format!("{}/long.png", "folder".repeat(40));
    add(tar::EntryType::Directory, "folder.png/", b"");
    add(tar::EntryType::Regular, "a.png", &image);
    add(tar::EntryType::Link, "b.png", b"");
    add(tar::EntryType::Symlink, "c.png", b"");
    add(tar::EntryType::Fifo, "d.png", b"");
    add(tar::EntryType::Symlink, "notes.txt", b"");
    add(tar::EntryType::Regular, &long, &image);
    let path = folder.path().join("links.tar");
    fs::write(&path, archive.into_inner().unwrap()).unwrap();
    let samples: Vec<Sample> = Sources::new([&path]).collect();
    let found: Vec<(&str, bool)> = samples
        .iter()
        .map(|sample| {
            let name = sample.name.strip_prefix(&format!("{}/", path.display())).unwrap();
            (name, matches!(sample.image, SampleImage::Unreadable { .. }))
        })
        .collect();
    let expected =
        [("a.png", false), ("b.png", true), ("c.png", true), ("d.png", true), (&*long, false)];
    assert_eq!(found, expected);
    assert_eq!(bytes(&samples[4]), image);
}

fn list(folder: &Path, name: &str, text: &[u8]) -> String {
    fs::write(folder.join(name), text).unwrap();
    format!("@{}", folder.join(name).display())
}

#[test]
fn a_list_names_files_and_folders() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let inner = path.join("in");
    fs::create_dir(&inner).unwrap();
    for name in ["in/x.png", "in/y*.png", "z\n.png", "@q.png"] {
        fs::copy(data("a.png"), path.join(name)).unwrap();
    }
    let shown = |name: &str| path.join(name).display().to_string();
    let names = |source: String, null: bool| -> Vec<String> {
        let mut options = SourceOptions::default();
        options.null = null;
        Sources::new([source]).options(options).map(|sample| sample.name).collect()
    };
    // With both kinds of line ends, an empty line, and no end of the last line. A name is not a pattern.
    let text = format!("{}\r\n\n{}\n{}", shown("in"), shown("in/y*.png"), shown("gone.png"));
    let expected = [shown("in/x.png"), shown("in/y*.png"), shown("in/y*.png"), shown("gone.png")];
    assert_eq!(names(list(path, "lines", text.as_bytes()), false), expected);
    let text = format!("{}\0{}\0", shown("z\n.png"), shown("in/x.png"));
    let expected = [shown(r"z\x0A.png"), shown("in/x.png")];
    assert_eq!(names(list(path, "nul", text.as_bytes()), true), expected);
    // What exists is a file, whatever its name begins with.
    assert_eq!(names(shown("@q.png"), false), [shown("@q.png")]);
    assert_eq!(names(format!("@{}", shown("no list")), false), [shown("no list")]);
    assert_eq!(names(list(path, "empty", b""), false), [shown("empty")]);
    assert_eq!(names(list(path, "long", &vec![b'x'; 1 << 17]), false), [shown("long")]);
}

#[test]
fn shards_are_parts_of_the_whole() {
    let arguments = || {
        let mut arguments: Vec<PathBuf> = NAMES.iter().map(|name| data(name)).collect();
        arguments.insert(2, data("webdataset.tar"));
        arguments.push(data("table.csv"));
        arguments
    };
    let whole: Vec<Sample> = Sources::new(arguments()).collect();
    assert_eq!(whole.len(), 12);
    for count in 1..8 {
        let mut parts = Vec::new();
        let mut ends = Vec::new();
        for index in 0..count {
            let mut sources = Sources::new(arguments()).shard(index, count);
            parts.extend(&mut sources);
            ends.push((sources.entries(), sources.digest()));
        }
        parts.sort_by_key(|sample: &Sample| sample.entry);
        assert_eq!(parts, whole, "{count} shards");
        assert!(ends.iter().all(|end| *end == ends[0] && end.0 == 6), "{ends:?}");
    }
    assert_eq!(Sources::new(arguments()).count_entries(), 6);
    let digest = |name: &str| {
        let mut sources = Sources::new([name]);
        assert_eq!((&mut sources).count(), 1);
        sources.digest()
    };
    assert_ne!(digest("x"), digest("y"));
}

/// What an image is does not depend on where it lies.
#[test]
fn an_image_decodes_alike_from_everywhere() {
    let model = effnet::Model::builder().model("efficientnet_lite0").weights("seeded:0");
    let model = model.build().unwrap();
    let options = DecodeOptions::default();
    let file = decode(&fs::read(data("a.png")).unwrap(), ColorMode::Rgb, &options).unwrap();
    let expected = model.logits(&file).unwrap();
    let mut sources = vec!["a.png", "webdataset.tar", "webdataset.tar.gz", "table.csv"];
    if cfg!(feature = "parquet") {
        sources.extend(["datasets.parquet", "bytes_zstd.parquet"]);
    }
    for source in sources {
        let sample = Sources::new([data(source)]).next().unwrap();
        assert_eq!(model.logits(&sample).unwrap(), expected, "{source}");
    }
    let broken = Sources::new([data("webdataset.tar")]).last().unwrap();
    let error = model.logits(&broken).unwrap_err().to_string();
    assert!(error.contains("webdataset.tar/part/d.png: "), "{error}");
}
