//! Faults of a transfer: the message, what is left on disk, and what the next run does.
//! `docs/hub.md` has a row for each.

use std::time::Instant;

use super::*;
use test_hub::{At, Fault};

const ALWAYS: usize = usize::MAX;

#[test]
fn without_a_fault() {
    let scene = Scene::new();
    let files = scene.files().unwrap();
    scene.assert_complete(&files);
    assert_eq!(files.commit, Repo::model(MODEL, SIZE).commit());
    assert_eq!(scene.events.count("retrying"), 0);
    assert_eq!(scene.events.count("started model.safetensors 0/300001"), 1);
    assert_eq!(scene.events.count("Finished"), 2);
}

#[test]
fn a_broken_connection_is_resumed() {
    let scene = Scene::new();
    // There are more breaks than attempts, but each brings new bytes, so none counts.
    for after in [1000, 20_000, 30_000, 40_000, 50_000] {
        scene.server.fault(At::Storage, WEIGHTS, Fault::Drop(after), 1);
    }
    scene.assert_complete(&scene.files().unwrap());
    assert_eq!(scene.events.count("retrying"), 5);
    let log = scene.server.take_log();
    let resumed = log.iter().filter(|seen| seen.storage && seen.range.is_some()).count();
    assert!(resumed >= 4, "{log:?}");
}

#[test]
fn a_break_without_end_is_given_up_and_resumed_by_the_next_run() {
    let scene = Scene::new();
    scene.server.fault(At::Storage, WEIGHTS, Fault::Drop(100_000), 1);
    scene.server.fault(At::Storage, WEIGHTS, Fault::Drop(0), ALWAYS);
    let error = scene.files().unwrap_err();
    assert!(matches!(error, HubError::Interrupted { size: 300_001, .. }), "{error}");
    assert!(error.to_string().contains("run it again"), "{error}");
    let left = scene.assert_no_weights().unwrap();
    assert!(left > 0 && left <= 100_000, "{left}");
    scene.server.take_log();
    scene.assert_next_run_completes();
    let log = scene.server.take_log();
    assert!(log.iter().any(|seen| seen.range == Some(format!("bytes={left}-"))), "{log:?}");
}

#[test]
fn a_stall_ends_at_the_timeout() {
    let scene = Scene::new();
    scene.server.fault(At::Storage, WEIGHTS, Fault::Stall(0), ALWAYS);
    let hub = scene.builder().stall_timeout(SHORT).retry(2, SHORT / 100).build().unwrap();
    let start = Instant::now();
    let error = hub.model_files(MODEL, None).unwrap_err();
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
    assert!(error.to_string().contains("stalled"), "{error}");
    scene.assert_no_weights();
    scene.assert_next_run_completes();
}

#[test]
fn a_slow_transfer_is_no_stall() {
    let scene = Scene::new();
    scene.server.fault(At::Storage, WEIGHTS, Fault::Trickle(4096, SHORT / 10), ALWAYS);
    // In total this takes longer than the timeout, but the gaps between bytes are much shorter.
    let hub = scene.builder().stall_timeout(SHORT * 4).build().unwrap();
    scene.assert_complete(&hub.model_files(MODEL, None).unwrap());
}

#[test]
fn a_server_that_never_answers() {
    for at in [At::Head, At::Storage] {
        let scene = Scene::new();
        scene.server.fault(at, "", Fault::Silence, ALWAYS);
        let hub = scene.builder().head_timeout(SHORT).stall_timeout(SHORT).retry(2, SHORT / 100);
        let start = Instant::now();
        let error = hub.build().unwrap().model_files(MODEL, None).unwrap_err();
        assert!(start.elapsed() < LONG);
        assert!(error.to_string().contains("no answer in time"), "{error}");
        scene.assert_no_weights();
        scene.assert_next_run_completes();
    }
}

#[test]
fn a_body_that_ends_early() {
    let scene = Scene::new();
    scene.server.fault(At::Storage, WEIGHTS, Fault::Truncate(70_000), 1);
    scene.assert_complete(&scene.files().unwrap());
    assert_eq!(scene.events.count("retrying"), 1);

    let scene = Scene::new();
    scene.server.fault(At::Storage, WEIGHTS, Fault::Truncate(0), ALWAYS);
    assert!(matches!(scene.files().unwrap_err(), HubError::Interrupted { got: 0, .. }));
    scene.assert_no_weights();
    scene.assert_next_run_completes();
}

#[test]
fn a_wrong_bit_is_found_and_nothing_is_kept() {
    let scene = Scene::new();
    scene.server.fault(At::Storage, WEIGHTS, Fault::Corrupt, 1);
    scene.assert_complete(&scene.files().unwrap());

    let scene = Scene::new();
    scene.server.fault(At::Storage, WEIGHTS, Fault::Corrupt, ALWAYS);
    let error = scene.files().unwrap_err();
    assert!(matches!(error, HubError::Mismatch { what: "the SHA-256", .. }), "{error}");
    assert_eq!(scene.assert_no_weights(), None);
    scene.assert_next_run_completes();
}

#[test]
fn a_wrong_bit_in_a_small_file_is_found() {
    let scene = Scene::new();
    scene.server.fault(At::Get, "config.json", Fault::Corrupt, ALWAYS);
    let error = scene.files().unwrap_err();
    assert!(matches!(error, HubError::Mismatch { what: "the git SHA-1", .. }), "{error}");
    scene.assert_next_run_completes();
}

#[test]
fn a_body_that_is_too_long() {
    for fault in [Fault::Extra(1), Fault::ExtraUnannounced(1), Fault::ExtraUnannounced(10_000_000)]
    {
        let scene = Scene::new();
        scene.server.fault(At::Storage, WEIGHTS, fault, ALWAYS);
        let error = scene.files().unwrap_err();
        assert!(matches!(error, HubError::Mismatch { what: "a size of", .. }), "{error}");
        assert!(scene.assert_no_weights().unwrap_or(0) <= SIZE as u64);
        scene.assert_next_run_completes();
    }
}

#[test]
fn a_beginning_of_another_file_is_not_taken_for_this_one() {
    let scene = Scene::new();
    let repo = Repo::model(MODEL, SIZE);
    let blobs = scene.cache.path().join("models--org--b0/blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    for size in [1000, SIZE, SIZE + 5] {
        let etag = repo.file(WEIGHTS).unwrap().etag();
        std::fs::write(blobs.join(format!("{etag}.effnet.incomplete")), vec![1; size]).unwrap();
        scene.assert_complete(&scene.files().unwrap());
        std::fs::remove_dir_all(scene.cache.path().join("models--org--b0")).unwrap();
        std::fs::create_dir_all(&blobs).unwrap();
    }
}

#[test]
fn servers_that_cannot_resume() {
    for (fault, requests) in [(Fault::NoRange, 2), (Fault::BadRange, 3), (Fault::OtherRange, 3)] {
        let scene = Scene::new();
        scene.server.fault(At::Storage, WEIGHTS, Fault::Drop(100_000), 1);
        scene.server.fault(At::Storage, WEIGHTS, fault, 1);
        scene.assert_complete(&scene.files().unwrap());
        // Nothing is downloaded in full that is known to be wrong.
        assert_eq!(scene.server.take_log().iter().filter(|seen| seen.storage).count(), requests);
    }
}

#[test]
fn a_server_that_breaks_at_the_same_place_is_given_up() {
    let scene = Scene::new();
    scene.server.fault(At::Storage, WEIGHTS, Fault::Drop(0), ALWAYS);
    assert!(scene.files().is_err());
    // Three attempts, without pauses.
    assert_eq!(scene.server.take_log().iter().filter(|seen| seen.storage).count(), 3);
}

#[test]
fn server_errors_pass_or_are_reported() {
    for status in [500, 502, 503, 504, 408] {
        let scene = Scene::new();
        for at in [At::Head, At::Storage] {
            scene.server.fault(at, "", Fault::Status(status, vec![]), 2);
        }
        scene.assert_complete(&scene.files().unwrap());
        scene.server.take_log();

        let scene = Scene::new();
        scene.server.fault(At::Head, "", Fault::Status(status, vec![]), ALWAYS);
        let error = scene.files().unwrap_err();
        assert!(matches!(error, HubError::Server { .. }), "{error}");
        assert_eq!(scene.server.take_log().len(), 3);
        scene.assert_next_run_completes();
    }
}

#[test]
fn an_error_page_of_the_storage_host_is_no_file() {
    for status in [403, 404, 503] {
        let scene = Scene::new();
        scene.server.fault(At::Storage, WEIGHTS, Fault::Status(status, vec![]), ALWAYS);
        let error = scene.files().unwrap_err();
        assert!(matches!(error, HubError::Interrupted { got: 0, .. }), "{error}");
        assert!(error.to_string().contains(&format!("HTTP status {status}")), "{error}");
        assert_eq!(scene.assert_no_weights(), Some(0));
        scene.assert_next_run_completes();
    }
}

#[test]
fn too_many_requests_wait_as_told() {
    let scene = Scene::new();
    let busy = Fault::Status(429, vec![("retry-after", "1")]);
    scene.server.fault(At::Storage, WEIGHTS, busy, 1);
    let start = Instant::now();
    scene.assert_complete(&scene.files().unwrap());
    assert!(start.elapsed() >= Duration::from_secs(1));

    let scene = Scene::new();
    let busy = Fault::Status(429, vec![("retry-after", "3600")]);
    scene.server.fault(At::Head, "", busy, ALWAYS);
    let error = scene.files().unwrap_err();
    assert!(error.to_string().contains("3600 seconds"), "{error}");
    assert_eq!(scene.server.take_log().len(), 1);
}

#[test]
fn an_expired_address_is_asked_for_anew() {
    let scene = Scene::new();
    scene.server.fault(At::Storage, WEIGHTS, Fault::Stall(100_000), 1);
    let hub = scene.builder().stall_timeout(SHORT).build().unwrap();
    std::thread::scope(|scope| {
        let download = scope.spawn(|| hub.model_files(MODEL, None));
        scene.server.wait_until(|log| log.iter().any(|seen| seen.storage));
        scene.server.expire();
        scene.assert_complete(&download.join().unwrap().unwrap());
    });
    let log = scene.server.take_log();
    let heads = log.iter().filter(|seen| seen.method == "HEAD" && seen.path.ends_with(WEIGHTS));
    assert_eq!(heads.count(), 2, "{log:?}");
}

#[test]
fn redirects_without_end_or_to_nowhere() {
    for (at, to) in [
        (At::Head, "/org/b0/resolve/main/config.json"),
        (At::Head, "file:///etc/passwd"),
        (At::Storage, "gopher://x/"),
        (At::Storage, ""),
    ] {
        let scene = Scene::new();
        let fault = match to {
            "" => Fault::Status(302, vec![]),
            to => Fault::Redirect(to.to_owned()),
        };
        scene.server.fault(at, "", fault, ALWAYS);
        let error = scene.files().unwrap_err();
        assert!(matches!(error, HubError::Redirect { .. }), "{error}");
        assert!(scene.server.take_log().len() < 20);
        scene.assert_no_weights();
        scene.assert_next_run_completes();
    }
}

#[test]
fn a_captive_portal_is_named() {
    let scene = Scene::new();
    scene.server.fault(At::Head, "", Fault::Page, ALWAYS);
    let error = scene.files().unwrap_err();
    assert!(error.to_string().contains("captive portal"), "{error}");
    assert_eq!(scene.server.take_log().len(), 1);
    scene.assert_next_run_completes();

    // First the hub answered, then the portal in place of the storage host.
    let scene = Scene::new();
    scene.server.fault(At::Storage, "", Fault::Page, ALWAYS);
    assert!(matches!(scene.files().unwrap_err(), HubError::Mismatch { .. }));
    scene.assert_no_weights();
    scene.assert_next_run_completes();
}

#[test]
fn no_server_at_all() {
    let scene = Scene::new();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // No server; no such host.
    for (host, cause) in [(gone.to_string(), "refused"), ("no.invalid".to_owned(), "no such host")]
    {
        let hub =
            scene.builder().endpoint(format!("http://{host}")).retry(5, LONG).build().unwrap();
        let error = hub.model_files(MODEL, None).unwrap_err();
        // There is no second attempt and no pause before it.
        assert_eq!(scene.events.count("retrying"), 0);
        assert!(matches!(error, HubError::Unreachable { .. }), "{error}");
        let error = error.to_string();
        assert!(error.contains(&host) && error.contains(cause), "{error}");
        assert!(error.contains("HubBuilder::offline"), "{error}");
    }
    scene.assert_next_run_completes();
}

#[test]
fn a_server_that_takes_no_connection() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    // Fills the queue of a server that never accepts; beyond it the system drops connections.
    let connect = || std::net::TcpStream::connect_timeout(&address, SHORT);
    let _queue: Vec<_> = std::iter::from_fn(|| connect().ok()).take(64).collect();
    let scene = Scene::new();
    let hub = scene.builder().endpoint(format!("http://{address}"));
    let hub = hub.connect_timeout(SHORT).retry(5, LONG).build().unwrap();
    let error = hub.model_files(MODEL, None).unwrap_err();
    assert_eq!(scene.events.count("retrying"), 0);
    assert!(matches!(error, HubError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("no answer in time"), "{error}");
    scene.assert_next_run_completes();
}

#[test]
fn no_secure_connection() {
    let scene = Scene::new();
    // A server that speaks no TLS.
    let endpoint = scene.server.url().replace("http://", "https://");
    let hub = scene.builder().endpoint(endpoint).build().unwrap();
    let error = hub.model_files(MODEL, None).unwrap_err();
    assert!(matches!(error, HubError::Tls { .. }), "{error}");
    scene.assert_next_run_completes();
}

#[test]
fn a_secure_connection_that_never_comes() {
    // The system's queue accepts connections, but the server never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("https://{}/", silent.local_addr().unwrap());
    for at in [At::Head, At::Storage] {
        let scene = Scene::new();
        scene.server.fault(at, "", Fault::Redirect(to.clone()), ALWAYS);
        let hub = scene.builder().head_timeout(SHORT).stall_timeout(SHORT).retry(2, SHORT / 100);
        let start = Instant::now();
        let error = hub.build().unwrap().model_files(MODEL, None).unwrap_err();
        assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
        assert!(error.to_string().contains("no answer in time"), "{error}");
        scene.assert_no_weights();
        scene.assert_next_run_completes();
    }
}

#[test]
fn a_cache_that_cannot_be_written() {
    let scene = Scene::new();
    let file = scene.cache.path().join("a file");
    std::fs::write(&file, "").unwrap();
    let hub = scene.builder().cache_dir(file.join("cache")).build().unwrap();
    let error = hub.model_files(MODEL, None).unwrap_err();
    assert!(error.to_string().contains("a file"), "{error}");
}
