//! A folder that effnet keeps files in.

use std::path::Path;
use std::{fs, io};

use effnet::unstable::{Replacement, file_name};
use serde::Serialize;

/// A folder. The names appear in the JSON, and must not change.
#[derive(Debug, Serialize)]
pub(super) struct Folder {
    pub(super) path: String,
    pub(super) exists: bool,
    /// Whether a file can be made in it; or, if it does not exist, in the folder that it would be made
    /// in.
    pub(super) writable: bool,
    /// Why no file can be made.
    pub(super) reason: Option<String>,
}

#[cfg_attr(
    not(any(feature = "hub", feature = "cuda")),
    allow(dead_code, reason = "without them effnet keeps nothing")
)]
impl Folder {
    pub(super) fn examine(path: &Path) -> Self {
        let there = path.ancestors().find(|folder| folder.symlink_metadata().is_ok());
        let file = there.unwrap_or(path).join("effnet-doctor");
        // The file goes when it is dropped.
        let made = Replacement::begin(&file).map(drop).map_err(|error| error.to_string());
        Self {
            path: file_name(path),
            exists: path.is_dir(),
            writable: made.is_ok(),
            reason: made.err(),
        }
    }

    /// The folder in words.
    pub(super) fn text(&self) -> String {
        let state = match (self.exists, &self.reason) {
            (_, Some(reason)) => format!(" (cannot be written: {reason})"),
            (false, None) => " (not made yet)".to_owned(),
            (true, None) => String::new(),
        };
        format!("{}{state}", self.path)
    }
}

/// The bytes of the files in a folder; 0 if there is no folder.
#[cfg_attr(not(feature = "cuda"), allow(dead_code, reason = "kernels are compiled for CUDA"))]
pub(super) fn bytes(folder: &Path) -> io::Result<u64> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut bytes = 0;
    for entry in entries {
        bytes += entry?.metadata().map_or(0, |m| if m.is_file() { m.len() } else { 0 });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_examined_and_left_as_it_was() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let absent = Folder::examine(&path);
        assert!(!absent.exists && absent.writable && absent.text().ends_with("(not made yet)"));
        assert_eq!(bytes(&path).unwrap(), 0);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);

        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("x"), "12345").unwrap();
        let folder = Folder::examine(&path);
        assert!(folder.exists && folder.writable && folder.reason.is_none());
        assert_eq!(bytes(&path).unwrap(), 5);

        let file = Folder::examine(&path.join("x/y"));
        assert!(!file.exists && !file.writable, "{file:?}");
        assert!(file.text().contains("cannot be written: "), "{file:?}");
    }
}
