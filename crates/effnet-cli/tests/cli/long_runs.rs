//! Results in files: runs that are killed and continued, shards, and timm's layout.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{ROOT, Run, effnet, str, write};

/// The forms of files.
const FORMS: [&str; 4] = ["csv", "jsonl", "json", "parquet"];

/// A folder of images, some of them broken, and with names that need quotes.
fn images(count: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let images = ["coffee.png", "rocket.jpg", "chelsea.png"].map(|name| {
        let path = Path::new(ROOT).join("examples/images").join(name);
        (path.extension().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap())
    });
    for i in 0..count {
        let (ending, bytes) = &images[i % images.len()];
        let bytes = if i % 7 == 5 { &bytes[..bytes.len() / 3] } else { &bytes[..] };
        write(&folder, &format!("{i:03}, \"é\".{ending}"), bytes);
    }
    folder
}

/// Arguments of a run over `folder` into `output`.
fn arguments<'a>(folder: &'a Path, output: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    [&["classify", str(folder), "-k", "2", "-o", str(output)], more].concat()
}

fn spawn(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_effnet"));
    command.args(arguments).current_dir(ROOT).env("HF_HUB_OFFLINE", "1");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn journal(output: &Path) -> PathBuf {
    format!("{}.journal", output.display()).into()
}

fn expect_whole(run: &Run, code: i32) {
    assert_eq!((run.code, &*run.stdout), (code, ""), "{}", run.stderr);
}

#[test]
fn a_file_holds_what_standard_output_shows() {
    let (folder, out) = (images(8), tempfile::tempdir().unwrap());
    for form in ["csv", "jsonl", "json"] {
        let output = out.path().join("out").with_extension(form);
        expect_whole(&effnet(arguments(folder.path(), &output, &[])), 1);
        let shown = effnet(["classify", str(folder.path()), "-k", "2", "--format", form]);
        assert_eq!(std::fs::read_to_string(&output).unwrap(), shown.stdout);
        assert!(!journal(&output).exists());
        // The ending is not asked if the form is named.
        let other = out.path().join(format!("{form}.txt"));
        expect_whole(&effnet(arguments(folder.path(), &other, &["--format", form])), 1);
        assert_eq!(std::fs::read(&other).unwrap(), std::fs::read(&output).unwrap());
    }
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_holds_the_rows_of_csv() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    let (folder, out) = (images(8), tempfile::tempdir().unwrap());
    let [csv, parquet] = ["a.csv", "a.parquet"].map(|name| out.path().join(name));
    for output in [&csv, &parquet] {
        expect_whole(&effnet(arguments(folder.path(), output, &[])), 1);
    }
    let file = SerializedFileReader::new(std::fs::File::open(parquet).unwrap()).unwrap();
    let cell = |field: &Field| match field {
        Field::Null => String::new(),
        Field::Str(text) => text.clone(),
        Field::Float(value) => value.to_string(),
        other => other.to_string(),
    };
    let rows = file.get_row_iter(None).unwrap().map(|row| {
        let row = row.unwrap();
        row.get_column_iter().map(|(_, field)| cell(field)).collect::<Vec<_>>()
    });
    let mut expected = csv::Reader::from_path(csv).unwrap();
    let expected =
        expected.records().map(|row| row.unwrap().iter().map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(rows.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    let (folder, out) = (images(40), tempfile::tempdir().unwrap());
    for (i, form) in FORMS.into_iter().enumerate() {
        if form == "parquet" && !cfg!(feature = "parquet") {
            continue;
        }
        let [whole, killed] =
            ["whole", "killed"].map(|name| out.path().join(name).with_extension(form));
        expect_whole(&effnet(arguments(folder.path(), &whole, &[])), 1);
        let mut kills = 0;
        for round in 0..5 {
            let mut child = spawn(&arguments(folder.path(), &killed, &["--resume"]));
            std::thread::sleep(Duration::from_millis(30 + 37 * (i as u64 + round)));
            child.kill().unwrap();
            kills += u32::from(!child.wait().unwrap().success());
        }
        assert!(kills > 0 || killed.exists());
        expect_whole(&effnet(arguments(folder.path(), &killed, &["--resume"])), 1);
        assert_eq!(std::fs::read(&killed).unwrap(), std::fs::read(&whole).unwrap(), "{form}");
        assert!(!journal(&killed).exists());
    }
}

/// A journal that ends anywhere, or in nonsense, gives the same bytes.
#[test]
fn a_torn_journal_gives_the_same_bytes() {
    let (folder, out) = (images(6), tempfile::tempdir().unwrap());
    let output = out.path().join("out.csv");
    // A shard's journal stays.
    expect_whole(&effnet(arguments(folder.path(), &output, &["--shard", "1/1", "--resume"])), 1);
    expect_whole(&effnet(arguments(folder.path(), &output, &["--resume"])), 0);
    std::fs::remove_file(&output).unwrap();
    let mut child = spawn(&arguments(folder.path(), &output, &["--shard", "1/2"]));
    child.wait().unwrap();
    let whole = std::fs::read(journal(&output)).unwrap();
    let expected = std::fs::read(&output).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 12) {
        for tail in [&b""[..], b"\0\0\0\0", b"{\"row\":{}}\n"] {
            // A beginning that is not whole has nothing after it.
            if !tail.is_empty() && !whole[..at].contains(&b'\n') {
                continue;
            }
            std::fs::write(journal(&output), [&whole[..at], tail].concat()).unwrap();
            std::fs::remove_file(&output).unwrap();
            let again = ["--resume", "--shard", "1/2"];
            let run = effnet(arguments(folder.path(), &output, &again));
            assert!(output.exists(), "{at}: {}", run.stderr);
            assert_eq!(std::fs::read(&output).unwrap(), expected, "{at}");
            assert_eq!(std::fs::read(journal(&output)).unwrap(), whole, "{at}");
        }
    }
}

#[test]
fn only_the_same_run_goes_on() {
    let (folder, out) = (images(6), tempfile::tempdir().unwrap());
    let output = out.path().join("out.csv");
    let shard = ["--shard", "1/2"];
    effnet(arguments(folder.path(), &output, &shard));
    let lines = std::fs::read_to_string(journal(&output)).unwrap();
    let half: String = lines.lines().take(2).map(|line| format!("{line}\n")).collect();
    let begin = || {
        std::fs::write(journal(&output), &half).unwrap();
    };
    for (more, says) in [
        (&["--shard", "1/2"][..], "--resume"),
        (&["--resume"], "shard was 1/2, and is 1/1 now"),
        (&["--resume", "--shard", "1/2", "--crop-pct", "0.5"], "crop_pct was 0.875"),
        (&["--resume", "--shard", "1/2", "--lenient"], "decode was"),
        (&["--resume", "--shard", "1/2", "--weights", "seeded:1"], "weights"),
    ] {
        begin();
        let run = effnet(arguments(folder.path(), &output, more));
        assert_eq!(run.code, 2, "{more:?}: {}", run.stderr);
        assert!(run.stderr.contains(says), "{more:?}: {}", run.stderr);
        assert_eq!(std::fs::read_to_string(journal(&output)).unwrap(), half);
    }
    // Other images: a new one stands before those that have rows.
    begin();
    write(&folder, "000 new.png", "");
    let run = effnet(arguments(folder.path(), &output, &["--resume", "--shard", "1/2"]));
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("the images are not those of the run before"), "{}", run.stderr);
    // A file that is no journal is left alone.
    std::fs::write(journal(&output), "my notes").unwrap();
    let run = effnet(arguments(folder.path(), &output, &["--resume"]));
    assert!(run.code != 0 && run.stderr.contains("not a journal"), "{}", run.stderr);
    assert_eq!(std::fs::read_to_string(journal(&output)).unwrap(), "my notes");
}

#[test]
fn shards_join_to_the_whole() {
    let (folder, out) = (images(11), tempfile::tempdir().unwrap());
    for form in FORMS {
        if form == "parquet" && !cfg!(feature = "parquet") {
            continue;
        }
        let file = |name: &str| out.path().join(name).with_extension(form);
        expect_whole(&effnet(arguments(folder.path(), &file("whole"), &[])), 1);
        let parts: Vec<PathBuf> = (1..=3)
            .map(|i| {
                let (part, shard) = (file(&format!("part{i}")), format!("{i}/3"));
                effnet(arguments(folder.path(), &part, &["--shard", &shard]));
                assert!(part.exists());
                part
            })
            .collect();
        let joined = file("joined");
        let merge = |parts: &[&PathBuf]| {
            let parts = parts.iter().map(|part| str(part));
            effnet(["merge", "-o", str(&joined)].into_iter().chain(parts))
        };
        let order = [&parts[2], &parts[0], &parts[1]];
        expect_whole(&merge(&order), 1);
        assert_eq!(std::fs::read(&joined).unwrap(), std::fs::read(file("whole")).unwrap());
        std::fs::remove_file(&joined).unwrap();
        let refused = |parts: &[&PathBuf], says: &str| {
            let run = merge(parts);
            assert!(run.code != 0 && run.stderr.contains(says), "{says}: {}", run.stderr);
            assert!(!joined.exists());
        };
        refused(&[&parts[0], &parts[2]], "shard 2/3 is missing");
        refused(&[&parts[0], &parts[1], &parts[2], &parts[1]], "are both shard 2/3");
        refused(&[&file("whole")], "is missing: a shard's journal");
        // One was stopped, and one was made of other images.
        let lines = std::fs::read_to_string(journal(&parts[1])).unwrap();
        let cut: String = lines.lines().take(3).map(|line| format!("{line}\n")).collect();
        std::fs::write(journal(&parts[1]), cut).unwrap();
        refused(&order, "its run did not end: finish it with --resume");
        let other = images(12);
        std::fs::remove_file(journal(&parts[1])).unwrap();
        effnet(arguments(other.path(), &parts[1], &["--shard", "2/3"]));
        refused(&order, "different lists of images");
        std::fs::remove_file(journal(&parts[1])).unwrap();
        effnet(arguments(folder.path(), &parts[1], &["--shard", "2/3", "--crop-pct", "0.5"]));
        refused(&order, "are not of one run");
        for part in &parts {
            std::fs::remove_file(journal(part)).unwrap();
        }
    }
}

#[test]
fn a_shard_is_a_part() {
    for text in ["0/2", "3/2", "1", "a/b", "1/0", "-1/2"] {
        let run = effnet(["classify", "x.png", "-o", "x.csv", &format!("--shard={text}")]);
        assert_eq!(run.code, 2);
        assert!(run.stderr.contains(&format!("`{text}` is not I/N")), "{}", run.stderr);
    }
}

#[test]
fn forms_that_do_not_fit_are_refused_before_any_work() {
    let image = "examples/images/coffee.png";
    for (arguments, says) in [
        (&["-o", "x.txt"][..], "its ending is none of csv"),
        (&["-o", "x.csv", "--format", "table"], "--format table is for standard output"),
        (&["--format", "parquet"], "--format parquet goes with --output FILE"),
        (&["--layout", "timm"], "--layout timm goes with --output FILE"),
        (&["-o", "x.jsonl", "--layout", "timm"], "--layout timm makes .csv and .json files"),
        (&["-o", "x.csv", "--fullname"], "go with --layout timm"),
        (&["--resume"], "--output"),
    ] {
        let run = effnet([&["classify", image], arguments].concat());
        assert_eq!(run.code, 2, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(says), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn timms_layout_has_its_names_and_order() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    let coffee = std::fs::read(Path::new(ROOT).join("examples/images/coffee.png")).unwrap();
    for name in ["img10.png", "img9.png", "sub/a.png"] {
        write(&folder, name, &coffee);
    }
    write(&folder, "broken.png", "");
    let output = out.path().join("timm.csv");
    let classify = |more: &[&str]| {
        let more = [&["--layout", "timm"], more].concat();
        let run = effnet(arguments(folder.path(), &output, &more));
        assert_eq!(run.code, 1, "{}", run.stderr);
        std::fs::read_to_string(&output).unwrap()
    };
    let columns = ["--include-index", "--results-separate-col", "--fullname"];
    let lines = classify(&columns);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines[0], "filename,index_0,index_1,label_0,label_1,prob_0,prob_1");
    assert_eq!(lines[1], "broken.png,,,,,,");
    for (line, name) in lines[2..].iter().zip(["img9.png", "img10.png", "sub/a.png"]) {
        assert!(line.starts_with(&format!("{name},967,")) && line.contains(",espresso,"), "{line}");
    }
    assert!(
        classify(&["--output-type", "logit"]).starts_with("filename,label,logit\nbroken.png,,\n")
    );
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_any_work() {
    let (folder, out) = (images(3), tempfile::tempdir().unwrap());
    let taken = out.path().join("folder.csv");
    std::fs::create_dir(&taken).unwrap();
    for output in [taken, out.path().join("none/out.csv")] {
        let run = effnet(arguments(folder.path(), &output, &[]));
        assert_eq!(run.code, 1);
        assert!(run.only_error().contains(str(&output)), "{}", run.stderr);
        assert!(!journal(&output).exists());
    }
}

/// Where the file system is full, what is written stays and the run goes on later.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_loses_nothing() {
    let (folder, out) = (images(30), tempfile::tempdir().unwrap());
    let [whole, output] = ["whole.csv", "out.csv"].map(|name| out.path().join(name));
    expect_whole(&effnet(arguments(folder.path(), &whole, &[])), 1);
    // Files may have 28 KiB: the journal begins with 24 KiB, the labels of 1000 classes.
    let script = "trap '' XFSZ; ulimit -f 28; exec \"$@\"";
    let mut command = Command::new("bash");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_effnet")]);
    command.args(arguments(folder.path(), &output, &[])).current_dir(ROOT);
    let ended = command.env("HF_HUB_OFFLINE", "1").output().unwrap();
    let stderr = String::from_utf8(ended.stderr).unwrap();
    if ended.status.success() {
        panic!("the limit was not met");
    }
    assert!(!output.exists());
    assert!(stderr.contains("--resume goes on with it"), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    expect_whole(&effnet(arguments(folder.path(), &output, &["--resume"])), 1);
    assert_eq!(std::fs::read(&output).unwrap(), std::fs::read(&whole).unwrap());
}
