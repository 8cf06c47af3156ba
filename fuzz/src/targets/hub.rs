//! Answers of a hub, or of something that takes its place.

use std::collections::VecDeque;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use effnet::hub::{Hub, HubBuilder, HubError};
use sha1::{Digest, Sha1};
use sha2::Sha256;

use super::memory::peak;
use super::one_line;

const TOKEN: &str = "hf_secretsecretsecret";
const REPO: &str = "org/name";
const BESIDE: usize = 16 << 20;
/// Separates two answers.
const BETWEEN: &[u8] = b"\n====\n";
const MOST_ANSWERS: usize = 12;

/// Answers of a server, one per connection, and how the client handles them when it is asked for a
/// model's files.
///
/// An answer is sent as it is, except what the fuzzer cannot guess: `@SHA256`, `@GIT` and `@LENGTH`
/// become those of the next answer's body, `@COMMIT` becomes a commit, and any host after `//`
/// becomes this server, so that no redirect leads into the network.
///
/// Asserted: no panic; nothing is written outside the cache; every file in it matches the checksum
/// in its name; returned paths are in the cache; no error contains the token or has several lines.
pub fn hub(bytes: &[u8]) {
    let server = Server::get();
    *server.answers.lock().unwrap() = answers(bytes, server.address);
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let hub = client(&cache, server.address);
    let ((files, one), held) = peak(|| {
        (hub.model_files(REPO, None), hub.file(REPO, Some("v1"), "sub/labels.txt", 1 << 16))
    });
    assert!(held <= BESIDE + 64 * bytes.len(), "{held} bytes held for {}", bytes.len());
    let mut given = Vec::new();
    match files {
        Ok(files) => given.extend([files.config, files.weights]),
        Err(error) => sound(&error),
    }
    match one {
        Ok(file) => given.push(file),
        Err(error) => sound(&error),
    }
    for path in given {
        assert!(path.starts_with(&cache) && path.is_file(), "{}", path.display());
        assert!(path.canonicalize().unwrap().starts_with(cache.canonicalize().unwrap()));
    }
    let beside: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(beside.iter().all(|path| *path == cache), "{beside:?}");
    for path in all_files(&cache) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let of_blob = path.parent().is_some_and(|folder| folder.ends_with("blobs"));
        if of_blob && !name.ends_with(".incomplete") {
            let content = fs::read(&path).unwrap();
            assert!([sha256(&content), git(&content)].contains(&name.to_owned()), "{name}");
        }
    }
    for model in hub.cached().unwrap() {
        for file in &model.files {
            hub.verify(file).unwrap();
        }
    }
}

fn sound(error: &HubError) {
    one_line(error);
    let text = error.to_string();
    assert!(!text.contains(TOKEN), "{text}");
}

fn client(cache: &Path, address: SocketAddr) -> Hub {
    let short = Duration::from_millis(500);
    HubBuilder::new(cache)
        .endpoint(format!("http://{address}"))
        .token(TOKEN)
        .unwrap()
        .connect_timeout(short)
        .head_timeout(short)
        .stall_timeout(short)
        .retry(2, Duration::ZERO)
        .longest_wait(Duration::ZERO)
        .build()
        .unwrap()
}

fn all_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        match fs::symlink_metadata(&path).unwrap().file_type() {
            kind if kind.is_dir() => files.extend(all_files(&path)),
            kind if kind.is_file() => files.push(path),
            _ => {}
        }
    }
    files
}

fn hex(digest: impl IntoIterator<Item = u8>) -> String {
    digest.into_iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(content: &[u8]) -> String {
    hex(Sha256::digest(content))
}

fn git(content: &[u8]) -> String {
    hex(Sha1::new_with_prefix(format!("blob {}\0", content.len())).chain_update(content).finalize())
}

fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        out.extend(&rest[..at]);
        out.extend(to);
        rest = &rest[at + from.len()..];
    }
    out.extend(rest);
    out
}

/// The answers with their placeholders filled in, starting from the last, which depends on no
/// other.
fn answers(bytes: &[u8], address: SocketAddr) -> VecDeque<Vec<u8>> {
    let mut parts = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(BETWEEN.len()).position(|window| window == BETWEEN) {
        parts.push(&rest[..at]);
        rest = &rest[at + BETWEEN.len()..];
    }
    parts.push(rest);
    parts.truncate(MOST_ANSWERS);
    let mut filled = VecDeque::new();
    let mut next = Vec::new();
    for part in parts.into_iter().rev() {
        let end = part.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
        let (head, body) = part.split_at(end.unwrap_or(part.len()));
        let mut head = replaced(head, b"//", format!("//{address}/").as_bytes());
        for (from, to) in [
            ("@SHA256", sha256(&next)),
            ("@GIT", git(&next)),
            ("@LENGTH", next.len().to_string()),
            ("@COMMIT", "c".repeat(40)),
        ] {
            head = replaced(&head, from.as_bytes(), to.as_bytes());
        }
        next = body.to_vec();
        head.extend(body);
        filled.push_front(head);
    }
    filled
}

/// Gives each connection the next answer, and closes it.
struct Server {
    address: SocketAddr,
    answers: Mutex<VecDeque<Vec<u8>>>,
}

impl Server {
    fn get() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        static LISTENER: OnceLock<TcpListener> = OnceLock::new();
        SERVER.get_or_init(|| {
            let listener = LISTENER.get_or_init(|| TcpListener::bind("127.0.0.1:0").unwrap());
            let address = listener.local_addr().unwrap();
            std::thread::spawn(|| {
                for stream in listener.incoming().flatten() {
                    let next = SERVER.wait().answers.lock().unwrap().pop_front();
                    // A client may go away at any time.
                    let _ = answer(stream, &next.unwrap_or_default());
                }
            });
            Self { address, answers: Mutex::default() }
        })
    }
}

fn answer(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
    let mut request: Vec<u8> = Vec::new();
    let mut buffer = [0; 1 << 12];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        request.extend(&buffer[..read]);
    }
    stream.write_all(answer)
}
