//! Files that appear whole or not at all.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file's replacement. It is written under a temporary name in the same folder and renamed when
/// it is whole, so no reader and no interrupted run ever sees half a file, and a memory map of the
/// old file stays valid. If it is dropped before that, it leaves nothing behind.
#[derive(Debug)]
pub struct Replacement {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
}

impl Replacement {
    /// Begins the file that will be at `path`.
    ///
    /// # Errors
    ///
    /// The path is a folder, a pipe or a device, or the system refuses.
    pub fn begin(path: &Path) -> io::Result<Self> {
        // A rename would replace /dev/null or a pipe with a file.
        if path.metadata().is_ok_and(|m| !m.is_file()) {
            return Err(io::Error::other("it exists and is not a regular file"));
        }
        let name = path.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(".");
        let mut builder = tempfile::Builder::new();
        builder.prefix(&hidden).suffix(".tmp");
        // With the permissions of any new file; only its owner may read a temporary one.
        let create = |path: &Path| File::create_new(path);
        let file = builder.make_in(folder.unwrap_or(Path::new(".")), create)?;
        Ok(Self { path: path.to_owned(), file: BufWriter::with_capacity(1 << 20, file) })
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    ///
    /// The system's error; nothing has changed then.
    pub fn finish(self) -> io::Result<()> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_data()?;
        file.persist(&self.path)?;
        Ok(())
    }
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Replacement {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
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

    /// A file that cannot be put in its place leaves nothing behind either.
    #[test]
    fn a_file_whose_place_is_taken_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut whole = Replacement::begin(&path).unwrap();
        whole.write_all(b"new").unwrap();
        std::fs::create_dir_all(path.join("in the way")).unwrap();
        whole.finish().unwrap_err();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    /// Others may read it like any file that the user makes.
    #[cfg(unix)]
    #[test]
    fn a_finished_file_has_the_permissions_of_any_other() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let [path, other] = ["out", "other"].map(|name| folder.path().join(name));
        Replacement::begin(&path).unwrap().finish().unwrap();
        std::fs::write(&other, "").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&other));
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
