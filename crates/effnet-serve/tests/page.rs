//! The pages at `/` and `/docs`: their files, and what they are sent with.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use effnet::batcher::BatcherOptions;
use effnet_serve::{Limits, Models, Server, router};
use http_body_util::BodyExt;
use tower::ServiceExt;

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/page");

fn pages() -> Router {
    router(&Server::new(Models::new(BatcherOptions::default()), Limits::default()))
}

/// Asks a router for a path, as a browser that has the file with this tag.
async fn get(router: Router, path: &str, tag: Option<&str>) -> (StatusCode, HeaderMap, String) {
    let mut request = Request::get(path);
    if let Some(tag) = tag {
        request = request.header(header::IF_NONE_MATCH, tag);
    }
    let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
}

/// The URLs that a file names, in markup, in imports and in styles.
fn named(text: &str) -> Vec<&str> {
    let starts = ["href=\"", "src=\"", "from '", "href: '", "url("];
    let ends = ['"', '\'', ')'];
    let after = |start| text.split(start).skip(1).filter_map(|rest| rest.split(ends).next());
    starts.into_iter().flat_map(after).filter(|url| !url.starts_with('#')).collect()
}

#[tokio::test]
async fn every_file_is_sent_with_its_type_and_the_policy() {
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/docs", "text/html; charset=utf-8"),
        ("/page/page.css", "text/css; charset=utf-8"),
        ("/page/page.js", "text/javascript; charset=utf-8"),
        ("/page/favicon.svg", "image/svg+xml"),
    ] {
        let (status, headers, _) = get(pages(), path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert_eq!(headers[header::CONTENT_TYPE], content_type, "{path}");
        assert_eq!(headers[header::CACHE_CONTROL], "no-cache", "{path}");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        assert_eq!(headers["permissions-policy"], "camera=(self)", "{path}");
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(!policy.contains("  "), "{policy:?}");
    }
}

#[tokio::test]
async fn a_file_that_the_browser_has_is_not_sent_again() {
    let (_, headers, text) = get(pages(), "/page/page.js", None).await;
    let tag = headers[header::ETAG].to_str().unwrap();
    for tags in [tag, &format!("\"other\", W/{tag}"), "*"] {
        let (status, headers, text) = get(pages(), "/page/page.js", Some(tags)).await;
        assert_eq!((status, text.as_str()), (StatusCode::NOT_MODIFIED, ""), "{tags}");
        assert_eq!(headers[header::ETAG], tag);
        assert!(headers.contains_key(header::CONTENT_SECURITY_POLICY));
    }
    let (_, other, _) = get(pages(), "/page/page.css", None).await;
    assert_ne!(other[header::ETAG], tag);
    let (status, _, again) = get(pages(), "/page/page.js", Some("\"other\"")).await;
    assert_eq!((status, again), (StatusCode::OK, text));
}

#[tokio::test]
async fn everything_that_a_file_names_exists_and_is_named_relatively() {
    // What the API answers, which is not a file of the pages.
    let of_the_api = ["openapi.json"];
    let mut files = vec!["index.html".to_owned(), "docs".to_owned()];
    let mut seen = 0;
    while let Some(path) = files.get(seen).cloned() {
        seen += 1;
        let (status, _, text) = get(pages(), &format!("/{path}"), None).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        for url in named(&text) {
            assert!(!url.contains("//") && !url.starts_with('/'), "{path} names {url}");
            // An import is relative to its file, the others to the page.
            let target =
                url.strip_prefix("./").map_or(url.to_owned(), |name| format!("page/{name}"));
            if !of_the_api.contains(&url) && !files.contains(&target) {
                files.push(target);
            }
        }
    }
    for entry in std::fs::read_dir(FILES).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = match name.as_str() {
            "docs.html" => "docs".to_owned(),
            "index.html" => name,
            _ => format!("page/{name}"),
        };
        assert!(files.contains(&path), "{FILES}/{path} is not used");
    }
    assert!(seen > 10, "{files:?}");
}

#[tokio::test]
async fn the_pages_have_no_script_and_no_style_of_their_own() {
    for path in ["/index.html", "/docs"] {
        let (_, _, text) = get(pages(), path, None).await;
        for word in ["<style", "style=", "onclick=", "onload=", "javascript:", "http:", "https:"] {
            assert!(!text.contains(word), "{path} has {word}");
        }
        let scripts = text.matches("<script").count();
        assert_eq!(scripts, text.matches("\"></script>").count(), "{path}");
        assert_eq!(scripts, 2, "{path}");
    }
}

#[tokio::test]
async fn under_a_prefix_the_page_has_a_url_whose_relative_urls_are_right() {
    let nested = || Router::new().nest("/a/vision", pages());
    let (status, headers, _) = get(nested(), "/a/vision", None).await;
    assert_eq!(status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(headers[header::LOCATION], "./vision/index.html");
    let (status, _, text) = get(nested(), "/a/vision/index.html", None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(text, get(pages(), "/", None).await.2);
    for path in ["/a/vision/docs", "/a/vision/page/page.css"] {
        assert_eq!(get(nested(), path, None).await.0, StatusCode::OK, "{path}");
    }
    // A prefix with a slash at its end needs no redirect.
    let nested = Router::new().nest("/vision/", pages());
    assert_eq!(get(nested, "/vision/", None).await.0, StatusCode::OK);
}
