use std::fs;
use std::num::NonZeroU32;
use std::path::PathBuf;

use axum::Extension;
use axum::routing::{get, post};
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;

const GOOD: &str = "correct-horse-battery-staple";

fn router() -> Router {
    Router::new()
        .route("/models", get(|headers: HeaderMap| async move { format!("{}", headers.len()) }))
        .route("/health/live", get(|| async {}))
        .route("/echo", post(|body: axum::body::Bytes| async move { body }))
}

fn key_file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn with_keys(text: &str, rate: Option<Rate>) -> Router {
    let (_folder, path) = key_file(text);
    let keys = Some(Arc::new(Keys::read(&path, rate).unwrap()));
    Guard::new(GuardOptions { keys, ..GuardOptions::default() }).protect(router())
}

fn ask(path: &str, headers: &[(&str, &str)]) -> Request {
    let request = Request::builder().uri(path);
    let add = |request: axum::http::request::Builder, (name, value): &(&str, &str)| {
        request.header(*name, *value)
    };
    headers.iter().fold(request, add).body(Body::empty()).unwrap()
}

async fn send(router: &Router, request: Request) -> (StatusCode, HeaderMap, String) {
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn only_keys_of_the_file_come_in() {
    let router = with_keys(&format!("# ours\nalice:{GOOD}\n\n0123456789abcdef\n"), None);
    let bearer = format!("bearer {GOOD}");
    for headers in [
        [("authorization", &*bearer)],
        [("x-api-key", GOOD)],
        [("authorization", "Bearer 0123456789abcdef")],
    ] {
        let (status, _, seen) = send(&router, ask("/models", &headers)).await;
        // The key itself goes no further.
        assert_eq!((status, &*seen), (StatusCode::OK, "0"), "{headers:?}");
    }
    for headers in [
        [("x-api-key", "")].as_slice(),
        &[],
        &[("x-api-key", "wrong")],
        &[("x-api-key", &GOOD[1..])],
        &[("x-api-key", "alice")],
        &[("x-api-key", "alice:correct-horse-battery-staple")],
        &[("authorization", GOOD)],
        &[("authorization", "Basic Zm9vOmJhcg==")],
        &[("authorization", "Bearer")],
        &[("authorization", "Bearer\u{a0}")],
    ] {
        let (status, answer, body) = send(&router, ask("/models", headers)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{headers:?}");
        assert_eq!(answer[header::WWW_AUTHENTICATE], "Bearer");
        assert!(body.starts_with("{\"error\":\"") && !body.contains(GOOD), "{body}");
    }
    assert_eq!(send(&router, ask("/health/live", &[])).await.0, StatusCode::OK);
    // The pages come in without a key, because they ask for it.
    for path in ["/", "/docs", "/page/page.js"] {
        assert_eq!(send(&router, ask(path, &[])).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    // Paths are compared as they are: no other spelling of an open one leads elsewhere.
    for path in ["/health/live/", "/health/live/../..", "//health/live", "/health/liv%65"] {
        assert_eq!(send(&router, ask(path, &[])).await.0, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn grpc_is_refused_in_its_own_form() {
    let router = with_keys(GOOD, None);
    let request = ask("/models", &[("content-type", "application/grpc+proto")]);
    let (status, headers, _) = send(&router, request).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["grpc-status"], "16");
    assert!(headers["grpc-message"].to_str().unwrap().contains("key"));
}

#[tokio::test]
async fn a_key_has_its_rate() {
    let rate = Rate { per_second: 0.01, burst: NonZeroU32::new(2).unwrap() };
    let router = with_keys(&format!("a:{GOOD}\nb:another-one"), Some(rate));
    let first = || ask("/models", &[("x-api-key", GOOD)]);
    for _ in 0..2 {
        assert_eq!(send(&router, first()).await.0, StatusCode::OK);
    }
    let (status, headers, body) = send(&router, first()).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{body}");
    let wait: u64 = headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=100).contains(&wait), "{wait}");
    // The other key's requests are its own, and health is asked by who has none.
    assert_eq!(
        send(&router, ask("/models", &[("x-api-key", "another-one")])).await.0,
        StatusCode::OK
    );
    assert_eq!(send(&router, ask("/health/live", &[])).await.0, StatusCode::OK);
    let grpc = ask("/models", &[("x-api-key", GOOD), ("content-type", "application/grpc")]);
    assert_eq!(send(&router, grpc).await.1["grpc-status"], "8");
}

#[test]
fn keys_are_read_again_with_what_they_have_left() {
    let rate = Rate { per_second: 0.01, burst: NonZeroU32::MIN };
    let (_folder, path) = key_file("a:first-key\nb:second-key");
    let keys = Keys::read(&path, Some(rate)).unwrap();
    let find = |key: &str| {
        keys.find(&HeaderMap::from_iter([(
            HeaderName::from_static("x-api-key"),
            HeaderValue::from_str(key).unwrap(),
        )]))
    };
    assert!(find("first-key").unwrap().take_turn().is_ok());
    fs::write(&path, "c:third-key\na:first-key").unwrap();
    assert_eq!(keys.reload().unwrap(), 2);
    assert!(find("first-key").unwrap().take_turn().is_err());
    assert!(find("third-key").unwrap().take_turn().is_ok());
    assert!(find("second-key").is_err());
    fs::write(&path, "").unwrap();
    assert!(keys.reload().is_err());
    assert!(find("third-key").is_ok());
}

#[test]
fn a_wrong_file_of_keys_is_refused_without_telling_keys() {
    for (text, says) in [
        ("", "there are none"),
        ("# only a comment\n\n", "there are none"),
        ("good-key\nsecret with spaces", "line 2 is not KEY or NAME:KEY"),
        ("name:", "line 1 is not KEY or NAME:KEY"),
        (":secret-key", "line 1 is not KEY or NAME:KEY"),
        ("secret-k\u{e9}y", "line 1 is not KEY or NAME:KEY"),
        ("a:secret-key\nb:secret-key", "line 2 has a name or a key that an earlier line has"),
        ("a:secret-key\na:secret-kez", "line 2 has a name or a key that an earlier line has"),
    ] {
        let (_folder, path) = key_file(text);
        let error = Keys::read(&path, None).unwrap_err().to_string();
        assert!(error.contains(says) && !error.contains("secret"), "{error}");
        assert!(error.contains(path.to_str().unwrap()), "{error}");
    }
    let error = Keys::read("no/such/file".as_ref(), None).unwrap_err().to_string();
    assert!(error.contains("no/such/file"), "{error}");
}

#[tokio::test]
async fn other_origins_are_let_in_by_name() {
    let allow = |cors: &[&'static str]| {
        let cors = cors.iter().map(|origin| HeaderValue::from_static(origin)).collect();
        let (_folder, path) = key_file(GOOD);
        let keys = Some(Arc::new(Keys::read(&path, None).unwrap()));
        Guard::new(GuardOptions { keys, cors, ..GuardOptions::default() }).protect(router())
    };
    let preflight = || {
        let mut request = ask(
            "/models",
            &[
                ("origin", "https://a.example"),
                ("access-control-request-method", "POST"),
                ("access-control-request-headers", "x-api-key,content-type"),
            ],
        );
        *request.method_mut() = Method::OPTIONS;
        request
    };
    // A browser's question has no key.
    let (status, headers, _) = send(&allow(&["https://a.example"]), preflight()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["access-control-allow-origin"], "https://a.example");
    assert_eq!(headers["access-control-allow-headers"], "x-api-key,content-type");
    let (_, headers, _) = send(&allow(&["https://b.example"]), preflight()).await;
    assert!(!headers.contains_key("access-control-allow-origin"));
    let (_, headers, _) = send(&allow(&["*"]), preflight()).await;
    assert_eq!(headers["access-control-allow-origin"], "*");
    let (status, headers, _) = send(&allow(&[]), preflight()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(!headers.keys().any(|name| name.as_str().starts_with("access-control")));
}

/// A body of pieces without a length.
fn pieces(pieces: &[usize]) -> Body {
    let pieces: Vec<_> =
        pieces.iter().map(|bytes| Ok::<_, std::io::Error>(vec![7; *bytes])).collect();
    Body::from_stream(futures_util::stream::iter(pieces))
}

fn upload(body: Body) -> Request {
    Request::builder().method("POST").uri("/echo").body(body).unwrap()
}

#[tokio::test]
async fn bodies_have_a_size() {
    let options = GuardOptions { max_body: 1000, ..GuardOptions::default() };
    let router = Guard::new(options).protect(router());
    for (body, status) in [
        (Body::from(vec![7; 1000]), StatusCode::OK),
        (Body::from(vec![7; 1001]), StatusCode::PAYLOAD_TOO_LARGE),
        (pieces(&[400, 600]), StatusCode::OK),
        (pieces(&[400, 600, 1]), StatusCode::PAYLOAD_TOO_LARGE),
        (Body::empty(), StatusCode::OK),
    ] {
        let (got, headers, body) = send(&router, upload(body)).await;
        assert_eq!(got, status, "{body}");
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            assert_eq!(headers[header::CONNECTION], "close");
            assert!(body.contains("1000 bytes"), "{body}");
        }
    }
}

#[tokio::test]
async fn a_body_must_come_on() {
    let options = GuardOptions { body_timeout: Duration::from_secs(1), ..GuardOptions::default() };
    let router = Guard::new(options).protect(router());
    let slow = |pause: u64, bytes: usize, pieces: usize| {
        let stream = futures_util::stream::unfold(0, move |sent| async move {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            (sent < pieces).then(|| (Ok::<_, std::io::Error>(vec![7; bytes]), sent + 1))
        });
        upload(Body::from_stream(stream))
    };
    // However long the whole takes, 16 KiB come in time.
    assert_eq!(send(&router, slow(50, 16 << 10, 30)).await.0, StatusCode::OK);
    // A byte now and then does not do, and nothing at all does not either.
    for (pause, bytes) in [(50, 1), (3_600_000, 16 << 10)] {
        let (status, headers, body) = send(&router, slow(pause, bytes, 1000)).await;
        assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
        assert_eq!(headers[header::CONNECTION], "close");
        assert!(body.contains("16 KiB"), "{body}");
    }
}

#[tokio::test]
async fn all_bodies_together_have_a_size() {
    let options = GuardOptions { max_body: 1000, ..GuardOptions::default() };
    let (begun, mut running) = tokio::sync::mpsc::channel::<()>(20);
    let hold = Arc::new(tokio::sync::Semaphore::new(0));
    let held = Arc::clone(&hold);
    let slow = Router::new().route(
        "/echo",
        post(move |body: axum::body::Bytes| {
            let (begun, held) = (begun.clone(), Arc::clone(&held));
            async move {
                begun.send(()).await.unwrap();
                let _turn = held.acquire().await.unwrap();
                body
            }
        }),
    );
    let router = Guard::new(options).protect(slow);
    let full = || upload(Body::from(vec![7; 1000]));
    let held: Vec<_> =
        (0..TOGETHER).map(|_| tokio::spawn(router.clone().oneshot(full()))).collect();
    for _ in 0..TOGETHER {
        running.recv().await.unwrap();
    }
    let (status, headers, body) = send(&router, full()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    assert_eq!(headers[header::RETRY_AFTER], "1");
    hold.add_permits(100);
    for answer in held {
        assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::OK);
    }
    assert_eq!(send(&router, full()).await.0, StatusCode::OK);
}

#[tokio::test]
async fn what_is_kept_of_a_body_counts_until_it_is_dropped() {
    let options = GuardOptions { max_body: 1000, ..GuardOptions::default() };
    let (keep, mut kept) = tokio::sync::mpsc::channel(2 * TOGETHER);
    let keeps = |Extension(account): Extension<Arc<Account>>, body: axum::body::Bytes| async move {
        keep.send(account.keep(body)).await.unwrap();
    };
    let router = Guard::new(options).protect(Router::new().route("/echo", post(keeps)));
    let full = || upload(Body::from(vec![7; 1000]));
    for _ in 0..TOGETHER {
        assert_eq!(send(&router, full()).await.0, StatusCode::OK);
    }
    assert_eq!(send(&router, full()).await.0, StatusCode::SERVICE_UNAVAILABLE);
    let one = kept.recv().await.unwrap();
    assert_eq!(one, vec![7; 1000]);
    let part = one.slice(..1);
    drop(one);
    assert_eq!(send(&router, full()).await.0, StatusCode::SERVICE_UNAVAILABLE);
    drop(part);
    assert_eq!(send(&router, full()).await.0, StatusCode::OK);
}

/// A body of 700 KB, and of 16 KiB now and then for two seconds more.
fn patient() -> Request {
    let stream = futures_util::stream::unfold(0, |sent| async move {
        let bytes = if sent == 0 { 700_000 } else { 16 << 10 };
        if sent > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        (sent <= 20).then(|| (Ok::<_, std::io::Error>(vec![7; bytes]), sent + 1))
    });
    upload(Body::from_stream(stream))
}

#[tokio::test]
async fn patient_senders_do_not_hold_the_memory_of_all_bodies() {
    let max_body = 1 << 20;
    let body_timeout = Duration::from_secs(1);
    let options = GuardOptions { max_body, body_timeout, ..GuardOptions::default() };
    let router = Guard::new(options).protect(router());
    // As long as there is room, such a body is taken.
    assert_eq!(send(&router, patient()).await.0, StatusCode::OK);
    // All of these together leave none.
    let many: Vec<_> = (0..23)
        .map(|_| {
            let router = router.clone();
            tokio::spawn(async move { send(&router, patient()).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let full = || upload(Body::from(vec![7; max_body]));
    assert_eq!(send(&router, full()).await.0, StatusCode::SERVICE_UNAVAILABLE);
    let mut late = 0;
    for answer in many {
        let (status, headers, body) = answer.await.unwrap();
        if status == StatusCode::REQUEST_TIMEOUT {
            assert_eq!(headers[header::CONNECTION], "close");
            assert!(body.contains("the body took longer than 1 s"), "{body}");
            late += 1;
        }
    }
    // When half of the room is free again, the others may go on.
    assert!(late > 5, "{late}");
    assert_eq!(send(&router, full()).await.0, StatusCode::OK);
}
