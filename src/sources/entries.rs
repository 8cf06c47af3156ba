//! What arguments name, one after the other.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use walkdir::WalkDir;

#[cfg(feature = "hub")]
use super::dataset::{Dataset, NO_HUB, SCHEME};
use super::names::{from_bytes, is_image, list_name, local, url};
use super::{OnNote, Sample, SampleImage};
#[cfg(feature = "hub")]
use crate::hub::Hub;
use crate::text::file_name;

/// A folder that macOS adds to archives; its contents belong to other files.
const MAC_FOLDER: &str = "__MACOSX";

/// The most bytes of an image on standard input.
const MAX_STDIN: u64 = 1 << 30;
/// The most bytes of a name in a list.
const MAX_NAME: u64 = 1 << 16;

/// A file that holds images, and what results call it.
#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) path: PathBuf,
    pub(super) name: String,
}

/// What one name of the arguments, folders and lists stands for.
pub(super) enum Entry {
    Sample(Sample),
    Archive(Container),
    Csv(Container),
    #[cfg(feature = "parquet")]
    Parquet(Container),
    /// A file of the hub.
    #[cfg(feature = "hub")]
    Remote(Dataset),
}

impl Entry {
    pub(super) fn unreadable(path: &Path, reason: impl Display) -> Self {
        Self::Sample(Sample::unreadable(file_name(path), reason))
    }

    /// A file that was named.
    fn file(path: PathBuf) -> Self {
        let name = file_name(&path);
        Self::named(path, name)
    }

    /// A file that results call `name`.
    pub(super) fn named(path: PathBuf, name: String) -> Self {
        let file = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        if [".tar", ".tar.gz", ".tgz"].iter().any(|ending| file.ends_with(ending)) {
            Self::Archive(Container { path, name })
        } else if file.ends_with(".csv") {
            Self::Csv(Container { path, name })
        } else if file.ends_with(".parquet") {
            #[cfg(feature = "parquet")]
            return Self::Parquet(Container { path, name });
            #[cfg(not(feature = "parquet"))]
            Self::unreadable(&path, "this program was built without the feature `parquet`")
        } else {
            Self::Sample(Sample::new(name, SampleImage::File(path)))
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Sample(sample) => sample.name.clone(),
            Self::Archive(file) | Self::Csv(file) => file.name.clone(),
            #[cfg(feature = "parquet")]
            Self::Parquet(file) => file.name.clone(),
            #[cfg(feature = "hub")]
            Self::Remote(dataset) => dataset.name(),
        }
    }
}

/// Names that stand for several files.
struct Names {
    names: Box<dyn Iterator<Item = Result<PathBuf, Entry>> + Send>,
    /// What takes the place of an empty sequence.
    empty: Option<Entry>,
}

/// A folder whose files are being listed.
struct Walk {
    folder: PathBuf,
    entries: Box<dyn Iterator<Item = walkdir::Result<walkdir::DirEntry>> + Send>,
    is_empty: bool,
}

pub(super) struct Entries {
    arguments: VecDeque<OsString>,
    names: Option<Names>,
    walk: Option<Walk>,
    stdin_taken: bool,
    pub(super) null: bool,
    #[cfg(feature = "hub")]
    pub(super) hub: Option<Hub>,
    pub(super) on_note: Option<OnNote>,
    pub(super) passed_over: usize,
    /// How many entries there were.
    pub(super) count: u64,
    digest: Sha256,
}

impl Iterator for Entries {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let entry = self.find()?;
        self.count += 1;
        self.digest.update(entry.name());
        self.digest.update(b"\0");
        Some(entry)
    }
}

impl Entries {
    pub(super) fn new(arguments: VecDeque<OsString>) -> Self {
        Self {
            arguments,
            names: None,
            walk: None,
            stdin_taken: false,
            null: false,
            #[cfg(feature = "hub")]
            hub: None,
            on_note: None,
            passed_over: 0,
            count: 0,
            digest: Sha256::new(),
        }
    }

    pub(super) fn digest(&self) -> String {
        self.digest.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn find(&mut self) -> Option<Entry> {
        loop {
            if let Some(entry) = self.of_folder() {
                return Some(entry);
            }
            let found = match self.names.as_mut().map(|names| (names.names.next(), names)) {
                Some((Some(path), names)) => {
                    names.empty = None;
                    path.map_or_else(Some, |path| self.path(path))
                }
                Some((None, names)) => {
                    let empty = names.empty.take();
                    self.names = None;
                    empty
                }
                None => {
                    let argument = self.arguments.pop_front()?;
                    self.argument(&argument)
                }
            };
            if found.is_some() {
                return found;
            }
        }
    }

    /// What exists under the argument's name comes before any other reading of it.
    fn argument(&mut self, argument: &OsString) -> Option<Entry> {
        let path = Path::new(argument);
        let text = argument.to_str();
        if argument == "-" {
            return Some(Entry::Sample(self.stdin().map_or_else(
                |reason| Sample::unreadable("-", reason),
                |bytes| Sample::new("-".to_owned(), SampleImage::Encoded(bytes)),
            )));
        }
        if path.exists() {
            return self.path(path.to_owned());
        }
        if let Some(list) = list_name(argument) {
            return match self.list(&list) {
                Ok(names) => {
                    self.names = Some(names);
                    None
                }
                Err(reason) => Some(Entry::unreadable(&list, reason)),
            };
        }
        #[cfg(feature = "hub")]
        if let Some(rest) = text.and_then(|text| text.strip_prefix(SCHEME)) {
            return match self.remote(rest) {
                Ok(found) => found,
                Err(reason) => Some(Entry::unreadable(path, reason)),
            };
        }
        if let Some((scheme, rest)) = text.and_then(url) {
            return match local(scheme, rest) {
                Ok(file) => self.path(file),
                Err(reason) => Some(Entry::unreadable(path, reason)),
            };
        }
        if let Some(pattern) = text.filter(|text| text.contains(['*', '?', '['])) {
            return match matching(pattern) {
                Ok(names) => {
                    self.names = Some(names);
                    None
                }
                Err(entry) => Some(entry),
            };
        }
        self.path(path.to_owned())
    }

    /// A file of the hub; the files that match a pattern take the argument's place.
    #[cfg(feature = "hub")]
    fn remote(&mut self, rest: &str) -> Result<Option<Entry>, String> {
        let dataset = Dataset::parse(rest)?;
        if !dataset.is_pattern() {
            return Ok(Some(Entry::Remote(dataset)));
        }
        let hub = self.hub.as_ref().ok_or(NO_HUB)?;
        for file in dataset.files(hub)?.into_iter().rev() {
            self.arguments.push_front(file.into());
        }
        Ok(None)
    }

    /// A file, or a folder, which is walked next. A missing file fails in its turn.
    fn path(&mut self, path: PathBuf) -> Option<Entry> {
        if !path.is_dir() {
            return Some(Entry::file(path));
        }
        let walk = WalkDir::new(&path).follow_links(true).sort_by_file_name().into_iter();
        let walk = walk.filter_entry(|entry| entry.depth() == 0 || entry.file_name() != MAC_FOLDER);
        self.walk = Some(Walk { folder: path, entries: Box::new(walk), is_empty: true });
        None
    }

    /// The next entry of the folder that is being walked.
    fn of_folder(&mut self) -> Option<Entry> {
        let mut walk = self.walk.take()?;
        while let Some(entry) = walk.entries.next() {
            let found = match entry {
                Ok(entry) if entry.file_type().is_dir() => None,
                Ok(entry) if !is_image(entry.path()) => {
                    self.passed_over += 1;
                    None
                }
                Ok(entry) if entry.file_type().is_file() => Some(Entry::file(entry.into_path())),
                // Reading a pipe would wait for it.
                Ok(entry) => Some(Entry::unreadable(entry.path(), "not a regular file")),
                Err(error) => self.unread(&walk.folder, error),
            };
            if found.is_some() {
                walk.is_empty = false;
                self.walk = Some(walk);
                return found;
            }
        }
        walk.is_empty.then(|| Entry::unreadable(&walk.folder, "no images in this folder"))
    }

    /// Something that a walk through `folder` met and cannot enter.
    fn unread(&mut self, folder: &Path, error: walkdir::Error) -> Option<Entry> {
        let path = error.path().unwrap_or(folder).to_owned();
        if let Some(ancestor) = error.loop_ancestor() {
            let (path, ancestor) = (file_name(&path), file_name(ancestor));
            self.note(&format!("{path}: skipped: it links to {ancestor}, which contains it"));
            None
        } else if path.is_symlink() && path.extension().is_some() && !is_image(&path) {
            self.passed_over += 1;
            None
        } else {
            let reason = error.into_io_error().map_or_else(String::new, |error| error.to_string());
            Some(Entry::unreadable(&path, reason))
        }
    }

    fn note(&self, note: &str) {
        if let Some(listen) = &self.on_note {
            listen(note);
        }
    }

    fn take_stdin(&mut self) -> Result<(), String> {
        if std::mem::replace(&mut self.stdin_taken, true) {
            return Err("standard input can be read only once".to_owned());
        }
        Ok(())
    }

    fn stdin(&mut self) -> Result<Vec<u8>, String> {
        self.take_stdin()?;
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().take(MAX_STDIN + 1).read_to_end(&mut bytes);
        read.map_err(|error| format!("standard input cannot be read: {error}"))?;
        if bytes.len() as u64 > MAX_STDIN {
            return Err("standard input is larger than 1 GiB".to_owned());
        }
        Ok(bytes)
    }

    /// The names in a list.
    fn list(&mut self, list: &Path) -> Result<Names, String> {
        let reader: Box<dyn Read + Send> = if list == Path::new("-") {
            self.take_stdin()?;
            Box::new(std::io::stdin())
        } else {
            Box::new(File::open(list).map_err(|error| error.to_string())?)
        };
        let end = if self.null { b'\0' } else { b'\n' };
        let lines = Lines { reader: Some(BufReader::new(reader)), end, list: list.to_owned() };
        let empty = Some(Entry::unreadable(list, "no names in this list"));
        Ok(Names { names: Box::new(lines), empty })
    }
}

/// The names of a list.
struct Lines {
    reader: Option<BufReader<Box<dyn Read + Send>>>,
    end: u8,
    list: PathBuf,
}

impl Iterator for Lines {
    type Item = Result<PathBuf, Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut name = Vec::new();
            let reader = self.reader.as_mut()?;
            let failed = match reader.by_ref().take(MAX_NAME).read_until(self.end, &mut name) {
                Ok(0) => return None,
                Ok(_) if name.len() as u64 == MAX_NAME && name.last() != Some(&self.end) => {
                    "a name in this list is longer than 64 KiB: is it a list?".to_owned()
                }
                Ok(_) => {
                    if name.last() == Some(&self.end) {
                        name.pop();
                    }
                    if self.end == b'\n' && name.last() == Some(&b'\r') {
                        name.pop();
                    }
                    if name.is_empty() {
                        continue;
                    }
                    let shown = String::from_utf8_lossy(&name).into_owned();
                    let is_path = from_bytes(name).ok_or("not a file name on this system");
                    return Some(
                        is_path.map_err(|reason| Entry::Sample(Sample::unreadable(shown, reason))),
                    );
                }
                Err(error) => error.to_string(),
            };
            self.reader = None;
            return Some(Err(Entry::unreadable(&self.list, failed)));
        }
    }
}

/// The files and folders that match a pattern, as in a shell.
fn matching(pattern: &str) -> Result<Names, Entry> {
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..Default::default() };
    let paths = glob::glob_with(pattern, options).map_err(|error| {
        Entry::unreadable(Path::new(pattern), format!("not a pattern: {error}"))
    })?;
    let names =
        paths.map(|path| path.map_err(|error| Entry::unreadable(error.path(), error.error())));
    let empty = Some(Entry::unreadable(Path::new(pattern), "no file matches this pattern"));
    Ok(Names { names: Box::new(names), empty })
}
