//! The rules of ARCHITECTURE.md, checked from the source, and the links of the documents.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::path::{Path, PathBuf};

/// The library's files, each with its text before the tests.
fn sources() -> Vec<(PathBuf, String)> {
    sources_under("src")
}

fn sources_under(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod ").next().unwrap().to_owned();
                files.push((path.strip_prefix(&root).unwrap().to_owned(), code));
            }
        }
    }
    assert!(!files.is_empty(), "{folder}");
    files
}

/// The code lines of a file that contain one of `words`, without comments and documentation.
fn lines_with<'a>(code: &'a str, words: &[&str]) -> Vec<&'a str> {
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    code.lines().filter(is_code).filter(|line| words.iter().any(|w| line.contains(w))).collect()
}

fn refuse(rule: &str, in_rooms: impl Fn(&Path) -> bool, words: &[&str]) {
    let mut broken = Vec::new();
    for (path, code) in sources().iter().filter(|(path, _)| in_rooms(path)) {
        for line in lines_with(code, words) {
            broken.push(format!("{}: {}", path.display(), line.trim()));
        }
    }
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

#[test]
fn arch_and_labels_import_nothing_of_the_others() {
    for (room, own) in [("arch", "crate::arch"), ("labels", "crate::labels")] {
        let mut broken = Vec::new();
        for (path, code) in sources().iter().filter(|(path, _)| path.starts_with(room)) {
            let foreign = lines_with(code, &["crate::", "candle"]);
            let foreign = foreign.into_iter().filter(|line| !line.contains(own));
            broken.extend(foreign.map(|line| format!("{}: {line}", path.display())));
        }
        assert!(broken.is_empty(), "{room} must stand alone: {broken:#?}");
    }
}

#[test]
fn arch_and_fuse_name_no_target() {
    let rooms = |path: &Path| {
        let is_room = path.starts_with("arch") || path.starts_with("engine/fuse");
        is_room && !path.ends_with("reference.rs")
    };
    let words = ["cpu", "Cpu", "cuda", "Cuda", "metal", "Metal", "candle", "LANES", "simd"];
    refuse("what a network is names no target", rooms, &words);
}

#[test]
fn models_see_no_files() {
    let words = ["std::fs", "std::path", "File::", "crate::weights", "crate::pretrained"];
    refuse("models see no files", |path| path.starts_with("models"), &words);
}

#[test]
fn only_the_hub_touches_the_network() {
    let words = ["std::net", "ureq::", "TcpStream", "hf_hub::"];
    refuse("only hub touches the network", |path| !path.starts_with("hub"), &words);
}

#[test]
fn unsafe_code_lives_in_engines_launches_and_memory_mapping() {
    let files =
        ["weights/checkpoint.rs", "cuda.rs", "models/layers/depthwise/cuda.rs"].map(Path::new);
    let allowed = |path: &Path| {
        let is_engine = ["engine/cpu", "engine/gpu"].iter().any(|room| path.starts_with(room));
        is_engine || files.contains(&path)
    };
    refuse("no unsafe here", |path| !allowed(path), &["unsafe {", "unsafe fn", "unsafe impl"]);
}

#[test]
fn the_library_prints_nothing() {
    let words = ["println!", "print!(", "eprint", "stdout()", "stderr()"];
    refuse("only the command prints", |_| true, &words);
}

#[test]
fn anyhow_is_for_the_command() {
    refuse("typed errors inside", |_| true, &["anyhow"]);
}

#[test]
fn a_file_is_one_room() {
    let crates = ["effnet-cli", "effnet-py", "effnet-serve", "test-hub"]
        .map(|name| sources_under(&format!("crates/{name}/src")));
    for (path, code) in sources().into_iter().chain(crates.into_iter().flatten()) {
        let lines = code.lines().count();
        assert!(lines <= 450, "{} has {lines} lines: split it", path.display());
    }
}

/// Errors name the library's setters; the command replaces them with its options, the server with
/// words of HTTP, and the Python package with its arguments.
#[test]
fn errors_name_settings_that_every_front_has() {
    // Each with the settings that it does not have.
    let fronts: [(&str, &[&str]); 3] = [
        (include_str!("../crates/effnet-cli/src/settings.rs"), &[]),
        (include_str!("../crates/effnet-serve/src/error.rs"), &["SourceOptions::"]),
        (include_str!("../crates/effnet-py/src/error.rs"), &["SourceOptions::", "AnswerOptions::"]),
    ];
    let mut broken = Vec::new();
    for (path, code) in &sources() {
        for line in lines_with(code, &[" --", "`"]) {
            let option = line.split(" --").skip(1).any(|rest| {
                rest.starts_with(|c: char| c.is_ascii_lowercase()) && line.contains('"')
            });
            let unknown = line.split('`').skip(1).step_by(2).any(|name| {
                let is_setting =
                    ["Builder::", "Limits::", "Options::"].iter().any(|t| name.contains(t));
                let name = format!("`{name}`");
                let is_known = |(front, without): &(&str, &[&str])| {
                    front.contains(&name) || without.iter().any(|prefix| name.contains(prefix))
                };
                is_setting && !fronts.iter().all(is_known)
            });
            if option || unknown {
                broken.push(format!("{}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(
        broken.is_empty(),
        "name settings, and what stands for them in settings.rs and both error.rs: {broken:#?}"
    );
}

/// The documents whose links and examples are checked.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let in_docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let is_document = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "md");
    let at_root = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root.join(name));
    let mut documents: Vec<_> = at_root.into_iter().chain(in_docs.filter(is_document)).collect();
    documents.sort();
    documents
}

/// The targets of a document's links, except those in code.
fn targets(document: &str) -> Vec<&str> {
    let mut is_code = false;
    let text = document.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence && !line.starts_with("    ")
    });
    text.flat_map(|line| line.split("](").skip(1).filter_map(|rest| rest.split(')').next()))
        .collect()
}

#[test]
fn links_of_documents_name_files_that_are_there() {
    let (mut broken, mut followed) = (Vec::new(), 0);
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for target in targets(&text).into_iter().filter(|target| !target.contains("://")) {
            let file = target.split('#').next().unwrap();
            followed += 1;
            if !file.is_empty() && !document.parent().unwrap().join(file).exists() {
                broken.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
    assert!(followed > 40, "{followed} links");
}

/// `docs/library.md` is compiled. The front page is not, because its indented lines would be taken
/// for Rust.
#[test]
fn the_front_pages_example_is_one_that_is_compiled() {
    let rust =
        |text: &'static str| text.split("```rust\n").nth(1).unwrap().split("```").next().unwrap();
    let (front, library) = (include_str!("../README.md"), include_str!("../docs/library.md"));
    assert_eq!(rust(front), rust(library));
}
