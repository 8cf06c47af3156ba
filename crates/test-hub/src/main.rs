//! Serves folders as a model hub on loopback, for the checks in `tests/parity/hub`.
//!
//! `test-hub DIR`, where DIR holds `org/name/{files}`, prints the value for `HF_ENDPOINT` and a
//! token, and runs until its standard input ends. A name that starts with `private-` or `gated-`
//! needs the token.

use std::io::Read;
use std::path::Path;

use test_hub::{Access, Repo, TOKEN, TestHub};

fn main() {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let hub = TestHub::start();
    for org in Path::new(&folder).read_dir().unwrap() {
        let org = org.unwrap();
        for name in org.path().read_dir().unwrap() {
            let name = name.unwrap();
            let text = |name: std::ffi::OsString| name.into_string().unwrap();
            let (org, repo) = (text(org.file_name()), text(name.file_name()));
            let access = match repo.split('-').next() {
                Some("private") => Access::Private,
                Some("gated") => Access::Gated,
                _ => Access::Public,
            };
            hub.add(Repo::from_folder(&format!("{org}/{repo}"), &name.path()).access(access));
        }
    }
    println!("{} {TOKEN}", hub.url());
    // The process that started this closes its standard input at the end.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    for seen in hub.take_log() {
        println!("{} {} {}", if seen.storage { "storage" } else { "hub" }, seen.method, seen.path);
    }
}
