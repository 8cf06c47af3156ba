//! The hub's protocol.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::fault::{At, End, Fault, Plan, Silent, body};
use super::repo::{Access, Repo, RepoFile};
use super::{Inner, STRANGER, Seen, Shared, TOKEN};

/// How many bytes of a body are sent at a time by default.
const CHUNK: usize = 1 << 14;

pub(crate) fn answer(shared: &Shared, storage: bool, request: &Request) -> Response {
    let text = |name| request.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let seen = Seen {
        storage,
        method: request.method().to_string(),
        path: request.uri().path().replace("%2F", "/").replace("%2f", "/"),
        range: text(header::RANGE),
        authorization: text(header::AUTHORIZATION),
    };
    let mut state = shared.state.lock().unwrap();
    state.log.push(seen.clone());
    shared.changed.notify_all();
    if storage {
        from_storage(&mut state, &seen, request)
    } else {
        from_hub(&mut state, shared, &seen, request.method() == Method::HEAD)
    }
}

fn from_hub(state: &mut Inner, shared: &Shared, seen: &Seen, is_head: bool) -> Response {
    let parts: Vec<&str> = seen.path.trim_start_matches('/').split('/').collect();
    let at = if is_head { At::Head } else { At::Get };
    let (id, rest) = match parts.as_slice() {
        ["api", "resolve-cache", "models", org, name, rest @ ..] => {
            (format!("{org}/{name}"), [&["resolve"], rest].concat())
        }
        ["api", "resolve-cache", "datasets", org, name, rest @ ..] => {
            (format!("datasets/{org}/{name}"), [&["resolve"], rest].concat())
        }
        ["api", "models", org, name, rest @ ..] => {
            (format!("{org}/{name}"), [&["api"], rest].concat())
        }
        ["api", "datasets", org, name, rest @ ..] => {
            (format!("datasets/{org}/{name}"), [&["api"], rest].concat())
        }
        ["datasets", org, name, "resolve", rest @ ..] => {
            (format!("datasets/{org}/{name}"), [&["find"], rest].concat())
        }
        [org, name, "resolve", rest @ ..] => (format!("{org}/{name}"), [&["find"], rest].concat()),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let repo = match find(state, &id, seen) {
        Ok(repo) => repo,
        Err(response) => return *response,
    };
    let (kind, rest) = (rest[0], rest[1..].join("/"));
    if kind == "api" {
        return info(&repo, &rest);
    }
    let revisions = ["main", &repo.branch, &repo.commit()].map(|r| format!("{r}/"));
    let Some(path) = revisions.iter().find_map(|revision| rest.strip_prefix(revision)) else {
        return error(StatusCode::NOT_FOUND, "RevisionNotFound", "Invalid rev id");
    };
    let fault = take_fault(state, at, path);
    let (commit, signature) = (repo.commit(), state.signature);
    let Some(file) = repo.file(path) else {
        let mut response = error(StatusCode::NOT_FOUND, "EntryNotFound", "Entry not found");
        set(response.headers_mut(), "x-repo-commit", &commit);
        return response;
    };
    if kind == "resolve" {
        let mut response = content(file, seen, fault.as_ref());
        set(response.headers_mut(), "x-repo-commit", &commit);
        return with_fault(response, fault.as_ref());
    }
    let (status, location) = if file.lfs {
        let location = format!("{}/{}?Signature=secret{signature}", shared.storage, file.etag());
        (StatusCode::FOUND, location)
    } else {
        let kind = if id.starts_with("datasets/") { "" } else { "models/" };
        let location = format!("/api/resolve-cache/{kind}{id}/{commit}/{path}");
        (StatusCode::TEMPORARY_REDIRECT, location)
    };
    let mut response = (status, "").into_response();
    let headers = response.headers_mut();
    set(headers, "location", &location);
    set(headers, "x-repo-commit", &commit);
    set(headers, "x-linked-size", &file.bytes.len().to_string());
    set(headers, "x-linked-etag", &format!("\"{}\"", file.etag()));
    set(headers, "accept-ranges", "bytes");
    with_fault(response, fault.as_ref())
}

fn from_storage(state: &mut Inner, seen: &Seen, request: &Request) -> Response {
    let digits = seen.path.trim_start_matches('/');
    let found = state.repos.iter().flat_map(|repo| &repo.files).find(|file| file.etag() == digits);
    let Some(file) = found.cloned() else { return StatusCode::NOT_FOUND.into_response() };
    if seen.authorization.is_some() {
        return (StatusCode::BAD_REQUEST, "two kinds of authorization").into_response();
    }
    if request.uri().query() != Some(&format!("Signature=secret{}", state.signature)) {
        return (StatusCode::FORBIDDEN, "the request has expired").into_response();
    }
    let fault = take_fault(state, At::Storage, &file.name);
    let response = content(&file, seen, fault.as_ref());
    with_fault(response, fault.as_ref())
}

/// The repository, if the client may read it.
fn find(state: &Inner, id: &str, seen: &Seen) -> Result<Repo, Box<Response>> {
    let token = seen.authorization.as_deref().map(|a| a.trim_start_matches("Bearer "));
    let refuse = |status, code, message: &str| Err(Box::new(error(status, code, message)));
    if token.is_some_and(|token| token != TOKEN && token != STRANGER) {
        let said = format!("Invalid credentials: {}", token.unwrap_or_default());
        return refuse(StatusCode::UNAUTHORIZED, "", &said);
    }
    let repo = state.repos.iter().find(|repo| repo.id == id);
    let unknown = "Repository not found";
    match (repo, token) {
        (None, None) => refuse(StatusCode::UNAUTHORIZED, "RepoNotFound", unknown),
        (None, Some(_)) => refuse(StatusCode::NOT_FOUND, "RepoNotFound", unknown),
        (Some(repo), token) => match (repo.access, token) {
            (Access::Public, _) | (_, Some(TOKEN)) => Ok(repo.clone()),
            (Access::Private, None) => refuse(StatusCode::UNAUTHORIZED, "RepoNotFound", unknown),
            (Access::Private, _) => refuse(StatusCode::NOT_FOUND, "RepoNotFound", unknown),
            (Access::Gated, None) => {
                refuse(StatusCode::UNAUTHORIZED, "GatedRepo", "Access is restricted")
            }
            (Access::Gated, _) => {
                refuse(StatusCode::FORBIDDEN, "GatedRepo", "Access is restricted")
            }
        },
    }
}

/// `/api/models/...`: the repository's description or the list of its files.
fn info(repo: &Repo, rest: &str) -> Response {
    let mut files = Vec::new();
    for file in &repo.files {
        let size = file.bytes.len();
        let mut entry = serde_json::json!({
            "type": "file", "path": file.name, "rfilename": file.name, "size": size, "oid": file.etag(),
        });
        if file.lfs {
            // The list of files and the description have different names for the checksum.
            entry["lfs"] = serde_json::json!({
                "oid": file.etag(), "sha256": file.etag(), "size": size, "pointerSize": 134,
            });
        }
        files.push(entry);
    }
    if rest.starts_with("tree/") {
        return axum::Json(files).into_response();
    }
    axum::Json(serde_json::json!({
        "id": repo.id, "modelId": repo.id, "sha": repo.commit(), "siblings": files, "tags": ["timm"],
        "private": repo.access == Access::Private, "gated": false, "library_name": "timm",
    }))
    .into_response()
}

fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let mut response = (status, message.to_owned()).into_response();
    if !code.is_empty() {
        set(response.headers_mut(), "x-error-code", code);
    }
    set(response.headers_mut(), "x-error-message", message);
    response
}

/// A file, or the requested range of it.
fn content(file: &RepoFile, seen: &Seen, fault: Option<&Fault>) -> Response {
    let size = file.bytes.len();
    let ignored = matches!(fault, Some(Fault::NoRange));
    let asked =
        seen.range.as_deref().filter(|_| !ignored).and_then(|range| {
            range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok()
        });
    let (status, from) = match asked {
        Some(from) if from >= size || matches!(fault, Some(Fault::BadRange)) => {
            return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
        }
        Some(from) if matches!(fault, Some(Fault::OtherRange)) => {
            (StatusCode::PARTIAL_CONTENT, from / 2)
        }
        Some(from) => (StatusCode::PARTIAL_CONTENT, from),
        None => (StatusCode::OK, 0),
    };
    let mut bytes = file.bytes[from..].to_vec();
    let mut plan = Plan { chunk: CHUNK, pause: Duration::ZERO, end: End::Well };
    let mut announced = Some(bytes.len());
    match fault {
        Some(Fault::Drop(after)) => {
            bytes.truncate(*after);
            plan.end = End::Break;
        }
        Some(Fault::Stall(after)) => {
            bytes.truncate(*after);
            plan.end = End::Stall;
        }
        Some(Fault::Trickle(chunk, pause)) => (plan.chunk, plan.pause) = (*chunk, *pause),
        Some(Fault::Truncate(at)) => {
            bytes.truncate(*at);
            announced = None;
        }
        Some(Fault::Corrupt) => {
            if let Some(byte) = bytes.last_mut() {
                *byte ^= 1;
            }
        }
        Some(Fault::Extra(extra)) => {
            bytes.resize(bytes.len() + extra, 7);
            announced = Some(bytes.len());
        }
        Some(Fault::ExtraUnannounced(extra)) => {
            bytes.resize(bytes.len() + extra, 7);
            announced = None;
        }
        _ => {}
    }
    let sent = if seen.method == "HEAD" { Body::empty() } else { body(Bytes::from(bytes), plan) };
    let mut response = (status, sent).into_response();
    let headers = response.headers_mut();
    if let Some(length) = announced {
        set(headers, "content-length", &length.to_string());
    }
    if status == StatusCode::PARTIAL_CONTENT {
        set(headers, "content-range", &format!("bytes {from}-{}/{size}", size - 1));
    }
    set(headers, "etag", &format!("\"{}\"", file.etag()));
    response
}

/// Applies a fault to an answer; [`content`] handles the faults of a body.
fn with_fault(mut response: Response, fault: Option<&Fault>) -> Response {
    match fault {
        Some(Fault::Status(status, headers)) => {
            let mut response = StatusCode::from_u16(*status).unwrap().into_response();
            headers.iter().for_each(|(name, value)| set(response.headers_mut(), name, value));
            response
        }
        Some(Fault::Page) => {
            axum::response::Html("<html>Log in to the hotel</html>").into_response()
        }
        Some(Fault::Silence) => {
            response.extensions_mut().insert(Silent);
            response
        }
        Some(Fault::Redirect(to)) => {
            let mut response = StatusCode::FOUND.into_response();
            set(response.headers_mut(), "location", to);
            response
        }
        Some(Fault::Header(name, value)) if value.is_empty() => {
            response.headers_mut().remove(*name);
            response
        }
        Some(Fault::Header(name, value)) => {
            set(response.headers_mut(), name, value);
            response
        }
        _ => response,
    }
}

fn take_fault(state: &mut Inner, at: At, file: &str) -> Option<Fault> {
    let index = state.faults.iter().position(|(where_, name, _, times)| {
        *where_ == at && *times > 0 && (name.is_empty() || name == file)
    })?;
    let entry = state.faults.get_mut(index)?;
    entry.3 -= 1;
    Some(entry.2.clone())
}

fn set(headers: &mut HeaderMap, name: &str, value: &str) {
    headers.insert(
        HeaderName::from_bytes(name.as_bytes()).unwrap(),
        HeaderValue::from_str(value).unwrap(),
    );
}
