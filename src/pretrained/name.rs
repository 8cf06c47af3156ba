//! What a user may write for MODEL.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use super::{PretrainedError, table};
use crate::text::file_name;

/// Endings of files of weights; a repository's name has none of them.
const ENDINGS: [&str; 9] =
    [".pth", ".pt", ".bin", ".ckpt", ".pth.tar", ".safetensors", ".keras", ".h5", ".hdf5"];

/// A model as a user names it.
///
/// | written | read as |
/// | --- | --- |
/// | `efficientnet_b0`, `efficientnet_b0.ra_in1k`, a retired name | [`Timm`](Self::Timm) |
/// | `org/repo`, `org/repo@revision`, the same after `hf-hub:` (or timm's older `hf_hub:`) | [`Hub`](Self::Hub) |
/// | `local-dir:PATH`, or the path of an existing folder | [`Folder`](Self::Folder) |
/// | the path of an existing file | [`File`](Self::File) |
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelName {
    /// A name for [`find`](super::find). It need not exist.
    Timm(String),
    /// A repository on the Hugging Face hub.
    Hub {
        /// `org/repo`.
        repo: String,
        /// Branch, tag or commit; `None` is the main branch.
        revision: Option<String>,
    },
    /// A folder with a `config.json` and weights.
    Folder(PathBuf),
    /// A checkpoint that says or shows what it is.
    File(PathBuf),
}

impl ModelName {
    /// Reads a name. An existing folder or file takes precedence over a hub repository of the same
    /// spelling, and a name in the table over both. With a prefix a name is never ambiguous.
    ///
    /// # Errors
    /// [`PretrainedError::Name`] with the part that is wrong, [`PretrainedError::NoSuchFolder`].
    ///
    /// ```
    /// use effnet::pretrained::ModelName;
    /// assert_eq!(
    ///     ModelName::parse("hf-hub:timm/efficientnet_b0.ra_in1k@main")?,
    ///     ModelName::Hub { repo: "timm/efficientnet_b0.ra_in1k".into(), revision: Some("main".into()) },
    /// );
    /// assert_eq!(ModelName::parse("efficientnet_b0")?, ModelName::Timm("efficientnet_b0".into()));
    /// assert!(ModelName::parse("https://huggingface.co/timm/efficientnet_b0.ra_in1k").is_err());
    /// # Ok::<(), effnet::pretrained::PretrainedError>(())
    /// ```
    pub fn parse(name: &str) -> Result<Self, PretrainedError> {
        let refuse = |reason: String| PretrainedError::Name { name: name.to_owned(), reason };
        if name.trim().is_empty() {
            return Err(refuse("empty; give a model such as efficientnet_b0".to_owned()));
        }
        if let Some((prefix, rest)) = name.split_once(':')
            && is_prefix(prefix)
        {
            return match prefix.to_ascii_lowercase().as_str() {
                "hf-hub" | "hf_hub" => hub(rest).map_err(refuse),
                "local-dir" if rest.is_empty() => {
                    Err(refuse("no path after \"local-dir:\"".to_owned()))
                }
                "local-dir" => Ok(Self::Folder(PathBuf::from(rest))),
                _ => Err(refuse(format!(
                    "unknown source {prefix:?}; expected hf-hub:ORG/REPO or local-dir:PATH"
                ))),
            };
        }
        if table::knows(name) {
            return Ok(Self::Timm(name.to_owned()));
        }
        if Path::new(name).is_dir() {
            return Ok(Self::Folder(PathBuf::from(name)));
        }
        if Path::new(name).exists() {
            return Ok(Self::File(PathBuf::from(name)));
        }
        let is_path = name.starts_with(['.', '/', '~'])
            || name.ends_with('/')
            || ENDINGS.iter().any(|ending| name.ends_with(ending))
            || name.contains('\\')
            || name.split('@').next().unwrap_or(name).matches('/').count() > 1;
        if is_path {
            return Err(PretrainedError::NoSuchFolder { name: name.to_owned() });
        }
        if name.contains('/') {
            return hub(name).map_err(refuse);
        }
        if let Some(bad) =
            name.chars().find(|c| matches!(c, '@' | ':') || c.is_whitespace() || c.is_control())
        {
            return Err(refuse(format!(
                "{bad:?} is not part of an architecture's name; a hub repository is ORG/REPO or ORG/REPO@REVISION"
            )));
        }
        Ok(Self::Timm(name.to_owned()))
    }

    /// The same for a name that may not be UTF-8, in which case it is a path.
    ///
    /// # Errors
    /// Those of [`parse`](Self::parse).
    pub fn parse_os(name: &OsStr) -> Result<Self, PretrainedError> {
        match (name.to_str(), Path::new(name)) {
            (Some(name), _) => Self::parse(name),
            (None, path) if path.is_dir() => Ok(Self::Folder(path.to_owned())),
            (None, path) if path.exists() => Ok(Self::File(path.to_owned())),
            (None, path) => Err(PretrainedError::NoSuchFolder { name: file_name(path) }),
        }
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timm(name) => f.write_str(name),
            Self::Hub { repo, revision } => {
                write!(f, "hf-hub:{repo}")?;
                revision.iter().try_for_each(|r| write!(f, "@{r}"))
            }
            Self::Folder(path) => write!(f, "local-dir:{}", file_name(path)),
            Self::File(path) => f.write_str(&file_name(path)),
        }
    }
}

/// A source prefix has at least two characters, so that `C:\models` has none (as in timm).
fn is_prefix(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() >= 2
        && bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"+.-_".contains(&b))
}

/// `org/repo` or `org/repo@revision`, by the hub's own rules for names: they become parts of URLs
/// and of paths in the cache.
fn hub(text: &str) -> Result<ModelName, String> {
    let (repo, revision) = match text.split_once('@') {
        Some((repo, revision)) => (repo, Some(revision)),
        None => (text, None),
    };
    let Some((org, model)) = repo.split_once('/') else {
        return Err(format!("{repo:?} is not a hub repository; expected ORG/REPO"));
    };
    if repo.len() > 96 {
        return Err(format!("{repo:?} has more than the 96 characters of a hub repository"));
    }
    for part in [org, model] {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if part.is_empty() {
            return Err(format!("{repo:?} is not a hub repository; expected ORG/REPO"));
        }
        if let Some(bad) = part.chars().find(|&c| !allowed(c)) {
            return Err(format!("{bad:?} in {part:?} is not allowed in a hub repository"));
        }
        if part.starts_with(['-', '.'])
            || part.ends_with(['-', '.'])
            || part.contains("--")
            || part.contains("..")
        {
            return Err(format!(
                "{part:?} starts or ends with '-' or '.', or holds \"--\" or \"..\": not allowed in a hub repository"
            ));
        }
    }
    if let Some(revision) = revision {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        if revision.is_empty() {
            return Err("no revision after '@'".to_owned());
        }
        if let Some(bad) = revision.chars().find(|&c| !allowed(c)) {
            return Err(format!("{bad:?} in revision {revision:?} is not allowed"));
        }
        if revision.split('/').any(|p| p.is_empty() || p.starts_with('.') || p.contains("..")) {
            return Err(format!(
                "revision {revision:?} is not the name of a branch, tag or commit"
            ));
        }
    }
    Ok(ModelName::Hub { repo: repo.to_owned(), revision: revision.map(str::to_owned) })
}
