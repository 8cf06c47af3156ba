//! What the hub says about a file before the transfer.

use ureq::http::{Response, header};
use ureq::{Body, http::StatusCode};

use super::HubError;
use super::client::{Ask, Client, busy, text};
use super::url::Url;
use super::verify::Checksum;

/// A file at one commit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Metadata {
    /// 40 hexadecimal digits.
    pub(super) commit: String,
    pub(super) checksum: Checksum,
    pub(super) size: u64,
    /// Where its bytes are; on storage hosts this is valid only for a short time.
    pub(super) location: Url,
}

/// A file of a repository, as a user would name it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) repo: &'a str,
    pub(super) file: &'a str,
    pub(super) revision: &'a str,
}

impl Target<'_> {
    fn url(&self, client: &Client) -> Result<Url, HubError> {
        let revision = self.revision.replace('/', "%2F");
        let text = format!("{}/{}/resolve/{revision}/{}", client.endpoint(), self.repo, self.file);
        Url::parse(&text).map_err(|reason| HubError::Name {
            name: format!("{}@{}", self.repo, self.revision),
            reason: reason.to_owned(),
        })
    }
}

/// Asks the hub about a file, once.
///
/// # Errors
/// Every failure that the hub, or whatever answers in its place, may report.
pub(super) fn head(client: &Client, target: Target<'_>) -> Result<Metadata, HubError> {
    let repo = target.repo;
    let url = target.url(client)?;
    let (mut commit, mut etag, mut size) = (None, None, None);
    let mut note = |answer: &Response<Body>| {
        let own = |name| text(answer, name).map(str::to_owned);
        commit = commit.take().or_else(|| own("x-repo-commit"));
        etag = etag.take().or_else(|| own("x-linked-etag"));
        size = size.take().or_else(|| own("x-linked-size"));
        commit.is_some() && etag.is_some() && size.is_some()
    };
    // Stop at a redirect that already says everything: its target is the storage host, which is not
    // asked yet.
    let (answer, location) = client.follow(repo, Ask::Head, &url, |answer, _| note(answer))?;
    note(&answer);
    let status = answer.status();
    if !status.is_success() && !status.is_redirection() {
        return Err(refusal(client, target, &location, &answer));
    }
    let not_a_hub = |reason: &str| HubError::NotAHub {
        repo: repo.to_owned(),
        host: url.host(),
        reason: reason.to_owned(),
    };
    let commit = commit.ok_or_else(|| not_a_hub("its answer has no X-Repo-Commit"))?;
    if !is_commit(&commit) {
        return Err(not_a_hub("its X-Repo-Commit is not a commit"));
    }
    let etag = etag.or_else(|| text(&answer, header::ETAG.as_str()).map(str::to_owned));
    let checksum = etag
        .and_then(|etag| Checksum::from_etag(&etag))
        .ok_or_else(|| not_a_hub("its answer has no checksum for an ETag"))?;
    let size = size
        .or_else(|| text(&answer, header::CONTENT_LENGTH.as_str()).map(str::to_owned))
        .and_then(|size| size.trim().parse().ok())
        .ok_or_else(|| not_a_hub("its answer does not say the file's size"))?;
    Ok(Metadata { commit, checksum, size, location })
}

/// 40 hexadecimal digits. Nothing else becomes part of a path.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The error for an answer that is neither 2xx nor 3xx.
pub(super) fn refusal(
    client: &Client,
    target: Target<'_>,
    url: &Url,
    answer: &Response<Body>,
) -> HubError {
    let repo = target.repo.to_owned();
    let endpoint = client.endpoint().to_owned();
    let with_token = client.has_token();
    if let Some(error) = busy(&repo, url, answer) {
        return error;
    }
    let status = answer.status();
    match (text(answer, "x-error-code"), status) {
        (Some("GatedRepo"), _) => HubError::Gated { repo, endpoint, with_token },
        (Some("RepoNotFound"), _) => HubError::NoRepo { repo, endpoint, with_token },
        (Some("RevisionNotFound"), _) => {
            HubError::NoRevision { repo, revision: target.revision.to_owned(), endpoint }
        }
        (Some("EntryNotFound"), _) => HubError::NoFile {
            repo,
            file: target.file.to_owned(),
            revision: target.revision.to_owned(),
        },
        (_, StatusCode::UNAUTHORIZED) if with_token => HubError::BadToken { repo, endpoint },
        (_, StatusCode::UNAUTHORIZED) => HubError::NoRepo { repo, endpoint, with_token },
        (_, StatusCode::FORBIDDEN) => {
            let message = text(answer, "x-error-message").map(|m| client.sanitize(m));
            HubError::Forbidden { repo, endpoint, message }
        }
        (code, status) => {
            let code = code.map(|c| client.sanitize(c)).unwrap_or_default();
            let reason = format!("HTTP status {} {code}", status.as_u16());
            HubError::NotAHub { repo, host: url.host(), reason: reason.trim_end().to_owned() }
        }
    }
}
