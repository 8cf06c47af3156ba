//! Files of datasets of the Hugging Face hub: `hf://datasets/ORG/NAME[@REVISION]/PATH`.

use glob::Pattern;

use super::entries::Entry;
use crate::hub::Hub;

/// The largest file that is downloaded, in bytes.
const MAX_FILE: u64 = 1 << 40;
/// What all URLs of datasets begin with.
pub(super) const SCHEME: &str = "hf://datasets/";

/// Why datasets cannot be read without a hub.
pub(super) const NO_HUB: &str = "no hub was given: set `Sources::hub`";

/// A file of a dataset, or the files that match a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dataset {
    repo: String,
    revision: Option<String>,
    path: String,
}

impl Dataset {
    /// Reads what follows the scheme.
    pub(super) fn parse(rest: &str) -> Result<Self, String> {
        let mut parts = rest.splitn(3, '/');
        let (org, name, path) = (parts.next(), parts.next(), parts.next());
        let (Some(org), Some(name), Some(path)) = (org, name, path.filter(|p| !p.is_empty()))
        else {
            return Err(format!(
                "it names no file: write {SCHEME}ORG/NAME/PATH, where PATH may be a pattern such as \
                 `**/*.parquet`"
            ));
        };
        let (name, revision) = match name.split_once('@') {
            Some((name, revision)) => (name, Some(revision.replace("%2F", "/"))),
            None => (name, None),
        };
        Ok(Self { repo: format!("{org}/{name}"), revision, path: path.to_owned() })
    }

    /// What results call it.
    pub(super) fn name(&self) -> String {
        self.url(&self.path)
    }

    /// Whether it means all files that match.
    pub(super) fn is_pattern(&self) -> bool {
        self.path.contains(['*', '?', '['])
    }

    /// The URL of a file.
    fn url(&self, path: &str) -> String {
        let revision =
            self.revision.as_ref().map(|revision| format!("@{}", revision.replace('/', "%2F")));
        format!("{SCHEME}{}{}/{path}", self.repo, revision.unwrap_or_default())
    }

    /// The URLs of the files that match.
    pub(super) fn files(&self, hub: &Hub) -> Result<Vec<String>, String> {
        let pattern =
            Pattern::new(&self.path).map_err(|error| format!("not a pattern: {error}"))?;
        let options = glob::MatchOptions { require_literal_separator: true, ..Default::default() };
        let files = hub.dataset_files(&self.repo, self.revision.as_deref());
        let mut files = files.map_err(|error| error.to_string())?;
        files.retain(|file| pattern.matches_with(file, options));
        files.sort();
        if files.is_empty() {
            return Err("no file of the dataset matches this pattern".to_owned());
        }
        Ok(files.iter().map(|file| self.url(file)).collect())
    }

    /// The file, downloaded if it is not in the cache.
    pub(super) fn entry(&self, hub: &Hub) -> Result<Entry, String> {
        let file = hub.dataset_file(&self.repo, self.revision.as_deref(), &self.path, MAX_FILE);
        let path = file.map_err(|error| error.to_string())?;
        Ok(Entry::named(path, self.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_dataset_a_revision_and_a_file() {
        let dataset = Dataset::parse("org/name@refs%2Fconvert/data/a.parquet").unwrap();
        assert_eq!((&*dataset.repo, &*dataset.path), ("org/name", "data/a.parquet"));
        assert_eq!(dataset.revision.as_deref(), Some("refs/convert"));
        let url = "hf://datasets/org/name@refs%2Fconvert/data/a.parquet";
        assert_eq!(dataset.url(&dataset.path), url);
        for bad in ["org", "org/name", "org/name/"] {
            assert!(Dataset::parse(bad).unwrap_err().contains("names no file"), "{bad}");
        }
    }
}
