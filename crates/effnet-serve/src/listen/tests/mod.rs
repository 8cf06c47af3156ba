mod tls;

use std::net::SocketAddr;

use axum::body::Body;
use axum::http::Request;
use axum::routing::{get, post};
use http_body_util::BodyExt;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::*;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(100);

fn patient() -> ListenOptions {
    ListenOptions {
        header_timeout: LONG,
        body_timeout: LONG,
        idle_timeout: LONG,
        grace: LONG,
        ..ListenOptions::default()
    }
}

struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<usize>,
}

impl Running {
    async fn start(router: Router, options: ListenOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(serve(vec![(listener, router)], options, async {
            let _ = stopped.await;
        }));
        Self { address, stop: Some(stop), ended }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    fn stop(&mut self) {
        self.stop = None;
    }

    async fn end(mut self) -> usize {
        self.stop();
        self.ended.await.unwrap()
    }
}

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" })).merge(length())
}

/// Answers with a body's length.
fn length() -> Router {
    let length = |body: axum::body::Bytes| async move { body.len().to_string() };
    Router::new().route("/length", post(length))
}

async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    answer(stream, "hello").await
}

/// Reads up to the end of the answer, which is this text.
async fn answer(stream: &mut TcpStream, last: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(last.as_bytes()) {
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).await.unwrap();
        assert_ne!(read, 0, "{}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&bytes[..read]);
    }
    String::from_utf8(text).unwrap()
}

/// Waits for the end of a connection; gives what came before.
async fn ends(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // An end with a reset is an end.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn both_versions_are_spoken_at_one_address() {
    let server = Running::start(hello(), patient()).await;
    let mut stream = server.connect().await;
    for _ in 0..2 {
        assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    let io = TokioIo::new(server.connect().await);
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = || Request::get("http://a/").body(Body::empty()).unwrap();
    let response = client.send_request(request()).await.unwrap();
    assert_eq!(response.version(), axum::http::Version::HTTP_2);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    drop((client, stream));
    assert_eq!(server.end().await, 0);
}

#[tokio::test]
async fn heads_that_do_not_come_on_end_their_connections() {
    // Long enough for a head that does come.
    let time = 10 * SHORT;
    let options = ListenOptions { header_timeout: time, ..patient() };
    let server = Running::start(hello(), options).await;
    let mut streams = Vec::new();
    for head in ["", "G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nX-Slow: 1\r\n", "PRI * HTTP/2.0"]
    {
        let mut stream = server.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    for mut stream in streams {
        assert_eq!(ends(&mut stream).await, "");
    }
    // A byte now and then makes no difference.
    let (mut reader, mut writer) = server.connect().await.into_split();
    let trickle = tokio::spawn(async move {
        let mut head = b"GET / HTTP/1.1\r\nX: ".to_vec();
        loop {
            if writer.write_all(&head).await.is_err() {
                return;
            }
            head = b"x".to_vec();
            sleep(SHORT / 10).await;
        }
    });
    let _ = reader.read_to_end(&mut Vec::new()).await;
    trickle.await.unwrap();
    // The next head on a connection has the same time, from its first byte.
    let mut stream = server.connect().await;
    ask(&mut stream).await;
    sleep(2 * time).await;
    ask(&mut stream).await;
    stream.write_all(b"GET ").await.unwrap();
    assert_eq!(ends(&mut stream).await, "");
    assert_eq!(server.end().await, 0);
}

#[tokio::test]
async fn idle_connections_end() {
    let options = ListenOptions { idle_timeout: SHORT, ..patient() };
    let server = Running::start(hello(), options).await;
    let mut stream = server.connect().await;
    ask(&mut stream).await;
    assert_eq!(ends(&mut stream).await, "");
    let io = TokioIo::new(server.connect().await);
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let connection = tokio::spawn(connection);
    client.send_request(Request::get("http://a/").body(Body::empty()).unwrap()).await.unwrap();
    connection.await.unwrap().unwrap();
    assert_eq!(server.end().await, 0);
}

#[tokio::test]
async fn idle_connections_make_room_for_others() {
    let options = ListenOptions { max_connections: 20, ..patient() };
    let server = Running::start(hello(), options).await;
    // More than there are places for: some silent, some after a request.
    let mut idle = Vec::new();
    for number in 0..60 {
        let mut stream = server.connect().await;
        if number % 2 == 0 && number < 20 {
            ask(&mut stream).await;
        }
        idle.push(stream);
    }
    ask(&mut server.connect().await).await;
    assert_eq!(server.end().await, 0);
}

/// A router whose `/` is answered when `go` is notified.
fn held(go: &Arc<Notify>) -> (Router, mpsc::Receiver<()>) {
    let (begun, running) = mpsc::channel(100);
    let go = Arc::clone(go);
    let handler = move || async move {
        begun.send(()).await.unwrap();
        go.notified().await;
        "hello"
    };
    (Router::new().route("/", get(handler)), running)
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let go = Arc::new(Notify::new());
    let (router, mut running) = held(&go);
    let server = Running::start(router, ListenOptions { max_connections: 8, ..patient() }).await;
    let mut streams = Vec::new();
    for _ in 0..9 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        streams.push(stream);
    }
    for _ in 0..8 {
        running.recv().await.unwrap();
    }
    sleep(SHORT).await;
    assert!(running.try_recv().is_err(), "a ninth connection was served");
    // One answer, one place.
    go.notify_one();
    running.recv().await.unwrap();
    for _ in 0..8 {
        go.notify_one();
        sleep(SHORT / 10).await;
    }
    for mut stream in streams {
        answer(&mut stream, "hello").await;
    }
    assert_eq!(server.end().await, 0);
}

#[tokio::test]
async fn what_has_come_is_answered_at_the_end() {
    let go = Arc::new(Notify::new());
    let (router, mut running) = held(&go);
    let mut server = Running::start(router, patient()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let io = TokioIo::new(server.connect().await);
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://a/").body(Body::empty()).unwrap();
    let second = tokio::spawn(client.send_request(request));
    running.recv().await.unwrap();
    running.recv().await.unwrap();
    let mut idle = server.connect().await;
    server.stop();
    assert_eq!(ends(&mut idle).await, "");
    // Nobody listens any more.
    while TcpStream::connect(server.address).await.is_ok() {
        sleep(SHORT / 10).await;
    }
    go.notify_waiters();
    let text = answer(&mut stream, "hello").await;
    assert!(text.contains("connection: close\r\n"), "{text}");
    assert_eq!(ends(&mut stream).await, "");
    let second = second.await.unwrap().unwrap();
    assert_eq!(second.into_body().collect().await.unwrap().to_bytes(), "hello");
    drop(client);
    assert_eq!(server.end().await, 0);
}

#[tokio::test]
async fn a_request_on_its_way_is_answered_at_the_end() {
    let mut server = Running::start(hello(), patient()).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = server.connect().await;
        ask(&mut stream).await;
        streams.push(stream);
    }
    // These are not accepted yet, but the system has them.
    for _ in 0..20 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        streams.push(stream);
    }
    server.stop();
    for stream in &mut streams[..20] {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    }
    for stream in &mut streams {
        answer(stream, "hello").await;
    }
    assert_eq!(server.end().await, 0);
}

#[tokio::test]
async fn the_end_does_not_wait_forever() {
    let (router, mut running) = held(&Arc::new(Notify::new()));
    let server = Running::start(router, ListenOptions { grace: SHORT, ..patient() }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    running.recv().await.unwrap();
    assert_eq!(server.end().await, 1);
    assert_eq!(ends(&mut stream).await, "");
}

#[tokio::test]
async fn an_answer_that_nobody_reads_ends_its_connection() {
    /// Tells when the answer is given up.
    struct Told(Option<oneshot::Sender<()>>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.take().unwrap().send(());
        }
    }
    let (told, mut given_up) = mpsc::channel(2);
    let endless = move || async move {
        let (sender, receiver) = oneshot::channel();
        told.send(receiver).await.unwrap();
        let stream = futures_util::stream::unfold(Told(Some(sender)), |told| async {
            Some((Ok::<_, std::io::Error>(vec![0; 1 << 16]), told))
        });
        Body::from_stream(stream)
    };
    let router = Router::new().route("/", get(endless));
    let server = Running::start(router, ListenOptions { body_timeout: SHORT, ..patient() }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    given_up.recv().await.unwrap().await.unwrap();

    let io = TokioIo::new(server.connect().await);
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://a/").body(Body::empty()).unwrap();
    // The client gives the connection's window and no more.
    let response = client.send_request(request).await.unwrap();
    given_up.recv().await.unwrap().await.unwrap();
    drop((response, stream));
    assert_eq!(server.end().await, 0);
}

#[tokio::test]
async fn an_answer_in_one_piece_that_nobody_reads_ends_its_connection() {
    /// Tells when the answer's bytes are given up.
    struct Told(Vec<u8>, Option<oneshot::Sender<()>>);
    impl AsRef<[u8]> for Told {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.1.take().unwrap().send(());
        }
    }
    let (told, mut given_up) = mpsc::channel(2);
    let large = move || async move {
        let (sender, receiver) = oneshot::channel();
        told.send(receiver).await.unwrap();
        axum::body::Bytes::from_owner(Told(vec![0; 64 << 20], Some(sender)))
    };
    let router = Router::new().route("/", get(large));
    let server = Running::start(router, ListenOptions { body_timeout: SHORT, ..patient() }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    given_up.recv().await.unwrap().await.unwrap();
    drop(stream);
    assert_eq!(server.end().await, 0);
}

#[tokio::test]
async fn pings_do_not_keep_an_answer_that_has_no_window() {
    let options = ListenOptions { body_timeout: 5 * SHORT, ..patient() };
    let server = Running::start(hello(), options).await;
    let io = TokioIo::new(server.connect().await);
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).keep_alive_interval(SHORT / 2).initial_stream_window_size(0);
    let (mut client, connection) = builder.handshake(io).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("http://a/").body(Body::empty()).unwrap();
    let response = client.send_request(request).await.unwrap();
    let _ = connection.await.unwrap();
    drop(response);
    assert_eq!(server.end().await, 0);
}

#[tokio::test]
async fn heads_have_a_size() {
    let server = Running::start(hello(), patient()).await;
    for (length, status) in [(60_000, "200 OK"), (70_000, "431 Request Header Fields Too Large")] {
        let mut stream = server.connect().await;
        let field = "x".repeat(length);
        let head = format!("GET / HTTP/1.1\r\nConnection: close\r\nX: {field}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let text = ends(&mut stream).await;
        assert!(text.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{length}: {text}");
    }
    assert_eq!(server.end().await, 0);
}

#[tokio::test]
async fn clients_that_vanish_or_lie_harm_nobody() {
    let server = Running::start(hello(), patient()).await;
    let send = async |text: &str| {
        let mut stream = server.connect().await;
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    };
    let post = |length: &str| {
        format!("POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
    };
    drop(send(&(post("1000") + "the beginning")).await);
    drop(send(&post("18446744073709551615")).await);
    // What is too much for the length is not part of the body, and not a request.
    let text = ends(&mut send(&(post("4") + "four, and more\r\n\r\n")).await).await;
    assert!(text.contains("\r\n\r\n4HTTP/1.1 400 Bad Request\r\n"), "{text}");
    for wrong in ["-1", "+1", "1, 2", "99999999999999999999999", "0x10", ""] {
        let text = ends(&mut send(&(post(wrong) + "body")).await).await;
        assert!(text.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{wrong}: {text}");
    }
    ask(&mut server.connect().await).await;
    assert_eq!(server.end().await, 0);
}

/// The work for a client that has gone is not done; one that ends only its side looks the same.
#[tokio::test]
async fn a_client_that_has_ended_its_side_is_gone() {
    let go = Arc::new(Notify::new());
    let (router, mut running) = held(&go);
    let server = Running::start(router, patient()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    running.recv().await.unwrap();
    stream.shutdown().await.unwrap();
    // The connection ends though nothing has let the answer go.
    assert_eq!(ends(&mut stream).await, "");
    assert_eq!(server.end().await, 0);
}
