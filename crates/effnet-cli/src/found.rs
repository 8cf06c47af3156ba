//! Finds the images of arguments: files, folders, patterns, URLs, standard input.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use effnet::preprocess::FORMATS;
use effnet::unstable::file_name;
use effnet::{Outcome, Record};
use percent_encoding::percent_decode_str;
use walkdir::WalkDir;

use super::images::Image;
use super::output::complain;

/// A folder that macOS adds to archives; its contents belong to other files.
const MAC_FOLDER: &str = "__MACOSX";
/// The beginning of the names of files in which macOS keeps what other files cannot hold.
const MAC_FILE: &[u8] = b"._";

/// The most bytes that are read from standard input.
const MAX_STDIN: u64 = 1 << 30;

/// Which images.
#[derive(Debug, Args)]
pub(super) struct ImageArgs {
    /// Images: files, folders (searched recursively), glob patterns, or - for standard input
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<OsString>,
}

/// Images, and what takes the place of one, in the order of the arguments.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) images: Vec<Image>,
    failed: Vec<Failed>,
    /// How many files in folders do not have the name of an image.
    passed_over: usize,
}

/// Something that was named or found in a folder, and cannot be read.
#[derive(Debug)]
pub(super) struct Failed {
    /// How many images come before it.
    before: usize,
    name: String,
    reason: String,
}

impl Failed {
    /// What results call it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The name and what is wrong, in the form of an image's error.
    pub(super) fn error(&self) -> String {
        format!("{}: {}", self.name, self.reason)
    }

    /// The row that takes its place.
    pub(super) fn record(&self, model: &str) -> Record {
        Record::new(&self.name, model, Outcome::Error(self.error()))
    }
}

impl ImageArgs {
    /// Finds the images of the arguments: files, folders (all images below them, by name), glob
    /// patterns, `file://` URLs, and `-` for standard input. What cannot be read does not stop the
    /// others. A missing file is an image that fails in its turn.
    pub(super) fn find(&self) -> Found {
        let mut found = Found::default();
        let mut stdin_taken = false;
        for argument in &self.images {
            let path = Path::new(argument);
            let text = argument.to_str();
            if argument == "-" {
                match stdin(std::mem::replace(&mut stdin_taken, true)) {
                    Ok(bytes) => found.images.push(Image::Stdin(bytes)),
                    Err(reason) => found.fail(path, &reason),
                }
            } else if path.exists() {
                found.path(path);
            } else if let Some((scheme, rest)) = text.and_then(url) {
                match local(scheme, rest) {
                    Ok(file) => found.path(&file),
                    Err(reason) => found.fail(path, &reason),
                }
            } else if let Some(pattern) = text.filter(|text| text.contains(['*', '?', '['])) {
                found.pattern(pattern);
            } else {
                found.path(path);
            }
        }
        match found.passed_over {
            0 => {}
            1 => complain("note: skipped 1 file whose name is not an image's"),
            n => complain(&format!("note: skipped {n} files whose names are not images'")),
        }
        found
    }
}

impl Found {
    /// What failed between the image of that number and the one before it.
    pub(super) fn failed_before(&self, image: usize) -> impl Iterator<Item = &Failed> {
        let first = self.failed.partition_point(|failed| failed.before < image);
        self.failed[first..].iter().take_while(move |failed| failed.before == image)
    }

    /// Everything that failed.
    pub(super) fn failed(&self) -> impl Iterator<Item = &Failed> {
        self.failed.iter()
    }

    fn fail(&mut self, name: &Path, reason: &dyn Display) {
        let (before, reason) = (self.images.len(), reason.to_string());
        self.failed.push(Failed { before, name: file_name(name), reason });
    }

    /// A file or a folder that was named.
    fn path(&mut self, path: &Path) {
        if path.is_dir() {
            self.folder(path);
        } else {
            self.images.push(Image::File(path.to_owned()));
        }
    }

    /// The files below a folder; links are followed.
    fn folder(&mut self, folder: &Path) {
        let before = (self.images.len(), self.failed.len());
        let walk = WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter();
        let walk = walk.filter_entry(|entry| entry.depth() == 0 || entry.file_name() != MAC_FOLDER);
        for entry in walk {
            match entry {
                Ok(entry) if entry.file_type().is_dir() => {}
                Ok(entry) if !is_image(entry.path()) => self.passed_over += 1,
                Ok(entry) if entry.file_type().is_file() => {
                    self.images.push(Image::File(entry.into_path()));
                }
                // Reading a pipe would wait for it.
                Ok(entry) => self.fail(entry.path(), &"not a regular file"),
                Err(error) => self.unread(folder, error),
            }
        }
        if before == (self.images.len(), self.failed.len()) {
            self.fail(folder, &"no images in this folder");
        }
    }

    /// Something that a walk through `folder` met and cannot enter.
    fn unread(&mut self, folder: &Path, error: walkdir::Error) {
        let path = error.path().unwrap_or(folder).to_owned();
        if let Some(ancestor) = error.loop_ancestor() {
            let (path, ancestor) = (file_name(&path), file_name(ancestor));
            complain(&format!("note: {path}: skipped: it links to {ancestor}, which contains it"));
        } else if path.is_symlink() && path.extension().is_some() && !is_image(&path) {
            self.passed_over += 1;
        } else {
            let reason = error.into_io_error().map_or_else(String::new, |error| error.to_string());
            self.fail(&path, &reason);
        }
    }

    /// The files and folders that match a pattern, as in a shell.
    fn pattern(&mut self, pattern: &str) {
        let options =
            glob::MatchOptions { require_literal_leading_dot: true, ..Default::default() };
        let paths = match glob::glob_with(pattern, options) {
            Ok(paths) => paths,
            Err(error) => return self.fail(Path::new(pattern), &format!("not a pattern: {error}")),
        };
        let before = (self.images.len(), self.failed.len());
        for path in paths {
            match path {
                Ok(path) => self.path(&path),
                Err(error) => self.fail(error.path(), error.error()),
            }
        }
        if before == (self.images.len(), self.failed.len()) {
            self.fail(Path::new(pattern), &"no file matches this pattern");
        }
    }
}

/// Whether a file in a folder is an image of a decoded format, by its name. A file given by its own
/// name is read, whatever that is.
pub(super) fn is_image(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let ending = path.extension().and_then(|extension| extension.to_str());
    let known = |ending: &str| {
        let decoded = FORMATS.iter().filter(|format| format.is_decoded());
        let mut endings = decoded.flat_map(|format| format.extensions);
        endings.any(|known| known.eq_ignore_ascii_case(ending))
    };
    !name.starts_with(MAC_FILE) && ending.is_some_and(known)
}

fn stdin(is_taken: bool) -> Result<Vec<u8>, String> {
    if is_taken {
        return Err("standard input can be read only once".to_owned());
    }
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(MAX_STDIN + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("standard input cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_STDIN {
        return Err("standard input is larger than 1 GiB".to_owned());
    }
    Ok(bytes)
}

/// The scheme and the rest of a URL.
fn url(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let is_word = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    let without_slashes = ["file", "data"].iter().any(|s| s.eq_ignore_ascii_case(scheme));
    (is_word && (rest.starts_with("//") || without_slashes)).then_some((scheme, rest))
}

/// The file that a URL names.
fn local(scheme: &str, rest: &str) -> Result<PathBuf, String> {
    if scheme.eq_ignore_ascii_case("data") {
        return Err("a URL that holds its data: write them to a file first".to_owned());
    }
    if !scheme.eq_ignore_ascii_case("file") {
        return Err("a URL, and images are read from files: download it first".to_owned());
    }
    let path = match rest.strip_prefix("//") {
        Some(rest) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            if !host.is_empty() && !host.eq_ignore_ascii_case("localhost") {
                return Err(format!("a file of another machine, {host}: copy it here first"));
            }
            path
        }
        None => rest,
    };
    // `file:///C:/a.png` names `C:/a.png`.
    let drive = path.strip_prefix('/').filter(|path| cfg!(windows) && path.get(1..2) == Some(":"));
    let bytes: Vec<u8> = percent_decode_str(drive.unwrap_or(path)).collect();
    from_bytes(bytes).ok_or_else(|| "not a file name on this system".to_owned())
}

#[cfg(unix)]
fn from_bytes(bytes: Vec<u8>) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    Some(OsString::from_vec(bytes).into())
}

#[cfg(not(unix))]
fn from_bytes(bytes: Vec<u8>) -> Option<PathBuf> {
    String::from_utf8(bytes).ok().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_from_names() {
        for text in ["http://x/a.png", "s3://b/k", "GS://b", "data:image/png;base64,", "file:a"] {
            assert!(url(text).is_some(), "{text}");
        }
        for text in ["a.png", "C:/a.png", r"C:\a.png", "a:b.png", "1://x", "://x", "a b://c"] {
            assert!(url(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_file_url_names_a_file() {
        for (rest, path) in [
            ("///a/b%20c.png", "/a/b c.png"),
            ("//localhost/%E7%8C%AB.png", "/猫.png"),
            ("/a.png", "/a.png"),
            ("a%25.png", "a%.png"),
        ] {
            assert_eq!(local("FILE", rest), Ok(PathBuf::from(path)), "{rest}");
        }
        assert!(local("file", "//other/a.png").unwrap_err().contains("another machine, other"));
        assert!(local("https", "//x/a.png").unwrap_err().contains("download it first"));
    }

    #[test]
    fn endings_are_those_of_images() {
        for name in ["a.JPG", "b/c.mpo", "x.tiff", "..png.gif"] {
            assert!(is_image(Path::new(name)), "{name}");
        }
        for name in ["._a.jpg", ".DS_Store", "a.txt", "jpg", ".jpg", "a.jpg.part"] {
            assert!(!is_image(Path::new(name)), "{name}");
        }
    }
}
