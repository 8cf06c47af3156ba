//! What the names in arguments, folders and archives say.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::preprocess::FORMATS;

/// The beginning of the names of files in which macOS keeps what other files cannot hold.
const MAC_FILE: &[u8] = b"._";

/// The list that an argument names by `@FILE`.
pub(super) fn list_name(argument: &OsString) -> Option<PathBuf> {
    let rest = argument.as_encoded_bytes().strip_prefix(b"@")?;
    from_bytes(rest.to_vec()).filter(|list| !list.as_os_str().is_empty())
}

/// Whether a file in a folder or an archive is an image of a decoded format, by its name. A file given
/// by its own name is read, whatever that is.
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

/// The scheme and the rest of a URL.
pub(super) fn url(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let is_word = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    let without_slashes = ["file", "data"].iter().any(|s| s.eq_ignore_ascii_case(scheme));
    (is_word && (rest.starts_with("//") || without_slashes)).then_some((scheme, rest))
}

/// The file that a URL names.
pub(super) fn local(scheme: &str, rest: &str) -> Result<PathBuf, String> {
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
    let bytes: Vec<u8> = percent_encoding::percent_decode_str(drive.unwrap_or(path)).collect();
    from_bytes(bytes).ok_or_else(|| "not a file name on this system".to_owned())
}

#[cfg(unix)]
pub(super) fn from_bytes(bytes: Vec<u8>) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    Some(OsString::from_vec(bytes).into())
}

#[cfg(not(unix))]
pub(super) fn from_bytes(bytes: Vec<u8>) -> Option<PathBuf> {
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
