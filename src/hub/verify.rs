//! The checksums by which the hub, and the cache, name a file's content.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The digest that a file's bytes must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Checksum {
    /// Of a file in LFS or Xet storage.
    Sha256(String),
    /// Of a file in git: SHA-1 of `blob {size}\0` and the bytes.
    GitSha1(String),
}

impl Checksum {
    /// Reads an ETag, weak or strong: 64 or 40 hexadecimal digits.
    pub(super) fn from_etag(etag: &str) -> Option<Self> {
        let etag = etag.trim();
        let etag = etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"');
        if !etag.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        match etag.len() {
            64 => Some(Self::Sha256(etag.to_owned())),
            40 => Some(Self::GitSha1(etag.to_owned())),
            _ => None,
        }
    }

    /// The digits: the name of the file's content in the cache.
    pub(super) fn digits(&self) -> &str {
        match self {
            Self::Sha256(digits) | Self::GitSha1(digits) => digits,
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "the SHA-256",
            Self::GitSha1(_) => "the git SHA-1",
        }
    }

    /// The digits of the bytes of `file`.
    pub(super) fn of(&self, file: &Path) -> io::Result<String> {
        let file = File::open(file)?;
        match self {
            Self::Sha256(_) => digest(file, Sha256::new()),
            Self::GitSha1(_) => {
                let size = file.metadata()?.len();
                digest(file, Sha1::new_with_prefix(format!("blob {size}\0")))
            }
        }
    }
}

fn digest<D: Digest>(mut file: File, mut hasher: D) -> io::Result<String> {
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => hasher.update(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_git_and_sha256sum() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hello");
        std::fs::write(&file, "hello\n").unwrap();
        // printf 'hello\n' | git hash-object --stdin
        let git = "ce013625030ba8dba906f756967f9e9ca394464a";
        // printf 'hello\n' | sha256sum
        let sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        for digits in [git, sha256] {
            let checksum = Checksum::from_etag(&format!("\"{digits}\"")).unwrap();
            assert_eq!(checksum.of(&file).unwrap(), digits);
        }
    }

    #[test]
    fn only_checksums_are_taken_from_etags() {
        let digits = "a".repeat(40);
        assert!(Checksum::from_etag(&format!("W/\"{digits}\"")).is_some());
        for bad in ["", "../../x", &"g".repeat(40), &"A".repeat(40), &"a".repeat(63), "\"abc-3\""] {
            assert_eq!(Checksum::from_etag(bad), None, "{bad}");
        }
    }
}
