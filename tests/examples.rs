//! Runs the examples as their first lines say.

#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Cargo puts examples next to the folder of the test programs.
fn example(name: &str) -> Command {
    let mut path: PathBuf = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{}: with --test, build the examples first", path.display());
    let mut command = Command::new(path);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn classify_names_the_coffee() {
    let out = stdout(example("classify").arg("examples/images/coffee.png"));
    assert!(out.lines().nth(1).unwrap().ends_with("95.1%  espresso"), "{out}");
}

#[test]
fn embed_finds_an_image_most_like_itself() {
    let images = ["chelsea.png", "chelsea.png", "rocket.jpg"];
    let out = stdout(example("embed").args(images.map(|name| format!("examples/images/{name}"))));
    let similar: Vec<f32> =
        out.lines().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect();
    assert!((similar[0] - 1.0).abs() < 1e-3 && similar[1] < 0.9, "{out}");
}

#[test]
fn decode_tells_sizes_and_errors() {
    let mut child = example("decode").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let images = "examples/images/coffee.png\nexamples/images/README.md\n";
    child.stdin.take().unwrap().write_all(images.as_bytes()).unwrap();
    let out = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let lines: Vec<_> = out.lines().collect();
    assert!(lines[0].starts_with("examples/images/coffee.png\t600x400 "), "{out}");
    assert!(lines[1].contains("\tnot an image of a known format"), "{out}");
}

/// Stops the service when the test ends, however it ends.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn post(address: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /classify HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn service_answers_requests_at_once_and_refuses_what_is_no_image() {
    let child = example("service").arg("127.0.0.1:0").stdout(Stdio::piped()).spawn().unwrap();
    let mut service = Service(child);
    let mut line = String::new();
    BufReader::new(service.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").unwrap();
    let coffee = std::fs::read("examples/images/coffee.png").unwrap();
    std::thread::scope(|scope| {
        let requests: Vec<_> = (0..4).map(|_| scope.spawn(|| post(address, &coffee))).collect();
        for request in requests {
            let answer = request.join().unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert!(answer.contains(r#""label":"espresso""#), "{answer}");
        }
    });
    let answer = post(address, b"no image");
    assert!(answer.starts_with("HTTP/1.1 422") && answer.contains(r#""error":"#), "{answer}");
}
