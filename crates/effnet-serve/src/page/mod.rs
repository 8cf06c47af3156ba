//! The pages at `/` and `/docs`, from files inside the program.
//!
//! Every URL in them is relative: they work where the router is nested, and behind a proxy that
//! serves it under a path. They load nothing from elsewhere, and the policy forbids it.

use std::hash::{DefaultHasher, Hasher};

use axum::Router;
use axum::extract::OriginalUri;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use crate::Server;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// `blob:` is for the images and the pictures of the camera, which are the visitor's own.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob:; connect-src 'self'; media-src 'self' blob:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// A file of the pages.
struct File {
    path: &'static str,
    content_type: &'static str,
    content: &'static str,
}

/// The page at `/` too; it has a name so that a nested router has a URL for it whose relative URLs
/// are right.
const INDEX: File = file("/index.html", HTML, include_str!("../../page/index.html"));

const FILES: &[File] = &[
    INDEX,
    file("/docs", HTML, include_str!("../../page/docs.html")),
    file("/page/page.css", CSS, include_str!("../../page/page.css")),
    file("/page/page.js", JAVASCRIPT, include_str!("../../page/page.js")),
    file("/page/camera.js", JAVASCRIPT, include_str!("../../page/camera.js")),
    file("/page/card.js", JAVASCRIPT, include_str!("../../page/card.js")),
    file("/page/docs.js", JAVASCRIPT, include_str!("../../page/docs.js")),
    file("/page/dom.js", JAVASCRIPT, include_str!("../../page/dom.js")),
    file("/page/files.js", JAVASCRIPT, include_str!("../../page/files.js")),
    file("/page/key.js", JAVASCRIPT, include_str!("../../page/key.js")),
    file("/page/requests.js", JAVASCRIPT, include_str!("../../page/requests.js")),
    file("/page/results.js", JAVASCRIPT, include_str!("../../page/results.js")),
    file("/page/schema.js", JAVASCRIPT, include_str!("../../page/schema.js")),
    file("/page/similar.js", JAVASCRIPT, include_str!("../../page/similar.js")),
    file("/page/theme.js", JAVASCRIPT, include_str!("../../page/theme.js")),
    file("/page/try.js", JAVASCRIPT, include_str!("../../page/try.js")),
    file("/page/favicon.svg", SVG, include_str!("../../page/favicon.svg")),
];

const fn file(path: &'static str, content_type: &'static str, content: &'static str) -> File {
    File { path, content_type, content }
}

/// Whether this is the path of a page, or of a file that pages load.
pub(crate) fn is_page(path: &str) -> bool {
    path == "/" || FILES.iter().any(|file| file.path == path)
}

pub(crate) fn routes() -> Router<Server> {
    let router = Router::new().route("/", get(home));
    FILES.iter().fold(router, |router, file| {
        router
            .route(file.path, get(move |headers: HeaderMap| async move { file.response(&headers) }))
    })
}

/// The page, or, where the router is nested, the way to its own URL: there, the path of `/` has no
/// slash at its end, and relative URLs would lead out of the router.
async fn home(OriginalUri(uri): OriginalUri, headers: HeaderMap) -> Response {
    match uri.path().rsplit('/').next() {
        Some("") | None => INDEX.response(&headers),
        Some(name) => Redirect::temporary(&format!("./{name}/index.html")).into_response(),
    }
}

impl File {
    /// The file, or 304 if the browser has it.
    fn response(&self, request: &HeaderMap) -> Response {
        let tag = self.tag();
        let headers = [
            (header::ETAG, tag.as_str()),
            (header::CACHE_CONTROL, "no-cache"),
            (header::CONTENT_TYPE, self.content_type),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::HeaderName::from_static("permissions-policy"), "camera=(self)"),
        ];
        if has(request, &tag) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (headers, self.content).into_response()
    }

    fn tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        hasher.write(self.content.as_bytes());
        format!("\"{:016x}\"", hasher.finish())
    }
}

/// Whether `If-None-Match` names this tag, strong or weak: a proxy that compresses makes it weak.
fn has(request: &HeaderMap, tag: &str) -> bool {
    let values = request.get_all(header::IF_NONE_MATCH).iter();
    let mut tags = values.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    tags.any(|candidate| {
        let candidate = candidate.trim();
        candidate == "*" || candidate.trim_start_matches("W/") == tag
    })
}
