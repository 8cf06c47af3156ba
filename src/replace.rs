//! Files that appear whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// What will replace a file: written under a temporary name beside it and renamed when it is whole, so
/// that neither a reader nor an interrupted run ever sees half a file, and a map of the older one stays
/// valid. Dropped before that, it leaves nothing.
#[derive(Debug)]
pub struct Replacement {
    path: PathBuf,
    temporary: PathBuf,
    /// `None` when it has been renamed.
    file: Option<BufWriter<File>>,
}

impl Replacement {
    /// Begins what will be at `path`.
    ///
    /// # Errors
    ///
    /// A path of a folder, a pipe or a device, or the system's refusal.
    pub fn begin(path: &Path) -> io::Result<Self> {
        // A rename would put a file in the place of /dev/null or of a pipe.
        if path.metadata().is_ok_and(|m| !m.is_file()) {
            return Err(io::Error::other("it exists and is not a regular file"));
        }
        let (temporary, file) = create_beside(path)?;
        let file = Some(BufWriter::with_capacity(1 << 20, file));
        Ok(Self { path: path.to_owned(), temporary, file })
    }

    /// Puts it in its place.
    ///
    /// # Errors
    ///
    /// The system's; nothing has changed then.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        if let Some(file) = &self.file {
            file.get_ref().sync_data()?;
            std::fs::rename(&self.temporary, &self.path)?;
            self.file = None;
        }
        Ok(())
    }
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Ok(0), |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), BufWriter::flush)
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if self.file.is_some() {
            // The error that counts is the one that led here.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Creates a new, hidden file in the folder of `path`.
fn create_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    let name = path.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
    let mut attempt = 0u32;
    loop {
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}-{attempt}.tmp", std::process::id()));
        let temporary = path.with_file_name(hidden);
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && attempt < 1000 => attempt += 1,
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_finished_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        std::fs::write(&path, "old").unwrap();
        let mut half = Replacement::begin(&path).unwrap();
        half.write_all(b"new, but ").unwrap();
        half.flush().unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        drop(half);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_finished_file_is_in_the_older_ones_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        std::fs::write(&path, "old").unwrap();
        let mut whole = Replacement::begin(&path).unwrap();
        whole.write_all(b"new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        whole.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
