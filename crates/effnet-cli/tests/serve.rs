//! `effnet serve`, the program: signals, exit codes, files that it reads and writes.
#![cfg(all(unix, feature = "serve", feature = "bundled"))]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(20);

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_effnet"));
    command.arg("serve").args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("EFFNET_")) {
        command.env_remove(name);
    }
    command
}

/// How a run ends that does not begin to serve, and what it says.
fn fails(arguments: &[&str]) -> (Option<i32>, String) {
    let output = command(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// A server on a free port.
struct Server {
    child: Child,
    address: String,
    log: Option<BufReader<ChildStderr>>,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let ports = ["--bind", "127.0.0.1:0", "--grpc-bind", "none"];
        let mut command = command(&[&ports, arguments].concat());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let address = address(&mut log);
        let server = Self { child, address, log: Some(log) };
        server.wait();
        server
    }

    /// Waits until the models are loaded.
    fn wait(&self) {
        while !self.get("/health/ready", "").starts_with("HTTP/1.1 200 ") {
            thread::sleep(PAUSE);
        }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).unwrap()
    }

    fn get(&self, path: &str, headers: &str) -> String {
        let mut stream = self.connect();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\r\n")
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Waits for the end; gives the rest of the log too.
    fn end(mut self) -> (ExitStatus, String) {
        let mut log = String::new();
        if let Some(rest) = &mut self.log {
            rest.read_to_string(&mut log).unwrap();
        }
        (self.child.wait().unwrap(), log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address that the log says.
fn address(log: &mut impl BufRead) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "the log ends before the address");
        if let Some((_, rest)) = line.split_once("listening for http address=") {
            return rest.split(' ').next().unwrap().to_owned();
        }
    }
}

fn coffee() -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read(root.join("examples/images/coffee.png")).unwrap()
}

/// Asks once on a connection that stays open; the answer's head and body.
fn classify(stream: &mut TcpStream, image: &[u8]) -> std::io::Result<(String, String)> {
    let head = format!(
        "POST /classify?k=1 HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        image.len()
    );
    stream.write_all(&[head.as_bytes(), image].concat())?;
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let begin = head.len();
        if reader.read_line(&mut head)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(value) = head[begin..].to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((head, String::from_utf8(body).unwrap()))
}

#[test]
fn sigterm_under_load_loses_nothing() {
    let server = Server::start(&[]);
    let (image, answers) = (Arc::new(coffee()), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (mut stream, image) = (server.connect(), Arc::clone(&image));
            let answers = Arc::clone(&answers);
            // Every request is answered, the last with the news that it is the last.
            thread::spawn(move || {
                loop {
                    let (head, body) = classify(&mut stream, &image).unwrap();
                    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}{body}");
                    assert!(body.contains("espresso"), "{body}");
                    answers.fetch_add(1, Ordering::Relaxed);
                    if head.to_lowercase().contains("connection: close\r\n") {
                        return;
                    }
                }
            })
        })
        .collect();
    while answers.load(Ordering::Relaxed) < 40 {
        thread::sleep(PAUSE);
    }
    server.signal("TERM");
    for client in clients {
        client.join().unwrap();
    }
    let (status, log) = server.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(
        log.contains("signal=\"SIGTERM\"") && log.contains("every request is answered"),
        "{log}"
    );
}

/// A request that waits for the rest of its body.
fn half(server: &Server) -> TcpStream {
    let mut stream = server.connect();
    stream
        .write_all(b"POST /classify HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf")
        .unwrap();
    // Until the server has it: an answer on another connection comes after it.
    for _ in 0..3 {
        server.get("/health/live", "");
        thread::sleep(PAUSE);
    }
    stream
}

#[test]
fn the_end_has_a_limit() {
    let server = Server::start(&["--grace", "300ms", "--body-timeout", "1h"]);
    let _stream = half(&server);
    server.signal("INT");
    let (status, log) = server.end();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("error: the server ended with 1 requests unanswered"), "{log}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = Server::start(&["--grace", "1h", "--body-timeout", "1h"]);
    let _stream = half(&server);
    server.signal("TERM");
    let log = server.log.as_mut().unwrap();
    let mut line = String::new();
    while !line.contains("SIGTERM") {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0);
    }
    server.signal("INT");
    let (status, log) = server.end();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("error: a second signal ended the server at once"), "{log}");
}

#[test]
fn what_cannot_be_obeyed_has_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| -> String {
        let path: PathBuf = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (settings, empty) = (file("a.toml", "\nbnid = 1\n"), file("empty", ""));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let any = ["--bind", "127.0.0.1:0", "--grpc-bind", "none"];
    for (arguments, code, says) in [
        (["--nonsense"].as_slice(), 2, "--nonsense"),
        (&["--max-body", "many"], 2, "error: --max-body: \"many\" is not a size"),
        (&["--config", &settings], 2, "a.toml:2: unknown key bnid: is it bind?"),
        (&["--config", "/no/such/file"], 2, "/no/such/file"),
        (&["--api-key-file", &empty], 2, "there are none"),
        (&["--tls-cert", &empty, "--tls-key", &empty], 2, "there is no CERTIFICATE in it"),
        (&["--log-file", "/no/such/folder/log"], 1, "cannot open the log /no/such/folder/log"),
        (&["--bind", &taken], 1, "(--bind): Address already in use"),
        (&["-m", "efficientnet_b99"], 3, "efficientnet_b99"),
        (&["-m", "/no/such/model.pth"], 3, "model.pth"),
        (&["--max-memory", "1MiB"], 3, "unload one, or raise the limit"),
    ] {
        let arguments = match arguments {
            ["--bind", ..] => arguments.to_vec(),
            arguments => [&any, arguments].concat(),
        };
        let (got, text) = fails(&arguments);
        assert_eq!(got, Some(code), "{arguments:?}: {text}");
        assert!(text.contains(says), "{arguments:?}: {text}");
    }
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // The address is in no log: it is the one port that was free just now.
    let free =
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let arguments = ["--bind", &free, "--grpc-bind", "none", "--log-file", "/dev/full"];
    let child = command(&arguments).current_dir(folder.path()).spawn().unwrap();
    let server = Server { child, address: free, log: None };
    while TcpStream::connect(&server.address).is_err() {
        thread::sleep(PAUSE);
    }
    server.wait();
    let mut stream = server.connect();
    for _ in 0..3 {
        assert!(classify(&mut stream, &coffee()).unwrap().0.starts_with("HTTP/1.1 200 "));
    }
    // The lines of these requests are lost soon after their answers.
    let lost = || {
        let metrics = server.get("/metrics", "");
        let mut lines = metrics.lines();
        let line = lines.find(|line| line.starts_with("effnet_log_lines_lost_total"));
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    };
    while lost() < 6 {
        thread::sleep(PAUSE);
    }
    drop(stream);
    server.signal("TERM");
    assert_eq!(server.end().0.code(), Some(0));
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let mut server = Server::start(&[]);
    server.log = None;
    let mut stream = server.connect();
    for _ in 0..3 {
        assert!(classify(&mut stream, &coffee()).unwrap().0.starts_with("HTTP/1.1 200 "));
    }
    drop(stream);
    server.signal("TERM");
    assert_eq!(server.end().0.code(), Some(0));
}

#[test]
fn keys_are_read_again_on_sighup() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    fs::write(&keys, "a:the-old-key").unwrap();
    let server = Server::start(&["--api-key-file", keys.to_str().unwrap()]);
    let allowed = |key: &str| {
        server.get("/models", &format!("X-API-Key: {key}\r\n")).starts_with("HTTP/1.1 200 ")
    };
    assert!(allowed("the-old-key") && !allowed("the-new-key") && !allowed(""));
    fs::write(&keys, "a:the-new-key").unwrap();
    server.signal("HUP");
    while !allowed("the-new-key") {
        thread::sleep(PAUSE);
    }
    assert!(!allowed("the-old-key"));
}

#[test]
fn it_says_whether_it_is_ready() {
    let server = Server::start(&[]);
    let check = |address: &str| {
        let arguments = ["--check", "--bind", address];
        command(&arguments).output().unwrap()
    };
    let port = server.address.rsplit(':').next().unwrap().to_owned();
    for address in [&server.address, &format!("0.0.0.0:{port}")] {
        assert_eq!(check(address).status.code(), Some(0));
    }
    server.signal("TERM");
    let address = server.address.clone();
    server.end();
    let output = check(&address);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("is not ready"));
}

#[test]
fn clients_that_are_killed_harm_nobody() {
    let server = Server::start(&["--max-queue-size", "4"]);
    let (image, stop) = (Arc::new(coffee()), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..4)
        .map(|number| {
            let (address, image) = (server.address.clone(), Arc::clone(&image));
            let stop = Arc::clone(&stop);
            // One that goes in the middle of its body, and one that goes before its answer.
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let Ok(mut stream) = TcpStream::connect(&address) else { return };
                    let sent = if number % 2 == 0 { image.len() / 2 } else { image.len() };
                    let head = format!(
                        "POST /classify HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
                        image.len()
                    );
                    let _ = stream.write_all(&[head.as_bytes(), &image[..sent]].concat());
                    thread::sleep(Duration::from_millis(3));
                }
            })
        })
        .collect();
    let mut stream = server.connect();
    let mut answers = 0;
    while answers < 20 {
        let (head, body) = classify(&mut stream, &image).unwrap();
        // The queue is short: a refusal says when to come again.
        match head.split(' ').nth(1) {
            Some("200") => answers += 1,
            Some("429" | "503") => assert!(head.to_lowercase().contains("retry-after: "), "{head}"),
            _ => panic!("{head}{body}"),
        }
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    drop(stream);
    server.signal("TERM");
    let (status, log) = server.end();
    assert_eq!(status.code(), Some(0), "{log}");
}
