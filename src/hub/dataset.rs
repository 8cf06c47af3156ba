//! Files of datasets: `datasets/org/name`, in the same cache.

use std::io::Read;
use std::path::PathBuf;

use serde::Deserialize;
use ureq::http::header;

use super::cache::check_file_name;
use super::client::{Ask, text};
use super::metadata::{Target, refusal};
use super::model_files::check_repo;
use super::url::Url;
use super::{Hub, HubError};

/// The largest page of a list, in bytes; the hub's own have 1000 files.
const MAX_PAGE: u64 = 16 << 20;
/// The most files of a dataset.
const MAX_FILES: usize = 1_000_000;

/// What the hub says of a file or folder.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
}

impl Hub {
    /// One file of the dataset `repo` (`org/name`), at most `limit` bytes long; from the cache if it
    /// is there.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn dataset_file(
        &self,
        repo: &str,
        revision: Option<&str>,
        file: &str,
        limit: u64,
    ) -> Result<PathBuf, HubError> {
        let (repo, revision) = check_repo(repo, revision)?;
        self.file_of(&format!("datasets/{repo}"), &revision, file, limit)
    }

    /// The files of the dataset `repo` (`org/name`) that can be stored, in the hub's order, as the hub
    /// lists them now.
    ///
    /// # Errors
    /// Any [`HubError`]; [`HubError::Offline`] without the network.
    pub fn dataset_files(
        &self,
        repo: &str,
        revision: Option<&str>,
    ) -> Result<Vec<String>, HubError> {
        let (repo, revision) = check_repo(repo, revision)?;
        let repo = format!("datasets/{repo}");
        let target = Target { repo: &repo, file: "", revision: &revision };
        let client = &self.inner.client;
        if self.inner.is_offline() {
            return Err(HubError::Offline {
                file: "the list of files".to_owned(),
                revision,
                cache: self.inner.cache_dir.clone(),
                repo,
            });
        }
        let refuse =
            |host: String, reason: String| HubError::NotAHub { repo: repo.clone(), host, reason };
        let endpoint = client.endpoint();
        let revision_in_url = revision.replace('/', "%2F");
        let first = format!("{endpoint}/api/{repo}/tree/{revision_in_url}?recursive=true");
        let mut next =
            Some(Url::parse(&first).map_err(|reason| HubError::Name {
                name: repo.clone(),
                reason: reason.to_owned(),
            })?);
        let mut files = Vec::new();
        while let Some(url) = next {
            let (answer, url) = client.follow(&repo, Ask::Get(0), &url, |_, _| false)?;
            if !answer.status().is_success() {
                return Err(refusal(client, target, &url, &answer));
            }
            let link = text(&answer, header::LINK.as_str()).and_then(next_page).map(str::to_owned);
            let mut page = Vec::new();
            let read = answer.into_body().into_reader().take(MAX_PAGE).read_to_end(&mut page);
            read.map_err(|error| HubError::Network {
                repo: repo.clone(),
                host: url.host(),
                cause: error.to_string(),
            })?;
            let entries: Vec<Entry> = serde_json::from_slice(&page).map_err(|error| {
                refuse(url.host(), format!("its list of files cannot be read: {error}"))
            })?;
            let before = files.len();
            let stored =
                |entry: &Entry| entry.kind == "file" && check_file_name(&entry.path).is_ok();
            files.extend(entries.into_iter().filter(stored).map(|entry| entry.path));
            next = match link {
                None => None,
                Some(_) if files.len() > MAX_FILES || files.len() == before => {
                    return Err(refuse(url.host(), "its list of files does not end".to_owned()));
                }
                Some(link) => {
                    Some(url.join(&link).map_err(|reason| refuse(url.host(), reason.to_owned()))?)
                }
            };
        }
        Ok(files)
    }
}

/// The URL of the next page in a `Link` header.
fn next_page(link: &str) -> Option<&str> {
    let (url, about) = link.trim().strip_prefix('<')?.split_once('>')?;
    about.contains("rel=\"next\"").then_some(url)
}
